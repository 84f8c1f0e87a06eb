//! Fleets recover from every server that cannot serve all at once (L2), how fast (L2q), and from what size on they do not (B5).

#![expect(clippy::expect_used, reason = "a test may fail loudly")]

mod counted;

use relink::{Backoff, Checked, Fault, Policy, Ratio, Span};
use relink_model::{
    check::{Case, Expected, Form, Graph, Limit, Verdict, explore},
    fleet::{
        Fleet,
        limit::{fleet_max, livelocks, wait_max, window_max},
        server::Server,
        world::{
            Bug, QUEUE, RECOVERS, SERVERS, TIME_PASSES, collapses, growing, hard, rejects, story, with_fixed_patience,
            without_jitter,
        },
    },
};

fn checked(policy: Policy) -> Checked {
    policy.check().expect("the reduced policy is valid")
}

fn fleet(count: usize, policy: Policy, server: Server) -> Fleet {
    Fleet::new(count, &checked(policy), server).expect("a process of a reduced policy has few states")
}

fn graph(fleet: &Fleet) -> Graph<'_, Fleet> {
    explore(fleet, Limit::default()).expect("it fits")
}

/// Whether L2 holds, once it is sure that it says something.
fn recovers(fleet: &Fleet) -> bool {
    let graph = graph(fleet);
    assert!(graph.judge(&TIME_PASSES).holds());
    assert!(graph.judge(&Form::Reaches(|fleet, state| fleet.up(state) && !fleet.all_online(state))).holds());
    graph.judge(&RECOVERS).holds()
}

/// The worst case of the time in ticks until all are online.
fn ticks(fleet: &Fleet) -> Expected {
    let expected = graph(fleet).expected(Fleet::all_online, Fleet::ticks, Case::Worst, 1e-6);
    assert!(expected.converged);
    expected
}

fn about(expected: Expected, ticks: f64) -> bool {
    expected.lower <= ticks + 0.005 && expected.upper >= ticks - 0.005
}

/// L2 for every server, with the states of each.
fn every_fleet_recovers(count: usize, elapsed_max: u64, states: [usize; 6]) {
    let found = SERVERS.map(|(name, server)| {
        let fleet = fleet(count, growing(elapsed_max), server);
        let graph = graph(&fleet);
        let per_state = graph.bytes() / graph.states();
        println!(
            "{name}: {count} processes, {} states, {per_state} bytes each, {:.1} s",
            graph.states(),
            graph.seconds()
        );
        assert!(per_state <= 100, "{name}");
        assert!(graph.judge(&RECOVERS).holds(), "{name}");
        assert!(graph.judge(&TIME_PASSES).holds(), "{name}");
        let none = |fleet: &Fleet, state: &_| fleet.up(state) && fleet.none_online(state);
        assert!(graph.judge(&Form::Reaches(none)).holds(), "{name}: nobody is ever offline");
        let busy = |fleet: &Fleet, state: &_| fleet.backlog(state) > 0 || fleet.backlog_max() == 0;
        assert!(graph.judge(&Form::Reaches(busy)).holds(), "{name}: the server is never busy");
        assert_eq!(counted::by_stateright(fleet.clone()), graph.states(), "{name}");
        graph.states()
    });
    assert_eq!(found, states);
}

/// How many states a herd has, by both checkers, at every server.
fn every_herd_is_counted(count: usize, states: [usize; 6]) {
    let found = SERVERS.map(|(name, server)| {
        let herd = fleet(count, growing(8), server).herd();
        let found = graph(&herd).states();
        assert_eq!(counted::by_stateright(herd), found, "{name}");
        found
    });
    assert_eq!(found, states);
}

#[test]
fn two_processes_recover_from_every_server() {
    every_fleet_recovers(2, 8, [15_869, 7_362, 6_229, 15_141, 31_909, 8_140]);
}

#[test]
fn three_processes_recover_from_every_server() {
    every_fleet_recovers(3, 8, [805_571, 193_168, 154_488, 591_371, 1_792_816, 404_634]);
}

#[test]
#[ignore = "millions of states: part of the full level"]
fn four_processes_recover_from_every_server() {
    every_fleet_recovers(4, 6, [3_870_309, 3_208_631, 2_468_695, 2_594_075, 8_827_492, 8_459_480]);
}

#[test]
fn every_herd_of_three_is_as_large_as_it_was() {
    every_herd_is_counted(3, [65, 69, 1_002, 1_681, 833, 336]);
}

