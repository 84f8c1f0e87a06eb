//! Another origin of time and other names, under which the machines behave the same.
//!
//! Absolute times and names that are never used again make every state new. What a machine will do
//! depends on neither: only on how far ahead or behind a time is, and on which names are equal or
//! older. A state seen in a frame keeps just that, so the state space of a model is finite.

use super::{
    link::{LeaseId, Link, Session},
    pacer::DialId,
    policy::{Checked, Validate},
    time::{Span, Time},
};

/// A frame of reference: two states that look the same in their frames behave the same from then on.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The time as the machine knows it.
    pub now: Time,
    /// What that time is called in the frame; the past further back than this is forgotten.
    pub origin: Time,
    /// Every dial and session that anybody may still speak of, by rising serial.
    pub dials: &'a [DialId],
    /// Every wait and lease that anybody may still speak of, rising.
    pub leases: &'a [LeaseId],
    /// The topology generation: it is called 1, and every older one 0.
    pub topology: u32,
}

impl Frame<'_> {
    /// A time that only matters until it has come.
    pub fn due(&self, at: Time) -> Time {
        if at == Time::NEVER { at } else { self.origin + (at - self.now) }
    }

    /// A time whose distance matters up to `longest`.
    pub fn since(&self, at: Time, longest: Span) -> Time {
        if at > self.now {
            return self.due(at);
        }
        let ago = (self.now - at).min(longest);
        Time::from_millis(self.origin.as_millis().saturating_sub(ago.as_millis()))
    }

    /// A serial below which something holds: one more than the names in `dials` that are below it.
    pub fn serial(&self, serial: u64) -> u64 {
        let below = self.dials.partition_point(|dial| dial.serial() < serial);
        u64::try_from(below).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// A dial's place among `dials`, counted from 1; 0 when nobody speaks of it any more.
    pub fn dial(&self, dial: DialId) -> DialId {
        let serial = if self.dials.contains(&dial) { self.serial(dial.serial()) } else { 0 };
        DialId::new(serial, dial.endpoint())
    }

    /// A lease's place among `leases`, counted from 1; 0 when nobody speaks of it any more.
    pub fn lease(&self, lease: LeaseId) -> LeaseId {
        let place = self.leases.iter().position(|known| *known == lease).and_then(|place| u64::try_from(place).ok());
        LeaseId(place.map_or(0, |place| place.saturating_add(1)))
    }

    /// A topology generation: the present one or an older one.
    pub fn generation(&self, topology: u32) -> u32 {
        u32::from(topology == self.topology)
    }

    fn session(&self, session: Session) -> Session {
        Session {
            dial: self.dial(session.dial),
            stable_at: self.due(session.stable_at),
            retire_at: self.due(session.retire_at),
            topology: self.generation(session.topology),
        }
    }
}

impl Link {
    /// The same link as `frame` shows it.
    #[must_use]
    pub fn seen_from(self, policy: &Checked, frame: &Frame<'_>) -> Self {
        // A lease's patience counts only while it is not suspected.
        let patient = matches!(self, Self::Leased { .. });
        let patience = policy.patience.filter(|_| patient).unwrap_or(Span::ZERO);
        let seen = |lease: super::link::Lease| super::link::Lease {
            id: frame.lease(lease.id),
            work: lease.work,
            warn_at: frame.due(lease.warn_at),
            heard_at: frame.since(lease.heard_at, patience),
        };
        match self {
            Self::Idle | Self::Waiting | Self::Held { .. } | Self::Closed => self,
            Self::Dialing { dial, deadline, topology, connect_by } => Self::Dialing {
                dial: frame.dial(dial),
                deadline: frame.due(deadline),
                topology: frame.generation(topology),
                connect_by: frame.due(connect_by),
            },
            Self::Online { session, since, proved } => {
                // An answer of this very moment is fresh, however soon evidence grows stale: so a moment counts.
                let moment = if policy.validate == Validate::Never { Span::ZERO } else { Span::from_millis(1) };
                let longest = policy.idle_max.unwrap_or(Span::ZERO).max(policy.stale_after).max(moment);
                Self::Online { session: frame.session(session), since: frame.since(since, longest), proved }
            }
            Self::Leased { session, lease } => Self::Leased { session: frame.session(session), lease: seen(lease) },
            Self::Suspected { session, lease, deadline, again, asker } => Self::Suspected {
                session: frame.session(session),
                lease: seen(lease),
                // That the time of a question is over counts when it is put, for the first time or again.
                deadline: frame.since(deadline, Span::from_millis(1)),
                again,
                asker,
            },
            Self::Draining { session, lease, deadline } => {
                Self::Draining { session: frame.session(session), lease: seen(lease), deadline: frame.due(deadline) }
            }
            Self::Probing { session, deadline, topology } => Self::Probing {
                session: frame.session(session),
                deadline: frame.due(deadline),
                topology: frame.generation(topology),
            },
            Self::Closing { dial, deadline, opened } => {
                Self::Closing { dial: frame.dial(dial), deadline: frame.due(deadline), opened }
            }
        }
    }
}
