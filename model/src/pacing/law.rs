//! The laws of pacing, and the states that must be reachable so that none holds in vain.

use relink::{
    Backoff, Fault, Span, Time,
    pacer::{Event, Phase},
};

use super::{
    ghost::Ledger,
    world::{Action, State, World},
};
use crate::{check::Form, claim::Claim, worlds::NOW};

/// The properties of the design's catalogue that these worlds judge, by its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Law {
    /// No dial starts at an endpoint while one is there that is neither answered nor given up; after a
    /// success since the last failure, while `max_dials` are.
    S1,
    /// Dials of an endpoint in any interval: at most `max_dials`, `min(2, max_dials)` for each success in
    /// it, and one for each `lo·w0` of it.
    S2,
    /// Dials of an endpoint in any interval in which no session becomes stable: at most one a place, one
    /// for each session closed on purpose in it, and one a place for each `lo·w0` of it.
    S2b,
    /// After a failed dial or an unstable loss the next dial starts at least `lo·max(w0, w_down, w_over)`
    /// later, after a dial given up `lo·max(w0, w_over)`, whatever succeeds or is renewed meanwhile.
    S3,
    /// The age of an outage never decreases.
    S4a,
    /// The window of overload falls at most by the factor `s`, and only on a success there.
    S4b,
    /// An outage is forgotten only after `stable_for`, and twice the longest wait of its overload, with a
    /// session online and nothing failed or lost unstable.
    S4c,
    /// After a fatal fault, no dial to that endpoint until a renewal; the set is held if, and only if, all
    /// its endpoints are.
    S7,
    /// While a place wants a session and the set is not held, a timer is armed or an answer outstanding, and
    /// a timer that is due starts a dial.
    S10,
    /// No cycle in which time passes and no dial starts, while a place wants a session and the set is not held.
    S15,
    /// If some endpoint keeps its promise for ever, every place has a session from some time on.
    L1,
}

impl Law {
    /// Every law, in order.
    pub const ALL: [Self; 11] = [
        Self::S1,
        Self::S2,
        Self::S2b,
        Self::S3,
        Self::S4a,
        Self::S4b,
        Self::S4c,
        Self::S7,
        Self::S10,
        Self::S15,
        Self::L1,
    ];

    /// What every backoff is held to; the rest is the promise of relink's own.
    pub const OF_ALL_BACKOFFS: [Self; 5] = [Self::S1, Self::S7, Self::S10, Self::S15, Self::L1];

