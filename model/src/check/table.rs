//! Dense maps by id: a value or a bit for every state or every transition of a graph.

use std::ops::{Index, IndexMut};

/// No state, no transition, no component.
pub(super) const NONE: u32 = u32::MAX;

/// A value for every id in `0..len`.
#[derive(Clone, Debug)]
pub(super) struct Table<T>(pub(super) Vec<T>);

impl<T: Clone> Table<T> {
    pub(super) fn of(value: T, len: usize) -> Self {
        Self(vec![value; len])
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "an id out of range is a defect of the checker, which must not pass in silence"
)]
impl<T> Index<u32> for Table<T> {
    type Output = T;

    fn index(&self, id: u32) -> &T {
        &self.0[id as usize]
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "an id out of range is a defect of the checker, which must not pass in silence"
)]
impl<T> IndexMut<u32> for Table<T> {
    fn index_mut(&mut self, id: u32) -> &mut T {
        &mut self.0[id as usize]
    }
}

/// A set of ids in `0..len`.
#[derive(Clone, Debug)]
pub(super) struct Bits(Table<u64>);

impl Bits {
    pub(super) fn none(len: usize) -> Self {
        Self(Table::of(0, len.div_ceil(64)))
    }

    pub(super) fn has(&self, id: u32) -> bool {
        self.0[id / 64] >> (id % 64) & 1 == 1
    }

    pub(super) fn insert(&mut self, id: u32) {
        self.0[id / 64] |= 1 << (id % 64);
    }

    pub(super) fn and(mut self, other: &Self) -> Self {
        self.0.0.iter_mut().zip(&other.0.0).for_each(|(word, other)| *word &= other);
        self
    }
}
