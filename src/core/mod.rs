//! The pure core: values in, values out; no clock, no chance of its own, no I/O.

pub(crate) mod fault;
pub(crate) mod link;
pub mod policy;
pub(crate) mod role;
pub(crate) mod time;
