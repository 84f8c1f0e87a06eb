//! What a pool wants while it is down or too small, each rule at its edge: who fails fast, which dials begin and end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects by failing, and drives the machines with small numbers"
)]

mod pool_bench;

use pool_bench::{Bench, refuse};
use relink::{Fault, LeaseId, OnDown, Refusal, Time, Validate, Work, link::Link, pacer::Phase, pool::Event};

#[test]
fn who_fails_fast_is_refused_only_when_there_is_no_session_at_all() {
    let mut bench = Bench::new(1, |policy| (policy.on_down, policy.max_size) = (OnDown::FailFast, 2));
    bench.ask(1);
    bench.open(0);
    bench.ask(2);
    let (slot, dial) = bench.dialing().remove(0);
    bench.step(Event::DialFailed { slot, dial, fault: Fault::Refused });
    assert_eq!(bench.pool.waiters(), 1, "a session is lent, and may come back");
    let slot = bench.slot_of(1);
    let dial = bench.pool.link(slot).dial().unwrap();
    let lost = bench.step(Event::Lost { slot, dial, fault: Fault::Lost });
    assert!(lost.contains(&refuse(2, Refusal::Down)), "{lost:?}");
}

#[test]
fn who_fails_fast_waits_for_the_answer_of_a_session_that_is_asked() {
    let mut bench = Bench::new(1, |policy| {
        (policy.on_down, policy.max_size, policy.validate) = (OnDown::FailFast, 2, Validate::Always);
    });
    bench.ask(1);
    bench.open(0);
    bench.ask(2);
    let (slot, dial) = bench.dialing().remove(0);
    bench.step(Event::DialFailed { slot, dial, fault: Fault::Refused });
    let slot = bench.slot_of(1);
    bench.step(Event::Returned { slot, lease: LeaseId(1), work: Work::AtRest });
    assert!(matches!(bench.pool.link(slot), Link::Probing { .. }), "{:?}", bench.pool.link(slot));
    assert!(bench.pool.pacer().outage_since().is_some());
    assert_eq!(bench.pool.waiters(), 1);
}

#[test]
fn in_an_outage_nobody_dials_for_nobody_unless_who_asks_fails_fast() {
    for (on_down, dials) in [(OnDown::Wait, 0), (OnDown::FailFast, 1)] {
        let mut bench = Bench::new(1, |policy| (policy.on_down, policy.min_idle) = (on_down, 0));
        bench.step(Event::Elapsed);
        assert_eq!(bench.dialing().len(), 0, "there is no outage");
        bench.ask(1);
        let (slot, dial) = bench.dialing().remove(0);
        bench.step(Event::DialFailed { slot, dial, fault: Fault::Refused });
        bench.step(Event::GaveUp { lease: LeaseId(1) });
        bench.pass(60_000);
        bench.step(Event::Elapsed);
        assert_eq!(bench.dialing().len(), dials, "{on_down:?}");
    }
}

#[test]
fn a_pool_made_smaller_gives_up_as_many_dials_as_have_no_place_and_the_favourites_last() {
    for (endpoints, gone, left) in [(1, true, 1), (1, false, 0), (3, false, 2)] {
        let mut bench = Bench::new(endpoints, |policy| (policy.max_size, policy.max_dials) = (3, 3));
        for lease in 1..=3 {
            bench.ask(lease);
        }
        let (slot, dial) = bench.dialing().remove(0);
        bench.step(Event::Dialed { slot, dial });
        if endpoints > 1 {
            bench.step(Event::GaveUp { lease: LeaseId(3) });
        }
        for _ in 0..4 {
            bench.pass(250);
            bench.step(Event::Elapsed);
        }
        bench.step(Event::Lost { slot, dial, fault: Fault::Lost });
        if gone {
            bench.step(Event::Gone { slot, dial });
        }
        assert_eq!(bench.dialing().len(), usize::from(endpoints.max(2)));
        bench.step(Event::Resized { max_size: 1 });
        let after: Vec<_> = bench.dialing().iter().map(|(_, dial)| dial.endpoint()).collect();
        // There is a place for each endpoint, and the session that is closing has one still.
        assert_eq!(after.len(), left, "{after:?}");
        assert!(left == 0 || after.contains(&0), "{after:?}");
        let failed = |endpoint| bench.pool.pacer().phase(endpoint) == Phase::Down;
        assert!(!(0..endpoints).any(failed), "what is given up has not failed");
    }
}

