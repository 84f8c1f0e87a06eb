//! The pure core: values in, values out; no clock, no chance of its own, no I/O.

pub(crate) mod classify;
pub(crate) mod fault;
pub(crate) mod link;
pub mod policy;
pub(crate) mod role;
pub(crate) mod rule;
#[cfg(feature = "serde")]
mod rule_text;
pub(crate) mod time;
pub(crate) mod word;
