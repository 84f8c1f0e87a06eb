//! The transition function of the pacer: what each event means for its endpoint and for the outage clock.

use super::{
    Answer, Command, DialId, Event, Pacer, Window,
    wait::{failure_wait, fault_answered, lesson},
};
use crate::core::{
    fault::Fault,
    policy::{Backoff, Checked},
    time::{Span, Time},
};

impl Pacer {
    /// The transition function: what `event` means at `now`, and the dial that it orders. `chance` is one random word,
    /// used where a wait is drawn. A `now` earlier than one before counts as that one.
    ///
    /// ```
    /// use relink::{Fault, Policy, Time, pacer::{Command, Event, Pacer}};
    /// let (policy, now) = (Policy::default().check()?, Time::from_millis(1_000));
    /// let (pacer, command) = Pacer::new(1).step(&policy, now, Event::Requested { endpoint: 0 }, 0);
    /// let Some(Command::Dial { dial, deadline }) = command else { unreachable!("the first dial starts at once") };
    /// assert_eq!(deadline - now, policy.dial_deadline);
    /// let (pacer, _) = pacer.step(&policy, now, Event::Failed { dial, fault: Fault::Refused }, 0);
    /// assert_eq!(pacer.not_before(0) - now, policy.jitter_lo.of(policy.w0)); // the shortest wait there is
    /// # Ok::<(), relink::policy::PolicyError>(())
    /// ```
    #[must_use]
    #[cfg_attr(feature = "no-panic", no_panic::no_panic)]
    #[inline]
    pub fn step(self, policy: &Checked, now: Time, event: Event, chance: u64) -> (Self, Option<Command>) {
        let mut next = self;
        let command = next.apply(policy, now, event, chance);
        (next, command)
    }

    /// [`Pacer::step`] in place, as a pool takes it: it touches one of the windows, and to copy all of them
    /// out and in costs more than the step.
    #[must_use]
    #[cfg_attr(feature = "no-panic", no_panic::no_panic)]
    pub fn apply(&mut self, policy: &Checked, now: Time, event: Event, chance: u64) -> Option<Command> {
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
    #[inline]
    pub(crate) fn advance(&mut self, now: Time) -> Time {
        self.now = self.now.max(now);
        if self.settle_at <= self.now {
            self.forget();
        }
        self.now
    }

    /// The outage is over, and all that it taught.
    #[cold]
    fn forget(&mut self) {
        self.lost_at = Time::NEVER;
        self.settle_at = Time::NEVER;
        self.dials = 0;
        for window in &mut self.windows {
            window.over = Span::ZERO;
            window.rung = Span::ZERO;
            // Where the last answer was a fault, patience has not yet been shown to be enough.
            if window.last != Answer::Fault {
                window.doublings = 0;
            }
            window.seen = false;
            window.flapped = false;
            window.last = if window.online > 0 { Answer::Session } else { Answer::None };
        }
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
        let down = if fresh {
            window.cut = next;
            lesson(policy, window, fault, age)
        } else {
            policy.down_window(age)
        };
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
        window.not_before = window.not_before.max(now + spread.draw(chance));
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
}
