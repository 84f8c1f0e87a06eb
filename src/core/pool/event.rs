//! What may happen to a pool, what it commands, and what it tells of itself.

use crate::core::{
    fault::Fault,
    link::{self, LeaseId, Link, Work},
    pacer::{DialId, ENDPOINTS_MAX},
    policy::SESSIONS_MAX,
    time::Time,
};

/// The place of the first endpoint's asker, a session that only asks the server about others; those of the other endpoints
/// follow. Every other place is below.
#[expect(clippy::cast_possible_truncation, reason = "a set is small: see below")]
pub const ASKERS: u16 = u16::MAX - (ENDPOINTS_MAX as u16 - 1);
// Each session has a place, and so has each hedged dial, one for each endpoint after the first.
const _: () = assert!(SESSIONS_MAX as usize + ENDPOINTS_MAX - 1 <= ASKERS as usize);

/// What has happened to a pool. `slot` is the place of a link; names decide what is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Event {
    /// Somebody asks for a session. Names are issued by the driver, each larger than all before.
    Asked {
        /// The wait, and then the lease.
        lease: LeaseId,
        /// When the wait is over.
        deadline: Time,
    },
    /// Who waited does so no more.
    GaveUp {
        /// The wait.
        lease: LeaseId,
    },
    /// A borrower gave a session back.
    Returned {
        /// The link.
        slot: u16,
        /// The lease that ended.
        lease: LeaseId,
        /// How the session was left.
        work: Work,
    },
    /// A borrower gave a session back that shall be closed instead of being lent again.
    Discarded {
        /// The link.
        slot: u16,
        /// The lease that ended.
        lease: LeaseId,
    },
    /// A borrower gave a session back that has ended, as far as its client shows. It stays lent, and is
    /// lent to nobody else, until [`Event::Lost`] tells why it ended, for `close_deadline` at most.
    Ended {
        /// The link.
        slot: u16,
        /// The lease that ended.
        lease: LeaseId,
        /// How the session was left.
        work: Work,
    },
    /// The transport of a dial is up.
    Accepted {
        /// The link.
        slot: u16,
        /// The dial.
        dial: DialId,
    },
    /// A dial opened a session of the wanted role.
    Dialed {
        /// The link.
        slot: u16,
        /// The dial.
        dial: DialId,
    },
    /// A dial failed and has left nothing behind.
    DialFailed {
        /// The link.
        slot: u16,
        /// The dial.
        dial: DialId,
        /// Why.
        fault: Fault,
    },
    /// A session answered and has the wanted role; if it had to be cleaned, it is clean.
    Proved {
        /// The link.
        slot: u16,
        /// The session.
        dial: DialId,
        /// Which question this answers; see [`link::Command`].
        by: Time,
    },
    /// A session answered wrongly, or could not be cleaned.
    Unproved {
        /// The link.
        slot: u16,
        /// The session.
        dial: DialId,
        /// Which question this answers; see [`link::Command`].
        by: Time,
        /// What was wrong.
        fault: Fault,
    },
    /// A session that is to ask the server about others has not been heard since, for half of its time: others may ask, too.
    Unheard {
        /// The link.
        slot: u16,
        /// The session.
        dial: DialId,
        /// Which question it was to put; see [`link::Command`].
        by: Time,
    },
    /// What a borrower's session is doing was observed.
    Worked {
        /// The link.
        slot: u16,
        /// The lease.
        lease: LeaseId,
        /// What it is doing.
        work: Work,
        /// The server was last heard of, or the statement in flight was sent, then: not later than now, and not earlier
        /// than what was told of this session before, which of one that rests is that time.
        heard_at: Time,
    },
    /// The server was asked about a session, and nothing shows that it is dead.
    FoundAlive {
        /// The link.
        slot: u16,
        /// The session.
        dial: DialId,
        /// Which question this answers; see [`link::Command`].
        by: Time,
    },
    /// The server was asked about a session, and it is too early to tell: the question is put again.
    Undecided {
        /// The link.
        slot: u16,
        /// The session.
        dial: DialId,
        /// Which question this answers; see [`link::Command`].
        by: Time,
    },
    /// The server was asked about a session and knows it to be gone, or idle.
    FoundDead {
        /// The link.
        slot: u16,
        /// The session.
        dial: DialId,
        /// Which question this answers; see [`link::Command`].
        by: Time,
    },
    /// A session ended.
    Lost {
        /// The link.
        slot: u16,
        /// The session.
        dial: DialId,
        /// Why.
        fault: Fault,
    },
    /// What was being closed is gone.
    Gone {
        /// The link.
        slot: u16,
        /// The dial or session.
        dial: DialId,
    },
    /// A server lost the role that its sessions were opened for: the topology generation rises.
    Demoted,
    /// Credentials or configuration were renewed: the credential generation rises.
    Renewed,
    /// The pool shall have another size, from 1 to [`SESSIONS_MAX`], below and above which it is these.
    Resized {
        /// The new `max_size`.
        max_size: u16,
    },
    /// Nobody shall be served and nothing dialed until [`Event::Resumed`].
    Paused,
    /// The end of a pause.
    Resumed,
    /// The pool shall end.
    Stopped {
        /// When leases are cut.
        deadline: Time,
    },
    /// A timeout of the pool has come; see [`Pool::timeout`](super::Pool::timeout).
    Elapsed,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Command {
    /// Dial the endpoint that the dial names.
    Dial {
        /// The link.
        slot: u16,
        /// The dial.
        dial: DialId,
    },
    /// A link's command about its dial or session.
    Link {
        /// The link.
        slot: u16,
        /// What to do.
        command: link::Command,
    },
    /// Lend the session to who waited.
    Grant {
        /// The lease that begins.
        lease: LeaseId,
        /// The link.
        slot: u16,
        /// The session.
        dial: DialId,
    },
    /// Tell who waited that there is no session.
    Refuse {
        /// The wait that ends.
        lease: LeaseId,
        /// Why.
        refusal: Refusal,
    },
    /// Tell a borrower that its session is lost, and what that means for its work.
    Report {
        /// The link that had the session.
        slot: u16,
        /// The lease.
        lease: LeaseId,
        /// [`Fault::Ambiguous`] if a statement in flight may have become durable; else the cause.
        fault: Fault,
        /// What ended the session: [`Fault::TimedOut`] if it was silent, [`Fault::Lost`] if the lease was cut.
        cause: Fault,
    },
}

