//! The sweep of the steps as worlds of the catalogue: any state that satisfies the invariants, not only those that a run comes to.

use std::{num::NonZero, time::Instant};

use super::{
    property::{catalogued, property},
    report::Level,
    scenes::{Scene, Seed},
    story::{Moment, Story},
};
use crate::{
    claim::Finding,
    sweep::{self, Bug, Law, Machine, Report},
};

/// Every machine, at the full level alone: the sweep has policies of its own and says the same whichever is checked.
pub(super) fn of(level: Level) -> Vec<Scene> {
    match level {
        Level::Quick => Vec::new(),
        Level::Full => Machine::ALL.map(|machine| scene(machine, sweep::Level::Full, None)).into(),
    }
}

/// A scene for each bug that breaks a property. Those that break what the induction rests on are tests.
pub(super) fn seeds(level: Level) -> Vec<Scene> {
    let bugs = Bug::ALL.into_iter().filter(|bug| level == Level::Full && judged(bug.breaks()).is_some());
    bugs.map(|bug| scene(bug.machine(), sweep::Level::Quick, Some(bug))).collect()
}

/// What is left out, if anything was swept.
pub(super) fn left_out(level: Level) -> impl Iterator<Item = String> {
    let lines = (level == Level::Full).then(|| sweep::left_out(sweep::Level::Full));
    lines.into_iter().flatten().map(|line| format!("by the sweep of any state: {line}"))
}

/// The property of the catalogue that a law is.
fn judged(law: Law) -> Option<&'static str> {
    property(catalogued(law.claim())).map(|property| property.id)
}

const fn world(machine: Machine) -> &'static str {
    match machine {
        Machine::Link => "any state of a link",
        Machine::Pacer => "any state of a pacer",
        Machine::ClassicPacer => "any state of a classic pacer",
    }
}

fn scene(machine: Machine, level: sweep::Level, bug: Option<Bug>) -> Scene {
    let mut judges: Vec<_> = machine.laws().iter().copied().filter_map(judged).collect();
    judges.dedup();
    let caught_by = bug.and_then(|bug| judged(bug.breaks()));
    let seed = bug.zip(caught_by).map(|(bug, breaks)| Seed::of(&bug, bug.about(), breaks, "model/src/sweep/bug.rs"));
    let explore = move |_| {
        let begun = Instant::now();
        let report = machine.sweep(level, NonZero::<usize>::MIN, bug);
        let seconds = begun.elapsed().as_secs_f64();
        // As in any world with a mistake in it, what it reaches is of no interest.
        let vain = if bug.is_some() { Vec::new() } else { machine.vain() };
        Ok(findings(machine, &report, seconds, &vain))
    };
    Scene { world: world(machine).to_owned(), explored: None, policy: None, judges, seed, explore: Box::new(explore) }
}

/// Every law; or the one that is broken, for nothing is known of the others then. Without what the induction rests on, the
/// properties hold in vain; and so they do if there is a law to which no step is of concern.
fn findings(machine: Machine, report: &Report, seconds: f64, vain: &[Law]) -> Vec<Finding> {
    let broken = report.found.as_ref().map(|found| found.law);
    let told = |law: Law| broken.is_none_or(|broken| law == broken || judged(broken).is_none());
    let finding = |law: Law, witness: bool| Finding {
        model: world(machine),
        claim: law.claim(),
        witness,
        states: usize::try_from(report.states).unwrap_or(usize::MAX),
        transitions: usize::try_from(report.triples).unwrap_or(usize::MAX),
        bytes: 0,
        seconds,
        // Every step is judged as it is taken.
        judged: 0.0,
        holds: if witness { !vain.contains(&law) } else { broken != Some(law) },
        story: report.found.as_ref().filter(|found| found.law == law && !witness).map(|found| {
            let [before, event, after] = found.step.clone();
            Story { stem: vec![Moment { at: 0, who: "step", event, before, after }], ..Story::default() }
        }),
        numbers: None,
    };
    let laws = machine.laws().iter().copied();
    let judged = laws.clone().filter(|law| told(*law)).map(|law| finding(law, false));
    judged.chain(laws.filter(|_| broken.is_none()).map(|law| finding(law, true))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bug: Bug) -> Vec<(&'static str, bool)> {
        let report = bug.machine().sweep(sweep::Level::Quick, NonZero::<usize>::MIN, Some(bug));
        findings(bug.machine(), &report, 0.0, &[]).iter().map(|finding| (finding.claim, finding.holds)).collect()
    }

    #[test]
    fn the_full_level_has_every_machine_and_a_seeded_bug_for_each_property() {
        let worlds: Vec<_> = of(Level::Full).into_iter().map(|scene| (scene.world, scene.judges)).collect();
        assert_eq!(worlds.len(), Machine::ALL.len());
        let caught: Vec<_> = seeds(Level::Full).into_iter().filter_map(|scene| Some(scene.seed?.caught_by)).collect();
        for (world, judges) in worlds {
            assert!(
                !judges.is_empty() && judges.iter().all(|id| caught.contains(id)),
                "{world}: {judges:?}, {caught:?}"
            );
        }
        assert!(of(Level::Quick).is_empty() && seeds(Level::Quick).is_empty());
    }

    #[test]
    fn a_broken_law_is_told_alone() {
        assert_eq!(found(Bug::DialTwice), [("S1", false)]);
    }

    #[test]
    fn each_law_has_a_witness_that_it_speaks_of_something() {
        let report = Report { states: 1, triples: 1, found: None };
        let found = findings(Machine::Link, &report, 0.0, &[Law::S8]);
        let laws = Machine::Link.laws();
        assert_eq!(found.iter().filter(|finding| finding.witness).count(), laws.len());
        let unmet: Vec<_> = found.iter().filter(|finding| !finding.holds).map(|one| (one.claim, one.witness)).collect();
        assert_eq!(unmet, [("S8", true)]);
    }

    #[test]
    fn without_an_invariant_every_property_holds_in_vain() {
        let found = found(Bug::GoOnSettling);
        assert_eq!(found.len(), Machine::Pacer.laws().len());
        let broken: Vec<_> = found.iter().filter(|(_, holds)| !holds).map(|(claim, _)| *claim).collect();
        assert_eq!(broken, [Law::Settling.claim()]);
        assert_eq!(judged(Law::Settling), None);
    }
}
