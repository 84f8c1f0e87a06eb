//! The server that a fleet dials: how it takes more than it can serve.

use relink::{Checked, Fault};

/// What a server with too little capacity does. Work is counted in whole parts, of which each kind says how long one takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Server {
    /// It serves a dial at once when it has room for the whole set-up in this tick, and rejects the others as
    /// overloaded. A reject is work as well, and work that is not done stays: with `reject` 0 it sheds the excess.
    Rejects {
        /// Parts of work done in a tick.
        capacity: u8,
        /// Parts of a set-up; at most `capacity`.
        setup: u8,
        /// Parts of a reject.
        reject: u8,
        /// The most parts that are remembered: what comes on top of them is dropped for nothing.
        backlog_max: u8,
    },
    /// It serves all dials of a tick if there are no more than `capacity`, and else none.
    Collapses {
        /// Set-ups in a tick.
        capacity: u8,
        /// What the others meet: overload at once, anything else at the dial's deadline.
        fault: Fault,
    },
    /// It serves one after the other, also those that have lost patience by then.
    Queues {
        /// Ticks that a set-up takes.
        setup: u8,
        /// The most ticks of work in the queue: what comes on top of them is never answered, and costs nothing.
        backlog_max: u8,
    },
}

/// What a dial is told when it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Here is a session.
    Session,
    /// There is none, at once.
    Fault(Fault),
    /// Nothing, until its deadline.
    Silence,
    /// A session, after so many ticks, if its deadline is not sooner.
    After(u8),
}

impl Server {
    /// A server that serves `capacity` dials a tick and rejects the others for nothing.
    pub const fn sheds(capacity: u8) -> Self {
        Self::Rejects { capacity, setup: 1, reject: 0, backlog_max: capacity }
    }

    /// Everything that it may answer.
    pub(super) fn answers(self, policy: &Checked) -> Vec<Answer> {
        let mut answers = vec![Answer::Fault(Fault::Refused)];
        match self {
            Self::Rejects { .. } => answers.extend([Answer::Session, Answer::Fault(Fault::Overloaded)]),
            Self::Collapses { .. } => answers.extend([Answer::Session, self.collapsed()]),
            Self::Queues { setup, backlog_max } => {
                let patience = u8::try_from(policy.dial_deadline_max.as_millis()).unwrap_or(u8::MAX);
                answers.extend((setup..=backlog_max.min(patience)).map(Answer::After));
                answers.push(Answer::Silence);
            }
        }
        answers
    }

    /// What a dial has met that had no answer by its deadline.
    pub(super) const fn silence(self) -> Fault {
        match self {
            Self::Collapses { fault: Fault::Unreachable, .. } => Fault::Unreachable,
            Self::Rejects { .. } | Self::Collapses { .. } | Self::Queues { .. } => Fault::TimedOut,
        }
    }

    const fn collapsed(self) -> Answer {
        match self {
            Self::Collapses { fault: Fault::Overloaded, .. } => Answer::Fault(Fault::Overloaded),
            Self::Rejects { .. } | Self::Collapses { .. } | Self::Queues { .. } => Answer::Silence,
        }
    }

    /// The work that is left a tick later.
    pub(super) const fn ticked(self, backlog: u8) -> u8 {
        match self {
            Self::Rejects { capacity, .. } => backlog.saturating_sub(capacity),
            Self::Collapses { .. } => 0,
            Self::Queues { .. } => backlog.saturating_sub(1),
        }
    }

    /// What one of `arrivals` dials of this tick is told, and the work after it. `patience_max` ticks is as long as
    /// any dial waits.
    pub(super) fn admit(self, backlog: u8, arrivals: usize, patience_max: u8) -> (Answer, u8) {
        match self {
            Self::Rejects { setup, .. } if self.has_room(backlog) => (Answer::Session, backlog.saturating_add(setup)),
            Self::Rejects { reject, backlog_max, .. } => {
                (Answer::Fault(Fault::Overloaded), backlog.saturating_add(reject).min(backlog_max.max(backlog)))
            }
            Self::Collapses { capacity, .. } if arrivals <= usize::from(capacity) => (Answer::Session, 0),
            Self::Collapses { .. } => (self.collapsed(), 0),
            Self::Queues { setup, backlog_max } => match backlog.saturating_add(setup) {
                full if full > backlog_max => (Answer::Silence, backlog),
                // Nobody waits that long: the work is done for nobody.
                late if late > patience_max => (Answer::Silence, late),
                ticks => (Answer::After(ticks), ticks),
            },
        }
    }

    const fn has_room(self, backlog: u8) -> bool {
        match self {
            Self::Rejects { capacity, setup, .. } => backlog.saturating_add(setup) <= capacity,
            Self::Collapses { .. } => false,
            Self::Queues { setup, backlog_max } => backlog.saturating_add(setup) <= backlog_max,
        }
    }

    /// Whether it matters who of those at the door is next.
    pub(super) const fn chooses(self, backlog: u8) -> bool {
        self.has_room(backlog)
    }

    /// The most work that it remembers.
    pub const fn backlog_max(self) -> u8 {
        match self {
            Self::Rejects { backlog_max, capacity, .. } => {
                if backlog_max > capacity {
                    backlog_max
                } else {
                    capacity
                }
            }
            Self::Collapses { .. } => 0,
            Self::Queues { backlog_max, .. } => backlog_max,
        }
    }
}
