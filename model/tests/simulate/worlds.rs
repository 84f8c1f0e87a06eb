//! What servers, kernels and stories do.

use relink::{Ratio, Span};
use relink_model::simulate::{Contender, Kind, NAMES, Resends, SCENARIOS, Story, World};

use super::{figures, run, world};

/// As a kernel does it: measured on Linux 6.18, and RFC 6298.
#[test]
fn an_unanswered_syn_is_sent_again_in_the_rhythm_of_its_kernel() {
    let contender = Contender::named("constant", 1, Some(Span::from_secs(60))).unwrap().unwrap();
    let after_s = |resends| {
        let silent = World { kind: Kind::Silence, outage: Span::from_secs(50), resends, ..world(1, 1, 1_000, 1_024) };
        let bins = run(&silent, &contender).bins;
        let offered = bins.iter().enumerate().take(500).filter(|(_, bin)| bin.offered > 0);
        let places: Vec<_> = offered.map(|(place, _)| place).collect();
        places.iter().map(|place| (place - places[0]) / 10).collect::<Vec<_>>()
    };
    assert_eq!(after_s(Resends::Doubled), [0, 1, 3, 7, 15, 31]);
    assert_eq!(after_s(Resends::Linear), [0, 1, 2, 3, 4, 5, 7, 11, 19, 35]);
}

#[test]
fn a_server_never_has_more_sessions_than_it_admits() {
    let world = World { max_connections: Some(1_000), reject_cost: Ratio::default(), ..world(1_600, 16, 100, 50) };
    let outcome = run(&world, &Contender::named("relink", 16, None).unwrap().unwrap());
    let outage = outcome.bins.iter().skip(1);
    assert!(outage.map(|bin| bin.online).max().unwrap() <= 1_000);
    assert!(outcome.figures.recovered, "the room is full, which is all there is to get: {:?}", outcome.figures);
}

#[test]
fn every_policy_and_every_scenario_can_be_simulated() {
    for name in NAMES {
        let figures = figures(&world(320, 16, 100, 50), name);
        assert!(figures.recovered && figures.dials_per_slot_outage > 0.0, "{figures:?}");
    }
    for scenario in SCENARIOS {
        let base = scenario.world();
        base.check().unwrap();
        // A twin of the same length.
        let scale = (base.clients / 1_600).max(1);
        let world = World {
            clients: base.clients / scale / u32::from(base.slots) * u32::from(base.slots),
            capacity_per_s: (base.capacity_per_s / scale).max(1),
            queue: (base.queue / scale).max(1),
            max_connections: base.max_connections.map(|most| most / scale / 16 * 16),
            ..base
        };
        let figures = figures(&world, "relink");
        assert!(figures.recovered, "{}: {figures:?}", scenario.name);
        assert!(figures.dials_per_slot_after > 0.0 || base.story == Story::RollingRestart, "{figures:?}");
    }
}

#[test]
fn a_rolling_restart_replaces_every_session_once() {
    let world = World { story: Story::RollingRestart, outage: Span::from_secs(100), ..world(1_600, 16, 1_000, 128) };
    let figures = figures(&world, "relink");
    let dials = figures.dials_per_slot_outage + figures.dials_per_slot_after;
    assert!((dials - 1.0).abs() < 1e-6, "{figures:?}");
    assert!(figures.makespan_s.unwrap() < 1.0, "{figures:?}");
}

#[test]
fn a_failover_ends_at_the_promoted_node() {
    let world = World { story: Story::Failover, outage: Span::from_secs(10), ..world(160, 16, 100, 128) };
    for kind in [Kind::Refuse, Kind::Silence] {
        let figures = figures(&World { kind, ..world }, "relink");
        assert!(figures.recovered, "{kind:?}: {figures:?}");
        // Standbys are asked for their role in the meantime, which leads to no session.
        assert!(figures.wasted_work > 0.0, "{kind:?}: {figures:?}");
    }
}
