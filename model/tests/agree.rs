//! The simulator and the model's fleet world tell the same of small fleets: how long they take, and how often they dial.
//!
//! Where the two can be held against each other: lone connections, refused for a while by an absent server and then
//! served one after the other by one with a queue, whose length patience may not outlast. The world knows every run and
//! gives exact expectations, from the best to the worst order in which dials that arrive together may be served. The
//! simulator, driven by pools where the world has pacers, by chance and by a clock, must come to the same on average.
//!
//! What the world leaves to an adversary is fixed to what the simulator does: when the server is away, and that a dial
//! is answered a millisecond late. It merges first waits of 0 and 1 ms, as a tick lies between a loss and the next dial;
//! these are told apart by when that dial arrives, by a coin. Other servers, and backoffs that may wait for nothing at
//! all, do not compare: the world serves and rejects within a tick, and a dial takes the simulator a round trip.
#![expect(clippy::unwrap_used, reason = "a test that meets the unforeseen has failed")]

use relink::{Backoff, Policy, Ratio, Span};
use relink_model::{
    check::{Case, Chance, Form, Limit, explore},
    fleet::{self, Action, Fleet, server::Server, world::growing},
    simulate::{self, Contender, World},
};
use stateright::Model;

/// Work that no queue here holds: what it drops, the world takes for the silence of a server that has accepted.
const BACKLOG_MAX: u8 = 60;

/// A fleet whose server goes away, with all sessions, and comes back after so many ticks.
struct Episode {
    fleet: Fleet,
    outage: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    fleet: fleet::State,
    /// Ticks of the outage so far.
    away: u8,
}

impl Episode {
    fn of(world: &World, policy: &Contender) -> Self {
        let setup = u8::try_from(1_000 / world.capacity_per_s).unwrap();
        let server = Server::Queues { setup, backlog_max: BACKLOG_MAX };
        let count = usize::try_from(world.clients).unwrap();
        let fleet = Fleet::with_latency(count, &policy.policy, server, 1).unwrap();
        Self { fleet, outage: u8::try_from(world.outage.as_millis()).unwrap() }
    }

    fn is_over(&self, state: &State) -> bool {
        self.returned(state) && self.fleet.all_online(&state.fleet)
    }

    fn returned(&self, state: &State) -> bool {
        state.away == self.outage && self.fleet.up(&state.fleet)
    }

    /// Everybody has dialed, which some do at once and some a millisecond later.
    fn first_dials(&self, state: &State) -> bool {
        state.away == 0 && self.fleet.none_online(&state.fleet)
    }
}

impl Model for Episode {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        self.fleet.init_states().into_iter().map(|fleet| State { fleet, away: 0 }).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if self.is_over(state) {
            return;
        }
        self.fleet.actions(&state.fleet, actions);
        if self.fleet.draws(&state.fleet) {
            return;
        }
        let (up, due) = (self.fleet.up(&state.fleet), state.away == self.outage);
        let arriving = |action: &Action| if let Action::Tick(dials) = action { dials.places().len() } else { 0 };
        if up && !due {
            actions.retain(|action| matches!(action, Action::Crash));
        } else if !self.fleet.none_online(&state.fleet) && !up {
            actions.retain(|action| matches!(action, Action::Lose(_)));
            actions.truncate(1);
        } else if due && !up {
            actions.retain(|action| matches!(action, Action::Return));
        } else {
            actions.retain(|action| matches!(action, Action::Tick(_)));
            let fewest = actions.iter().map(arriving).min().unwrap_or(0);
            actions.retain(|action| self.first_dials(state) || arriving(action) == fewest);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let fleet = self.fleet.next_state(&last.fleet, action)?;
        let passes = matches!(action, Action::Tick(_)) && !self.fleet.up(&last.fleet);
        Some(State { fleet, away: last.away + u8::from(passes) })
    }
}

impl Chance for Episode {
    fn random(&self, state: &State) -> bool {
        self.fleet.draws(&state.fleet) || (self.first_dials(state) && !self.fleet.up(&state.fleet))
    }
}

/// How long it takes from the server's return until all are connected, in ms, and how many dials until then.
type Told<T> = [T; 2];

/// The exact expectations: the best and the worst.
fn expected(world: &World, contender: &Contender) -> Told<(f64, f64)> {
    let episode = Episode::of(world, contender);
    let graph = explore(&episode, Limit::default()).unwrap();
    let overflows = |episode: &Episode, state: &State| episode.fleet.backlog(&state.fleet) >= BACKLOG_MAX - 8;
    assert!(!graph.judge(&Form::Reaches(overflows)).holds(), "the queue is full");
    let ticks = |episode: &Episode, state: &State, action: &Action| {
        episode.fleet.ticks(&state.fleet, action) * u32::from(episode.returned(state))
    };
    let dials = |_: &Episode, _: &State, action: &Action| match action {
        Action::Tick(dials) => u32::try_from(dials.places().len()).unwrap(),
        Action::Crash | Action::Return | Action::Lose(_) | Action::Draw(_) => 0,
    };
    [ticks, dials].map(|cost| {
        let of = |case| graph.expected(Episode::is_over, cost, case, 1e-6);
        let (best, worst) = (of(Case::Best), of(Case::Worst));
        assert!(worst.converged && best.lower.is_finite(), "{best:?}, {worst:?}");
        (best.lower, worst.upper)
    })
}

