//! Words that users write, and the nearest known one when they are misspelt.

use alloc::{borrow::ToOwned, string::String, vec::Vec};
use core::fmt;

/// A word that names nothing here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownWord {
    what: &'static str,
    value: String,
    known: &'static [&'static str],
}

impl UnknownWord {
    /// `value` is no `what`; `known` are the words that are.
    pub fn new(what: &'static str, value: &str, known: &'static [&'static str]) -> Self {
        Self { what, value: value.to_owned(), known }
    }
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown {} {:?}: ", self.what, self.value)?;
        match nearest(&self.value, self.known) {
            // A long list would bury the answer.
            Some(near) if self.known.len() > 12 => return write!(f, "did you mean {near:?}?"),
            Some(near) => write!(f, "did you mean {near:?}? ")?,
            None => {}
        }
        f.write_str("the known ones are ")?;
        for (index, word) in self.known.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            f.write_str(word)?;
        }
        Ok(())
    }
}

impl core::error::Error for UnknownWord {}

/// The value whose name is `text`, whatever its case and without regard to blanks, `-` and `_`.
///
/// `names` and `values` go together by position.
pub(crate) fn pick<T: Copy>(
    what: &'static str,
    text: &str,
    names: &'static [&'static str],
    values: &[T],
) -> Result<T, UnknownWord> {
    let found = names.iter().zip(values).find(|(name, _)| plain(name).eq(plain(text)));
    found.map(|(_, value)| *value).ok_or_else(|| UnknownWord::new(what, text, names))
}

fn plain(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|c| !matches!(c, ' ' | '-' | '_')).map(|c| c.to_ascii_lowercase())
}

/// The known word with the fewest edits away from `value`, if at most a third of its letters differ, rounded up.
/// Case, blanks, `-` and `_` are no edits.
///
/// ```
/// assert_eq!(relink::nearest("max-sise", &["max_size", "max_idle"]), Some("max_size"));
/// assert_eq!(relink::nearest("colour", &["max_size", "max_idle"]), None);
/// ```
pub fn nearest<'a>(value: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().map(|word| (edits(value, word), *word)).min()?;
    (near.0 <= near.1.chars().count().div_ceil(3)).then_some(near.1)
}

/// The Levenshtein distance of the plain forms: insertions, deletions and substitutions cost one each.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = plain(b).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in plain(a).enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        let mut cells = row.iter_mut();
        if let Some(first) = cells.next() {
            *first = left;
        }
        for (cell, to) in cells.zip(&b) {
            left = (corner + usize::from(from != *to)).min(left + 1).min(*cell + 1);
            corner = core::mem::replace(cell, left);
        }
    }
    row.last().copied().unwrap_or(0)
}
