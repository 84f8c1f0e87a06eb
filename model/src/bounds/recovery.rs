//! B1: how late the first dial can be after an endpoint is back, by class of outage: a run that comes that far, and a
//! closed form that none exceeds.

use relink::{Backoff, Checked, Fault, Span, Time};

use super::{
    dials::outage_dials_max,
    outage::{Comes, Outage, chance_of, first_probe_max},
};

/// The most rejections in a row that are tried between silent dials: a window that doubles has then grown 256 times.
const REJECTED_MAX: usize = 8;

/// How an endpoint fails for as long as it is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Refuses at once.
    Refused,
    /// Refuses, and may take until the dial's deadline to do so.
    RefusedLate,
    /// Gives no answer at all, and has given none since it was lost.
    BlackHole,
    /// Refuses once and then gives no answer.
    BlackHoleSeen,
    /// Answers that it is overloaded, and may take until the dial's deadline to do so.
    Rejected,
    /// Anything, silence after accepting included: each silent dial lengthens the next one's deadline.
    Anything,
}

/// One dial of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dial {
    /// When it started, counted from the loss.
    pub started: Time,
    /// What it met.
    pub fault: Fault,
    /// When it met it.
    pub failed: Time,
    /// When the next dial may start.
    pub next: Time,
}

/// A run of the production pacer through an outage, from the loss to the dial that finds the endpoint back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// How long the endpoint was away.
    pub outage: Span,
    /// Every dial that failed; the last may have ended after the endpoint was back.
    pub dials: Vec<Dial>,
    /// From the endpoint's return to the start of the next dial.
    pub lag: Span,
}

impl Class {
    /// Every class, the shortest recovery first.
    pub const ALL: [Self; 6] =
        [Self::Refused, Self::RefusedLate, Self::BlackHole, Self::BlackHoleSeen, Self::Rejected, Self::Anything];