#[test]
fn every_herd_of_four_is_as_large_as_it_was() {
    every_herd_is_counted(4, [241, 186, 4_897, 8_885, 3_525, 1_716]);
}

#[test]
fn each_seeded_bug_is_found_with_a_run_that_shows_it() {
    for bug in Bug::ALL {
        let (count, policy, server) = bug.shows();
        let fleet = fleet(count, policy, server);
        let graph = graph(&fleet);
        let Verdict::Falsified(broken) = graph.judge(&RECOVERS) else { panic!("L2 does not find {bug:?}") };
        let story = story(&fleet, &broken);
        println!("{bug:?}:\n    {}", story.join("\n    "));
        assert!(broken.cycle.iter().all(|(state, _)| fleet.up(state)));
        assert!(broken.cycle.iter().any(|(state, _)| !fleet.all_online(state)));
        assert!(broken.cycle.iter().any(|(state, action)| fleet.ticks(state, action) > 0));
        // Without the mistake it is one of the fleets above, which recover.
        assert!(SERVERS.iter().any(|(_, known)| *known == server));
    }
}

#[test]
fn it_is_the_coin_that_gets_a_fleet_out_of_a_collapse() {
    let hostile = |server| fleet(2, growing(8), server).without_coin();
    assert!(!recovers(&hostile(collapses(Fault::Overloaded))));
    assert!(!recovers(&hostile(collapses(Fault::TimedOut))));
    assert!(recovers(&hostile(Server::sheds(1))));
}

#[test]
fn a_deterministic_backoff_never_recovers_from_a_collapse_and_a_jittered_one_does() {
    let ms = Span::from_millis;
    let (base, cap) = (ms(1), ms(4));
    let policies = [
        (Backoff::Constant { wait: ms(2) }, false),
        (Backoff::Exponential { base, cap }, false),
        (Backoff::FullJitter { base, cap }, true),
        (Backoff::EqualJitter { base, cap }, true),
        (Backoff::DecorrelatedJitter { base, cap }, true),
    ];
    for (backoff, jittered) in policies {
        let mut policy = growing(8);
        policy.backoff = backoff;
        for fault in [Fault::Unreachable, Fault::TimedOut, Fault::Overloaded] {
            for count in [2, 3] {
                let fleet = fleet(count, policy.clone(), collapses(fault));
                assert_eq!(recovers(&fleet), jittered, "{backoff:?} of {count} against {fault}");
                let enough = Server::Collapses { capacity: 3, fault };
                let fleet = self::fleet(count, policy.clone(), enough);
                assert!(recovers(&fleet), "{backoff:?} of {count} where there is room for all");
            }
        }
    }
    // Nobody needs jitter where the excess is shed.
    assert!(recovers(&fleet(3, without_jitter(growing(8)), Server::sheds(1))));
}

#[test]
fn patience_and_the_ceiling_need_not_both_grow_but_one_must() {
    assert!(!recovers(&fleet(3, with_fixed_patience(hard(1)), QUEUE)));
    assert!(recovers(&fleet(3, hard(1), QUEUE)));
    assert!(recovers(&fleet(3, with_fixed_patience(growing(8)), QUEUE)));
}

#[test]
fn latency_keeps_a_fleet_together_from_the_width_of_the_jitter_on() {
    for window in 1..=4 {
        let policy = checked(hard(window));
        let most = window_max(&policy);
        assert_eq!(most, Span::from_millis(window));
        let width = policy.jitter(most, u64::MAX) - policy.jitter(most, 0);
        for latency in 0..=4 {
            let fleet =
                Fleet::with_latency(2, &policy, collapses(Fault::Overloaded), latency).expect("it has few states");
            let apart = Span::from_millis(latency.into()) < width;
            assert_eq!(recovers(&fleet), apart, "a window of {window}, {latency} late");
        }
    }
}

/// Every hard ceiling, every cost, every memory of three set-ups and more: the sure limit is exact.
#[test]
fn rejects_keep_a_server_busy_for_ever_exactly_from_the_sure_limit_on() {
    let (mut lost, mut kept) = (0, 0);
    for window in 1..=4 {
        let policy = checked(hard(window));
        for server in [rejects(1, 1, 4), rejects(1, 1, 8), rejects(2, 1, 8), rejects(2, 1, 16)] {
            for count in 2..=5_u32 {
                let all = usize::try_from(count).expect("it is at most 5");
                let fleet = fleet(all, hard(window), server);
                let herd = livelocks(u64::from(count - 1), &policy, server).expect("rejects cost");
                assert_eq!(recovers(&fleet.clone().herd()), !herd, "a herd of {count}, {window}, {server:?}");
                *(if herd { &mut lost } else { &mut kept }) += 1;
                // An adversary may take the last session while the server is busy: then all contend.
                if count <= 3 && window <= 3 {
                    let busy = livelocks(u64::from(count), &policy, server).expect("rejects cost");
                    assert_eq!(recovers(&fleet), !busy, "{count}, {window}, {server:?}");
                    *(if busy { &mut lost } else { &mut kept }) += 1;
                }
            }
        }
    }
    println!("{lost} fleets are lost, {kept} recover");
    assert!(lost > 10 && kept > 10);
}

