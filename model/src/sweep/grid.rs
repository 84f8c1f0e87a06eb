//! Numbering the combinations of the values of several fields.

/// The rest of a place's number, from which field after field takes its value.
pub(super) struct Place(pub(super) u64);

impl Place {
    /// The value of the next field.
    pub(super) fn of<T: Copy>(&mut self, values: &[T]) -> Option<T> {
        let count = u64::try_from(values.len()).ok()?;
        let at = self.0.checked_rem(count)?;
        self.0 /= count;
        values.get(usize::try_from(at).ok()?).copied()
    }
}

/// The values, each once, in order.
pub(super) fn edges<T: Ord + Copy>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_unstable();
    values.dedup();
    values
}

/// One below, at, and one above.
pub(super) fn around(value: u64) -> [u64; 3] {
    [value.saturating_sub(1), value, value.saturating_add(1)]
}