    /// The name in the catalogue.
    pub const fn name(self) -> &'static str {
        match self {
            Self::S1 => "S1",
            Self::S2 => "S2",
            Self::S2b => "S2b",
            Self::S3 => "S3",
            Self::S4a => "S4a",
            Self::S4b => "S4b",
            Self::S4c => "S4c",
            Self::S7 => "S7",
            Self::S10 => "S10",
            Self::S15 => "S15",
            Self::L1 => "L1",
        }
    }

    /// Whether something can happen in a world that the law is about, so that it does not hold there in vain.
    pub fn speaks_of(self, world: &World) -> bool {
        let fails = |fault: Fault| world.faults.contains(&fault);
        match self {
            Self::S1 => world.places > 1 || world.endpoints > 1,
            Self::S2 | Self::S2b => world.accounts,
            // The classic backoffs have no such window.
            Self::S4b => {
                world.policy.backoff == Backoff::Relink && (fails(Fault::Overloaded) || fails(Fault::TimedOut))
            }
            Self::S7 => fails(Fault::Denied) || fails(Fault::Misconfigured),
            Self::L1 => world.promise.is_some(),
            Self::S3 | Self::S4a | Self::S4c | Self::S10 | Self::S15 => true,
        }
    }

    /// The witness that it is about something: a state in which it weighs on what happens next.
    pub fn at_stake(self) -> Claim<World> {
        match self {
            Self::S1 => Claim::<World>::reaches("a dial that S1 forbids", |world, state| {
                weighs(world, state, |ledger, unanswered| unanswered >= ledger.dials_max(world))
            }),
            Self::S2 => Claim::<World>::reaches("a dial on the account of S2", |world, state| {
                weighs(world, state, |ledger, _| ledger.spent > 0)
            }),
            Self::S2b => Claim::<World>::reaches("a dial on the account of S2b", |world, state| {
                weighs(world, state, |ledger, _| ledger.churned > 0)
            }),
            Self::S3 => Claim::<World>::reaches("a dial that S3 forbids", |world, state| {
                weighs(world, state, |ledger, _| ledger.floor > NOW)
            }),
            Self::S4a => Claim::<World>::reaches("an outage that has lasted", |world, state| {
                state.pacer.age(&world.policy) > Span::ZERO
            }),
            Self::S4b => Claim::<World>::reaches("a window of overload", |world, state| {
                (0..world.endpoints).any(|endpoint| state.pacer.overload(endpoint) > Span::ZERO)
            }),
            Self::S4c => Claim::<World>::reaches("an outage that must not be forgotten yet", |_, state| {
                state.pacer.outage_since().is_some() && state.ghost.quiet_until > NOW
            }),
            Self::S7 => Claim::<World>::reaches("a dial that S7 forbids", |world, state| {
                weighs(world, state, |ledger, _| ledger.fatal.is_some())
            }),
            Self::S10 => Claim::<World>::reaches("a wish that only a timer serves", |world, state| {
                world.wants(state) && state.ghost.dials.is_empty()
            }),
            Self::S15 => Claim::<World>::reaches("time that passes over a wish", |world, state| {
                world.wants(state) && world.may_tick(state)
            }),
            Self::L1 => Claim::<World>::reaches("well, and not yet whole", |world, state| {
                world.is_well(state) && !world.is_whole(state)
            }),
        }
    }

    /// The law as a claim. Its predicates are plain functions, because that is what the checker takes.
    fn claim(self) -> Claim<World> {
        let holds: fn(&World, &State) -> bool = match self {
            Self::S1 => |_, state| state.keeps(Self::S1),
            Self::S2 => |_, state| state.keeps(Self::S2),
            Self::S2b => |_, state| state.keeps(Self::S2b),
            Self::S3 => |_, state| state.keeps(Self::S3),
            Self::S4a => |_, state| state.keeps(Self::S4a),
            Self::S4b => |_, state| state.keeps(Self::S4b),
            Self::S4c => |_, state| state.keeps(Self::S4c),
            Self::S7 => |_, state| state.keeps(Self::S7),
            Self::S10 => |_, state| state.keeps(Self::S10),
            Self::S15 => {
                return Claim::new(
                    self.name(),
                    Form::NoCycle {
                        within: World::wants,
                        along: |_, _, action, _| !matches!(action, Action::Dial(_)),
                        through: |_, _, action, _| *action == Action::Tick,
                    },
                );
            }
            Self::L1 => {
                return Claim::new(self.name(), Form::Persists { assume: World::is_well, goal: World::is_whole });
            }
        };
        Claim::new(self.name(), Form::Always(holds))
    }
}

impl State {
    fn keeps(&self, law: Law) -> bool {
        self.ghost.broken != Some(law)
    }
}

/// Whether the pool would dial, and this is so of an endpoint and of how many dials it has not answered.
fn weighs(world: &World, state: &State, so: impl Fn(&Ledger, usize) -> bool) -> bool {
    let unanswered = |endpoint: u8| state.ghost.dials.iter().filter(|dial| dial.id.endpoint() == endpoint).count();
    world.asks(state).is_some() && (0..).zip(&state.ghost.ledgers).any(|(at, ledger)| so(ledger, unanswered(at)))
}

/// Every law that speaks of a world, and every witness of it.
pub(super) fn claims(world: &World) -> Vec<Claim<World>> {
    let judged: Vec<Law> = world.laws.iter().copied().filter(|law| law.speaks_of(world)).collect();
    let mut all: Vec<_> = judged.iter().map(|law| law.claim()).collect();
    all.push(Claim::new(
        "no other law is broken",
        Form::Always(|world: &World, state: &State| state.ghost.broken.is_none_or(|law| law.speaks_of(world))),
    ));
    if world.bug.is_none() {
        all.extend(judged.iter().map(|law| law.at_stake()));
        all.extend(witnesses(world));
    }
    all
}

