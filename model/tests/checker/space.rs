//! What an exploration sees, how much it may hold, and that no bound ever passes for a verdict.

use relink_model::check::{Case, Chance, Form, Limit, Stopped, Verdict, explore, explore_watched};
use stateright::Model;

use crate::{
    drawn::drawn,
    toy::{Action, State, Toy},
};

/// The numbers from 0 on: each leads to the next, and the last, if there is one, perhaps to the first.
#[derive(Clone, Debug)]
struct Line {
    last: u32,
    closed: bool,
    boundary: u32,
}

const ENDLESS: Line = Line { last: u32::MAX, closed: true, boundary: u32::MAX };

#[test]
fn a_million_states_in_a_row_do_not_overflow_the_stack() {
    let line = Line { last: 999_999, closed: false, ..ENDLESS };
    let graph = explore(&line, Limit::default()).expect("it fits");
    assert_eq!((graph.states(), graph.transitions()), (1_000_000, 999_999));
    let Verdict::Falsified(found) = graph.judge(&middle()) else { panic!("it ends elsewhere") };
    assert_eq!((found.stem.steps.len(), found.stem.last, found.cycle.len()), (999_999, 999_999, 0));
}

#[test]
fn a_million_states_in_a_ring_are_one_component() {
    let ring = Line { last: 999_999, closed: true, ..ENDLESS };
    let graph = explore(&ring, Limit::default()).expect("it fits");
    assert!(graph.judge(&middle()).holds());
    let Verdict::Falsified(found) = graph.judge(&Form::Recurs { assume: |_, _| true, goal: |_, _| false }) else {
        panic!("nothing is no goal")
    };
    assert_eq!((found.cycle.len(), found.component), (1_000_000, 1_000_000));
}

#[test]
fn a_model_that_does_not_fit_is_an_error_not_a_verdict() {
    let limit = Limit { bytes: 1 << 20 };
    let stopped = explore(&ENDLESS, limit).expect_err("it is endless");
    let Stopped::Memory { states, bytes, limit: 0x0010_0000 } = stopped else { panic!("{stopped}") };
    assert!(states > 10_000 && bytes > 1 << 20, "{stopped}");
}

#[test]
fn a_limit_is_kept_to_the_byte() {
    let toy = Toy::full(3, 2);
    let bytes = explore(&toy, Limit::default()).expect("it is small").needs();
    assert_eq!(explore(&toy, Limit { bytes }).expect("it fits").needs(), bytes);
    assert!(matches!(explore(&toy, Limit { bytes: bytes - 1 }), Err(Stopped::Memory { .. })));
}

#[test]
fn judging_takes_no_more_than_is_set_aside_for_it() {
    // A little more than a power of two, where what doubles as it grows is largest.
    let (mut most, line) = (0, Line { last: 1_050_000, closed: false, ..ENDLESS });
    let mut within = |name: &str, aside: usize, judge: &mut dyn FnMut()| {
        let taken = usize::try_from(allocation_counter::measure(judge).bytes_max).expect("it fits");
        println!("{name}: {taken} bytes of {aside}");
        assert!(taken <= aside, "{name}: {taken} bytes, and {aside} are set aside");
        most = most.max(taken * 100 / aside);
    };
    let graph = explore(&line, Limit::default()).expect("it fits");
    let aside = graph.judging_bytes();
    within("a line", aside, &mut || assert!(graph.judge(&Form::Always(|_, _| true)).holds()));
    let ring = Line { closed: true, ..line };
    let graph = explore(&ring, Limit::default()).expect("it fits");
    within("a ring", aside, &mut || assert!(graph.judge(&middle()).holds()));
    let whole = Form::NoCycle { within: |_, _| true, along: |_, _, (), _| true, through: |_, _, (), _| false };
    within("a ring without its edges", aside, &mut || assert!(graph.judge(&whole).holds()));
    let toy = Toy::full(4, 3);
    let graph = explore(&toy, Limit::default()).expect("it fits");
    let leads = Form::LeadsTo { assume: |_, _| true, from: |_, _| true, to: |_, state: &State| state.up };
    within("a fleet", graph.judging_bytes(), &mut || drop(graph.judge(&leads)));
    let crashless = Toy { crashes: false, ..toy };
    let graph = explore(&crashless, Limit::default()).expect("it fits");
    within("an expectation", graph.judging_bytes(), &mut || {
        let tick = |_: &Toy, _: &_, action: &Action| u32::from(*action == Action::Tick);
        assert!(graph.expected(Toy::all_connected, tick, Case::Worst, 1e-6).converged);
    });
    assert!(most > 25, "{most} % are taken at most: too much is set aside");
}

