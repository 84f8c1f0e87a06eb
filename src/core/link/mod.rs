//! The life of one connection.
//!
//! Idle → waiting for the pacer → dialing → online ⇄ leased → … Every answer carries the name of the
//! dial, the lease or the question that it answers, and identity, not timing, decides what is stale: a
//! late success is closed, never adopted; a late return, proof or loss changes nothing. Each state has
//! at most one timeout, [`Link::timeout`], which follows from the state and the policy: entering a
//! state arms it, leaving drops it.
//!
//! A question is named by its session, by its kind (a probe or reset of the session, or one to the
//! server about it) and by the time by which it must be answered, `by`: the deadline of the state that
//! asks. No two questions whose answers may still come share a name:
//!
//! * A probe or reset that is left unanswered ends in closing, so its session is asked nothing more.
//! * A question to the server that is left unanswered is followed by another only after its deadline, or
//!   after a newer statement has outlasted the policy's patience. Both are at least 1 ms later, and so is the new deadline.
//!
//! A question to the server may be put by two that ask, one after the other, where the first ended or stayed silent: it is the same
//! question, and the first answer ends it. Otherwise an answer is given once, for whoever asks ends with it. A driver that repeats
//! one breaks this: the second could be taken for that of a question asked in the same millisecond.

mod event;
mod step;

pub use event::Event;

use Link::{Closed, Closing, Dialing, Draining, Held, Idle, Leased, Online, Probing, Suspected, Waiting};

use super::{fault::Fault, pacer::DialId, policy::Checked, time::Time};

/// What a session is doing, as far as its stream has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Work {
    /// Nothing is in flight and no transaction is open.
    #[default]
    AtRest,
    /// No statement is in flight; a transaction is open (or failed and not yet rolled back).
    InTransaction,
    /// A statement was sent and not yet fully answered.
    Statement {
        /// Whether its effect may be durable although its answer never came: autocommit, COMMIT,
        /// PREPARE TRANSACTION, the end of a COPY, CALL; or anything that cannot be told from these.
        durable: bool,
    },
}

impl Work {
    /// What the loss of a session means for whoever was using it: a statement that may have become
    /// durable is [`Fault::Ambiguous`], whatever ended the session.
    pub const fn loss(self, fault: Fault) -> Fault {
        match self {
            Self::Statement { durable: true } => Fault::Ambiguous,
            Self::AtRest | Self::InTransaction | Self::Statement { durable: false } => fault,
        }
    }
}

/// The name of one wait for a session, and then of the lease that ends it. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LeaseId(pub u64);

/// An established, role-verified connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Session {
    /// The dial that opened it: its name.
    pub dial: DialId,
    /// From then on its loss is not held against the endpoint.
    pub stable_at: Time,
    /// Not lent any more from then on.
    pub retire_at: Time,
    /// The topology generation of its evidence of role.
    pub topology: u32,
}

/// A session that a borrower has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// Whose it is.
    pub id: LeaseId,
    /// What it is doing, as last observed.
    pub work: Work,
    /// When a lease held for too long is reported; `NEVER` once it was.
    pub warn_at: Time,
    /// When its borrower last waited for nothing, or the server was last heard of, as far as is known.
    pub heard_at: Time,
}

/// One logical connection that relink keeps alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    /// Has no session and wants none.
    Idle,
    /// Wants a session; the pacer says when.
    Waiting,
    /// Wants a session, and a fatal fault forbids to dial until a renewal.
    Held {
        /// The fatal fault.
        fault: Fault,
    },
    /// A dial is in flight.
    Dialing {
        /// Its name.
        dial: DialId,
        /// When it will have failed.
        deadline: Time,
        /// The topology generation when it started: its evidence of role is no younger.
        topology: u32,
        /// When its transport must be up, at most `deadline`; `NEVER` once it is: silence from then on is a peer
        /// that does not answer.
        connect_by: Time,
    },
    /// Has a session that nobody uses.
    Online {
        /// The session.
        session: Session,
        /// Since when nobody has used it.
        since: Time,
        /// It has answered since the last borrower had it.
        proved: bool,
    },
    /// Has a session that a borrower uses.
    Leased {
        /// The session.
        session: Session,
        /// The lease.
        lease: Lease,
    },
    /// A borrower has waited longer than the policy's patience: the server is to be asked about the session.
    Suspected {
        /// The session.
        session: Session,
        /// The lease.
        lease: Lease,
        /// When the question will have gone unanswered.
        deadline: Time,
        /// Whether it is the second question in a row.
        again: bool,
        /// Who asks the server, once somebody who can was found: the place of that link.
        asker: Option<u16>,
    },
    /// The borrower may finish; then the session is closed.
    Draining {
        /// The session.
        session: Session,
        /// The lease.
        lease: Lease,
        /// When the lease is cut; `NEVER` for a retirement.
        deadline: Time,
    },
    /// The session itself is being asked: for its role, or to come back to a clean state.
    Probing {
        /// The session.
        session: Session,
        /// When the probe will have failed.
        deadline: Time,
        /// The topology generation when it was asked: its answer is no younger.
        topology: u32,
    },
    /// The dial or session is being closed; its place is not free yet.
    Closing {
        /// Its name.
        dial: DialId,
        /// When patience with a graceful end is over.
        deadline: Time,
        /// Whether it is known to be a session: an aborted dial may still open one, and only once.
        opened: bool,
    },
    /// The end.
    Closed,
}

