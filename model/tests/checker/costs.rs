//! Expected costs against closed forms, and against every policy of the adversary on random graphs.

use relink_model::check::{Case, Chance, Expected, Limit, explore};

use crate::drawn::{Dice, Drawn, drawn};

const PRECISION: f64 = 1e-6;

#[test]
fn a_coin_that_is_thrown_until_heads_is_thrown_twice() {
    let mut graph = drawn(&[0], &[(0, 0), (0, 1)], &[1]);
    graph.random = 1;
    near(&graph, Case::Worst, 2.0);
}

#[test]
fn a_gambler_is_ruined_or_rich_after_as_many_throws_as_the_product_says() {
    let (most, start) = (20, 7);
    let edges: Vec<_> = (1..most).flat_map(|state| [(state, state - 1), (state, state + 1)]).collect();
    let mut graph = drawn(&[start], &edges, &[0, most]);
    graph.random = u64::MAX;
    near(&graph, Case::Worst, f64::from(start * (most - start)));
}

#[test]
fn the_worst_case_takes_the_long_way_and_the_best_the_short_one() {
    let graph = drawn(&[0], &[(0, 1), (1, 2), (2, 3), (0, 3)], &[3]);
    near(&graph, Case::Worst, 3.0);
    near(&graph, Case::Best, 1.0);
}

#[test]
fn a_goal_that_can_be_avoided_for_ever_costs_infinitely_much_at_worst() {
    let graph = drawn(&[0], &[(0, 1), (1, 0), (1, 2)], &[2]);
    assert_eq!(each_step(&graph, Case::Worst).lower, f64::INFINITY);
    near(&graph, Case::Best, 2.0);
    let dead_end = drawn(&[0], &[(0, 1), (0, 2)], &[2]);
    assert_eq!(each_step(&dead_end, Case::Worst).lower, f64::INFINITY);
    near(&dead_end, Case::Best, 1.0);
    let nowhere = drawn(&[0], &[(0, 1)], &[2]);
    assert_eq!(each_step(&nowhere, Case::Best).lower, f64::INFINITY);
}

#[test]
fn a_free_cycle_leaves_the_best_case_without_an_upper_bound() {
    let mut graph = drawn(&[0], &[(0, 0), (0, 1)], &[1]);
    graph.edges[1].2 = 5;
    let found = labelled(&graph, Case::Best);
    assert!(!found.converged && found.lower <= 5.0 && found.upper == f64::INFINITY, "{found:?}");
}

#[test]
fn a_goal_at_the_start_costs_nothing() {
    near(&drawn(&[0], &[(0, 0)], &[0]), Case::Worst, 0.0);
}

#[test]
fn every_policy_of_the_adversary_on_random_graphs() {
    let (mut finite, mut unproved) = (0, 0);
    for seed in 0..100_000 {
        let graph = Dice(seed).graph();
        for case in [Case::Worst, Case::Best] {
            let (truth, found) = (by_every_policy(&graph, case), labelled(&graph, case));
            assert!(found.lower <= truth * (1.0 + 1e-9), "{case:?} {found:?} {truth} {graph:?}");
            assert!(found.upper >= truth * (1.0 - 1e-9), "{case:?} {found:?} {truth} {graph:?}");
            assert!(!found.converged || found.lower == truth || found.upper - found.lower <= truth * 2.0 * PRECISION);
            assert!(found.converged || case == Case::Best, "{found:?} {graph:?}");
            finite += u32::from(truth.is_finite() && truth > 0.0);
            unproved += u32::from(!found.converged);
        }
    }
    println!("{finite} finite, {unproved} without an upper bound");
    assert!(finite > 15_000 && unproved < finite / 5);
}

/// A step costs 1.
fn each_step(graph: &Drawn, case: Case) -> Expected {
    explore(graph, Limit::default()).expect("it is small").expected(Drawn::goal, |_, _, _| 1, case, PRECISION)
}

