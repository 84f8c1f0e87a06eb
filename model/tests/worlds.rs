//! Every world holds every law, reaches every witness, and every seeded bug is caught by its law.

#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::collections::BTreeSet;

use relink::Span;
use relink_model::worlds::{
    self, Verdict, WORDS, bug::Bug, changing_pool, law::Law, one_link, pool_of_two, reduced, two_endpoints,
    world::World,
};
use stateright::{Checker, Model};

fn report(verdicts: &[Verdict]) {
    for verdict in verdicts {
        if !verdict.holds {
            println!("{} {}: {} states", verdict.world, verdict.property, verdict.states);
            for action in &verdict.witness {
                println!("    {action}");
            }
        }
    }
    let Some(first) = verdicts.first() else { panic!("a world without properties explores nothing") };
    println!("{}: {} states, {:.1} s", first.world, first.states, first.seconds);
}

fn holds(world: Option<World>, states: usize) {
    let world = world.expect("the reduced policy is valid");
    let verdicts = worlds::check(&world).expect("it fits");
    report(&verdicts);
    assert!(verdicts.iter().all(|verdict| verdict.holds));
    assert_eq!(verdicts[0].states, states);
    // A second opinion: as the laws hold, there is always one left to be broken, and stateright sees everything.
    assert_eq!(world.checker().threads(1).spawn_bfs().join().unique_state_count(), states);
}

#[test]
fn one_link_holds() {
    holds(one_link(None), 154_498);
}

#[test]
fn pool_of_two_holds() {
    holds(pool_of_two(None), 484_836);
}

#[test]
fn changing_pool_holds() {
    holds(changing_pool(None), 1_054_724);
}

#[test]
fn two_endpoints_hold() {
    holds(two_endpoints(None), 796_034);
}

#[test]
fn every_seeded_bug_breaks_its_law_and_no_other() {
    for bug in Bug::ALL {
        let world = where_it_shows(bug).expect("the bug's policy is valid");
        let verdicts = worlds::check(&world).expect("it fits");
        let broken: Vec<_> = verdicts.iter().filter(|verdict| !verdict.holds).map(|verdict| verdict.property).collect();
        assert_eq!(broken, [bug.breaks().name()], "{bug:?}");
    }
}

/// Some bugs need two places and two who wait.
fn where_it_shows(bug: Bug) -> Option<World> {
    match bug {
        Bug::TwoDials | Bug::GrantOutOfOrder | Bug::SecondBorrower => {
            pool_of_two(Some(bug)).map(|world| World { borrowers: 2, ..world })
        }
        Bug::ForgetToClose | Bug::IgnoreNames | Bug::RetryFatal | Bug::DateByAnswer | Bug::ForgetDemotion => {
            one_link(Some(bug))
        }
        Bug::DropTimer | Bug::IgnoreStop | Bug::AnswerOldQuestion | Bug::StretchDeadline => one_link(Some(bug)),
        Bug::UnobservedCommit | Bug::LosePermit | Bug::SkipReset | Bug::Oversize => one_link(Some(bug)),
    }
}

#[test]
fn every_law_has_a_seeded_bug() {
    for law in Law::ALL {
        assert!(Bug::ALL.iter().any(|bug| bug.breaks() == law), "no bug breaks {law:?}");
    }
}

#[test]
fn the_words_of_chance_give_every_outcome_of_every_window() {
    let policy = reduced(1).check().expect("the reduced policy is valid");
    for window in 0..=policy.capd.max(policy.cap0).as_millis() {
        let window = Span::from_millis(window);
        let (least, most) = (policy.jitter(window, 0).as_millis(), policy.jitter(window, u64::MAX).as_millis());
        let drawn: BTreeSet<_> = WORDS.iter().map(|word| policy.jitter(window, *word).as_millis()).collect();
        assert_eq!(drawn, (least..=most).collect(), "{window}");
    }
}
