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
    laws.iter().find(|(_, holds)| !holds).map(|(law, _)| *law)
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

/// A state at the time of an event: what all events then have in common.
pub(super) struct Moment<'a> {
    pub(super) policy: &'a Checked,
    pacer: &'a Pacer,
    pub(super) before: &'a Parts,
    /// When the event comes.
    at: Time,
    /// As the machine sees it: time does not go back.
    pub(super) now: Time,
    /// Whether an outage that was on record has settled by then.
    forgets: bool,
    /// The same pacer then, when nothing has happened.
    still: Pacer,
    /// The same later and under other names, if there is a later.
    later: Option<&'a Moment<'a>>,
}

impl<'a> Moment<'a> {
    pub(super) fn new(
        policy: &'a Checked,
        (before, pacer): &'a (Parts, Pacer),
        at: Time,
        later: Option<&'a Moment<'a>>,
    ) -> Self {
        let now = before.now.max(at);
        Self { policy, pacer, before, at, now, forgets: before.settle_at <= now, still: pacer.at(at), later }
    }

    /// The first law that the passing of time breaks: what news of nobody leave.
    pub(super) fn broken(&self) -> Option<Law> {
        let nobody = Case { moment: self, event: Event::Retired { endpoint: u8::MAX }, chance: 0 };
        let parts = self.still.parts();
        // At the end of time there is no later.
        let relabels = || match (self.later, relabel(&parts)) {
            (Some(later), Some(expected)) => later.still.parts() == expected,
            (Some(_) | None, None) | (None, Some(_)) => true,
        };
        nobody.broken_by(&self.still, &parts, None).or_else(|| (!relabels()).then_some(Law::Relabel))
    }
}

/// One step.
pub(super) struct Case<'a> {
    pub(super) moment: &'a Moment<'a>,
    pub(super) event: Event,
    pub(super) chance: u64,
}