    /// The word used in JSON, such as `black_hole`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::RefusedLate => "refused_late",
            Self::BlackHole => "black_hole",
            Self::BlackHoleSeen => "black_hole_seen",
            Self::Rejected => "rejected",
            Self::Anything => "anything",
        }
    }

    /// What it means, in a few words.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Refused => "refuses at once",
            Self::RefusedLate => "refuses, by the deadline at the latest",
            Self::BlackHole => "gives no answer from the beginning",
            Self::BlackHoleSeen => "refuses once, then gives no answer",
            Self::Rejected => "is overloaded, says so by the deadline at the latest",
            Self::Anything => "does anything, accepts and stays silent included",
        }
    }

    /// The longest time from the endpoint's return after `outage` to the start of the dial that finds it, in closed form:
    /// a dial that started just before fails at its deadline, and then the longest wait that its failure can teach.
    ///
    /// `None` where the policy may have given up by then, and for the classic policies.
    pub fn closed_form(self, policy: &Checked, outage: Span) -> Option<Span> {
        if policy.backoff != Backoff::Relink || self.may_give_up(policy, outage) {
            return None;
        }
        let late = self.deadline_max(policy, outage);
        let age = outage + late;
        let window = match self {
            Self::Refused | Self::RefusedLate => policy.down_window(age),
            Self::BlackHole => policy.ambiguous_window(age),
            Self::BlackHoleSeen | Self::Rejected | Self::Anything => policy.down_window(age).max(policy.cap(age)),
        };
        let lag = late + policy.jitter(policy.w0.max(window), u64::MAX);
        // Silence after accepting shows that the server is there: what it lengthens is no black hole's deadline.
        let other = if self == Self::Anything { Self::BlackHole.closed_form(policy, outage)? } else { lag };
        // Of an outage shorter than the first probe is put off nobody has noticed anything.
        Some(lag.max(other).max(first_probe_max(policy) - outage))
    }

    /// The latest recovery that a run of the production pacer comes to: its waits are shortest (or longest) and its
    /// answers at once until one more dial can start right before the endpoint is back, and that one takes longest.
    /// Where anything may happen not every order of faults is tried, so a later one may exist, up to the closed form.
    ///
    /// `None` where the policy may have given up by then.
    pub fn worst_run(self, policy: &Checked, outage: Span) -> Option<Run> {
        if self.may_give_up(policy, outage) {
            return None;
        }
        let walks = self.scripts(policy, outage).flat_map(|script| [0, u64::MAX].map(|chance| (script, chance)));
        let (script, chance, failed, tail) = walks
            .filter_map(|(script, chance)| script.walk(chance).map(|(failed, tail)| (script, chance, failed, tail)))
            // The first of equals: the shortest story.
            .reduce(|best, other| if other.3.lag(outage) > best.3.lag(outage) { other } else { best })?;
        let dials = script.replay(chance, failed).chain(tail.dials.into_iter().flatten()).collect();
        Some(Run { outage, dials, lag: tail.lag(outage) })
    }

    /// The runs that are tried: of anything, those of every other class too.
    fn scripts(self, policy: &Checked, outage: Span) -> impl Iterator<Item = Script<'_>> {
        let of = move |class, mix: Mix| Script { policy, class, outage, mix };
        let mixed = self.mixes(policy, outage).map(move |mix| of(Self::Anything, mix));
        let single = Self::ALL.into_iter().filter(move |class| *class != Self::Anything);
        let single = single.filter(move |class| self == Self::Anything || self == *class);
        single.map(move |class| of(class, Mix::default())).chain(mixed)
    }

    fn mixes(self, policy: &Checked, outage: Span) -> impl Iterator<Item = Mix> {
        let silent = (self == Self::Anything).then(|| 0..=self.silent_max(policy, outage));
        let rejected = || 0..=REJECTED_MAX;
        silent.into_iter().flatten().flat_map(move |silent| {
            rejected().flat_map(move |first| rejected().map(move |between| Mix { first, between, silent }))
        })
    }

    /// How many silent dials can end within the outage, as far as they lengthen the deadline.
    fn silent_max(self, policy: &Checked, outage: Span) -> u8 {
        let (mut doublings, mut spent) = (0, Span::ZERO);
        while self == Self::Anything && policy.dial_deadline_at(doublings) < policy.dial_deadline_max {
            spent = spent + policy.dial_deadline_at(doublings);
            if spent >= outage {
                break;
            }
            doublings += 1;
        }
        doublings
    }

    /// The longest that a dial which starts within the outage can take to fail.
    fn deadline_max(self, policy: &Checked, outage: Span) -> Span {
        match self {
            Self::Refused => Span::ZERO,
            Self::BlackHole | Self::BlackHoleSeen => policy.connect_deadline.min(policy.dial_deadline),
            Self::RefusedLate | Self::Rejected | Self::Anything => {
                policy.dial_deadline_at(self.silent_max(policy, outage))
            }
        }
    }

    fn may_give_up(self, policy: &Checked, outage: Span) -> bool {
        let age = outage + self.deadline_max(policy, outage);
        policy.give_up_after.is_some_and(|longest| longest <= age)
            || policy
                .give_up_dials
                .is_some_and(|most| outage_dials_max(policy, outage).is_none_or(|dials| dials >= most))
    }
}

/// A class of outage of one length, and what its dials meet.
#[derive(Clone, Copy)]
struct Script<'a> {
    policy: &'a Checked,
    class: Class,
    outage: Span,
    mix: Mix,
}

/// Which dials are silent where anything may happen; all others are rejected.
#[derive(Clone, Copy, Default)]
struct Mix {
    /// So many rejections come before the first silent one, and make the window grow;
    first: usize,
    /// so many from each silent one to the next;
    between: usize,
    /// so many are silent, and make the deadline grow.
    silent: u8,
}

impl Mix {
    fn is_silent(self, n: usize) -> bool {
        let since = n.checked_sub(self.first).filter(|since| since.is_multiple_of(self.between + 1));
        since.is_some_and(|since| since / (self.between + 1) < usize::from(self.silent))
    }
}

/// The end of a run: the dial before the last, if its wait was chosen, and the last.
#[derive(Clone, Copy)]
struct Tail {
    dials: [Option<Dial>; 2],
    next: Time,
}

impl Tail {
    fn lag(&self, outage: Span) -> Span {
        self.next - (Time::ZERO + outage)
    }
}

