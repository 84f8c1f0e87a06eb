//! The simulator held against what is known without it: mean fields, the thresholds of livelock, the proven bounds.

use relink::{Backoff, Fault, Policy, Ratio, Span};
use relink_model::{
    bounds,
    simulate::{self, Contender, Kind, Overflow, Service, World},
};

use super::{figures, run, world};

/// Lone connections that wait U(0, 2·window) after each failure, and for a dial as long as `patience`.
fn fixed_window(window: Span, patience: Span) -> Contender {
    let mut policy = Policy::default();
    policy.backoff = Backoff::FullJitter { base: window * 2, cap: window * 2 };
    policy.dial_deadline = patience;
    policy.dial_deadline_max = patience;
    Contender::new("fixed window".into(), policy, 1, None).unwrap()
}

#[test]
fn a_listen_queue_for_everybody_and_patience_reach_the_physical_limit() {
    for service in [Service::Fifo, Service::Shared] {
        let world = World { service, ..world(2_000, 1, 100, 2_000) };
        let patient = Contender::named("relink", 1, Some(Span::from_secs(60))).unwrap().unwrap();
        let figures = run(&world, &patient).figures;
        assert!(figures.makespan_ratio.unwrap() < 1.05, "{figures:?}");
        // A few dial in the very millisecond of the return and are still refused.
        assert!((figures.dials_per_slot_after - 1.0).abs() < 0.01, "{figures:?}");
        assert!(figures.wasted_work < 1e-9, "{figures:?}");
    }
}

/// Whoever is not served dials once a window, and ever fewer are left: ∫(N − C·t)/W dt = N²/(2CW).
#[test]
fn fixed_windows_cost_clients_over_twice_capacity_and_window_dials_each() {
    for (clients, capacity, window_s) in [(20_000, 100, 10), (10_000, 100, 5), (20_000, 50, 10)] {
        let world = World { overflow: Overflow::Rst, ..world(clients, 1, capacity, 16) };
        let figures = run(&world, &fixed_window(Span::from_secs(window_s), Span::from_secs(5))).figures;
        let expected = f64::from(clients) / (2.0 * f64::from(capacity) * window_s as f64);
        let found = figures.dials_per_slot_after;
        assert!(figures.recovered);
        assert!((found / expected - 1.0).abs() < 0.15, "{found} dials, expected {expected}");
    }
}

/// T1: rejections cost ρ each, and keep a server busy for ever if ρ·N/W ≥ C. The queue is short, because a rejection
/// that waits in it makes the window longer.
#[test]
fn costly_rejections_livelock_from_the_predicted_fleet_on() {
    let (capacity, window_s, cost_percent) = (50, 10, 20);
    let threshold = capacity * window_s * 100 / cost_percent;
    let recovered = |percent: u32| {
        let world = World {
            overflow: Overflow::Reject,
            reject_cost: Ratio::from_millionths(cost_percent * 10_000),
            horizon: Some(Span::from_secs(1_800)),
            ..world(threshold * percent / 100, 1, capacity, 5)
        };
        let contender = fixed_window(Span::from_secs(window_s.into()), Span::from_secs(5));
        (run(&world, &contender).figures.recovered, figures(&world, "relink").recovered)
    };
    assert_eq!(recovered(85), (true, true));
    assert_eq!(recovered(115), (false, true), "relink's ceiling grows with the outage");
}

/// What a hint would be worth: whoever is told when there will be room needs no window of its own.
#[test]
fn a_server_that_says_when_to_come_back_is_not_dialed_in_vain() {
    let with = |overflow| World { overflow, ..world(4_800, 16, 20, 20) };
    let figures = |overflow, name| figures(&with(overflow), name);
    assert!(!figures(Overflow::Reject, "full").recovered);
    assert!(figures(Overflow::Hint, "full").recovered);
    let (rejected, hinted) = (figures(Overflow::Reject, "relink"), figures(Overflow::Hint, "relink"));
    assert!(hinted.recovered && rejected.recovered, "{hinted:?}, {rejected:?}");
    assert!(hinted.dials_per_slot_after < rejected.dials_per_slot_after, "{hinted:?}, {rejected:?}");
}

/// T2: a queue longer than the clients are patient fills up with those who are gone. N/W ≥ C is what keeps it full; to
/// fill it takes more. Of N = r·C·W clients, N·(t/W − t²/4W²) have dialed t after the return and C·t are served, so the
/// longest wait is W·(r − 1)²/r. Where that is their patience the livelock begins.
#[test]
fn a_queue_longer_than_patience_livelocks_as_predicted() {
    const PATIENCE_S: u32 = 5;
    let (capacity, queue_s) = (50, 20);
    let recovered = |percent: u32, window_s: u32, patience_s: u32| {
        let clients = percent * capacity * window_s / 100;
        let world = World { horizon: Some(Span::from_secs(900)), ..world(clients, 1, capacity, capacity * queue_s) };
        let contender = fixed_window(Span::from_secs(window_s.into()), Span::from_secs(patience_s.into()));
        run(&world, &contender).figures.recovered
    };
    for (window_s, percent) in [(10, 200), (20, 164)] {
        let r = f64::from(percent) / 100.0;
        let longest_s = f64::from(window_s) * (r - 1.0).powi(2) / r;
        assert!((longest_s - f64::from(PATIENCE_S)).abs() < 0.01, "{longest_s} s");
        assert!(recovered(percent, window_s, PATIENCE_S), "{percent} % of {window_s} s");
        assert!(!recovered(percent * 5 / 4, window_s, PATIENCE_S), "1.25 × {percent} % of {window_s} s");
    }
    assert!(recovered(500, 10, 25), "patience beyond the queue");
    let relink = figures(&world(2_496, 16, 50, 1_000), "relink");
    assert!(relink.recovered && relink.wasted_work < 0.9, "{relink:?}");
}

#[test]
fn no_process_dials_more_often_than_the_bounds_allow() {
    for seed in 1..=200 {
        let contender = Contender::named("relink", 1, None).unwrap().unwrap();
        let of = |kind| {
            let world = World { kind, outage: Span::from_secs(30), ..world(1, 1, 1_000, 1_024) };
            simulate::run(&world, &contender, seed, &mut |_| {}).figures.dials_per_slot_outage
        };
        let refused = f64::from(bounds::dials_max(&contender.policy, Span::from_secs(30), Fault::Refused).unwrap());
        assert!(of(Kind::Refuse) <= refused, "seed {seed}");
        // No session ends the outage, so all the dials count, also those that opened one.
        let flapping = bounds::flapping_max(&contender.policy, Span::from_secs(30)) as f64;
        assert!(of(Kind::Flap) <= flapping, "seed {seed}");
    }
}

#[test]
fn one_process_is_back_within_its_bound_and_some_come_close() {
    let contender = Contender::named("relink", 1, None).unwrap().unwrap();
    let lag = bounds::recovery_max(&contender.policy, Span::from_secs(30)).as_millis() as f64 / 1e3;
    let world = world(1_000, 1, 1_000_000, 1_024);
    let slowest = run(&world, &contender).figures.makespan_s.unwrap();
    assert!(lag * 0.8 < slowest && slowest <= lag + 0.002, "{slowest} s, bound {lag} s");
}