#[test]
fn who_fails_fast_waits_out_a_pause_beside_a_session() {
    let mut bench = Bench::new(1, |policy| policy.on_down = OnDown::FailFast);
    bench.fail_once(Fault::Refused);
    let (slot, dial) = bench.dialing().remove(0);
    bench.step(Event::Dialed { slot, dial });
    bench.step(Event::Paused);
    assert!(bench.pool.pacer().outage_since().is_some());
    assert_eq!((bench.ask(2), bench.pool.waiters()), (Vec::new(), 1));
}

#[test]
fn where_one_endpoint_is_held_the_other_is_still_waited_for() {
    let mut bench = Bench::new(2, |_| {});
    bench.ask(1);
    let (slot, dial) = bench.dialing().remove(0);
    let told = bench.step(Event::DialFailed { slot, dial, fault: Fault::Misconfigured });
    assert_eq!(bench.pool.waiters(), 1, "{told:?}");
    let (slot, other) = bench.dialing().remove(0);
    assert_ne!(other.endpoint(), dial.endpoint());
    let told = bench.step(Event::DialFailed { slot, dial: other, fault: Fault::Misconfigured });
    assert!(told.contains(&refuse(1, Refusal::Held(Fault::Misconfigured))), "{told:?}");
    assert_eq!(bench.pool.next_dial_at(&bench.policy), Time::NEVER);
}

#[test]
fn what_nobody_waits_for_any_more_is_not_dialed() {
    let mut bench = Bench::new(1, |policy| (policy.min_idle, policy.max_size) = (1, 4));
    for lease in 1..=3 {
        bench.ask(lease);
    }
    assert_eq!((bench.pool.tally().dialing, bench.pool.tally().waiting), (1, 2));
    bench.step(Event::GaveUp { lease: LeaseId(2) });
    assert_eq!((bench.pool.tally().dialing, bench.pool.tally().waiting), (1, 1));
    bench.step(Event::GaveUp { lease: LeaseId(1) });
    bench.step(Event::GaveUp { lease: LeaseId(3) });
    assert_eq!((bench.pool.tally().dialing, bench.pool.tally().waiting), (1, 0), "min_idle is wanted still");
}

#[test]
fn no_more_is_wanted_than_there_is_room_for() {
    let mut bench = Bench::new(1, |policy| (policy.min_idle, policy.max_size, policy.max_idle) = (1, 2, 2));
    for lease in 1..=5 {
        bench.ask(lease);
    }
    assert_eq!((bench.pool.tally().dialing, bench.pool.tally().waiting), (1, 1));
}

#[test]
fn of_dials_that_are_too_many_those_elsewhere_are_given_up_first_and_no_more_than_must_be() {
    let mut bench = Bench::new(3, |policy| (policy.max_size, policy.max_dials) = (6, 2));
    for lease in 1..=6 {
        bench.ask(lease);
    }
    for _ in 0..2 {
        bench.pass(250);
        bench.step(Event::Elapsed);
    }
    // The first endpoint answers, its first session is lost, and its place dials again; the hedges stay silent.
    let opened = |bench: &mut Bench, slot: u16| {
        let dial = bench.pool.link(slot).dial().unwrap();
        bench.step(Event::Dialed { slot, dial });
        dial
    };
    let lost = opened(&mut bench, 0);
    bench.step(Event::Lost { slot: 0, dial: lost, fault: Fault::Lost });
    bench.step(Event::Gone { slot: 0, dial: lost });
    bench.ask(7);
    opened(&mut bench, 3);
    bench.pass(50);
    bench.step(Event::Elapsed);
    let endpoints =
        |bench: &Bench| bench.dialing().iter().map(|(slot, dial)| (*slot, dial.endpoint())).collect::<Vec<_>>();
    assert_eq!(endpoints(&bench), [(0, 0), (1, 1), (2, 2), (4, 0)]);
    // Two sessions, one of them there, and two hedges: three dials.
    bench.step(Event::Resized { max_size: 2 });
    assert_eq!(endpoints(&bench), [(0, 0), (2, 2), (4, 0)]);
}
