//! A pacer taken to pieces and put together: for a sweep over states, most of which no short run would reach.

use super::{Answer, ENDPOINTS_MAX, Pacer, WINDOW, Window};
use crate::core::{
    fault::Fault,
    time::{Span, Time},
};

/// What a pacer knows of its set and of its first two endpoints; the others have never been dialed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Parts {
    /// The latest time ever seen.
    pub now: Time,
    /// When the outage began; `NEVER` while none is on record.
    pub lost_at: Time,
    /// When the outage will be forgotten; `NEVER` while nothing settles.
    pub settle_at: Time,
    /// The serial of the next dial.
    pub next: u64,
    /// Dials with a smaller serial were made with older credentials.
    pub renewed: u64,
    /// The credential generation.
    pub credentials: u32,
    /// Dials of this outage, as far as they are counted.
    pub dials: u32,
    /// How many endpoints the set has, from 1 to [`ENDPOINTS_MAX`].
    pub endpoints: u8,
    /// The endpoint that is tried first.
    pub favourite: u8,
    /// What is known of the first two endpoints.
    pub windows: [WindowParts; 2],
}

/// What a pacer knows of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WindowParts {
    /// No dial starts earlier.
    pub not_before: Time,
    /// The window of overload.
    pub over: Span,
    /// The rung that a classic policy has reached.
    pub rung: Span,
    /// Dials with a smaller serial started before the last failure.
    pub cut: u64,
    /// When the youngest dial in flight has been silent for `hedge_after`.
    pub hedge_at: Time,
    /// Sessions.
    pub online: u16,
    /// Dials without an answer.
    pub in_flight: u8,
    /// Dials allowed in flight.
    pub allowed: u8,
    /// How often the dial deadline was doubled.
    pub doublings: u8,
    /// Refused credentials since the last success or renewal.
    pub refusals: u8,
    /// Whether the last answer of this outage, if there was one, was a fault.
    pub failed: Option<bool>,
    /// The server has shown in this outage that it is there.
    pub seen: bool,
    /// A session was lost unstable in this outage.
    pub flapped: bool,
    /// The fatal fault that stopped the dialing.
    pub held: Option<Fault>,
}

impl Pacer {
    /// The pacer of these parts. Nothing is checked: it need not be one that any run comes to.
    #[must_use]
    pub fn from_parts(parts: &Parts) -> Self {
        let mut windows = [WINDOW; ENDPOINTS_MAX];
        for (window, part) in windows.iter_mut().zip(&parts.windows) {
            *window = part.window();
        }
        let Parts { now, lost_at, settle_at, next, renewed, credentials, dials, endpoints, favourite, .. } = *parts;
        Self { now, lost_at, settle_at, next, renewed, credentials, dials, endpoints, favourite, windows }
    }

    /// The parts of this pacer.
    #[inline]
    pub fn parts(&self) -> Parts {
        let Self { now, lost_at, settle_at, next, renewed, credentials, dials, endpoints, favourite, .. } = *self;
        let [first, second, ..] = &self.windows;
        let windows = [first.parts(), second.parts()];
        Parts { now, lost_at, settle_at, next, renewed, credentials, dials, endpoints, favourite, windows }
    }

    /// Takes a step back that had to do with what the parts show: the rest is copied only where the last of the other
    /// places tells that all were written to.
    #[inline]
    pub fn restore(&mut self, before: &Self) {
        let ([.., last], [.., last_before]) = (&self.windows, &before.windows);
        if last.held != last_before.held {
            *self = *before;
            return;
        }
        let Self { now, lost_at, settle_at, next, renewed, credentials, dials, endpoints, favourite, .. } = *before;
        let Self { windows, .. } = self;
        let ([first, second, ..], [first_before, second_before, ..]) = (windows, &before.windows);
        (*first, *second) = (*first_before, *second_before);
        (self.now, self.lost_at, self.settle_at) = (now, lost_at, settle_at);
        (self.next, self.renewed, self.credentials, self.dials) = (next, renewed, credentials, dials);
        (self.endpoints, self.favourite) = (endpoints, favourite);
    }

    /// Whether the parts of both are the same.
    #[inline]
    pub fn shows(&self, other: &Self) -> bool {
        let Self { now, lost_at, settle_at, next, renewed, credentials, dials, endpoints, favourite, windows } = self;
        let ([first, second, ..], [other_first, other_second, ..]) = (windows, &other.windows);
        first == other_first
            && second == other_second
            && *now == other.now
            && *lost_at == other.lost_at
            && *settle_at == other.settle_at
            && *next == other.next
            && *renewed == other.renewed
            && *credentials == other.credentials
            && *dials == other.dials
            && *endpoints == other.endpoints
            && *favourite == other.favourite
    }
}

impl WindowParts {
    fn window(self) -> Window {
        let Self { not_before, over, rung, cut, hedge_at, online, in_flight, allowed, doublings, refusals, .. } = self;
        let Self { failed, seen, flapped, held, .. } = self;
        let last = match failed {
            None => Answer::None,
            Some(false) => Answer::Session,
            Some(true) => Answer::Fault,
        };
        Window {
            not_before,
            over,
            rung,
            cut,
            hedge_at,
            online,
            in_flight,
            allowed,
            doublings,
            refusals,
            last,
            seen,
            flapped,
            held,
        }
    }
}

impl Window {
    #[inline]
    fn parts(&self) -> WindowParts {
        let Self { not_before, over, rung, cut, hedge_at, online, in_flight, allowed, doublings, refusals, .. } = *self;
        let Self { last, seen, flapped, held, .. } = *self;
        let failed = match last {
            Answer::None => None,
            Answer::Session => Some(false),
            Answer::Fault => Some(true),
        };
        WindowParts {
            not_before,
            over,
            rung,
            cut,
            hedge_at,
            online,
            in_flight,
            allowed,
            doublings,
            refusals,
            failed,
            seen,
            flapped,
            held,
        }
    }
}