/// A step costs what its label says.
fn labelled(graph: &Drawn, case: Case) -> Expected {
    let cost = |graph: &Drawn, _: &u8, edge: &usize| u32::from(graph.edges[*edge].2);
    explore(graph, Limit::default()).expect("it is small").expected(Drawn::goal, cost, case, PRECISION)
}

fn near(graph: &Drawn, case: Case, truth: f64) {
    let found = each_step(graph, case);
    assert!(found.converged && found.lower <= truth + 1e-9 && truth <= found.upper + 1e-9, "{found:?} {truth}");
    assert!(found.upper - found.lower <= truth * 2.0 * PRECISION, "{found:?} {truth}");
}

/// The best or worst of all ways to fix one step for each state of the adversary.
fn by_every_policy(graph: &Drawn, case: Case) -> f64 {
    let mut policy = [0_usize; 8];
    let mut found: Option<f64> = None;
    let choices: Vec<usize> =
        (0..8).map(|state| if graph.random(&state) { 0 } else { out(graph, state).len() }).collect();
    loop {
        let costs = graph.starts.iter().map(|start| cost(graph, &policy, *start));
        let best = costs.fold(None, |best: Option<f64>, cost| Some(chosen(case, best, cost)));
        found = best.map(|cost| chosen(case, found, cost));
        // The next policy, as one counts.
        let Some(place) = (0..8).find(|state| policy[*state] + 1 < choices[*state]) else {
            return found.expect("there is a start");
        };
        policy[place] += 1;
        policy[..place].fill(0);
    }
}

fn chosen(case: Case, best: Option<f64>, cost: f64) -> f64 {
    match case {
        Case::Worst => best.map_or(cost, |best| best.max(cost)),
        Case::Best => best.map_or(cost, |best| best.min(cost)),
    }
}

/// Where a state may lead, and at what cost.
fn out(graph: &Drawn, state: u8) -> Vec<(u8, u8)> {
    graph.edges.iter().filter(|edge| edge.0 == state).map(|edge| (edge.1, edge.2)).collect()
}

/// The expected cost from `start` on under a policy: the solution of its linear equations.
fn cost(graph: &Drawn, policy: &[usize; 8], start: u8) -> f64 {
    let next: Vec<Vec<(u8, u8)>> = (0..8)
        .map(|state| match out(graph, state) {
            _ if graph.goal(&state) => Vec::new(),
            all if graph.random(&state) || all.is_empty() => all,
            all => vec![all[policy[usize::from(state)]]],
        })
        .collect();
    let chain = Drawn {
        edges: (0..8).flat_map(|from| next[from as usize].iter().map(move |to| (from, to.0, 0))).collect(),
        ..graph.clone()
    };
    let stuck = |state: u8| chain.reached(1 << state, u64::MAX) & chain.goal == 0;
    let reached = chain.reached(1 << start, u64::MAX);
    if (0..8).any(|state| reached >> state & 1 == 1 && stuck(state)) {
        return f64::INFINITY;
    }
    // Rows: value = mean of (cost + value of the next), for the states reached; the others are 0.
    let mut rows = [[0.0; 9]; 8];
    for (state, next) in next.iter().enumerate() {
        rows[state][state] = 1.0;
        for (to, cost) in next.iter().filter(|_| reached >> state & 1 == 1) {
            let part = 1.0 / next.len() as f64;
            rows[state][usize::from(*to)] -= part;
            rows[state][8] += part * f64::from(*cost);
        }
    }
    solved(rows)[usize::from(start)]
}

/// Gauss and Jordan, with pivots.
fn solved(mut rows: [[f64; 9]; 8]) -> [f64; 8] {
    for column in 0..8 {
        let pivot = (column..8).max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs()));
        rows.swap(column, pivot.expect("there are rows"));
        let row = rows[column].map(|term| term / rows[column][column]);
        for other in (0..8).filter(|other| *other != column) {
            let factor = rows[other][column];
            rows[other].iter_mut().zip(row).for_each(|(term, of_row)| *term -= factor * of_row);
        }
        rows[column] = row;
    }
    rows.map(|row| row[8])
}