/// The simulator's means, and the standard deviations of those.
fn simulated(world: &World, contender: &Contender, runs: u32) -> Told<(f64, f64)> {
    world.check().unwrap();
    let each: Vec<Told<f64>> = (1..=u64::from(runs))
        .map(|seed| {
            let figures = simulate::run(world, contender, seed, &mut |_| {}).figures;
            let dials = figures.dials_per_slot_outage + figures.dials_per_slot_after;
            [figures.makespan_s.unwrap() * 1e3, dials * f64::from(figures.clients)]
        })
        .collect();
    let figures: [fn(&Told<f64>) -> f64; 2] = [|[time, _]| *time, |[_, dials]| *dials];
    figures.map(|figure| {
        let runs = f64::from(runs);
        let mean = each.iter().map(figure).sum::<f64>() / runs;
        let variance = each.iter().map(|told| (figure(told) - mean).powi(2)).sum::<f64>() / (runs - 1.0);
        (mean, (variance / runs).sqrt())
    })
}

fn contender(policy: Policy) -> Contender {
    Contender::new("reduced".to_owned(), policy, 1, None).unwrap()
}

fn world(clients: u32, setup_ms: u32, outage_ms: u64) -> World {
    World {
        clients,
        slots: 1,
        capacity_per_s: 1_000 / setup_ms,
        outage: Span::from_millis(outage_ms),
        ..World::default()
    }
}

/// How many standard deviations the simulator's means are outside of what the world allows, at most.
fn apart(exact: &Told<(f64, f64)>, found: &Told<(f64, f64)>) -> f64 {
    let each = exact
        .iter()
        .zip(found)
        .map(|((best, worst), (mean, deviation))| (best - mean).max(mean - worst).max(0.0) / deviation.max(1e-9));
    each.fold(0.0, f64::max)
}

const RUNS: u32 = 20_000;

/// Deadlines that some dials outlast and some do not.
fn policy() -> Policy {
    let mut policy = growing(8);
    policy.dial_deadline = Span::from_millis(3);
    policy.dial_deadline_max = Span::from_millis(6);
    policy
}

#[test]
fn small_fleets_take_as_long_and_dial_as_often_in_the_simulator_as_in_the_world() {
    let mut decorrelated = policy();
    decorrelated.backoff = Backoff::DecorrelatedJitter { base: Span::from_millis(1), cap: Span::from_millis(4) };
    for (name, policy) in [("relink", policy()), ("decorrelated", decorrelated)] {
        for (count, setup, outage) in [2, 3, 4]
            .into_iter()
            .flat_map(|count| [1, 2].into_iter().flat_map(move |setup| [2, 5, 9].map(|outage| (count, setup, outage))))
        {
            let (world, contender) = (world(count, setup, outage), contender(policy.clone()));
            let (exact, found) = (expected(&world, &contender), simulated(&world, &contender, RUNS));
            let apart = apart(&exact, &found);
            println!("{name} {count} {setup} {outage}: {exact:.4?}, simulated {found:.4?}: {apart:.1}");
            // 72 means: one of them is 4 deviations off by chance in 200 such tests.
            assert!(apart < 4.0, "{name}: {count} processes, a set-up of {setup} ms, an outage of {outage} ms");
            for ((best, worst), (mean, deviation)) in exact.into_iter().zip(found) {
                assert!(worst - best <= 0.01 * worst && deviation <= 0.005 * mean, "that says little");
            }
        }
    }
}

/// What a simulator would tell that ran another policy, or another server, than it says.
#[test]
fn a_simulator_that_is_a_little_off_does_not_agree() {
    let asked = world(4, 2, 9);
    let exact = expected(&asked, &contender(policy()));
    let with = |change: fn(&mut Policy)| {
        let mut policy = policy();
        change(&mut policy);
        apart(&exact, &simulated(&asked, &contender(policy), RUNS))
    };
    let found = [
        ("a larger share of the outage", with(|policy| policy.kd = Ratio::from_millionths(700_000))),
        ("no shorter wait than the window", with(|policy| policy.jitter_lo = Ratio::ONE)),
        ("a ceiling that does not grow", with(|policy| policy.kcap = Ratio::default())),
        ("a longer first deadline", with(|policy| policy.dial_deadline = Span::from_millis(4))),
        ("deadlines that do not grow", with(|policy| policy.dial_deadline_max = policy.dial_deadline)),
        ("a faster server", apart(&exact, &simulated(&world(4, 1, 9), &contender(policy()), RUNS))),
        ("a longer outage", apart(&exact, &simulated(&world(4, 2, 10), &contender(policy()), RUNS))),
    ];
    println!("{found:.1?}");
    for (what, apart) in found {
        assert!(apart > 8.0, "{what} is not found: {apart}");
    }
}