/// Why a wait ended without a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Refusal {
    /// Its own deadline passed.
    Deadline,
    /// There is an outage, and the policy says not to wait in one.
    Down,
    /// A fatal fault stopped dialing; only a renewal helps.
    Held(Fault),
    /// `waiters_max` others wait already.
    Full,
    /// The pool is shutting down.
    Stopped,
}

/// How many links are in each kind of state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Tally {
    /// Places without a session that want none.
    pub idle: u16,
    /// Wanting a session, waiting for the pacer, or held.
    pub waiting: u16,
    /// A dial in flight.
    pub dialing: u16,
    /// Sessions at rest, ready to be lent.
    pub online: u16,
    /// Sessions with a borrower.
    pub leased: u16,
    /// Sessions being asked or cleaned.
    pub probing: u16,
    /// Dials or sessions being closed.
    pub closing: u16,
    /// Links that have ended.
    pub closed: u16,
}

impl Tally {
    pub(super) fn of(&mut self, link: &Link) -> &mut u16 {
        match link {
            Link::Idle => &mut self.idle,
            Link::Waiting | Link::Held { .. } => &mut self.waiting,
            Link::Dialing { .. } => &mut self.dialing,
            Link::Online { .. } => &mut self.online,
            Link::Leased { .. } | Link::Suspected { .. } | Link::Draining { .. } => &mut self.leased,
            Link::Probing { .. } => &mut self.probing,
            Link::Closing { .. } => &mut self.closing,
            Link::Closed => &mut self.closed,
        }
    }

    /// Sessions that are not being closed.
    pub(super) const fn usable(&self) -> u16 {
        self.online.saturating_add(self.leased).saturating_add(self.probing)
    }

    /// Sessions, those being closed included: what counts against `max_size` beside dials.
    pub(super) const fn owned(&self) -> u16 {
        self.usable().saturating_add(self.closing)
    }

    /// Dials and sessions: links that are none of these have no timeout.
    pub const fn busy(&self) -> u16 {
        self.owned().saturating_add(self.dialing)
    }
}
