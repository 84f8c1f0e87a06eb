//! The invariants of a pacer's state and the laws of one of its steps.

use relink::{
    Backoff, Checked, DialId, Span, Time,
    pacer::{Command, Event, Pacer, Parts, WindowParts},
};

use super::{Bug, Law};

/// The first invariant that the state breaks.
pub(super) fn broken_state(policy: &Checked, parts: &Parts) -> Option<Law> {
    let outage = parts.lost_at != Time::NEVER;
    let (over, rung) = ceilings(policy, parts.now - parts.lost_at);
    let (mut online, mut forgotten, mut bounded) = (false, true, true);
    let (mut flights, mut names, mut refusals) = (true, parts.renewed <= parts.next, true);
    for window in parts.windows.iter().take(usize::from(parts.endpoints)) {
        online |= window.online > 0;
        forgotten &= remembers_nothing(window);
        bounded &= window.over <= over && window.rung <= rung && is_doubled(policy, window.doublings);
        flights &= window.in_flight.max(window.allowed) <= policy.max_dials && window.allowed > 0;
        names &= window.cut <= parts.next;
        refusals &= window.refusals < policy.refusals_max || window.held.is_some();
    }
    let settles = parts.settle_at != Time::NEVER;
    let remembers = if outage { parts.lost_at <= parts.now } else { parts.dials == 0 && forgotten };
    let laws: [(Law, bool); 6] = [
        (Law::Settling, settles == (outage && online)),
        (Law::Memory, remembers),
        (Law::Ceilings, bounded),
        (Law::Flights, flights),
        (Law::Names, names),
        (Law::Refusals, refusals),
    ];
    laws.into_iter().find(|(_, holds)| !holds).map(|(law, _)| law)
}

fn remembers_nothing(window: &WindowParts) -> bool {
    let learnt = window.seen || window.flapped || window.failed == Some(true);
    // Not so the deadline's doublings: a dial's patience stays until a session has shown it to be enough.
    !learnt && window.over == Span::ZERO && window.rung == Span::ZERO
}

/// The greatest window of overload and the highest rung, in an outage of this age.
fn ceilings(policy: &Checked, age: Span) -> (Span, Span) {
    match policy.backoff {
        Backoff::Relink => (policy.cap(age), Span::ZERO),
        Backoff::Constant { .. } => (Span::ZERO, Span::ZERO),
        Backoff::Exponential { cap, .. } | Backoff::FullJitter { cap, .. } => (Span::ZERO, cap),
        Backoff::EqualJitter { cap, .. } | Backoff::DecorrelatedJitter { cap, .. } => (Span::ZERO, cap),
        Backoff::Grpc => (Span::ZERO, Span::from_secs(100)),
    }
}

/// The deadline of dials is doubled no more often than its ceiling needs.
fn is_doubled(policy: &Checked, times: u8) -> bool {
    times == 0 || policy.dial_deadline_at(times - 1) < policy.dial_deadline_max
}

/// One step.
pub(super) struct Case<'a> {
    pub(super) policy: &'a Checked,
    pub(super) pacer: &'a Pacer,
    pub(super) before: &'a Parts,
    /// The same pacer when the event comes, and nothing has happened.
    pub(super) still: &'a Pacer,
    /// The same pacer later and under other names, if there is a later.
    pub(super) relabelled: Option<&'a (Parts, Pacer)>,
    pub(super) now: Time,
    pub(super) event: Event,
    pub(super) chance: u64,
}

