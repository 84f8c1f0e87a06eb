//! The invariants of a pacer's state and the laws of one of its steps.

use relink::{
    Backoff, Checked, DialId, Span, Time,
    pacer::{Command, Event, Pacer, Parts, WindowParts},
};

use super::{Bug, Law, scratch::Scratch};

/// What becomes of the laws, one after the other.
trait Verdict {
    fn law(&mut self, law: Law, holds: bool);
}

/// Whether all hold: all that is asked of a step that breaks none.
struct All(bool);

impl Verdict for All {
    #[inline(always)] // One instruction.
    fn law(&mut self, _: Law, holds: bool) {
        self.0 &= holds;
    }
}

/// The first that does not hold.
struct First(Option<Law>);

impl Verdict for First {
    fn law(&mut self, law: Law, holds: bool) {
        if !holds {
            self.0 = self.0.or(Some(law));
        }
    }
}

/// The first invariant that the state breaks.
pub(super) fn broken_state(policy: &Checked, parts: &Parts) -> Option<Law> {
    let mut first = First(None);
    invariants(policy, parts, ceilings(policy, parts.now - parts.lost_at), &mut first);
    first.0
}

/// The invariants of a state in whose outage windows and rungs have these ceilings.
#[inline(always)] // A step is judged in one piece.
fn invariants(policy: &Checked, parts: &Parts, (over, rung): (Span, Span), verdict: &mut impl Verdict) {
    let outage = parts.lost_at != Time::NEVER;
    let settles = parts.settle_at != Time::NEVER;
    let [first, second] = &parts.windows;
    let two = parts.endpoints > 1;
    let online = (first.online > 0) | (two & (second.online > 0));
    verdict.law(Law::Settling, settles == (outage & online));
    verdict.law(Law::Memory, if outage { parts.lost_at <= parts.now } else { parts.dials == 0 });
    verdict.law(Law::Names, parts.renewed <= parts.next);
    for window in parts.windows.iter().take(usize::from(parts.endpoints)) {
        verdict.law(Law::Memory, outage | remembers_nothing(window));
        let bounded = (window.over <= over) & (window.rung <= rung) & is_doubled(policy, window.doublings);
        verdict.law(Law::Ceilings, bounded);
        let flights = window.in_flight.max(window.allowed) <= policy.max_dials;
        verdict.law(Law::Flights, flights & (window.allowed > 0));
        verdict.law(Law::Names, window.cut <= parts.next);
        verdict.law(Law::Refusals, (window.refusals < policy.refusals_max) | window.held.is_some());
    }
}

fn remembers_nothing(window: &WindowParts) -> bool {
    let learnt = window.seen | window.flapped | (window.failed == Some(true));
    // Not so the deadline's doublings: a dial's patience stays until a session has shown it to be enough.
    !learnt & (window.over == Span::ZERO) & (window.rung == Span::ZERO)
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
    pub(super) before: &'a Parts,
    /// When the event comes.
    pub(super) at: Time,
    /// As the machine sees it: time does not go back.
    pub(super) now: Time,
    /// Whether an outage that was on record has settled by then.
    forgets: bool,
    /// The greatest window of overload and the highest rung, if the outage on record goes on.
    ceilings: (Span, Span),
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
        let (forgets, ceilings) = (before.settle_at <= now, ceilings(policy, now - before.lost_at));
        Self { policy, before, at, now, forgets, ceilings, still: pacer.at(at), later }
    }

    /// The first law that the passing of time breaks: what news of nobody leave.
    pub(super) fn broken(&self) -> Option<Law> {
        let nobody = Case::new(self, Event::Retired { endpoint: u8::MAX });
        let parts = self.still.parts();
        // At the end of time there is no later.
        let relabels = || match (self.later, relabel(&parts)) {
            (Some(later), Some(expected)) => later.still.parts() == expected,
            (Some(_) | None, None) | (None, Some(_)) => true,
        };
        nobody.broken_by(&self.still, &parts, None).or_else(|| (!relabels()).then_some(Law::Relabel))
    }
}

