//! When this process may dial an endpoint: the one place where backoff lives.
//!
//! One window per endpoint, one outage clock per set. Three things were forced by counterexamples:
//! `not_before` is one monotone time that only ever moves later, so that nothing can shorten a wait;
//! the timer is derived from the state, so that no wake-up can be lost; and becoming stable is
//! applied before anything else is read, so that no answer depends on who looked first.

#[cfg(feature = "sweep")]
mod parts;
mod step;
mod wait;

#[cfg(feature = "sweep")]
pub use parts::{Parts, WindowParts};
pub use wait::Delays;

use super::{
    fault::Fault,
    frame::Frame,
    policy::Checked,
    time::{Span, Time},
};

/// The most endpoints that one set may have: a power of two, so that a dial's name has whole bits for its endpoint.
pub const ENDPOINTS_MAX: usize = 8;

/// So many bits of a dial's name are its endpoint.
const ENDPOINT_BITS: u32 = ENDPOINTS_MAX.ilog2();
/// Those bits.
const ENDPOINT: u64 = ENDPOINTS_MAX as u64 - 1;
const _: () = assert!(ENDPOINTS_MAX.is_power_of_two());

/// The name of one dial, and later of the session that it opened. Issued by the pacer, never used again.
///
/// ```
/// use relink::DialId;
/// let dial = DialId::new(7, 2);
/// assert_eq!((dial.serial(), dial.endpoint()), (7, 2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DialId(u64);

impl DialId {
    /// The dial with this serial number (below 2⁶¹) at this endpoint (below [`ENDPOINTS_MAX`]).
    pub const fn new(serial: u64, endpoint: u8) -> Self {
        Self(serial << ENDPOINT_BITS | endpoint as u64 & ENDPOINT)
    }

    /// Its place in the order of all dials of one set: at 1000 dials/s, 2⁶¹ last 73 million years.
    pub const fn serial(self) -> u64 {
        self.0 >> ENDPOINT_BITS
    }

    /// Which endpoint of the set it went to.
    pub const fn endpoint(self) -> u8 {
        (self.0 & ENDPOINT) as u8
    }
}

/// What has happened, as far as pacing is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Event {
    /// A link would dial this endpoint now.
    Requested {
        /// The endpoint's place in the set.
        endpoint: u8,
    },
    /// The dial opened a session.
    Dialed {
        /// The dial.
        dial: DialId,
    },
    /// The dial failed.
    Failed {
        /// The dial.
        dial: DialId,
        /// Why.
        fault: Fault,
    },
    /// The dial was given up before it had an answer, for no fault of its own.
    Abandoned {
        /// The dial.
        dial: DialId,
    },
    /// A session was lost.
    Lost {
        /// The session's endpoint.
        endpoint: u8,
        /// Whether it was opened while the outage clock ran and had not yet stayed usable for `stable_for`.
        unstable: bool,
    },
    /// A session was closed on purpose.
    Retired {
        /// The session's endpoint.
        endpoint: u8,
    },
    /// The credentials or the configuration were renewed: a new credential generation.
    Renewed,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Command {
    /// Dial the endpoint that `dial` names, and give up at `deadline`.
    Dial {
        /// The name of the dial.
        dial: DialId,
        /// When it must have ended, whatever it is doing then.
        deadline: Time,
    },
}

/// Where one endpoint stands, derived from the state: the rows of the pacer's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// No outage is on record.
    Up,
    /// The outage clock runs, and the endpoint's last answer was not a fault.
    Settling,
    /// The last answer was a fault, or a session was lost unstable.
    Down,
    /// Down, and by overload: the window grows and shrinks.
    Overloaded,
    /// A fatal fault stopped dialing until a renewal.
    Held,
}

/// What an endpoint last had to say, since the outage clock started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Answer {
    #[default]
    None,
    Session,
    Fault,
}