impl Case<'_> {
    /// The first law that the step breaks.
    pub(super) fn broken(&self, bug: Option<Bug>) -> Option<Law> {
        let mut after = *self.pacer;
        let command = self.step(&mut after, bug);
        let parts = after.parts();
        if let Some(law) = broken_state(self.policy, &parts) {
            return Some(law);
        }
        // As the machine sees it: time does not go back.
        let now = self.before.now.max(self.now);
        let forgets = self.before.settle_at <= now;
        let laws: [(Law, bool); 9] = [
            (Law::S6, self.is_inert(&after, &parts, command)),
            (Law::S1, self.may_dial(command)),
            (Law::S13, self.keeps_its_deadline(command, now)),
            (Law::S7, self.keeps_held(&parts, command)),
            (Law::S3, self.never_earlier(&parts, command, now)),
            (Law::S3Floor, self.waits(&parts, now)),
            (Law::S4c, parts.lost_at != Time::NEVER || self.before.lost_at == Time::NEVER || forgets),
            (Law::S4a, self.ages(&parts, now, forgets)),
            (Law::S4b, forgets || self.falls_slowly(&parts)),
        ];
        let broken = laws.into_iter().find(|(_, holds)| !holds).map(|(law, _)| law);
        let wakes = || (!has_a_timer(&after, &parts)).then_some(Law::S10);
        let relabels = || (self.chance == 0 && !self.is_relabelled(&parts, command, bug)).then_some(Law::Relabel);
        broken.or_else(wakes).or_else(relabels)
    }

    /// The step in place, of a copy: a sweep copies a pacer no more often than it must.
    fn step(&self, after: &mut Pacer, bug: Option<Bug>) -> Option<Command> {
        let command = after.apply(self.policy, self.now, self.event, self.chance);
        let Some(bug) = bug else { return command };
        let (wrong, command) = bug.of_pacer(self, (*after, command));
        *after = wrong;
        command
    }

    /// The endpoint that the event is about.
    pub(super) fn endpoint(&self) -> Option<u8> {
        match self.event {
            Event::Requested { endpoint } | Event::Lost { endpoint, .. } | Event::Retired { endpoint } => {
                Some(endpoint)
            }
            Event::Dialed { dial } | Event::Failed { dial, .. } | Event::Abandoned { dial } => Some(dial.endpoint()),
            Event::Renewed => None,
        }
    }

    /// The endpoint that the event is about, before and after.
    fn window<'p>(&'p self, after: &'p Parts) -> Option<(&'p WindowParts, &'p WindowParts)> {
        let endpoint = self.endpoint().filter(|endpoint| *endpoint < self.before.endpoints)?;
        let at = usize::from(endpoint);
        Some((self.before.windows.get(at)?, after.windows.get(at)?))
    }

    fn windows<'p>(&'p self, after: &'p Parts) -> impl Iterator<Item = (&'p WindowParts, &'p WindowParts)> {
        self.before.windows.iter().zip(&after.windows).take(usize::from(self.before.endpoints))
    }

    /// News of an endpoint outside the set are none.
    fn is_inert(&self, after: &Pacer, parts: &Parts, command: Option<Command>) -> bool {
        let foreign = self.endpoint().is_some_and(|endpoint| endpoint >= self.before.endpoints);
        let only_one = || {
            self.windows(parts).enumerate().all(|(at, (before, after))| {
                // An endpoint's own news touch no other; save for what time, a renewal, or the end of patience does to all.
                let own = self.endpoint().is_none_or(|endpoint| usize::from(endpoint) == at);
                own || before.not_before == after.not_before && before.online == after.online
            })
        };
        if foreign { command.is_none() && after == self.still } else { only_one() }
    }

    fn may_dial(&self, command: Option<Command>) -> bool {
        let Some(Command::Dial { dial, .. }) = command else { return true };
        let asked = self.event == Event::Requested { endpoint: dial.endpoint() };
        let window = self.before.windows.get(usize::from(dial.endpoint()));
        asked && dial.serial() == self.before.next && window.is_some_and(|window| window.in_flight < window.allowed)
    }

    fn keeps_its_deadline(&self, command: Option<Command>, now: Time) -> bool {
        let Some(Command::Dial { deadline, .. }) = command else { return true };
        deadline >= now + self.policy.dial_deadline && deadline <= now + self.policy.dial_deadline_max
    }

    fn keeps_held(&self, after: &Parts, command: Option<Command>) -> bool {
        let dialed = command.map(|Command::Dial { dial, .. }| dial.endpoint());
        let held = |at: usize| self.before.windows.get(at).is_some_and(|window| window.held.is_some());
        let stays = self.event == Event::Renewed
            || self.windows(after).all(|(b, a)| b.held.is_none() || a.held == b.held || a.held.is_some());
        stays && dialed.is_none_or(|endpoint| !held(usize::from(endpoint)))
    }

    fn never_earlier(&self, after: &Parts, command: Option<Command>, now: Time) -> bool {
        let in_time = match command {
            Some(Command::Dial { dial, .. }) => {
                self.before.windows.get(usize::from(dial.endpoint())).is_some_and(|window| window.not_before <= now)
            }
            None => true,
        };
        in_time && self.windows(after).all(|(before, after)| before.not_before <= after.not_before)
    }

    fn waits(&self, after: &Parts, now: Time) -> bool {
        if self.policy.backoff != Backoff::Relink {
            return true;
        }
        let down = match self.event {
            Event::Failed { .. } | Event::Abandoned { .. } => self.policy.w0,
            Event::Lost { unstable: true, .. } => self.policy.down_window(now - after.lost_at),
            Event::Lost { .. } | Event::Requested { .. } | Event::Dialed { .. } => return true,
            Event::Retired { .. } | Event::Renewed => return true,
        };
        let least = |window: &WindowParts| now + self.policy.jitter_lo.of(down.max(window.over));
        self.window(after).is_none_or(|(_, window)| window.not_before >= least(window))
    }

    fn ages(&self, after: &Parts, now: Time, forgets: bool) -> bool {
        let begins = after.lost_at == now && (forgets || self.before.lost_at == Time::NEVER);
        after.lost_at == self.before.lost_at || after.lost_at == Time::NEVER || begins
    }

    fn falls_slowly(&self, after: &Parts) -> bool {
        let dialed = |at: usize| matches!(self.event, Event::Dialed { dial } if usize::from(dial.endpoint()) == at);
        self.windows(after).enumerate().all(|(at, (before, after))| {
            let least = if dialed(at) { self.policy.s.of(before.over) } else { before.over };
            after.over >= least
        })
    }

    fn is_relabelled(&self, after: &Parts, command: Option<Command>, bug: Option<Bug>) -> bool {
        // At the end of time there is no later.
        let (Some((other, pacer)), Some(then), Some(expected)) = (self.relabelled, late(self.now), relabel(after))
        else {
            return true;
        };
        let case = Case { before: other, pacer, now: then, event: relabel_event(self.event), ..*self };
        let mut became = *pacer;
        let commanded = case.step(&mut became, bug);
        let command = command
            .map(|Command::Dial { dial, deadline }| Command::Dial { dial: named(dial), deadline: deadline + LATER });
        became.parts() == expected && commanded == command
    }
}

