//! The checker against the definitions, over all sets of states, on graphs drawn by chance.

use std::collections::BTreeSet;

use relink_model::check::{Counterexample, Fair, Form, Limit, Verdict, explore};

use crate::drawn::{Dice, Drawn};

/// Graphs for each form, and for each kind of fairness that it can be judged under.
const GRAPHS: u64 = 100_000;

/// The label of the actions that are weakly fair, and of the steps that a cycle may not take.
const WEAK: u8 = 1;
/// The label of the actions that are strongly fair, and of the steps that a cycle must take.
const STRONG: u8 = 2;

#[test]
fn always_and_reaches() {
    let (mut broken, mut unreached) = (0, 0);
    for seed in 0..GRAPHS {
        let graph = Dice(seed).graph();
        let reached = graph.reached(graph.starts(), u64::MAX);
        let explored = explore(&graph, Limit::default()).expect("it is small");
        assert_eq!(explored.states(), reached.count_ones() as usize);
        match explored.judge(&Form::Always(Drawn::goal)) {
            Verdict::Holds => assert_eq!(reached & !graph.goal, 0, "{graph:?}"),
            Verdict::Falsified(found) => {
                broken += 1;
                replay_stem(&graph, &found);
                assert!(!graph.goal(&found.stem.last) && found.cycle.is_empty());
                assert_eq!(found.stem.steps.len(), graph.distance(!graph.goal), "it is a shortest: {graph:?}");
            }
            Verdict::Unreached => panic!("that is no answer to an always"),
        }
        let reaches = explored.judge(&Form::Reaches(Drawn::goal));
        assert_eq!(reaches.holds(), reached & graph.goal != 0, "{graph:?}");
        assert_eq!(matches!(reaches, Verdict::Unreached), !reaches.holds());
        unreached += u64::from(!reaches.holds());
    }
    mixed("always", broken);
    mixed("reaches", unreached);
}

#[test]
fn eventually() {
    agree(
        "eventually",
        || Form::Eventually { goal: Drawn::goal },
        |graph| {
            let keep = !graph.goal;
            Break { starts: graph.starts() & keep, keep, region: keep, sees: u64::MAX }
        },
    );
}

#[test]
fn recurs() {
    agree(
        "recurs",
        || Form::Recurs { assume: Drawn::assume, goal: Drawn::goal },
        |graph| {
            let region = graph.assume & !graph.goal;
            Break { starts: graph.starts(), keep: u64::MAX, region, sees: u64::MAX }
        },
    );
}

#[test]
fn persists() {
    agree(
        "persists",
        || Form::Persists { assume: Drawn::assume, goal: Drawn::goal },
        |graph| Break { starts: graph.starts(), keep: u64::MAX, region: graph.assume, sees: !graph.goal },
    );
}

#[test]
fn leads_to() {
    agree(
        "leads to",
        || Form::LeadsTo { assume: Drawn::assume, from: Drawn::from, to: Drawn::goal },
        |graph| {
            let keep = !graph.goal;
            let starts = graph.reached(graph.starts(), u64::MAX) & graph.from & keep;
            Break { starts, keep, region: graph.assume & keep, sees: u64::MAX }
        },
    );
}

#[test]
fn no_cycle() {
    let mut broken = 0;
    for seed in 0..GRAPHS {
        let graph = Dice(seed).graph();
        let within = graph.reached(graph.starts(), u64::MAX) & graph.assume;
        let along = |edge: &&(u8, u8, u8)| edge.2 != WEAK && within >> edge.0 & within >> edge.1 & 1 == 1;
        let inner = Drawn { edges: graph.edges.iter().filter(along).copied().collect(), ..graph.clone() };
        let closes = |edge: &(u8, u8, u8)| edge.2 == STRONG && inner.reached(1 << edge.1, within) >> edge.0 & 1 == 1;
        let form = Form::NoCycle {
            within: Drawn::assume,
            along: |graph, _, edge, _| graph.edges[*edge].2 != WEAK,
            through: |graph, _, edge, _| graph.edges[*edge].2 == STRONG,
        };
        match explore(&graph, Limit::default()).expect("it is small").judge(&form) {
            Verdict::Holds => assert!(!inner.edges.iter().any(closes), "{graph:?}"),
            Verdict::Falsified(found) => {
                broken += 1;
                replay_stem(&graph, &found);
                let cycle = replay_cycle(&graph, &found);
                assert!(cycle.iter().all(|edge| graph.edges[*edge].2 != WEAK));
                assert!(cycle.iter().any(|edge| graph.edges[*edge].2 == STRONG));
            }
            Verdict::Unreached => panic!("that is no answer to a cycle"),
        }
    }
    mixed("no cycle", broken);
}

/// How a run breaks a claim of what must happen in the end.
struct Break {
    /// It goes from one of these,
    starts: u64,
    /// through these only,
    keep: u64,
    /// into a component among these,
    region: u64,
    /// and sees one of these again and again.
    sees: u64,
}

