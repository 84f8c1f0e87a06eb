//! The checker is right: on the traps that others fall into, against brute force, and on a theorem with known answers.

#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod brute;
mod costs;
mod drawn;
mod space;
mod theorem;
mod toy;
mod traps;
