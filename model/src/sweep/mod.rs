//! The inductive sweep: the production steps of a link and of a pacer, from a grid of states that satisfy the invariants,
//! at every event and outcome class of chance.
//!
//! A world begins at the beginning; a sweep begins anywhere. If the invariants hold after every step from
//! every state that satisfies them, they hold for ever, however a run came there. The grid has the edges of every field,
//! each number of the policy that is compared with it and what lies beside it, the extremes of its type, and no state
//! twice; what lies between is left out, see [`left_out`]. A triple is a state, an event at a time, and a word of chance.

mod bug;
mod grid;
mod law;
mod link;
mod link_law;
mod pacer;
mod pacer_law;
mod premise;
mod scratch;
mod tell;

use std::{
    num::NonZero,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

pub use bug::Bug;
pub use law::Law;

/// How much of the grid is swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Fewer edges of each field, the same laws.
    Quick,
    /// Every edge.
    Full,
}

/// What is swept: a machine, under policies of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// A link, under the default policy with and without its optional limits.
    Link,
    /// A pacer with relink's own backoff: one that ramps up, one that gives up.
    Pacer,
    /// A pacer with a classic backoff: a ladder, and one that spreads.
    ClassicPacer,
}

impl Machine {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Link, Self::Pacer, Self::ClassicPacer];

    /// The laws that its steps are judged by.
    pub const fn laws(self) -> &'static [Law] {
        use Law::{
            Ceilings, Flights, Memory, Names, Refusals, Relabel, S1, S3, S3Floor, S4a, S4b, S4c, S5, S6, S7, S8, S10,
            S11, S12, S13, Settling,
        };
        match self {
            Self::Link => &[S5, S6, S8, S10, S11, S12, S13, Relabel],
            Self::Pacer => &[
                Settling, Memory, Ceilings, Flights, Names, Refusals, S1, S3, S3Floor, S4a, S4b, S4c, S6, S7, S10, S13,
                Relabel,
            ],
            // Its waits have no floor, and it knows no window of overload.
            Self::ClassicPacer => {
                &[Settling, Memory, Ceilings, Flights, Names, Refusals, S1, S3, S4a, S4c, S6, S7, S10, S13, Relabel]
            }
        }
    }

    /// Sweeps it as [`sweep`] does all.
    pub fn sweep(self, level: Level, threads: NonZero<usize>, bug: Option<Bug>) -> Report {
        let mut report = Report { states: 0, triples: 0, found: None };
        self.visit(level, threads, Visit::Judge(bug), &mut report);
        report
    }

    /// The laws of which no step of the quick grid, a part of every other, has what they speak of: they hold in vain.
    pub fn vain(self) -> Vec<Law> {
        let mut vain = self.laws().to_vec();
        match self {
            Self::Link => link::grids(Level::Quick).iter().for_each(|grid| rule_out(grid, &mut vain)),
            Self::Pacer => pacer::own(Level::Quick).iter().for_each(|grid| rule_out(grid, &mut vain)),
            Self::ClassicPacer => pacer::classic(Level::Quick).iter().for_each(|grid| rule_out(grid, &mut vain)),
        }
        vain
    }

    fn visit(self, level: Level, threads: NonZero<usize>, visit: Visit, report: &mut Report) {
        match self {
            Self::Link => link::grids(level).iter().for_each(|grid| run(grid, threads, visit, report)),
            Self::Pacer => pacer::own(level).iter().for_each(|grid| run(grid, threads, visit, report)),
            Self::ClassicPacer => pacer::classic(level).iter().for_each(|grid| run(grid, threads, visit, report)),
        }
    }
}

/// What no sweep of this level sees.
pub fn left_out(level: Level) -> impl Iterator<Item = &'static str> {
    let coarse = "pacer: what lies beside an edge, the extremes of counts and times, and all second endpoints but one";
    LEFT_OUT.iter().copied().chain((level == Level::Quick).then_some(coarse))
}

const LEFT_OUT: &[&str] = &[
    "both: any policy but the sweep's own: the default one for a link, with and without its optional limits; four for a pacer",
    "both: the order of events: a step knows only the state; that is for the worlds",
    "pool: its states are vectors of links; the worlds reach them and its laws are tests of their own",
    "pacer: values between the edges of a field; combinations of both endpoints' fields beyond four second endpoints",
    "pacer: sets of more than two endpoints, save for events that name one outside the set",
    "pacer: three words of chance: least, middle, greatest; waits are monotone in chance (a law of the policy's tests)",
    "pacer: the time-shift and renaming law at one of the three words: chance meets times only by being added to them",
    "pacer: where two values are compared, both sides of an edge are had by one of them alone, not by each",
    "pacer: clocks in the second half of all times, 292 million years from the origin on: a wait could reach the end",
];

