//! The pure core: values in, values out; no clock, no chance of its own, no I/O.
#![warn(clippy::float_arithmetic, reason = "a fraction rounds otherwise on another machine, and a step must not")]

pub(crate) mod classify;
pub(crate) mod fault;
pub mod fence;
pub(crate) mod frame;
pub mod link;
pub mod pacer;
pub mod policy;
pub mod pool;
pub(crate) mod preference;
pub(crate) mod role;
pub(crate) mod rule;
#[cfg(feature = "serde")]
mod rule_text;
pub(crate) mod time;
pub(crate) mod word;
