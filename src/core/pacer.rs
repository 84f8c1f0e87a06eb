//! When this process may dial an endpoint: the one place where backoff lives.
//!
//! One window per endpoint, one outage clock per set. Three things were forced by counterexamples:
//! `not_before` is one monotone time that only ever moves later, so that nothing can shorten a wait;
//! the timer is derived from the state, so that no wake-up can be lost; and becoming stable is
//! applied before anything else is read, so that no answer depends on who looked first.

use super::{
    fault::Fault,
    frame::Frame,
    policy::{Backoff, Checked},
    time::{Span, Time},
};

/// The most endpoints that one set may have.
pub const ENDPOINTS_MAX: usize = 8;

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
    /// The dial with this serial number (below 2⁶¹) at this endpoint (below 8).
    pub const fn new(serial: u64, endpoint: u8) -> Self {
        Self(serial << 3 | (endpoint & 7) as u64)
    }

    /// Its place in the order of all dials of one set: at 1000 dials/s, 2⁶¹ last 73 million years.
    pub const fn serial(self) -> u64 {
        self.0 >> 3
    }

    /// Which endpoint of the set it went to.
    pub const fn endpoint(self) -> u8 {
        (self.0 & 7) as u8
    }
}

/// What has happened, as far as pacing is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// How often the dial deadline was doubled in this outage.
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

    /// The transition function.
    #[must_use]
    #[cfg_attr(feature = "no-panic", no_panic::no_panic)]
    #[inline]
    pub fn step(self, policy: &Checked, now: Time, event: Event, chance: u64) -> (Self, Option<Command>) {
        let mut next = self;
        let command = next.apply(policy, now, event, chance);
        (next, command)
    }

    /// [`Pacer::step`] in place: for a pool, copying its pacer would cost more than the step.
    pub(crate) fn apply(&mut self, policy: &Checked, now: Time, event: Event, chance: u64) -> Option<Command> {
        self.advance(now);
        match event {
            Event::Requested { endpoint } => self.requested(policy, endpoint, chance),
            Event::Dialed { dial } => self.dialed(policy, dial, chance),
            Event::Failed { dial, fault } => self.failed(policy, dial, fault, chance),
            Event::Abandoned { dial } => self.abandoned(policy, dial, chance),
            Event::Lost { endpoint, unstable } => self.lost(policy, endpoint, unstable, chance),
            Event::Retired { endpoint } => self.retired(endpoint),
            Event::Renewed => self.renewed(policy),
        }
    }

    /// The same pacer at `now`: time has passed, and an outage that has settled is forgotten.
    #[must_use]
    pub fn at(mut self, now: Time) -> Self {
        self.advance(now);
        self
    }

    /// [`Pacer::at`] in place. Returns the time as the pacer sees it: never earlier than before.
    pub(crate) fn advance(&mut self, now: Time) -> Time {
        self.now = self.now.max(now);
        if self.settle_at <= self.now {
            self.lost_at = Time::NEVER;
            self.settle_at = Time::NEVER;
            self.dials = 0;
            for window in &mut self.windows {
                window.over = Span::ZERO;
                window.rung = Span::ZERO;
                window.doublings = 0;
                window.seen = false;
                window.flapped = false;
                window.last = if window.online > 0 { Answer::Session } else { Answer::None };
            }
        }
        self.now
    }

    fn requested(&mut self, policy: &Checked, endpoint: u8, chance: u64) -> Option<Command> {
        let (now, serial) = (self.now, self.next);
        let window = self.window(endpoint)?;
        if window.held.is_some() || window.in_flight >= window.allowed || now < window.not_before {
            return None;
        }
        window.in_flight = window.in_flight.saturating_add(1);
        window.hedge_at = now + policy.hedge_after;
        if window.in_flight < window.allowed {
            // The wait between dials of a ramp: none, so self-clocked, unless there was overload.
            let wait = policy.jitter(window.over, chance);
            window.not_before = window.not_before.max(now + wait);
        }
        let deadline = now + policy.dial_deadline_at(window.doublings);
        self.next = self.next.saturating_add(1);
        if self.lost_at != Time::NEVER {
            self.dials = self.dials.saturating_add(1).min(policy.give_up_dials.unwrap_or(0));
        }
        Some(Command::Dial { dial: DialId::new(serial, endpoint), deadline })
    }

    fn dialed(&mut self, policy: &Checked, dial: DialId, chance: u64) -> Option<Command> {
        let (now, age) = (self.now, self.age(policy));
        let window = self.window(dial.endpoint())?;
        let lead = window.online == 0;
        window.in_flight = window.in_flight.saturating_sub(1);
        window.online = window.online.saturating_add(1);
        window.allowed = window.allowed.saturating_add(1).min(policy.max_dials);
        window.refusals = 0;
        window.last = Answer::Session;
        if policy.backoff == Backoff::Relink {
            window.over = policy.s.of(window.over);
        }
        let wait = if window.flapped && lead {
            policy.stable_for.min(policy.down_window(age))
        } else {
            policy.jitter(window.over, chance)
        };
        window.not_before = window.not_before.max(now + wait);
        self.favourite = dial.endpoint();
        if self.lost_at != Time::NEVER && self.settle_at == Time::NEVER {
            self.settle_at = now + self.settling(policy);
        }
        None
    }

    fn failed(&mut self, policy: &Checked, dial: DialId, fault: Fault, chance: u64) -> Option<Command> {
        self.window(dial.endpoint())?;
        self.begin_outage();
        let (now, age, next, renewed) = (self.now, self.age(policy), self.next, self.renewed);
        let window = self.window(dial.endpoint())?;
        window.in_flight = window.in_flight.saturating_sub(1);
        let fresh = dial.serial() >= window.cut;
        // A dial started before the last failure teaches nothing new, and waits as long as that one.
        let mut down = policy.down_window(age);
        if fresh {
            window.cut = next;
            down = lesson(policy, window, fault, age);
        }
        fault_answered(policy, window, now, down, chance);
        if dial.serial() >= renewed {
            match fault {
                Fault::Misconfigured => window.held = Some(fault),
                Fault::Denied => {
                    window.refusals = window.refusals.saturating_add(1);
                    if window.refusals >= policy.refusals_max {
                        window.held = Some(fault);
                    }
                }
                Fault::Refused
                | Fault::Unreachable
                | Fault::TimedOut
                | Fault::Starting
                | Fault::Lost
                | Fault::Overloaded
                | Fault::WrongRole
                | Fault::Ambiguous
                | Fault::Retryable
                | Fault::Query => {}
            }
        }
        self.give_up(policy, fault);
        self.unsettle(policy);
        None
    }

    fn abandoned(&mut self, policy: &Checked, dial: DialId, chance: u64) -> Option<Command> {
        let now = self.now;
        let window = self.window(dial.endpoint())?;
        window.in_flight = window.in_flight.saturating_sub(1);
        // It waits as after a failure, one dial at a time, and has not taught one.
        window.allowed = 1;
        let rung = window.rung;
        let wait = failure_wait(policy, window, Span::ZERO, chance);
        window.rung = rung;
        window.not_before = window.not_before.max(now + wait);
        None
    }

    fn lost(&mut self, policy: &Checked, endpoint: u8, unstable: bool, chance: u64) -> Option<Command> {
        self.window(endpoint)?;
        self.begin_outage();
        let (now, age, next) = (self.now, self.age(policy), self.next);
        let window = self.window(endpoint)?;
        window.online = window.online.saturating_sub(1);
        if unstable {
            window.flapped = true;
            window.cut = next;
            fault_answered(policy, window, now, policy.down_window(age), chance);
            self.unsettle(policy);
            return None;
        }
        // One of several beside a healthy session is replaced at once; the last one is the first probe
        // of an outage, spread so that a crash seen by many processes is not as many dials at one instant.
        let healthy = window.online > 0 && window.last == Answer::Session;
        let spread = if healthy { policy.replace_jitter } else { policy.w0 };
        window.not_before = window.not_before.max(now + spread_over(spread, chance));
        if self.online() == 0 {
            self.settle_at = Time::NEVER;
        } else if self.settle_at == Time::NEVER {
            self.settle_at = now + self.settling(policy);
        }
        None
    }

    fn retired(&mut self, endpoint: u8) -> Option<Command> {
        let window = self.window(endpoint)?;
        window.online = window.online.saturating_sub(1);
        if self.online() == 0 {
            self.settle_at = Time::NEVER;
        }
        None
    }

    fn renewed(&mut self, policy: &Checked) -> Option<Command> {
        self.credentials = self.credentials.saturating_add(1);
        self.renewed = self.next;
        self.dials = 0;
        for window in &mut self.windows {
            // A new generation buys an endpoint that had refused too often one new try, not a new series.
            let spent = if window.held == Some(Fault::Denied) { policy.refusals_max.saturating_sub(1) } else { 0 };
            window.refusals = spent;
            window.held = None;
        }
        None
    }

    /// What is known of an endpoint of the set; nothing of one outside it.
    fn window(&mut self, endpoint: u8) -> Option<&mut Window> {
        self.windows.get_mut(..usize::from(self.endpoints))?.get_mut(usize::from(endpoint))
    }

    fn begin_outage(&mut self) {
        if self.lost_at == Time::NEVER {
            self.lost_at = self.now;
        }
    }

    /// Something failed: what was settling begins again, or waits for a session.
    fn unsettle(&mut self, policy: &Checked) {
        self.settle_at = if self.online() > 0 { self.now + self.settling(policy) } else { Time::NEVER };
    }

    /// How long a session must be online, with nothing failing, until the outage is forgotten. The
    /// overload term lets the slowest possible ramp of the other links end before its memory goes.
    fn settling(&self, policy: &Checked) -> Span {
        let over = self.live().iter().map(|window| window.over).max().unwrap_or(Span::ZERO);
        policy.stable_for + policy.jitter_hi.of(over) * 2
    }

    /// The optional end: no more dials of any endpoint that is not being dialed already.
    fn give_up(&mut self, policy: &Checked, fault: Fault) {
        // Not `age`, which ends at `elapsed_max`: patience may be longer than that.
        let age = self.now - self.lost_at;
        let by_count = policy.give_up_dials.is_some_and(|most| self.dials >= most);
        let by_age = policy.give_up_after.is_some_and(|longest| age >= longest);
        if (by_count || by_age) && self.online() == 0 {
            for window in self.windows.iter_mut().filter(|window| window.in_flight == 0 && window.held.is_none()) {
                window.held = Some(fault);
            }
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
            if gates && window.in_flight > 0 && self.now < window.hedge_at {
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

/// The waits between the dials of one endpoint that keeps failing, apart from everything else that a
/// pacer knows: for comparing policies, and for loops that are not connections.
///
/// ```
/// # use relink::{Policy, Span, pacer::Delays};
/// let policy = Policy::default().check()?;
/// let mut delays = Delays::new();
/// let wait = delays.next(&policy, Span::from_secs(10), 0x8000_0000_0000_0000);
/// assert_eq!(wait, Span::from_millis(800)); // kd · 10 s, the middle of the jitter
/// # Ok::<(), relink::policy::PolicyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Delays(Window);

impl Delays {
    /// No failure yet.
    pub const fn new() -> Self {
        Self(WINDOW)
    }

    /// The wait after one more refusal, when the outage is `age` old, drawn by one random word.
    #[inline]
    pub fn next(&mut self, policy: &Checked, age: Span, chance: u64) -> Span {
        failure_wait(policy, &mut self.0, policy.down_window(age), chance)
    }
}

impl Default for Delays {
    fn default() -> Self {
        Self::new()
    }
}

/// What a failure teaches about how long the endpoint will be away; overload is remembered apart.
fn lesson(policy: &Checked, window: &mut Window, fault: Fault, age: Span) -> Span {
    let down = policy.down_window(age);
    match fault {
        // No answer at all, from a server never seen: away, or drowning, and nothing tells which.
        Fault::Unreachable if !window.seen => policy.ambiguous_window(age),
        Fault::Unreachable | Fault::TimedOut | Fault::Overloaded => {
            window.seen = true;
            if policy.backoff == Backoff::Relink {
                window.over = policy.g.of(window.over).max(down).min(policy.cap(age));
            }
            let longer = policy.dial_deadline_at(window.doublings) < policy.dial_deadline_max;
            if fault == Fault::TimedOut && longer {
                window.doublings = window.doublings.saturating_add(1);
            }
            down
        }
        Fault::Refused
        | Fault::Starting
        | Fault::Lost
        | Fault::WrongRole
        | Fault::Denied
        | Fault::Misconfigured
        | Fault::Ambiguous
        | Fault::Retryable
        | Fault::Query => {
            window.seen = true;
            down
        }
    }
}

/// A failed dial or an unstable loss: one dial at a time again, and not before the wait is over.
fn fault_answered(policy: &Checked, window: &mut Window, now: Time, down: Span, chance: u64) {
    window.last = Answer::Fault;
    window.allowed = 1;
    let wait = failure_wait(policy, window, down, chance);
    window.not_before = window.not_before.max(now + wait);
}

/// The wait after a failure. relink's own never goes below `lo·w0`, whatever was learnt.
fn failure_wait(policy: &Checked, window: &mut Window, down: Span, chance: u64) -> Span {
    let rung = window.rung;
    let climb = |base: Span, cap: Span| if rung == Span::ZERO { base } else { rung * 2 }.min(cap);
    match policy.backoff {
        Backoff::Relink => policy.jitter(policy.w0.max(down).max(window.over), chance),
        Backoff::Constant { wait } => wait,
        Backoff::Exponential { base, cap } => {
            window.rung = climb(base, cap);
            window.rung
        }
        Backoff::FullJitter { base, cap } => {
            window.rung = climb(base, cap);
            spread_over(window.rung, chance)
        }
        Backoff::EqualJitter { base, cap } => {
            window.rung = climb(base, cap);
            let half = Span::from_millis(window.rung.as_millis() / 2);
            half + spread_over(window.rung - half, chance)
        }
        Backoff::DecorrelatedJitter { base, cap } => {
            // The jitter ends at the cap instead of being cut by it: two processes differ there too.
            let most = (rung.max(base) * 3).min(cap);
            window.rung = base + spread_over(most - base, chance);
            window.rung
        }
        Backoff::Grpc => {
            // 100 s, because 100 s + 20 % are the 120 s that the specification allows.
            let grown = Span::from_millis(rung.as_millis().saturating_mul(8).div_ceil(5));
            window.rung = grown.max(Span::from_secs(1)).min(Span::from_secs(100));
            let fifth = Span::from_millis(window.rung.as_millis() / 5);
            window.rung - fifth + spread_over(fifth * 2, chance)
        }
    }
}

/// Uniform over the whole milliseconds of `[0, most]`.
fn spread_over(most: Span, chance: u64) -> Span {
    let choices = u128::from(most.as_millis()) + 1;
    Span::from_millis(((u128::from(chance) * choices) >> 64) as u64)
}