/// An event at a moment: what all words of chance then have in common.
pub(super) struct Case<'a> {
    pub(super) moment: &'a Moment<'a>,
    pub(super) event: Event,
    /// The endpoint that the event is about.
    pub(super) endpoint: Option<u8>,
    /// How small a window of overload each endpoint may have then.
    least_over: [Span; 2],
}

impl<'a> Case<'a> {
    pub(super) fn new(moment: &'a Moment<'a>, event: Event) -> Self {
        let endpoint = match event {
            Event::Requested { endpoint } | Event::Lost { endpoint, .. } | Event::Retired { endpoint } => {
                Some(endpoint)
            }
            Event::Dialed { dial } | Event::Failed { dial, .. } | Event::Abandoned { dial } => Some(dial.endpoint()),
            Event::Renewed => None,
        };
        let dialed = |at: u8| matches!(event, Event::Dialed { dial } if dial.endpoint() == at);
        let [first, second] = &moment.before.windows;
        let least_over = [(0, first.over), (1, second.over)].map(|(at, over)| match moment.forgets {
            true => Span::ZERO,
            false if dialed(at) => moment.policy.s.of(over),
            false => over,
        });
        Self { moment, event, endpoint, least_over }
    }

    /// The first law that the step breaks, if the passing of time breaks none.
    pub(super) fn broken(&self, chance: u64, [now, later]: &mut [Scratch<'_>; 2], bug: Option<Bug>) -> Option<Law> {
        let after = now.again();
        let command = self.step(after, chance, bug);
        if self.is_foreign() {
            let inert = command.is_none() && now.has_become(&self.moment.still);
            // What time has done is judged once for all of them.
            return if inert { self.broken_later(chance, later, bug) } else { Some(Law::S6) };
        }
        let parts = after.parts();
        if let Some(law) = self.broken_by(after, &parts, command) {
            return Some(law);
        }
        let relabels = chance != 0 || self.is_relabelled(chance, later, &parts, command, bug);
        (!relabels).then_some(Law::Relabel)
    }

    /// The first law that a step breaks which gives this.
    fn broken_by(&self, after: &Pacer, parts: &Parts, command: Option<Command>) -> Option<Law> {
        let mut all = All(true);
        self.judge(after, parts, command, &mut all);
        if all.0 { None } else { self.first_broken_by(after, parts, command) }
    }

    /// The same, where there is one: the laws are gone through once more to name it.
    #[cold]
    fn first_broken_by(&self, after: &Pacer, parts: &Parts, command: Option<Command>) -> Option<Law> {
        let mut first = First(None);
        self.judge(after, parts, command, &mut first);
        first.0
    }

    #[inline(always)] // A step is judged in one piece.
    fn judge(&self, after: &Pacer, parts: &Parts, command: Option<Command>, verdict: &mut impl Verdict) {
        let Moment { policy, before, now, forgets, .. } = *self.moment;
        let as_before = (parts.now == now) & (parts.lost_at == before.lost_at);
        let ceilings = if as_before { self.moment.ceilings } else { ceilings(policy, parts.now - parts.lost_at) };
        invariants(policy, parts, ceilings, verdict);
        let ([first, second], [first_after, second_after]) = (&before.windows, &parts.windows);
        let (first_own, second_own) = (self.is_about(0), self.is_about(1));
        let two = before.endpoints > 1;
        verdict.law(Law::S6, first_own | is_untouched(first, first_after));
        verdict.law(Law::S6, !two | second_own | is_untouched(second, second_after));
        if let Some(command) = command {
            self.judge_dial(command, verdict);
        }
        let begins = (parts.lost_at == now) & (forgets | (before.lost_at == Time::NEVER));
        let ages = (parts.lost_at == before.lost_at) | (parts.lost_at == Time::NEVER) | begins;
        let remembers = (parts.lost_at != Time::NEVER) | (before.lost_at == Time::NEVER) | forgets;
        verdict.law(Law::S4c, remembers);
        verdict.law(Law::S4a, ages);
        let [first_over, second_over] = self.least_over;
        self.judge_window(first, first_after, first_over, verdict);
        verdict.law(Law::S3Floor, !first_own || self.waits(first_after, parts));
        if two {
            self.judge_window(second, second_after, second_over, verdict);
            verdict.law(Law::S3Floor, !second_own || self.waits(second_after, parts));
        }
        verdict.law(Law::S10, has_a_timer(after, parts));
    }

    /// The laws of one endpoint, whatever the event is about.
    #[inline(always)] // The same.
    fn judge_window(&self, before: &WindowParts, after: &WindowParts, least_over: Span, verdict: &mut impl Verdict) {
        let stays = before.held.is_none() | after.held.is_some() | (self.event == Event::Renewed);
        verdict.law(Law::S7, stays);
        verdict.law(Law::S3, before.not_before <= after.not_before);
        verdict.law(Law::S4b, after.over >= least_over);
    }

    /// The laws of a dial that starts.
    fn judge_dial(&self, Command::Dial { dial, deadline }: Command, verdict: &mut impl Verdict) {
        let Moment { policy, before, now, .. } = *self.moment;
        let asked = self.event == Event::Requested { endpoint: dial.endpoint() };
        let window = before.windows.get(usize::from(dial.endpoint()));
        let room = window.is_some_and(|window| window.in_flight < window.allowed);
        verdict.law(Law::S1, asked && dial.serial() == before.next && room);
        let longest = now + policy.dial_deadline_max;
        verdict.law(Law::S13, deadline >= now + policy.dial_deadline && deadline <= longest);
        verdict.law(Law::S7, window.is_some_and(|window| window.held.is_none()));
        verdict.law(Law::S3, window.is_some_and(|window| window.not_before <= now));
    }

    /// The step in place: a sweep copies a pacer no more often than it must.
    pub(super) fn step(&self, after: &mut Pacer, chance: u64, bug: Option<Bug>) -> Option<Command> {
        let command = after.apply(self.moment.policy, self.moment.at, self.event, chance);
        let Some(bug) = bug else { return command };
        let (wrong, command) = bug.of_pacer(self, (*after, command));
        *after = wrong;
        command
    }

    /// Whether it is about this endpoint: a renewal is about all.
    fn is_about(&self, at: u8) -> bool {
        self.endpoint.is_none_or(|endpoint| endpoint == at)
    }

    /// Whether the news are of an endpoint outside the set.
    fn is_foreign(&self) -> bool {
        self.endpoint.is_some_and(|endpoint| endpoint >= self.moment.before.endpoints)
    }

    /// After a failure the next dial waits.
    #[inline(always)] // The same.
    fn waits(&self, window: &WindowParts, after: &Parts) -> bool {
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
        window.not_before >= now + policy.jitter_lo.of(down.max(window.over))
    }

    /// News of an endpoint outside the set are none later, under other names, either.
    fn broken_later(&self, chance: u64, scratch: &mut Scratch<'_>, bug: Option<Bug>) -> Option<Law> {
        let later = self.moment.later.filter(|_| chance == 0)?;
        let case = Case::new(later, relabel_event(self.event));
        let became = scratch.again();
        let commanded = case.step(became, chance, bug);
        (commanded.is_some() || !scratch.has_become(&later.still)).then_some(Law::Relabel)
    }

    /// The same step later, under other names, gives the same later, under other names.
    #[inline(never)] // It is asked for one word of three, and would be in the way of the others.
    fn is_relabelled(
        &self,
        chance: u64,
        scratch: &mut Scratch<'_>,
        after: &Parts,
        command: Option<Command>,
        bug: Option<Bug>,
    ) -> bool {
        // At the end of time there is no later.
        let (Some(then), Some(expected)) = (self.moment.later, relabel(after)) else { return true };
        let case = Case::new(then, relabel_event(self.event));
        let became = scratch.again();
        let commanded = case.step(became, chance, bug);
        became.parts() == expected && commanded == command.map(relabel_command)
    }
}

/// What an endpoint's own news alone change; save for what time, a renewal, or the end of patience does to all.
fn is_untouched(before: &WindowParts, after: &WindowParts) -> bool {
    (before.not_before == after.not_before) & (before.online == after.online)
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