/// What a sweep has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// States that satisfy the invariants.
    pub states: u64,
    /// Steps, each of them judged; all of the last state's if one of them is a finding.
    pub triples: u64,
    /// The broken law that comes first in the order of the grid.
    pub found: Option<Finding>,
}

/// A step that breaks a law.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The law.
    pub law: Law,
    /// The state, the event with its time and chance, and what became of it.
    pub step: [String; 3],
}

/// A machine's grid.
trait Grid: Sync {
    /// A state of the machine.
    type State;
    /// How many places the grid has.
    fn places(&self) -> u64;
    /// The state at a place; `None` if there is none that satisfies the invariants.
    fn state(&self, place: u64) -> Option<Self::State>;
    /// How many steps from a state there are to judge.
    fn triples(&self, state: &Self::State) -> u64;
    /// Takes out the laws that have something to say of a step from that state.
    fn concern(&self, state: &Self::State, vain: &mut Vec<Law>);
    /// Steps a state with everything; the first step that breaks a law.
    fn judge(&self, state: &Self::State, bug: Option<Bug>) -> Option<Finding>;
}

/// What is done at each state of a grid.
#[derive(Clone, Copy)]
enum Visit {
    /// Its steps are counted.
    Count,
    /// Its steps are taken, with a seeded bug around each if one is given, and judged.
    Judge(Option<Bug>),
}

/// How many states and triples a level has, on so many threads: what [`sweep`] will report if it finds nothing.
pub fn size(level: Level, threads: NonZero<usize>) -> Report {
    visit(level, threads, Visit::Count)
}

/// Sweeps all machines on so many threads, with a seeded bug around each step if one is given.
///
/// Steps that panic end the sweep: a step is total.
pub fn sweep(level: Level, threads: NonZero<usize>, bug: Option<Bug>) -> Report {
    visit(level, threads, Visit::Judge(bug))
}

fn visit(level: Level, threads: NonZero<usize>, visit: Visit) -> Report {
    let mut report = Report { states: 0, triples: 0, found: None };
    for machine in Machine::ALL {
        machine.visit(level, threads, visit, &mut report);
    }
    report
}

/// Goes through a grid until no law is left.
fn rule_out(grid: &impl Grid, vain: &mut Vec<Law>) {
    for state in (0..grid.places()).filter_map(|place| grid.state(place)) {
        if vain.is_empty() {
            return;
        }
        grid.concern(&state, vain);
    }
}

/// Adds what a grid gives. Whatever the threads do in what order, the first finding is the one at the first place.
fn run(grid: &impl Grid, threads: NonZero<usize>, visit: Visit, report: &mut Report) {
    const CHUNK: u64 = 1_024;
    if report.found.is_some() {
        return;
    }
    let (next, first) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
    let sum = Mutex::new((0, 0, None::<(u64, Finding)>));
    let work = || {
        let (mut states, mut triples, mut found) = (0, 0, None);
        loop {
            let from = next.fetch_add(CHUNK, Ordering::Relaxed);
            // What lies behind a finding is of no interest.
            if from >= grid.places() || from > first.load(Ordering::Relaxed) {
                break;
            }
            for place in from..(from + CHUNK).min(grid.places()) {
                let Some(state) = grid.state(place) else { continue };
                states += 1;
                triples += grid.triples(&state);
                let finding = match visit {
                    Visit::Count => None,
                    Visit::Judge(bug) => grid.judge(&state, bug),
                };
                if let Some(finding) = finding {
                    first.fetch_min(place, Ordering::Relaxed);
                    found = found.or(Some((place, finding)));
                    break;
                }
            }
        }
        let mut sum = sum.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        sum.0 += states;
        sum.1 += triples;
        let earliest = [sum.2.take(), found].into_iter().flatten().min_by_key(|(place, _)| *place);
        sum.2 = earliest;
    };
    thread::scope(|scope| {
        for _ in 0..threads.get() {
            scope.spawn(work);
        }
    });
    let (states, triples, found) = sum.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    report.states += states;
    report.triples += triples;
    report.found = found.map(|(_, finding)| finding);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_law_of_a_machine_holds_in_vain() {
        for machine in Machine::ALL {
            assert_eq!(machine.vain(), [], "{machine:?}");
        }
    }

    #[test]
    fn a_law_of_what_a_grid_has_not_is_vain() {
        let mut vain = vec![Law::S1, Law::S4b, Law::S12];
        pacer::classic(Level::Quick).iter().for_each(|grid| rule_out(grid, &mut vain));
        assert_eq!(vain, [Law::S4b, Law::S12], "a classic pacer has no window of overload, and lends nothing");
    }
}
