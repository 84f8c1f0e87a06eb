//! The sweep of the steps: nothing is found, and every seeded bug is found by its law's name.

use std::num::NonZero;

use relink_model::sweep::{Bug, Law, Level, Machine, Report, size, sweep};

const TWO: NonZero<usize> = NonZero::new(2).unwrap();

#[test]
fn no_step_from_a_state_of_the_quick_grid_breaks_a_law() {
    let report = sweep(Level::Quick, TWO, None);
    assert_eq!(report.found, None);
    assert_eq!(report, Report { states: 386_042, triples: 83_379_674, found: None });
    assert_eq!(report, size(Level::Quick, TWO));
}

#[test]
fn the_full_grid_has_a_stated_size() {
    let full = Report { states: 15_916_334, triples: 8_535_641_176, found: None };
    assert_eq!(size(Level::Full, TWO), full);
}

#[test]
fn every_seeded_bug_is_found_by_the_name_of_its_law() {
    for bug in Bug::ALL {
        let found = bug.machine().sweep(Level::Quick, TWO, Some(bug)).found.map(|finding| finding.law);
        assert_eq!(found, Some(bug.breaks()), "{bug:?}");
    }
}

#[test]
fn every_law_of_a_machine_has_a_seeded_bug() {
    let sorted = |mut laws: Vec<Law>| {
        laws.sort_unstable();
        laws.dedup();
        laws
    };
    for machine in [Machine::Link, Machine::Pacer] {
        let bugs = Bug::ALL.into_iter().filter(|bug| bug.machine() == machine);
        assert_eq!(sorted(bugs.map(Bug::breaks).collect()), sorted(machine.laws().to_vec()), "{machine:?}");
    }
    let own = Machine::Pacer.laws();
    assert!(Machine::ClassicPacer.laws().iter().all(|law| own.contains(law)));
}

#[test]
fn the_finding_does_not_depend_on_the_threads() {
    let one = sweep(Level::Quick, NonZero::<usize>::MIN, Some(Bug::RoundTimes)).found;
    assert!(one.is_some());
    assert_eq!(sweep(Level::Quick, TWO, Some(Bug::RoundTimes)).found, one);
}