/// Judges what came of `last`, by `event` or because time has passed until `now`.
pub(super) fn judge(world: &World, last: &State, state: &mut State, event: Option<Event>, now: Time) {
    let State { pacer, ghost } = state;
    let (then, on_record) = (last.pacer, pacer.outage_since().is_some());
    if then.outage_since().is_some() {
        ghost.must(world, on_record || last.ghost.quiet_until <= now, Law::S4c);
        let older = pacer.age(&world.policy) >= then.age(&world.policy);
        ghost.must(world, older || !on_record, Law::S4a);
    }
    for endpoint in (0..world.endpoints).filter(|_| on_record) {
        let (before, after) = (then.overload(endpoint), pacer.overload(endpoint));
        let served = matches!(event, Some(Event::Dialed { dial }) if dial.endpoint() == endpoint);
        let floor = if served { world.policy.s.of(before) } else { before };
        ghost.must(world, after >= floor, Law::S4b);
    }
    let held = state.ghost.ledgers.iter().all(|ledger| ledger.fatal.is_some());
    let agrees = held == world.holds_back(state);
    let answer_due = !state.ghost.dials.is_empty();
    let awake = !world.wants(state) || answer_due || world.next(state).at < Time::NEVER;
    state.ghost.must(world, agrees, Law::S7);
    state.ghost.must(world, awake, Law::S10);
}

/// The states that a world must reach, or its laws would hold of nothing: every phase, and each exemption
/// from the waits: the first probe of an outage, and the replacement beside a healthy session.
fn witnesses(world: &World) -> Vec<Claim<World>> {
    let mut all = vec![
        Claim::<World>::reaches("up", |world, state| world.is_whole(state) && state.pacer.phase(0) == Phase::Up),
        Claim::<World>::reaches("down", |_, state| state.pacer.phase(0) == Phase::Down),
        Claim::<World>::reaches("settling", |_, state| {
            state.pacer.phase(0) == Phase::Settling && !state.ghost.sessions.is_empty()
        }),
        Claim::<World>::reaches("the first probe of an outage", |_, state| {
            state.pacer.outage_since() == Some(NOW) && state.pacer.phase(0) == Phase::Settling && may_dial_now(state)
        }),
        Claim::<World>::reaches("the oldest outage", |world, state| {
            state.pacer.age(&world.policy) == world.policy.elapsed_max
        }),
        Claim::<World>::reaches("an unstable session", |_, state| {
            state.ghost.sessions.iter().any(|session| session.stable_at > NOW)
        }),
    ];
    if world.faults.contains(&Fault::Overloaded) && world.policy.backoff == Backoff::Relink {
        all.push(Claim::<World>::reaches("overloaded", |_, state| state.pacer.phase(0) == Phase::Overloaded));
        all.push(Claim::<World>::reaches("settling after an overload", |_, state| {
            state.pacer.settles_at().is_some() && state.pacer.overload(0) > Span::ZERO
        }));
    }
    if world.faults.contains(&Fault::Misconfigured) {
        all.push(Claim::<World>::reaches("held", |_, state| state.pacer.held() == Some(Fault::Misconfigured)));
    }
    if world.faults.contains(&Fault::Denied) {
        all.push(Claim::<World>::reaches("denied", |_, state| state.pacer.held() == Some(Fault::Denied)));
    }
    if world.places() > 1 {
        all.push(Claim::<World>::reaches("a replacement beside a healthy session", |_, state| {
            state.pacer.outage_since() == Some(NOW) && !state.ghost.sessions.is_empty() && may_dial_now(state)
        }));
    }
    if world.policy.max_dials > 1 && world.places() > 1 {
        all.push(Claim::<World>::reaches("as many dials as are allowed", |world, state| {
            state.ghost.dials.len() == usize::from(world.policy.max_dials)
        }));
        all.push(Claim::<World>::reaches("a dial older than the last failure", |_, state| {
            state.ghost.dials.iter().any(|dial| dial.stale)
        }));
    }
    if world.endpoints > 1 {
        all.push(Claim::<World>::reaches("one endpoint held", |_, state| {
            state.pacer.held().is_none() && state.pacer.phase(0) == Phase::Held
        }));
        all.push(Claim::<World>::reaches("a hedged dial", |world, state| {
            state.ghost.dials.len() == usize::from(world.endpoints)
        }));
    }
    if world.promise.is_some() {
        all.push(Claim::<World>::reaches("well and whole", |world, state| {
            world.is_well(state) && world.is_whole(state)
        }));
    }
    all
}

fn may_dial_now(state: &State) -> bool {
    state.pacer.not_before(0) <= NOW
}
