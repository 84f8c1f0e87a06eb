//! Graphs on which checkers have been wrong.

use relink_model::check::{Chance, Counterexample, Form, Limit, Verdict, explore};

use crate::drawn::{Drawn, drawn};

#[test]
fn a_lasso_that_avoids_the_goal_is_found() {
    let found = falsified(&drawn(&[0], &[(0, 1), (1, 0), (1, 9)], &[9]), eventually());
    assert_eq!(ids(&found), (vec![0], vec![0, 1], 2));
}

#[test]
fn a_self_loop_is_a_cycle() {
    assert_eq!(ids(&falsified(&drawn(&[0], &[(0, 0), (0, 1)], &[1]), eventually())), (vec![0], vec![0], 1));
}

#[test]
fn where_paths_join_the_one_without_the_goal_counts() {
    for starts in [[9, 0], [0, 9]] {
        let found = falsified(&drawn(&starts, &[(9, 4), (0, 4), (4, 6)], &[9]), eventually());
        assert_eq!(ids(&found), (vec![0, 4, 6], vec![], 1));
    }
}

#[test]
fn a_dead_end_without_the_goal_is_a_run_that_stays_there() {
    let graph = drawn(&[0], &[(0, 1), (0, 2)], &[2]);
    for form in [eventually(), recurs(), persists()] {
        assert_eq!(ids(&falsified(&graph, form)), (vec![0, 1], vec![], 1));
    }
}

#[test]
fn a_cycle_through_the_goal_recurs_but_does_not_persist() {
    let graph = drawn(&[0], &[(0, 1), (1, 2), (2, 0)], &[1]);
    assert!(judged(&graph, recurs()).holds());
    assert_eq!(ids(&falsified(&graph, persists())), (vec![0], vec![0, 1, 2], 3));
}

#[test]
fn a_coin_leaves_every_cycle_that_it_can_leave() {
    let mut graph = drawn(&[0], &[(0, 1), (1, 0), (1, 2)], &[2]);
    assert!(!judged(&graph, eventually()).holds());
    graph.random = 1 << 1;
    assert!(judged(&graph, eventually()).holds());
    // But not one that the adversary closes behind it.
    graph.edges.push((0, 0, 0));
    assert!(!judged(&graph, eventually()).holds());
}

#[test]
fn what_the_environment_does_not_keep_up_breaks_nothing() {
    let mut graph = drawn(&[0], &[(0, 1), (1, 0), (1, 2)], &[2]);
    graph.assume = 0b101;
    assert!(judged(&graph, recurs()).holds());
    assert!(judged(&graph, persists()).holds());
    graph.assume = 0b111;
    assert!(!judged(&graph, recurs()).holds());
}

#[test]
fn what_leads_to_the_goal_must_do_so_each_time() {
    let mut graph = drawn(&[0], &[(0, 1), (1, 2), (2, 3), (3, 1), (3, 3)], &[2]);
    let leads_to = || Form::LeadsTo { assume: Drawn::assume, from: Drawn::from, to: Drawn::goal };
    graph.from = 1 << 1;
    assert!(judged(&graph, leads_to()).holds());
    graph.from = 1 << 3;
    assert_eq!(ids(&falsified(&graph, leads_to())), (vec![0, 1, 2, 3], vec![3], 1));
    graph.assume = !(1 << 3);
    assert!(judged(&graph, leads_to()).holds());
    // From a state that comes before the assumption, too.
    let mut late = drawn(&[0], &[(0, 1), (1, 2), (2, 2)], &[]);
    (late.from, late.assume) = (1, 1 << 2);
    assert_eq!(ids(&falsified(&late, leads_to())), (vec![0, 1, 2], vec![2], 1));
}

#[test]
fn a_cycle_is_told_by_its_transitions_whatever_coins_say() {
    let mut graph = drawn(&[0], &[(0, 1), (1, 2), (2, 0), (2, 3)], &[0, 1, 2]);
    graph.random = 1 << 2;
    let form = |along, through| Form::NoCycle { within: Drawn::goal, along, through };
    let found = falsified(&graph, form(|_, _, _, _| true, |_, _, edge, _| *edge == 1));
    assert_eq!(ids(&found), (vec![0], vec![0, 1, 2], 3));
    assert!(judged(&graph, form(|_, _, edge, _| *edge != 2, |_, _, _, _| true)).holds());
    assert!(judged(&graph, form(|_, _, _, _| true, |_, _, edge, _| *edge == 3)).holds());
}

#[test]
fn the_shortest_counterexample_is_told() {
    let edges: Vec<_> = (0..9).map(|state| (state, state + 1)).chain([(0, 7)]).collect();
    let below_8 = Form::Always(|_: &Drawn, state| *state < 8);
    assert_eq!(ids(&falsified(&drawn(&[0], &edges, &[]), below_8)), (vec![0, 7, 8], vec![], 1));
}

#[test]
fn a_state_that_is_not_there_is_not_reached() {
    let graph = drawn(&[0], &[(0, 1), (2, 3)], &[3]);
    assert!(matches!(judged(&graph, Form::Reaches(Drawn::goal)), Verdict::Unreached));
    assert!(judged(&graph, Form::Reaches(|_, state| *state == 1)).holds());
}

fn eventually() -> Form<Drawn> {
    Form::Eventually { goal: Drawn::goal }
}

fn recurs() -> Form<Drawn> {
    Form::Recurs { assume: Drawn::assume, goal: Drawn::goal }
}

fn persists() -> Form<Drawn> {
    Form::Persists { assume: Drawn::assume, goal: Drawn::goal }
}

fn judged<M: Chance>(model: &M, form: Form<M>) -> Verdict<M> {
    explore(model, Limit::default()).expect("it is small").judge(&form)
}

fn falsified<M: Chance>(model: &M, form: Form<M>) -> Counterexample<M> {
    match judged(model, form) {
        Verdict::Falsified(found) => found,
        Verdict::Holds | Verdict::Unreached => panic!("it must be falsified"),
    }
}

/// The states of the stem, those of the cycle, and the size of the component.
fn ids<M: Chance>(found: &Counterexample<M>) -> (Vec<M::State>, Vec<M::State>, usize) {
    let steps = |steps: &[(M::State, M::Action)]| steps.iter().map(|(state, _)| state.clone()).collect::<Vec<_>>();
    let mut stem = steps(&found.stem.steps);
    stem.push(found.stem.last.clone());
    (stem, steps(&found.cycle), found.component)
}
