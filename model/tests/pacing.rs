//! Every world of pacing keeps every law, reaches every witness, and every seeded bug is caught by its law.

#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

mod counted;

use std::collections::BTreeSet;

use relink::{Backoff, Fault, Policy, Span};
use relink_model::{
    check::{Limit, explore},
    claim::{self, Claims, Finding},
    pacing::{
        bug::Bug, classic, endpoint_set, law::Law, one_endpoint, seeded, short_memory, world::Promise, world::World,
    },
};

const BASE: Span = Span::from_millis(1);
const CAP: Span = Span::from_millis(4);
const PAIR: Span = Span::from_millis(2);

fn check(world: Option<World>) -> Vec<Finding> {
    let found = claim::check(&world.expect("the reduced policy is valid"), Limit::default());
    found.expect("a world of pacing fits the limit")
}

fn broken(found: &[Finding]) -> Vec<&'static str> {
    found.iter().filter(|finding| !finding.holds).map(|finding| finding.claim).collect()
}

fn holds(world: Option<World>, states: usize) {
    let found = check(world.clone());
    println!("{}: {} states, {:.1} s", found[0].model, found[0].states, found[0].seconds);
    if let Some(wrong) = found.iter().find(|finding| !finding.holds) {
        panic!("{}\n{}", wrong.claim, wrong.story.as_ref().map(|story| story.text()).unwrap_or_default());
    }
    assert_eq!(found[0].states, states);
    assert_eq!(world.map(counted::by_stateright), Some(states));
}

#[test]
fn one_place_is_paced_and_comes_back() {
    holds(one_endpoint(1, 1, None), 45_546);
}

#[test]
fn two_places_are_paced_and_come_back() {
    holds(one_endpoint(2, 1, None), 312_578);
}

#[test]
fn three_places_are_paced_and_come_back() {
    holds(one_endpoint(3, 2, None), 449_792);
}

#[test]
fn three_dials_at_once_are_paced_and_come_back() {
    holds(one_endpoint(3, 3, None), 577_854);
}

#[test]
fn a_good_endpoint_is_found_beside_hostile_ones() {
    holds(endpoint_set(2, 0, Backoff::Relink, None), 91_272);
    holds(endpoint_set(2, 1, Backoff::Relink, None), 91_272);
    holds(endpoint_set(3, 2, Backoff::Relink, None), 276_832);
}

#[test]
fn patience_outlives_a_short_memory() {
    holds(short_memory(None), 19_746);
}

#[test]
fn every_classic_backoff_comes_back() {
    let classics = [
        (Backoff::Constant { wait: CAP }, [1_472, 8_016]),
        (Backoff::Exponential { base: BASE, cap: CAP }, [4_112, 24_592]),
        (Backoff::FullJitter { base: BASE, cap: CAP }, [12_444, 130_792]),
        (Backoff::EqualJitter { base: BASE, cap: CAP }, [8_000, 60_522]),
        (Backoff::DecorrelatedJitter { base: BASE, cap: CAP }, [8_568, 48_080]),
    ];
    for (backoff, states) in classics {
        println!("{backoff:?}");
        holds(classic(backoff, 1), states[0]);
        holds(classic(backoff, 2), states[1]);
    }
    holds(classic(Backoff::Grpc, 1), 86_024);
}

#[test]
fn beside_an_endpoint_that_refuses_only_a_wait_that_is_none_is_fatal() {
    for backoff in [
        Backoff::Constant { wait: PAIR },
        Backoff::Exponential { base: PAIR, cap: PAIR },
        Backoff::EqualJitter { base: PAIR, cap: PAIR },
        Backoff::DecorrelatedJitter { base: PAIR, cap: PAIR },
    ] {
        let found = check(endpoint_set(2, 1, backoff, None).map(without_overload));
        assert_eq!(broken(&found), [] as [&str; 0], "{backoff:?}");
    }
    let found = check(endpoint_set(2, 1, Backoff::FullJitter { base: PAIR, cap: PAIR }, None).map(without_overload));
    assert_eq!(broken(&found), ["L1"]);
}

/// Classic backoffs do not know it.
fn without_overload(world: World) -> World {
    World { faults: &[Fault::Refused, Fault::Unreachable, Fault::Misconfigured], ..world }
}

#[test]
fn an_endpoint_slower_than_the_deadlines_ceiling_is_no_good() {
    let slow = Some(Promise { endpoint: 0, within: Span::from_millis(5) });
    let found = check(one_endpoint(1, 1, None).map(|world| World { promise: slow, ..world }));
    assert_eq!(broken(&found), ["L1"]);
}

