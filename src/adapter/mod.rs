//! Drives the pure machines: the only code with a clock, an executor and a source of chance.

mod connect;

pub use connect::{Connect, Death, Failure, Opened};
