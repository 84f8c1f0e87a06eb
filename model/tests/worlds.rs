//! Every world holds every law, reaches every witness, and every seeded bug is caught by its law.

#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod counted;

use std::collections::BTreeSet;

use relink::Span;
use relink_model::{
    check::Limit,
    claim::{self, Finding},
    worlds::{
        bug::Bug, changing_pool, fail_over, idle_asker, jumping_clock, law::Law, one_link, pool_of_two,
        preferred_standby, replaced_primary, seeded, silent_peer, small_pool, two_endpoints, world::World,
    },
};

const SHIPPED: [fn(Option<Bug>) -> Option<World>; 11] = [
    one_link,
    small_pool,
    pool_of_two,
    changing_pool,
    two_endpoints,
    silent_peer,
    jumping_clock,
    fail_over,
    replaced_primary,
    idle_asker,
    preferred_standby,
];

fn check(world: Option<World>) -> Vec<Finding> {
    claim::check(&world.expect("the reduced policy is valid"), Limit::default()).expect("a world fits the limit")
}

fn holds(world: Option<World>, states: usize) {
    let world = world.expect("the reduced policy is valid");
    let found = claim::check(&world, Limit::default()).expect("a world fits the limit");
    println!(
        "{}: {} states, {} transitions, {:.1} s",
        world.name, found[0].states, found[0].transitions, found[0].seconds
    );
    if let Some(wrong) = found.iter().find(|finding| !finding.holds) {
        panic!("{}\n{}", wrong.claim, wrong.story.as_ref().map(|story| story.text()).unwrap_or_default());
    }
    assert_eq!(found[0].states, states);
    assert_eq!(counted::by_stateright(world), states);
}

#[test]
fn one_link_holds() {
    holds(one_link(None), 183_830);
}

#[test]
fn a_small_pool_holds() {
    holds(small_pool(None), 97_842);
}

#[test]
fn pool_of_two_holds() {
    holds(pool_of_two(None), 311_009);
}

#[test]
fn changing_pool_holds() {
    holds(changing_pool(None), 494_408);
}

#[test]
fn two_endpoints_hold() {
    holds(two_endpoints(None), 363_037);
}

#[test]
fn a_silent_peer_is_noticed() {
    holds(silent_peer(None), 97_613);
}

#[test]
fn a_silent_peer_is_noticed_through_an_idle_session() {
    holds(idle_asker(None), 1_599_762);
}

#[test]
fn a_jumping_clock_ends_no_session() {
    holds(jumping_clock(None), 64_188);
}

#[test]
fn leases_follow_the_primary() {
    holds(fail_over(None), 415_239);
}

#[test]
fn a_replaced_primary_is_left() {
    holds(replaced_primary(None), 64_319);
}

#[test]
fn a_preferred_standby_has_its_turn_and_a_primary_alone_is_taken() {
    holds(preferred_standby(None), 833_683);
}

#[test]
fn every_seeded_bug_breaks_its_law_and_no_other() {
    for bug in Bug::ALL {
        let found = check(seeded(bug));
        let broken: Vec<_> = found.iter().filter(|finding| !finding.holds).map(|finding| finding.claim).collect();
        println!("{bug:?}: {} states, breaks {broken:?}, {:.1} s", found[0].states, found[0].seconds);
        assert_eq!(broken, [bug.breaks().name()], "{bug:?}");
    }
}

#[test]
fn every_law_has_a_seeded_bug() {
    for law in Law::SAFETY.into_iter().chain(Law::FINALLY) {
        assert!(Bug::ALL.iter().any(|bug| bug.breaks() == law), "no bug breaks {law:?}");
    }
}

#[test]
fn the_words_of_chance_give_every_outcome_of_every_window() {
    for world in SHIPPED.into_iter().filter_map(|world| world(None)) {
        let World { policy, words, .. } = world;
        let every = |draw: &dyn Fn(u64) -> u64| {
            let drawn: BTreeSet<_> = words.iter().map(|word| draw(*word)).collect();
            drawn == (draw(0)..=draw(u64::MAX)).collect()
        };
        for window in 0..=policy.capd.max(policy.cap(policy.elapsed_max)).as_millis() {
            let window = Span::from_millis(window);
            assert!(every(&|word| policy.jitter(window, word).as_millis()), "{}: {window}", world.name);
        }
        // Where a whole window is drawn from.
        for window in [policy.w0, policy.replace_jitter].map(|window| u128::from(window.as_millis())) {
            let draw = |word| ((u128::from(word) * (window + 1)) >> 64) as u64;
            assert!(every(&draw), "{}: 0 to {window}", world.name);
        }
    }
}