/// Unless the set is held, a dial is in flight or one may be started at some time.
fn has_a_timer(pacer: &Pacer, parts: &Parts) -> bool {
    let flying = parts.windows.iter().any(|window| window.in_flight > 0);
    flying || pacer.held().is_some() || pacer.next(false).at != Time::NEVER
}

const LATER: Span = Span::from_millis(1 << 40);
const YOUNGER: u64 = 1_000;

fn late(time: Time) -> Option<Time> {
    match time {
        Time::NEVER => Some(time),
        _ if time.as_millis() > 1 << 62 => None,
        _ => Some(time + LATER),
    }
}

fn named(dial: DialId) -> DialId {
    DialId::new(dial.serial() + YOUNGER, dial.endpoint())
}

/// The same state later, and under other names.
pub(super) fn relabel(parts: &Parts) -> Option<Parts> {
    let mut other = *parts;
    for time in [&mut other.now, &mut other.lost_at, &mut other.settle_at] {
        *time = late(*time)?;
    }
    for window in &mut other.windows {
        window.not_before = late(window.not_before)?;
        window.hedge_at = late(window.hedge_at)?;
        window.cut += YOUNGER;
    }
    other.next += YOUNGER;
    other.renewed += YOUNGER;
    other.credentials += 1_000;
    Some(other)
}

fn relabel_event(event: Event) -> Event {
    match event {
        Event::Dialed { dial } => Event::Dialed { dial: named(dial) },
        Event::Failed { dial, fault } => Event::Failed { dial: named(dial), fault },
        Event::Abandoned { dial } => Event::Abandoned { dial: named(dial) },
        Event::Requested { .. } | Event::Lost { .. } | Event::Retired { .. } | Event::Renewed => event,
    }
}
