//! What may happen to a link.

use super::{LeaseId, Work};
use crate::core::{fault::Fault, pacer::DialId, time::Time};

/// What has happened to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Somebody needs a session here.
    Wanted,
    /// Nobody needs it any more.
    Unwanted,
    /// The pacer let this link dial.
    Granted {
        /// The dial's name.
        dial: DialId,
        /// Its one deadline.
        deadline: Time,
        /// The topology generation now.
        topology: u32,
    },
    /// A fatal fault stopped the dialing of every endpoint.
    HeldBack {
        /// The fault.
        fault: Fault,
    },
    /// A renewal ended the hold.
    Renewed,
    /// The transport of the dial is up.
    Accepted {
        /// The dial.
        dial: DialId,
    },
    /// The dial opened a session.
    Dialed {
        /// The dial.
        dial: DialId,
        /// See [`Session::stable_at`](super::Session::stable_at).
        stable_at: Time,
        /// See [`Session::retire_at`](super::Session::retire_at).
        retire_at: Time,
    },
    /// The dial failed and has left nothing behind.
    DialFailed {
        /// The dial.
        dial: DialId,
    },
    /// The session was lent.
    Lent {
        /// To whom.
        lease: LeaseId,
    },
    /// What the borrower's session is doing was observed.
    Worked {
        /// The lease.
        lease: LeaseId,
        /// What it is doing.
        work: Work,
        /// The server was last heard of, or the statement in flight was sent, then: not later than now, and not earlier
        /// than what was told of this session before, which of one that rests is that time.
        heard_at: Time,
    },
    /// The borrower gave the session back.
    Returned {
        /// The lease that ended.
        lease: LeaseId,
        /// How it was left.
        work: Work,
    },
    /// The session's evidence was found stale before a lease.
    Doubted {
        /// The topology generation now.
        topology: u32,
    },
    /// The session is to ask the server about others.
    Engaged {
        /// The topology generation now.
        topology: u32,
    },
    /// The session answered and has the wanted role; if it had to be cleaned, it is clean.
    Proved {
        /// The session.
        dial: DialId,
        /// Which question this answers.
        by: Time,
    },
    /// The session answered wrongly, or not at all.
    Unproved {
        /// The session.
        dial: DialId,
        /// Which question this answers.
        by: Time,
    },
    /// The session has not been heard since it was asked, and is not worth waiting for.
    Unheard {
        /// The session.
        dial: DialId,
        /// Which question has not been answered.
        by: Time,
    },
    /// Somebody who can ask the server about the session was found.
    Questioned {
        /// The place of that link.
        asker: u16,
    },
    /// Whoever was to ask the server about the session has ended, or stays silent: somebody else may ask.
    Reopened,
    /// Nothing speaks against the session: that nobody could ask, or got an answer, has other reasons.
    Spared,
    /// The server was asked about the session, and nothing shows that it is dead.
    FoundAlive {
        /// The session.
        dial: DialId,
        /// Which question this answers.
        by: Time,
    },
    /// The server was asked about the session, and it is too early to tell: the question is put again, and its time begins
    /// anew.
    Undecided {
        /// The session.
        dial: DialId,
        /// Which question this answers.
        by: Time,
    },
    /// The server was asked about the session and knows it to be gone, or idle.
    FoundDead {
        /// The session.
        dial: DialId,
        /// Which question this answers.
        by: Time,
    },
    /// The session ended.
    Lost {
        /// The session.
        dial: DialId,
    },
    /// What was being closed is gone: nothing of it is left.
    Gone {
        /// The dial or session.
        dial: DialId,
    },
    /// The session is to be replaced, or its place given up.
    Retired,
    /// The pool is shutting down.
    Stopped {
        /// When leases are cut.
        deadline: Time,
    },
    /// The state's timeout has come.
    Elapsed,
}