impl Script<'_> {
    /// What the `n`-th dial meets, and when, if nothing is to be gained by being late.
    fn met(self, n: usize) -> (Fault, Comes) {
        match self.class {
            Class::Refused | Class::RefusedLate => (Fault::Refused, Comes::AtOnce),
            Class::BlackHoleSeen if n == 0 => (Fault::Refused, Comes::AtOnce),
            Class::BlackHole | Class::BlackHoleSeen => (Fault::Unreachable, Comes::AtOnce),
            Class::Anything if self.mix.is_silent(n) => (Fault::TimedOut, Comes::AtDeadline),
            Class::Rejected | Class::Anything => (Fault::Overloaded, Comes::AtOnce),
        }
    }

    /// What the last dial meets, and when.
    fn met_last(self, n: usize) -> (Fault, Comes) {
        match self.class {
            Class::Refused => (Fault::Refused, Comes::AtOnce),
            Class::BlackHoleSeen if n == 0 => (Fault::Refused, Comes::AtOnce),
            Class::Anything => (Fault::TimedOut, Comes::AtDeadline),
            Class::RefusedLate | Class::BlackHole | Class::BlackHoleSeen | Class::Rejected => {
                (self.met(n).0, Comes::AtDeadline)
            }
        }
    }

    /// The worst end of a run whose waits are all drawn by `chance`, and after how many dials it begins.
    fn walk(self, chance: u64) -> Option<(usize, Tail)> {
        let end = Time::ZERO + self.outage;
        let mut best = (0, self.first(end));
        let mut run = Outage::begin(self.policy, chance);
        let mut waited_nothing = None;
        for n in 0.. {
            let started = run.next();
            if started >= end || !run.start(started) {
                break;
            }
            let ends = [Some(self.last(n, run.clone(), started, [None; 2])), self.aligned(n, &run, started, end)];
            for tail in ends.into_iter().flatten() {
                if tail.next > best.1.next {
                    best = (n, tail);
                }
            }
            let (fault, comes) = self.met(n);
            let failed = run.when(started, fault, comes);
            if failed >= end {
                break;
            }
            // A wait of nothing that changes nothing leads nowhere.
            if run.fail(failed, fault, chance) <= started {
                let shape = Some(run.shape(failed));
                if shape == waited_nothing {
                    break;
                }
                waited_nothing = shape;
            }
        }
        // Given up, against what was computed: then there is no longest.
        (best.1.next != Time::NEVER).then_some(best)
    }

    /// The first `failed` dials of such a run.
    fn replay(self, chance: u64, failed: usize) -> impl Iterator<Item = Dial> {
        let mut run = Outage::begin(self.policy, chance);
        (0..failed).map_while(move |n| {
            let started = run.next();
            run.start(started).then(|| {
                let (fault, comes) = self.met(n);
                let failed = run.when(started, fault, comes);
                Dial { started, fault, failed, next: run.fail(failed, fault, chance) }
            })
        })
    }

    /// The only dial is the first probe, as late as may be; or the endpoint is back before it.
    fn first(self, end: Time) -> Tail {
        let none = Tail { dials: [None; 2], next: Outage::begin(self.policy, u64::MAX).next() };
        let just_before = just_before(end);
        // To be dialed later than one may be is the same as to have drawn a longer wait.
        let mut run = Outage::begin(self.policy, 0);
        if end == Time::ZERO || none.next < just_before || !run.start(just_before) {
            return none;
        }
        let one = self.last(0, run, just_before, [None; 2]);
        if one.next > none.next { one } else { none }
    }

    /// The dial in flight is the last, and all goes as slowly as may be.
    fn last(self, n: usize, mut run: Outage<'_>, started: Time, before: [Option<Dial>; 2]) -> Tail {
        let (fault, comes) = self.met_last(n);
        let failed = run.when(started, fault, comes);
        let next = run.fail(failed, fault, u64::MAX);
        Tail { dials: [before[0], Some(Dial { started, fault, failed, next })], next }
    }

    /// The dial in flight fails so, and waits so long, that the last one starts right before the endpoint is back.
    fn aligned(self, n: usize, run: &Outage<'_>, started: Time, end: Time) -> Option<Tail> {
        let (fault, comes) = self.met(n);
        let just_before = just_before(end);
        let next = |failed, chance| run.clone().fail(failed, fault, chance);
        let mut failed = run.when(started, fault, comes);
        let latest = next(failed, u64::MAX);
        if latest < just_before && self.class != Class::Refused {
            failed = run.when(started, fault, Comes::AtDeadline).min(failed + (just_before - latest));
        }
        let (least, most) = (next(failed, 0), next(failed, u64::MAX));
        if least > just_before || failed >= end {
            return None;
        }
        let wanted = most.min(just_before);
        let mut run = run.clone();
        let begins = run.fail(failed, fault, chance_of(least, most, wanted));
        let before = Dial { started, fault, failed, next: begins };
        (begins == wanted && run.start(begins)).then(|| self.last(n + 1, run, begins, [Some(before), None]))
    }
}

/// A millisecond before the endpoint is back: the last moment at which a dial does not find it.
fn just_before(end: Time) -> Time {
    Time::from_millis(end.as_millis().saturating_sub(1))
}
