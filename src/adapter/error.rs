//! Why there is no session, in words for whoever must act on it.

use std::{fmt, time::Duration};

use super::Cause;
use crate::{Fault, Refusal, pacer::ENDPOINTS_MAX};

/// Why a wait for a session ended without one.
///
/// It names the root cause (the last failure of the outage on record), not only that time ran out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Error {
    /// How the wait ended.
    pub refusal: Refusal,
    /// The last failure of the outage on record; `None` when the pool is healthy but exhausted.
    pub cause: Option<Cause>,
    /// Dials made in the outage on record.
    pub dials: u64,
    /// How long the caller waited.
    pub waited: Duration,
    /// When the next dial is due, from now.
    pub next_dial_in: Option<Duration>,
    /// Sessions lent when the wait ended, and the size of the pool.
    pub leased: (u16, u16),
    /// How many others waited then.
    pub waiters: usize,
}

impl Error {
    /// The class of the root cause; [`Fault::Overloaded`] when the pool itself was exhausted.
    pub fn fault(&self) -> Fault {
        match self.refusal {
            Refusal::Held(fault) => fault,
            Refusal::Deadline | Refusal::Down | Refusal::Full | Refusal::Stopped => {
                self.cause.as_ref().map_or(Fault::Overloaded, |cause| cause.failure.fault)
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waited = self.waited.as_secs_f64();
        match self.refusal {
            Refusal::Deadline => write!(f, "no session within {waited:.3} s")?,
            refusal @ (Refusal::Down | Refusal::Held(_)) => write!(f, "no session: {refusal}")?,
            refusal @ Refusal::Full => write!(f, "no session: {refusal} ({})", self.waiters)?,
            refusal @ Refusal::Stopped => return write!(f, "no session: {refusal}"),
        }
        match &self.cause {
            Some(cause) => {
                let dials = if self.dials == 1 { "dial" } else { "dials" };
                write!(f, ": {} at {}; {} {dials} in this outage", cause.failure, cause.endpoint, self.dials)?;
                match self.next_dial_in {
                    Some(wait) => write!(f, ", the next in {:.3} s", wait.as_secs_f64()),
                    None => Ok(()),
                }
            }
            None => {
                let (leased, size) = self.leased;
                write!(f, ": {leased} of {size} sessions are lent, {} others wait", self.waiters)
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadline => f.write_str("its deadline passed"),
            Self::Down => f.write_str("the database is down and `on_down` is fail_fast"),
            Self::Held(fault) => {
                write!(f, "dialing is stopped ({fault}) until the cause is mended and `renew` is called")
            }
            Self::Full => f.write_str("`waiters_max` others wait already"),
            Self::Stopped => f.write_str("the pool is closed"),
        }
    }
}

// The cause is in the text, so there is no source to show it once more.
impl std::error::Error for Error {}

/// Why a pool cannot be built.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no tokio runtime.
    #[error("a pool must be built inside a tokio runtime: call it from an async fn, or enter a runtime first")]
    NoRuntime,
    /// The connector names no endpoint, or too many.
    #[error("{0} endpoints: an endpoint set has 1 to {ENDPOINTS_MAX}")]
    Endpoints(usize),
}