/// What is known of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Window {
    /// No dial starts earlier. Only ever moved later.
    not_before: Time,
    /// The window of overload (`w_over`); classic policies do not know it.
    over: Span,
    /// The rung of its ladder that a classic policy has reached; relink's own has none.
    rung: Span,
    /// Dials with a smaller serial started before the last failure: their failing teaches nothing new.
    cut: u64,
    /// When the youngest dial in flight has been silent for `hedge_after`.
    hedge_at: Time,
    online: u16,
    in_flight: u8,
    /// Dials allowed in flight: one after any failure, one more with each success, up to `max_dials`.
    allowed: u8,
    /// How often the dial deadline was doubled, since an outage was forgotten with a session as the last answer.
    doublings: u8,
    /// Refused credentials since the last success or renewal.
    refusals: u8,
    last: Answer,
    /// The server has shown in this outage that it is there: silence then means overload, not absence.
    seen: bool,
    /// A session was lost unstable in this outage: the next ramp waits for its lead session to live.
    flapped: bool,
    held: Option<Fault>,
}

const WINDOW: Window = Window {
    not_before: Time::ZERO,
    over: Span::ZERO,
    rung: Span::ZERO,
    cut: 0,
    hedge_at: Time::ZERO,
    online: 0,
    in_flight: 0,
    allowed: 1,
    doublings: 0,
    refusals: 0,
    last: Answer::None,
    seen: false,
    flapped: false,
    held: None,
};

/// Decides when this process may dial each endpoint of one set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pacer {
    /// The latest time ever seen: a clock that goes backwards stands still instead.
    now: Time,
    /// When the outage began; `NEVER` while none is on record.
    lost_at: Time,
    /// When the outage will be forgotten if nothing fails until then; `NEVER` while nothing settles.
    settle_at: Time,
    /// The serial of the next dial.
    next: u64,
    /// Dials with a smaller serial were made with older credentials.
    renewed: u64,
    /// The credential generation.
    credentials: u32,
    /// Dials of this outage, counted up to the policy's `give_up_dials`.
    dials: u32,
    endpoints: u8,
    /// The endpoint that last opened a session: it is tried first.
    favourite: u8,
    windows: [Window; ENDPOINTS_MAX],
}

/// The answer to "what next?": dial `endpoint` once `at` has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Next {
    /// When something may be done; `NEVER` while only an answer or a renewal can change anything.
    pub at: Time,
    /// The endpoint to dial, if `at` has come.
    pub endpoint: u8,
}