impl Case<'_> {
    /// The first law that the step breaks, if the passing of time breaks none.
    pub(super) fn broken(&self, bug: Option<Bug>) -> Option<Law> {
        let mut after = *self.moment.pacer;
        let command = self.step(&mut after, bug);
        if self.is_foreign() {
            let inert = command.is_none() && after == self.moment.still;
            // What time has done is judged once for all of them.
            return if inert { self.broken_later(bug) } else { Some(Law::S6) };
        }
        let parts = after.parts();
        let relabels = || (self.chance == 0 && !self.is_relabelled(&parts, command, bug)).then_some(Law::Relabel);
        self.broken_by(&after, &parts, command).or_else(relabels)
    }

    /// The first law that a step breaks which gives this.
    fn broken_by(&self, after: &Pacer, parts: &Parts, command: Option<Command>) -> Option<Law> {
        let Moment { policy, before, forgets, .. } = *self.moment;
        if let Some(law) = broken_state(policy, parts) {
            return Some(law);
        }
        let laws: [(Law, bool); 9] = [
            (Law::S6, self.touches_no_other(parts)),
            (Law::S1, self.may_dial(command)),
            (Law::S13, self.keeps_its_deadline(command)),
            (Law::S7, self.keeps_held(parts, command)),
            (Law::S3, self.never_earlier(parts, command)),
            (Law::S3Floor, self.waits(parts)),
            (Law::S4c, parts.lost_at != Time::NEVER || before.lost_at == Time::NEVER || forgets),
            (Law::S4a, self.ages(parts)),
            (Law::S4b, forgets || self.falls_slowly(parts)),
        ];
        let broken = laws.iter().find(|(_, holds)| !holds).map(|(law, _)| *law);
        broken.or_else(|| (!has_a_timer(after, parts)).then_some(Law::S10))
    }

    /// The step in place, of a copy: a sweep copies a pacer no more often than it must.
    fn step(&self, after: &mut Pacer, bug: Option<Bug>) -> Option<Command> {
        let command = after.apply(self.moment.policy, self.moment.at, self.event, self.chance);
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
        let before = self.moment.before;
        let at = usize::from(self.endpoint().filter(|endpoint| *endpoint < before.endpoints)?);
        Some((before.windows.get(at)?, after.windows.get(at)?))
    }

    fn windows<'p>(&'p self, after: &'p Parts) -> impl Iterator<Item = (&'p WindowParts, &'p WindowParts)> {
        let before = self.moment.before;
        before.windows.iter().zip(&after.windows).take(usize::from(before.endpoints))
    }

    /// Whether the news are of an endpoint outside the set.
    fn is_foreign(&self) -> bool {
        self.endpoint().is_some_and(|endpoint| endpoint >= self.moment.before.endpoints)
    }

    /// An endpoint's own news touch no other; save for what time, a renewal, or the end of patience does to all.
    fn touches_no_other(&self, after: &Parts) -> bool {
        self.windows(after).enumerate().all(|(at, (before, after))| {
            let own = self.endpoint().is_none_or(|endpoint| usize::from(endpoint) == at);
            own || before.not_before == after.not_before && before.online == after.online
        })
    }

    fn may_dial(&self, command: Option<Command>) -> bool {
        let Some(Command::Dial { dial, .. }) = command else { return true };
        let before = self.moment.before;
        let asked = self.event == Event::Requested { endpoint: dial.endpoint() };
        let window = before.windows.get(usize::from(dial.endpoint()));
        asked && dial.serial() == before.next && window.is_some_and(|window| window.in_flight < window.allowed)
    }

    fn keeps_its_deadline(&self, command: Option<Command>) -> bool {
        let Some(Command::Dial { deadline, .. }) = command else { return true };
        let Moment { policy, now, .. } = *self.moment;
        deadline >= now + policy.dial_deadline && deadline <= now + policy.dial_deadline_max
    }

    fn keeps_held(&self, after: &Parts, command: Option<Command>) -> bool {
        let dialed = command.map(|Command::Dial { dial, .. }| dial.endpoint());
        let held = |at: usize| self.moment.before.windows.get(at).is_some_and(|window| window.held.is_some());
        let stays = self.event == Event::Renewed
            || self.windows(after).all(|(b, a)| b.held.is_none() || a.held == b.held || a.held.is_some());
        stays && dialed.is_none_or(|endpoint| !held(usize::from(endpoint)))
    }

    fn never_earlier(&self, after: &Parts, command: Option<Command>) -> bool {
        let Moment { before, now, .. } = *self.moment;
        let in_time = match command {
            Some(Command::Dial { dial, .. }) => {
                before.windows.get(usize::from(dial.endpoint())).is_some_and(|window| window.not_before <= now)
            }
            None => true,
        };
        in_time && self.windows(after).all(|(before, after)| before.not_before <= after.not_before)
    }

    fn waits(&self, after: &Parts) -> bool {
        let Moment { policy, now, .. } = *self.moment;
        if policy.backoff != Backoff::Relink {
            return true;
        }
        let down = match self.event {
            Event::Failed { .. } | Event::Abandoned { .. } => policy.w0,
            Event::Lost { unstable: true, .. } => policy.down_window(now - after.lost_at),
            Event::Lost { .. } | Event::Requested { .. } | Event::Dialed { .. } => return true,
            Event::Retired { .. } | Event::Renewed => return true,
        };
        let least = |window: &WindowParts| now + policy.jitter_lo.of(down.max(window.over));
        self.window(after).is_none_or(|(_, window)| window.not_before >= least(window))
    }

    fn ages(&self, after: &Parts) -> bool {
        let Moment { before, now, forgets, .. } = *self.moment;
        let begins = after.lost_at == now && (forgets || before.lost_at == Time::NEVER);
        after.lost_at == before.lost_at || after.lost_at == Time::NEVER || begins
    }

    fn falls_slowly(&self, after: &Parts) -> bool {
        let dialed = |at: usize| matches!(self.event, Event::Dialed { dial } if usize::from(dial.endpoint()) == at);
        self.windows(after).enumerate().all(|(at, (before, after))| {
            let least = if dialed(at) { self.moment.policy.s.of(before.over) } else { before.over };
            after.over >= least
        })
    }

    /// News of an endpoint outside the set are none later, under other names, either.
    fn broken_later(&self, bug: Option<Bug>) -> Option<Law> {
        let later = self.moment.later.filter(|_| self.chance == 0)?;
        let case = Case { moment: later, event: relabel_event(self.event), chance: self.chance };
        let mut became = *later.pacer;
        let commanded = case.step(&mut became, bug);
        (commanded.is_some() || became != later.still).then_some(Law::Relabel)
    }

    /// The same step later, under other names, gives the same later, under other names.
    fn is_relabelled(&self, after: &Parts, command: Option<Command>, bug: Option<Bug>) -> bool {
        // At the end of time there is no later.
        let (Some(later), Some(expected)) = (self.moment.later, relabel(after)) else { return true };
        let case = Case { moment: later, event: relabel_event(self.event), chance: self.chance };
        let mut became = *later.pacer;
        let commanded = case.step(&mut became, bug);
        became.parts() == expected && commanded == command.map(relabel_command)
    }
}

/// Unless the set is held, a dial is in flight or one may be started at some time.
fn has_a_timer(pacer: &Pacer, parts: &Parts) -> bool {
    let flying = parts.windows.iter().any(|window| window.in_flight > 0);
    flying || pacer.held().is_some() || pacer.next(false).at != Time::NEVER
}

const LATER: Span = Span::from_millis(1 << 40);
const YOUNGER: u64 = 1_000;

pub(super) fn late(time: Time) -> Option<Time> {
    match time {
        Time::NEVER => Some(time),
        _ if time.as_millis() > 1 << 62 => None,
        _ => Some(time + LATER),
    }
}

fn named(dial: DialId) -> DialId {
    DialId::new(dial.serial() + YOUNGER, dial.endpoint())
}

fn relabel_command(command: Command) -> Command {
    let Command::Dial { dial, deadline } = command;
    Command::Dial { dial: named(dial), deadline: deadline + LATER }
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