/// Judges a form on every graph, under each kind of fairness, by the checker and by the definition.
fn agree(name: &str, form: impl Fn() -> Form<Drawn>, breaks: impl Fn(&Drawn) -> Break) {
    let mut broken = [0; 4];
    for seed in 0..GRAPHS {
        let graph = Dice(seed).graph();
        let explored = explore(&graph, Limit::default()).expect("it is small");
        let how = breaks(&graph);
        for (kind, broken) in broken.iter_mut().enumerate() {
            let (weak, strong) = (kind & 1 == 1, kind & 2 == 2);
            let mut fair: Vec<Fair<Drawn>> = Vec::new();
            fair.extend(weak.then_some(Fair::Weak(|graph: &Drawn, edge| graph.edges[*edge].2 == WEAK)));
            fair.extend(strong.then_some(Fair::Strong(|graph: &Drawn, edge| graph.edges[*edge].2 == STRONG)));
            let components = components(&graph, &how, weak, strong);
            match explored.judge_fair(&form(), &fair) {
                Verdict::Holds => assert!(components.is_empty(), "{name}, {fair:?}: {components:?} of {graph:?}"),
                Verdict::Falsified(found) => {
                    *broken += 1;
                    assert!(!components.is_empty(), "{name}, {fair:?}: {found:?} of {graph:?}");
                    replay(&graph, &how, &components, &found, weak, strong);
                }
                Verdict::Unreached => panic!("that is no answer to what must happen"),
            }
        }
    }
    broken.into_iter().for_each(|broken| mixed(name, broken));
}

/// Neither verdict is rare.
fn mixed(name: &str, broken: u64) {
    println!("{name}: {broken} of {GRAPHS} falsified");
    assert!(broken > GRAPHS / 50 && broken < GRAPHS - GRAPHS / 50, "{name}: {broken} falsified");
}

/// All sets of states in which the adversary can stay for ever, seeing all of it, so that the claim is broken.
fn components(graph: &Drawn, how: &Break, weak: bool, strong: bool) -> Vec<u64> {
    let region = how.region & graph.reached(how.starts, how.keep);
    let mut sets = Vec::new();
    // Every subset of the region.
    let mut set = region;
    while set != 0 {
        let fair = (!weak || graph.is_fair(set, WEAK, false)) && (!strong || graph.is_fair(set, STRONG, true));
        if set & how.sees != 0 && fair && graph.is_end_component(set) {
            sets.push(set);
        }
        set = (set - 1) & region;
    }
    sets
}

fn replay(graph: &Drawn, how: &Break, components: &[u64], found: &Counterexample<Drawn>, weak: bool, strong: bool) {
    let last = 1 << found.stem.last;
    let cycle = replay_cycle(graph, found);
    let seen = cycle.iter().fold(last, |seen, edge| seen | 1 << graph.edges[*edge].1);
    let named = |set: &u64| *set & seen == seen && set.count_ones() as usize == found.component;
    assert!(components.iter().any(named), "{found:?} in none of {components:?} of {graph:?}");
    assert!(seen & how.sees != 0 && seen & !how.region == 0, "{found:?} of {graph:?}");
    for (asked, label, strongly) in [(weak, WEAK, false), (strong, STRONG, true)] {
        let taken = cycle.iter().any(|edge| graph.edges[*edge].2 == label && graph.moves(*edge));
        let idle = |state: u8| seen >> state & 1 == 1 && !graph.enables(state, label);
        let excused = if strongly { (0..8).all(|s| seen >> s & 1 == 0 || idle(s)) } else { (0..8).any(idle) };
        assert!(!asked || taken || excused, "{found:?} is not fair in {graph:?}");
    }
    replay_stem(graph, found);
    let visited: Vec<u8> = found.stem.steps.iter().map(|(state, _)| *state).chain([found.stem.last]).collect();
    // It comes from a start by what it may keep to.
    let after = visited.iter().rposition(|state| how.keep >> state & 1 == 0).map_or(0, |at| at + 1);
    let kept = visited[after..].iter().any(|state| how.starts >> state & 1 == 1);
    assert!(kept, "{found:?} of {graph:?}");
}

fn replay_stem(graph: &Drawn, found: &Counterexample<Drawn>) {
    let states: Vec<u8> = found.stem.steps.iter().map(|(state, _)| *state).chain([found.stem.last]).collect();
    assert!(graph.starts.contains(&states[0]), "{found:?} of {graph:?}");
    for ((from, edge), to) in found.stem.steps.iter().zip(&states[1..]) {
        assert_eq!((graph.edges[*edge].0, graph.edges[*edge].1), (*from, *to), "{found:?} of {graph:?}");
    }
}

/// The transitions of the cycle, each of which leads to the next; none at a dead end.
fn replay_cycle(graph: &Drawn, found: &Counterexample<Drawn>) -> Vec<usize> {
    let edges: Vec<usize> = found.cycle.iter().map(|(_, edge)| *edge).collect();
    let Some(last) = edges.last() else {
        assert!(graph.edges.iter().all(|edge| edge.0 != found.stem.last), "{found:?} of {graph:?}");
        return edges;
    };
    assert_eq!(graph.edges[*last].1, found.stem.last);
    let mut at = found.stem.last;
    for (state, edge) in &found.cycle {
        assert_eq!((graph.edges[*edge].0, *state), (at, at), "{found:?} of {graph:?}");
        at = graph.edges[*edge].1;
    }
    let distinct: BTreeSet<u8> = found.cycle.iter().map(|(state, _)| *state).collect();
    assert!(distinct.len() <= found.component);
    edges
}