#[test]
fn what_a_state_owns_counts() {
    #[derive(Clone, Debug)]
    struct Owning;
    impl Model for Owning {
        type State = Vec<u8>;
        type Action = u8;
        fn init_states(&self) -> Vec<Vec<u8>> {
            vec![vec![0; 1_000]]
        }
        fn actions(&self, state: &Vec<u8>, actions: &mut Vec<u8>) {
            actions.push(state[0]);
        }
        fn next_state(&self, state: &Vec<u8>, action: u8) -> Option<Vec<u8>> {
            Some(vec![action.checked_add(1)?; state.len()])
        }
    }
    impl Chance for Owning {
        fn owned_bytes(&self, state: &Vec<u8>) -> usize {
            state.capacity()
        }
    }
    assert!(explore(&Owning, Limit::default()).expect("it is small").bytes() > 256_000);
    assert!(explore(&Owning, Limit { bytes: 200_000 }).is_err());
}

#[test]
fn what_the_boundary_cuts_is_counted() {
    let line = Line { last: 9, closed: true, boundary: 4 };
    let graph = explore(&line, Limit::default()).expect("it is small");
    assert_eq!((graph.states(), graph.transitions(), graph.cut()), (5, 4, 1));
    // The last state within is a dead end: it may be blamed, but is never overlooked.
    assert!(!graph.judge(&middle()).holds());
}

#[test]
fn a_model_that_never_begins_is_an_error() {
    let graph = drawn(&[], &[(0, 1)], &[]);
    assert!(matches!(explore(&graph, Limit::default()), Err(Stopped::Empty)));
}

#[test]
fn an_exploration_says_how_far_it_is() {
    let line = Line { last: 199_999, closed: false, ..ENDLESS };
    let mut told = Vec::new();
    explore_watched(&line, Limit::default(), |found| told.push(found)).expect("it fits");
    assert_eq!(told, [65_537, 131_073, 196_609]);
}

#[test]
fn paths_are_told_only_of_states_that_are_there() {
    let line = Line { last: 3, closed: false, ..ENDLESS };
    let graph = explore(&line, Limit::default()).expect("it is small");
    let path = graph.path_to(2).expect("it is there");
    assert_eq!((path.steps, path.last), (vec![(0, ()), (1, ())], 2));
    assert!(graph.path_to(4).is_none() && graph.state(4).is_none());
    assert_eq!((graph.successors(2), graph.successors(3), graph.successors(4)), (&[3][..], &[][..], &[][..]));
}

fn middle() -> Form<Line> {
    Form::Eventually { goal: |line, state| line.closed && *state == line.last / 2 + 1 }
}

impl Model for Line {
    type State = u32;
    type Action = ();

    fn init_states(&self) -> Vec<u32> {
        vec![0]
    }

    fn actions(&self, state: &u32, actions: &mut Vec<()>) {
        if *state < self.last || self.closed {
            actions.push(());
        }
    }

    fn next_state(&self, state: &u32, (): ()) -> Option<u32> {
        Some(if *state < self.last { state + 1 } else { 0 })
    }

    fn within_boundary(&self, state: &u32) -> bool {
        *state <= self.boundary
    }
}

impl Chance for Line {}
