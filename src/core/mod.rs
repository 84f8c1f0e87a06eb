//! The pure core: values in, values out; no clock, no chance of its own, no I/O.

pub mod fault;
pub(crate) mod frame;
pub mod link;
pub mod pacer;
pub mod policy;
pub mod pool;
pub(crate) mod role;
pub(crate) mod time;
