//! The theorem of jitter on the toy fleet, with the counts and verdicts that SPIN and Storm gave for the same model: a
//! fleet larger than its server's capacity converges almost surely if, and only if, its waits are drawn by coins.

use relink_model::check::{Case, Fair, Form, Limit, Verdict, explore};

use crate::toy::{Action, Client, Jitter, Toy};

#[test]
fn a_fleet_in_lockstep_converges_only_within_capacity() {
    for (clients, capacity, attempts, states) in
        [(2, 1, 2, 24), (3, 2, 2, 29), (4, 3, 3, 58), (2, 2, 2, 23), (4, 4, 3, 51)]
    {
        let toy = Toy::lockstep(clients, capacity, attempts);
        let graph = explore(&toy, Limit::default()).expect("it is small");
        assert_eq!(graph.states(), states);
        assert_eq!(graph.judge(&converges()).holds(), clients <= capacity, "{toy:?}");
    }
}

#[test]
fn the_lockstep_is_told_tick_by_tick() {
    let toy = Toy::lockstep(2, 1, 2);
    let Verdict::Falsified(found) = judged(&toy, &converges()) else { panic!("two in lockstep never get in") };
    let waits = |ticks| Client::Waits { attempt: 2, ticks };
    let waiting: Vec<_> = found.cycle.iter().map(|(state, _)| state.clients[..2].to_vec()).collect();
    assert_eq!(found.cycle.len(), 6);
    for ticks in 1..=4 {
        assert!(waiting.contains(&vec![waits(ticks); 2]), "{waiting:?}");
    }
}

#[test]
fn a_server_that_sheds_only_the_excess_needs_no_jitter() {
    for clients in [2, 4] {
        let toy = Toy { graceful: true, ..Toy::lockstep(clients, 1, 3) };
        assert!(judged(&toy, &converges()).holds());
    }
}

#[test]
fn jitter_by_coin_converges_beyond_capacity() {
    let counts = [
        (2, 1, 30, 54),
        (2, 2, 149, 326),
        (2, 3, 619, 1_572),
        (3, 2, 1_135, 2_593),
        (3, 3, 10_671, 29_437),
        (3, 4, 83_277, 269_635),
        (4, 3, 168_977, 496_258),
    ];
    for (clients, attempts, states, transitions) in counts {
        let toy = Toy::full(clients, attempts);
        let graph = explore(&toy, Limit::default()).expect("it is small");
        assert_eq!((graph.states(), graph.transitions()), (states, transitions));
        assert!(graph.judge(&converges()).holds(), "{toy:?}");
        let equal = Toy { jitter: Jitter::Equal, capacity: clients / 2, ..toy };
        assert!(judged(&equal, &converges()).holds(), "{equal:?}");
    }
}

#[test]
fn without_crashes_there_are_as_many_states_as_storm_says() {
    for (clients, attempts, states) in [(3, 3, 2_690), (3, 4, 25_082), (4, 3, 35_827)] {
        let toy = Toy { crashes: false, ..Toy::full(clients, attempts) };
        assert_eq!(explore(&toy, Limit::default()).expect("it is small").states(), states);
    }
}

#[test]
fn a_coin_with_one_outcome_is_no_jitter() {
    for clients in 2..=4 {
        assert!(!judged(&Toy::full(clients, 0), &converges()).holds());
    }
}

#[test]
fn jitter_that_an_adversary_draws_is_none() {
    assert!(!judged(&Toy { coin: false, ..Toy::full(2, 2) }, &converges()).holds());
}

#[test]
fn strong_fairness_of_every_draw_is_less_than_a_coin() {
    let toy = Toy { coin: false, ..Toy::full(2, 2) };
    let every_draw = [
        Fair::Strong(is_draw::<0, 1>),
        Fair::Strong(is_draw::<0, 2>),
        Fair::Strong(is_draw::<0, 3>),
        Fair::Strong(is_draw::<0, 4>),
        Fair::Strong(is_draw::<1, 1>),
        Fair::Strong(is_draw::<1, 2>),
        Fair::Strong(is_draw::<1, 3>),
        Fair::Strong(is_draw::<1, 4>),
    ];
    let graph = explore(&toy, Limit::default()).expect("it is small");
    let Verdict::Falsified(found) = graph.judge_fair(&converges(), &every_draw) else { panic!("it is less") };
    for fair in every_draw {
        let (Fair::Strong(is) | Fair::Weak(is)) = fair;
        assert!(found.cycle.iter().any(|(_, action)| is(&toy, action)), "the cycle is fair");
    }
}

#[test]
fn weak_fairness_is_void_for_what_urgent_steps_interrupt() {
    let toy = Toy::full(2, 2);
    let graph = explore(&toy, Limit::default()).expect("it is small");
    let up_again = || Form::Recurs { assume: |_, _| true, goal: Toy::up };
    let recovers = |_: &Toy, action: &Action| *action == Action::Recover;
    assert!(!graph.judge(&up_again()).holds());
    assert!(!graph.judge_fair(&up_again(), &[Fair::Weak(recovers)]).holds());
    assert!(graph.judge_fair(&up_again(), &[Fair::Strong(recovers)]).holds());
}

#[test]
fn draws_end_but_crashes_need_no_time() {
    let graph_of = Toy::full(3, 2);
    let graph = explore(&graph_of, Limit::default()).expect("it is small");
    let draws = Form::NoCycle {
        within: |_, _| true,
        along: |_, _, action, _| matches!(action, Action::Draw { .. }),
        through: |_, _, _, _| true,
    };
    assert!(graph.judge(&draws).holds());
    let timeless = Form::NoCycle {
        within: |_, _| true,
        along: |_, _, action, _| *action != Action::Tick,
        through: |_, _, _, _| true,
    };
    assert!(!graph.judge(&timeless).holds());
}

/// Storm's figures for the same chains.
#[test]
fn the_expected_time_to_converge_is_the_one_known() {
    let known = [(3, 1, 8.83), (3, 2, 7.79), (3, 3, 8.76), (3, 4, 9.22), (4, 3, 12.17)];
    for (clients, attempts, ticks) in known {
        let toy = Toy { crashes: false, ..Toy::full(clients, attempts) };
        let graph = explore(&toy, Limit::default()).expect("it is small");
        let tick = |_: &Toy, _: &_, action: &Action| u32::from(*action == Action::Tick);
        let found = graph.expected(Toy::all_connected, tick, Case::Worst, 1e-6);
        assert!(found.converged && found.upper - found.lower <= 1e-5, "{found:?}");
        assert!((found.lower - ticks).abs() <= 0.005, "{clients} {attempts}: {found:?}");
    }
}

fn converges() -> Form<Toy> {
    Form::Recurs { assume: Toy::up, goal: Toy::all_connected }
}

fn judged(toy: &Toy, form: &Form<Toy>) -> Verdict<Toy> {
    explore(toy, Limit::default()).expect("it is small").judge(form)
}

fn is_draw<const CLIENT: u8, const TICKS: u8>(_: &Toy, action: &Action) -> bool {
    *action == Action::Draw { client: CLIENT, ticks: TICKS }
}