#[test]
fn an_elapsed_max_is_a_ceiling_too() {
    for (count, elapsed_max, recovered) in [(4, 4, false), (4, 6, true), (5, 6, true), (6, 6, false)] {
        let herd = fleet(count, growing(elapsed_max), rejects(1, 1, 8)).herd();
        assert_eq!(recovers(&herd), recovered, "{count} of an elapsed_max of {elapsed_max}");
    }
}

/// L2q: the same herd, server and cost; only the policy differs.
#[test]
fn a_herd_is_back_in_so_many_ticks() {
    let (base, cap) = (Span::from_millis(1), Span::from_millis(4));
    let classic = |backoff| {
        let mut policy = growing(8);
        policy.backoff = backoff;
        policy
    };
    let herds = [
        ("relink", growing(8), 13.17),
        ("full jitter", classic(Backoff::FullJitter { base, cap }), 38.59),
        ("equal jitter", classic(Backoff::EqualJitter { base, cap }), 14.29),
        ("hard ceiling of 2", hard(2), 120.73),
    ];
    for (name, policy, pinned) in herds {
        let expected = ticks(&fleet(3, policy, rejects(1, 1, 8)).herd());
        println!("{name}: {:.4} to {:.4} ticks", expected.lower, expected.upper);
        assert!(about(expected, pinned), "{name}: {expected:?}");
    }
}

/// Almost surely is not soon: at a hard ceiling that rejects keep busy on average, the time is in the memory's hands.
#[test]
fn a_metastable_fleet_takes_as_long_as_the_server_remembers() {
    let late = |count, policy: fn() -> Policy, setup, memory| {
        let expected = ticks(&fleet(count, policy(), rejects(setup, 1, memory)).herd());
        (expected.lower + expected.upper) / 2.0
    };
    for (count, window, setup) in [(3, (|| hard(2)) as fn() -> Policy, 1), (4, || hard(1), 2)] {
        let steps: Vec<f64> = [8, 16, 24, 32].map(|memory| late(count, window, setup, memory)).into();
        println!("{count} processes, hard: {steps:.1?}");
        let growth: Vec<f64> = steps.iter().zip(steps.iter().skip(1)).map(|(less, more)| more - less).collect();
        assert!(growth.iter().all(|step| (step / 159.8 - 1.0).abs() < 0.01), "it is not linear: {growth:?}");
        let grown = [8, 16, 32].map(|memory| late(count, || growing(8), setup, memory));
        println!("{count} processes, growing: {grown:.1?}");
        assert!(grown.iter().all(|ticks| *ticks < 14.0));
    }
}

#[test]
fn the_fleet_size_of_b5_is_the_same_law_on_average() {
    // On the models' scale: one set-up a tick of a millisecond.
    for window in 1..=4 {
        let policy = checked(hard(window));
        let least = fleet_max(&policy, 1_000, Ratio::ONE).expect("rejects cost");
        assert_eq!(least, window);
        assert_eq!(livelocks(least - 1, &policy, rejects(1, 1, 8)), Some(false));
        assert_eq!(livelocks(wait_max(&policy).as_millis(), &policy, rejects(1, 1, 8)), Some(true));
    }
    // The prototype's figures: an hour and a sixth of one, a fifth of a set-up, a thousand set-ups a second.
    let figure = |elapsed_max, slots| {
        let mut policy = Policy::default();
        policy.elapsed_max = elapsed_max;
        policy.max_size = slots;
        policy.max_idle = slots;
        fleet_max(&checked(policy), 1_000, Ratio::from_millionths(200_000))
    };
    assert_eq!(figure(Span::from_secs(3_600), 1), Some(5_999_995));
    assert_eq!(figure(Span::from_secs(600), 1), Some(1_000_000));
    assert_eq!(fleet_max(&checked(Policy::default()), 1_000, Ratio::default()), None);
}
