//! What an operator may see of a pool: where it stands, and what has happened.

use std::{fmt, panic::Location, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::Failure;
use crate::{Fault, LeaseId, Refusal};

/// Where a pool stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// There is no session and none is wanted; nothing has failed.
    Idle,
    /// There is no session and one is wanted; nothing has failed.
    Connecting,
    /// No outage is on record.
    Up,
    /// A session is online; the outage on record will be forgotten when nothing fails for a while.
    Settling,
    /// An outage, and no session is online.
    Down,
    /// A fatal fault stopped dialing; a renewal is needed.
    Held(Fault),
    /// Told to end; leases may still finish.
    Stopping,
    /// Ended.
    Closed,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("idle"),
            Self::Connecting => f.write_str("connecting"),
            Self::Up => f.write_str("up"),
            Self::Settling => f.write_str("settling"),
            Self::Down => f.write_str("down"),
            Self::Held(fault) => write!(f, "held ({fault})"),
            Self::Stopping => f.write_str("stopping"),
            Self::Closed => f.write_str("closed"),
        }
    }
}

/// A failure and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cause {
    /// `host:port` or a socket's path.
    pub endpoint: Arc<str>,
    /// What went wrong.
    pub failure: Arc<Failure>,
    /// When.
    pub at: Instant,
}

/// Where a pool stands, since when and why. Changes only when the state, the cause or the next dial
/// does: leasing alone never changes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The state.
    pub state: State,
    /// Since when.
    pub since: Instant,
    /// The last failure of the outage on record.
    pub cause: Option<Cause>,
    /// When the next dial may start; `None` while none is wanted or an answer must come first.
    pub next_dial_at: Option<Instant>,
    /// Dials since the pool was built.
    pub dials: u64,
}

/// What kind of thing has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A dial was started.
    Dialing,
    /// A session was opened.
    Online,
    /// A dial failed.
    DialFailed(Arc<Failure>),
    /// A session was lost.
    Lost(Arc<Failure>),
    /// A lease lost its session; the class says whether its work may have become durable.
    LeaseLost(LeaseId, Fault),
    /// A session was being asked or cleaned and did not answer as it should.
    Unproved(Arc<Failure>),
    /// A wait ended without a session.
    Refused(LeaseId, Refusal),
    /// A lease has been held for longer than `lease_warn`.
    LeaseLong(LeaseId),
    /// The pool's state changed.
    State(State),
}

/// One thing that happened, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// Since the pool was built.
    pub at: Duration,
    /// `host:port` or a socket's path, where one is concerned.
    pub endpoint: Option<Arc<str>>,
    /// Where in the program the wait or the lease was asked for, where one is concerned.
    pub acquired: Option<&'static Location<'static>>,
    /// What happened.
    pub kind: Kind,
}

impl Event {
    /// The database's own code for it, such as an SQLSTATE.
    pub fn code(&self) -> Option<&str> {
        match &self.kind {
            Kind::DialFailed(failure) | Kind::Lost(failure) | Kind::Unproved(failure) => failure.code.as_deref(),
            Kind::Dialing | Kind::Online | Kind::LeaseLost(..) => None,
            Kind::Refused(..) | Kind::LeaseLong(..) | Kind::State(_) => None,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.3}s ", self.at.as_secs_f64())?;
        if let Some(endpoint) = &self.endpoint {
            write!(f, "{endpoint} ")?;
        }
        match &self.kind {
            Kind::Dialing => f.write_str("dialing"),
            Kind::Online => f.write_str("online"),
            Kind::DialFailed(failure) => write!(f, "dial failed: {failure}"),
            Kind::Lost(failure) => write!(f, "session lost: {failure}"),
            Kind::LeaseLost(lease, fault) => write!(f, "lease {} lost its session: {fault}", lease.0),
            Kind::Unproved(failure) => write!(f, "session not proved: {failure}"),
            Kind::Refused(lease, refusal) => write!(f, "wait {} ended without a session: {refusal}", lease.0),
            Kind::LeaseLong(lease) => write!(f, "lease {} held for long", lease.0),
            Kind::State(state) => write!(f, "state: {state}"),
        }?;
        match self.acquired {
            Some(acquired) => write!(f, ", acquired at {acquired}"),
            None => Ok(()),
        }
    }
}