impl Pacer {
    /// A pacer for `endpoints` endpoints, none of which has been dialed: the first dial may start at once.
    pub const fn new(endpoints: u8) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "it is 8")]
        let endpoints = if endpoints as usize > ENDPOINTS_MAX { ENDPOINTS_MAX as u8 } else { endpoints };
        Self {
            now: Time::ZERO,
            lost_at: Time::NEVER,
            settle_at: Time::NEVER,
            next: 0,
            renewed: 0,
            credentials: 0,
            dials: 0,
            endpoints: if endpoints == 0 { 1 } else { endpoints },
            favourite: 0,
            windows: [WINDOW; ENDPOINTS_MAX],
        }
    }

    /// How old the outage is, at most `elapsed_max`; zero while none is on record.
    pub fn age(&self, policy: &Checked) -> Span {
        (self.now - self.lost_at).min(policy.elapsed_max)
    }

    fn live(&self) -> &[Window] {
        self.windows.get(..usize::from(self.endpoints)).unwrap_or(&[])
    }

    /// The set's sessions.
    pub fn online(&self) -> u32 {
        self.live().iter().map(|window| u32::from(window.online)).sum()
    }

    /// One endpoint's sessions.
    pub fn online_at(&self, endpoint: u8) -> u16 {
        self.live().get(usize::from(endpoint)).map_or(0, |window| window.online)
    }

    /// One endpoint's dials in flight.
    pub fn in_flight(&self, endpoint: u8) -> u8 {
        self.live().get(usize::from(endpoint)).map_or(0, |window| window.in_flight)
    }

    /// Earliest start of the next dial of this endpoint, whatever else forbids it.
    pub fn not_before(&self, endpoint: u8) -> Time {
        self.live().get(usize::from(endpoint)).map_or(Time::NEVER, |window| window.not_before)
    }

    /// The window of this endpoint's overload; zero while none was shown in this outage.
    pub fn overload(&self, endpoint: u8) -> Span {
        self.live().get(usize::from(endpoint)).map_or(Span::ZERO, |window| window.over)
    }

    /// How many endpoints the set has.
    pub fn endpoints(&self) -> u8 {
        self.endpoints
    }

    /// The endpoint that last opened a session.
    pub fn favourite(&self) -> u8 {
        self.favourite
    }

    /// The credential generation: one more with each renewal.
    pub fn credentials(&self) -> u32 {
        self.credentials
    }

    /// When the outage on record began, `None` if none is. Read it from [`Pacer::at`].
    pub fn outage_since(&self) -> Option<Time> {
        (self.lost_at != Time::NEVER).then_some(self.lost_at)
    }

    /// When the outage on record will be forgotten, if nothing fails until then.
    pub fn settles_at(&self) -> Option<Time> {
        (self.settle_at != Time::NEVER).then_some(self.settle_at)
    }

    /// The fault that holds the whole set: every endpoint was stopped by a fatal fault.
    pub fn held(&self) -> Option<Fault> {
        let first = self.live().get(usize::from(self.favourite)).and_then(|window| window.held);
        if self.live().iter().all(|window| window.held.is_some()) { first } else { None }
    }

    /// Where an endpoint stands.
    pub fn phase(&self, endpoint: u8) -> Phase {
        match self.live().get(usize::from(endpoint)) {
            Some(window) if window.held.is_some() => Phase::Held,
            Some(window) if self.lost_at != Time::NEVER => match window.last {
                Answer::None | Answer::Session => Phase::Settling,
                Answer::Fault if window.over > Span::ZERO => Phase::Overloaded,
                Answer::Fault => Phase::Down,
            },
            Some(_) | None => Phase::Up,
        }
    }

    /// What may be dialed next, and when.
    ///
    /// The favourite first, then in order; the next as soon as the one before has answered with a
    /// fault or has been silent for `hedge_after`. An endpoint that has answered with a fault in this
    /// outage paces itself and holds nobody up. With `hedge`, only endpoints without a dial in flight.
    pub fn next(&self, hedge: bool) -> Next {
        let mut next = Next { at: Time::NEVER, endpoint: self.favourite };
        for place in 0..self.endpoints {
            let endpoint = self.in_order(place);
            let Some(window) = self.live().get(usize::from(endpoint)) else { continue };
            if window.held.is_some() {
                continue;
            }
            let gates = window.last != Answer::Fault;
            let room = if hedge { 1 } else { window.allowed };
            let may = if window.in_flight < room { window.not_before } else { Time::NEVER };
            if may <= self.now {
                return Next { at: may, endpoint };
            }
            if may < next.at {
                next = Next { at: may, endpoint };
            }
            let followed = place.saturating_add(1) < self.endpoints;
            if gates && followed && window.in_flight > 0 && self.now < window.hedge_at {
                next.at = next.at.min(window.hedge_at);
                return next;
            }
            // Its own pause is short (a loss is being spread); an overloaded one may pause for minutes.
            if gates && window.in_flight == 0 && window.over == Span::ZERO {
                return next;
            }
        }
        next
    }

    /// When this endpoint may be dialed; `NEVER` while only an answer or a renewal can change anything.
    pub fn may_at(&self, endpoint: u8) -> Time {
        match self.live().get(usize::from(endpoint)) {
            Some(window) if window.held.is_none() && window.in_flight < window.allowed => window.not_before,
            Some(_) | None => Time::NEVER,
        }
    }

    /// The same pacer as `frame` shows it.
    #[must_use]
    pub fn seen_from(self, policy: &Checked, frame: &Frame<'_>) -> Self {
        let mut seen = self.at(frame.now);
        seen.now = frame.origin;
        seen.lost_at = frame.since(seen.lost_at, policy.elapsed_max);
        seen.settle_at = frame.due(seen.settle_at);
        seen.next = frame.serial(seen.next);
        seen.renewed = frame.serial(seen.renewed);
        seen.credentials = 0;
        for window in &mut seen.windows {
            window.not_before = frame.due(window.not_before);
            window.cut = frame.serial(window.cut);
            let silent = window.in_flight > 0;
            window.hedge_at = if silent { frame.due(window.hedge_at) } else { frame.origin };
        }
        seen
    }

    fn in_order(&self, place: u8) -> u8 {
        match place {
            0 => self.favourite,
            _ if place <= self.favourite => place - 1,
            _ => place,
        }
    }
}
