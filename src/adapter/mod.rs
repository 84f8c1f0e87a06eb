//! Drives the pure machines: the only code with a clock, an executor and a source of chance.
//!
//! It decides nothing. Whatever happens (a dial answers, a borrower returns a session, a timeout
//! comes) becomes one [`pool::Event`](crate::pool::Event); the machine's commands are carried out in
//! their order, under one lock that is never held across an await. Every step can be recorded
//! ([`Trace`]) and replayed through the pure functions.

mod chance;
mod connect;
mod error;
mod lease;
mod pool;
mod session;
mod shared;
mod status;
mod trace;

pub use connect::{Connect, Death, Failure, Found, Limits, Look, Opened};
pub use error::{BuildError, Error};
pub use lease::Lease;
pub use pool::{Builder, Pool};
pub use status::{Cause, Event, Kind, State, Status};
pub use trace::{Diverged, Record, Step, Trace};