#[test]
fn every_seeded_bug_breaks_its_law() {
    for bug in Bug::ALL {
        let found = check(seeded(bug));
        let broken = broken(&found);
        assert!(broken.contains(&bug.breaks().name()), "{bug:?} breaks {broken:?}");
        println!("{bug:?}: {} states, breaks {broken:?}", found[0].states);
    }
}

#[test]
fn every_law_has_a_seeded_bug() {
    for law in Law::ALL {
        assert!(Bug::ALL.iter().any(|bug| bug.breaks() == law), "no bug breaks {law:?}");
    }
}

/// Every world of the catalogue.
fn shipped() -> [World; 8] {
    let own = Backoff::Relink;
    let worlds = [
        one_endpoint(1, 1, None),
        one_endpoint(2, 1, None),
        one_endpoint(3, 2, None),
        one_endpoint(3, 3, None),
        endpoint_set(2, 0, own, None),
        endpoint_set(2, 1, own, None),
        endpoint_set(3, 2, own, None),
        short_memory(None),
    ];
    worlds.map(|world| world.expect("the reduced policy is valid"))
}

/// That whatever is judged in a world is at stake there is among its witnesses.
#[test]
fn a_law_that_is_not_judged_in_a_world_is_not_at_stake_there() {
    let mut silent = Vec::new();
    for world in shipped() {
        let about_nothing: Vec<Law> = Law::ALL.into_iter().filter(|law| !law.speaks_of(&world)).collect();
        if about_nothing.is_empty() {
            continue;
        }
        let graph = explore(&world, Limit::default()).expect("a world of pacing fits the limit");
        for law in about_nothing {
            assert!(!graph.judge(&law.at_stake().form).holds(), "{}: {law:?}", world.name);
            assert!(world.claims().iter().all(|claim| claim.judges() != Some(law.name())), "{}: {law:?}", world.name);
            silent.push((world.places, world.endpoints, law.name()));
        }
    }
    let one_place = [(1, 1, "S1")];
    let three_places = [(3, 1, "S7"), (3, 1, "S7")];
    let three_endpoints = [(1, 3, "S2"), (1, 3, "S2b"), (1, 3, "S4b")];
    let short_memory = [(2, 1, "S2"), (2, 1, "S2b"), (2, 1, "S7")];
    assert_eq!(silent, [&one_place[..], &three_places, &three_endpoints, &short_memory].concat());
}

#[test]
fn no_law_holds_in_vain_under_a_policy_of_another_shape() {
    let (mut classic, mut several) = (Policy::default(), Policy::default());
    classic.backoff = Backoff::Constant { wait: Span::from_secs(1) };
    several.max_dials = 4;
    for policy in [classic, several] {
        for world in [one_endpoint(1, 1, None), endpoint_set(2, 1, Backoff::Relink, None), short_memory(None)] {
            let found = check(world.and_then(|world| world.shaped(&policy)));
            assert_eq!(broken(&found), [] as [&str; 0], "{}: {:?}", found[0].model, policy.backoff);
        }
    }
}

#[test]
fn the_words_of_chance_give_every_outcome_of_every_draw() {
    let of_classics = [
        Backoff::Constant { wait: CAP },
        Backoff::Exponential { base: BASE, cap: CAP },
        Backoff::FullJitter { base: BASE, cap: CAP },
        Backoff::EqualJitter { base: BASE, cap: CAP },
        Backoff::DecorrelatedJitter { base: BASE, cap: CAP },
    ];
    let classics = of_classics.into_iter().flat_map(|backoff| [1, 2].map(|places| classic(backoff, places)));
    for world in shipped().into_iter().chain(classics.flatten()) {
        let World { name, policy, words, .. } = world;
        let every = |draw: &dyn Fn(u64) -> u64| {
            let drawn: BTreeSet<_> = words.iter().map(|word| draw(*word)).collect();
            drawn == (draw(0)..=draw(u64::MAX)).collect()
        };
        let longest = policy.w0.max(policy.capd).max(policy.cap(policy.elapsed_max));
        for window in (0..=longest.as_millis()).map(Span::from_millis) {
            assert!(every(&|word| policy.jitter(window, word).as_millis()), "{name}: {window}");
        }
        // Where a whole window is drawn from: a first probe, a replacement, and the waits of the classics, which a user's
        // policy brings into every world, up to its ceiling.
        let whole = policy.w0.max(policy.capd).max(policy.replace_jitter).as_millis();
        for window in (0..=whole).map(u128::from) {
            let draw = |word| ((u128::from(word) * (window + 1)) >> 64) as u64;
            assert!(every(&draw), "{name}: 0 to {window}");
        }
    }
}