/// What is to be done. At most one thing a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Command {
    /// End it at once and whatever it takes, then report [`Event::Gone`].
    Abort(DialId),
    /// End it gracefully, then report [`Event::Gone`].
    Close(DialId),
    /// Ask the session for its role: [`Event::Proved`] or [`Event::Unproved`].
    Probe {
        /// The session.
        dial: DialId,
        /// When an answer is too late; it names the question.
        by: Time,
    },
    /// Bring the session to a clean state: [`Event::Proved`] or [`Event::Unproved`].
    Reset {
        /// The session.
        dial: DialId,
        /// When an answer is too late; it names the question.
        by: Time,
    },
    /// Ask the server, through this session, about each session of its endpoint for which the same step of the pool
    /// commands [`Command::Ask`] after this, and for its own role: [`Event::Proved`] or [`Event::Unproved`].
    Inquire {
        /// The session that asks.
        dial: DialId,
        /// When an answer is too late; it names the question.
        by: Time,
    },
    /// Ask the server about the session: [`Event::FoundAlive`], [`Event::Undecided`] or [`Event::FoundDead`].
    Ask {
        /// The session.
        dial: DialId,
        /// When an answer is too late; it names the question.
        by: Time,
    },
    /// Look what a lease's session is doing: [`Event::Worked`]. Costs no round trip.
    Look(LeaseId),
    /// A lease has been held for longer than `lease_warn`.
    Warn(LeaseId),
}

impl Link {
    /// When [`Event::Elapsed`] is due; `NEVER` when only an answer can change anything.
    pub fn timeout(&self, policy: &Checked) -> Time {
        match *self {
            Idle | Waiting | Held { .. } | Closed => Time::NEVER,
            Dialing { deadline, connect_by, .. } => deadline.min(connect_by),
            Probing { deadline, .. } | Closing { deadline, .. } => deadline,
            Suspected { deadline, .. } | Draining { deadline, .. } => deadline,
            Online { session, since, .. } => {
                policy.idle_max.map_or(Time::NEVER, |span| since + span).min(session.retire_at)
            }
            Leased { lease, .. } => lease.warn_at.min(impatient_at(lease, policy)),
        }
    }

    /// The session that this link owns, if any.
    pub const fn session(&self) -> Option<Session> {
        match *self {
            Online { session, .. }
            | Leased { session, .. }
            | Suspected { session, .. }
            | Draining { session, .. }
            | Probing { session, .. } => Some(session),
            Idle | Waiting | Held { .. } | Dialing { .. } | Closing { .. } | Closed => None,
        }
    }

    /// The lease of this link's session, if a borrower has it.
    pub const fn lease(&self) -> Option<Lease> {
        match *self {
            Leased { lease, .. } | Suspected { lease, .. } | Draining { lease, .. } => Some(lease),
            Idle | Waiting | Held { .. } | Dialing { .. } | Online { .. } => None,
            Probing { .. } | Closing { .. } | Closed => None,
        }
    }

    /// The name of the question that is open, beside its session: the time by which it must be answered.
    pub const fn question(&self) -> Option<Time> {
        match *self {
            Suspected { deadline, asker: Some(_), .. } | Probing { deadline, .. } => Some(deadline),
            Suspected { asker: None, .. } => None,
            Idle | Waiting | Held { .. } | Dialing { .. } | Online { .. } => None,
            Leased { .. } | Draining { .. } | Closing { .. } | Closed => None,
        }
    }

    /// What it means that whoever must answer by this state's deadline has not.
    pub const fn silence(&self) -> Option<Fault> {
        match *self {
            Dialing { connect_by: Time::NEVER, .. } | Probing { .. } | Suspected { again: true, .. } => {
                Some(Fault::TimedOut)
            }
            Dialing { .. } => Some(Fault::Unreachable),
            Suspected { again: false, .. } | Idle | Waiting | Held { .. } | Online { .. } => None,
            Leased { .. } | Draining { .. } | Closing { .. } | Closed => None,
        }
    }

    /// Whether [`Event::Elapsed`] would end the lease now: a driver looks what the lease is doing before it feeds that.
    pub fn is_doomed(&self, now: Time) -> bool {
        matches!(self, Suspected { again: true, deadline, .. } | Draining { deadline, .. } if *deadline <= now)
    }

    fn asks(&self, dial: DialId, by: Time) -> bool {
        self.dial() == Some(dial) && self.question() == Some(by)
    }

    /// The dial or session that this link owns, whatever state it is in.
    pub const fn dial(&self) -> Option<DialId> {
        match *self {
            Dialing { dial, .. } | Closing { dial, .. } => Some(dial),
            Online { session, .. }
            | Leased { session, .. }
            | Suspected { session, .. }
            | Draining { session, .. }
            | Probing { session, .. } => Some(session.dial),
            Idle | Waiting | Held { .. } | Closed => None,
        }
    }
}

/// When a borrower may have waited for longer than the policy's patience, as far as is known.
fn impatient_at(lease: Lease, policy: &Checked) -> Time {
    policy.patience.map_or(Time::NEVER, |patience| lease.heard_at + patience)
}
