//! The rules of a pool, each at its edge: who is refused, what is retired when, which places there are.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects by failing, and drives the machines with small numbers"
)]

mod pool_bench;

use pool_bench::Bench;
use relink::{
    Fault, Frame, LeaseId, Refusal, Span, Time, Work,
    link::Link,
    pool::{Command, Event},
};

fn refuse(lease: u64, refusal: Refusal) -> Command {
    Command::Refuse { lease: LeaseId(lease), refusal }
}

#[test]
fn a_pool_tells_its_size_who_waits_and_whether_it_ends() {
    let mut bench = Bench::new(1, |policy| policy.max_size = 3);
    for lease in [5, 6, 9] {
        bench.ask(lease);
    }
    assert_eq!((bench.pool.max_size(), bench.pool.waiters()), (3, 3));
    assert_eq!(bench.pool.queue().map(|lease| lease.0).collect::<Vec<_>>(), [5, 6, 9]);
    bench.open(0);
    assert_eq!(bench.pool.waiters(), 2);
    assert!(!bench.pool.is_stopping() && !bench.pool.is_closed());
    bench.step(Event::Stopped { deadline: bench.now + Span::from_secs(9) });
    assert!(bench.pool.is_stopping() && !bench.pool.is_closed(), "a session is lent");
    let slot = bench.slot_of(5);
    let dial = bench.pool.link(slot).dial().unwrap();
    bench.step(Event::Returned { slot, lease: LeaseId(5), work: Work::AtRest });
    bench.step(Event::Gone { slot, dial });
    for (slot, dial) in bench.closing() {
        assert!(!bench.pool.is_closed());
        bench.step(Event::Gone { slot, dial });
    }
    assert!(bench.pool.is_closed());
}

#[test]
fn a_pool_has_a_place_for_each_session_and_for_each_hedge() {
    let mut bench = Bench::new(2, |policy| (policy.max_size, policy.max_idle, policy.waiters_max) = (3, 3, 2));
    assert_eq!(bench.pool.links().len(), 4);
    // Four for each place, one for each waiter and one more, and eight: what a queue holds beyond is the allocator's.
    let most = bench.pool.commands_max();
    assert!((4 * 4 + 3 + 8..4 * 4 + 3 + 8 + 8).contains(&most), "{most}");
    bench.step(Event::Resized { max_size: 5 });
    assert_eq!((bench.pool.links().len(), bench.pool.max_size(), bench.pool.tally().idle), (6, 5, 5));
}

#[test]
fn the_last_that_may_wait_does_and_the_next_is_told() {
    let mut bench = Bench::new(1, |policy| policy.waiters_max = 2);
    assert!(!bench.ask(1).contains(&refuse(1, Refusal::Full)));
    assert_eq!(bench.ask(2), []);
    assert_eq!(bench.ask(3), [refuse(3, Refusal::Full)]);
    assert_eq!(bench.pool.waiters(), 2);
}

#[test]
fn who_has_no_time_to_wait_is_told_at_once() {
    let mut bench = Bench::new(1, |_| {});
    let late = Event::Asked { lease: LeaseId(1), deadline: bench.now };
    assert!(bench.step(late).contains(&refuse(1, Refusal::Deadline)));
    let deadline = bench.now + Span::from_millis(1);
    assert_eq!(bench.step(Event::Asked { lease: LeaseId(2), deadline }), []);
    bench.pass(1);
    assert!(bench.step(Event::Elapsed).contains(&refuse(2, Refusal::Deadline)));
}

#[test]
fn a_session_lives_at_most_as_long_as_the_policy_says_and_a_share_less_by_chance() {
    for (chance, life) in [(0, 100_000), (u64::MAX, 90_000)] {
        let mut bench = Bench::new(1, |policy| policy.lifetime_max = Some(Span::from_secs(100)));
        bench.ask(1);
        let (slot, dial) = bench.dialing().remove(0);
        bench.pass(500);
        bench.step_by(Event::Dialed { slot, dial }, chance);
        let session = bench.pool.link(slot).session().unwrap();
        assert_eq!((session.retire_at - bench.now).as_millis(), life);
        assert_eq!(session.stable_at, bench.now, "no outage is on record");
    }
}

#[test]
fn a_session_of_an_outage_is_on_trial() {
    let mut bench = Bench::new(1, |_| {});
    bench.ask(1);
    let (slot, dial) = bench.dialing().remove(0);
    bench.step(Event::DialFailed { slot, dial, fault: Fault::Refused });
    bench.pass(60_000);
    bench.step(Event::Elapsed);
    let (slot, dial) = bench.dialing().remove(0);
    bench.step(Event::Dialed { slot, dial });
    assert_eq!(bench.pool.link(slot).session().unwrap().stable_at, bench.now + bench.policy.stable_for);
}

#[test]
fn a_renewal_lets_what_was_held_dial_again() {
    let mut bench = Bench::new(1, |_| {});
    bench.ask(1);
    let (slot, dial) = bench.dialing().remove(0);
    let told = bench.step(Event::DialFailed { slot, dial, fault: Fault::Misconfigured });
    assert!(told.contains(&refuse(1, Refusal::Held(Fault::Misconfigured))), "{told:?}");
    assert_eq!(bench.pool.link(slot), Link::Held { fault: Fault::Misconfigured });
    bench.pass(60_000);
    assert!(bench.step(Event::Elapsed).is_empty() && bench.dialing().is_empty());
    bench.step(Event::Renewed);
    assert_eq!((bench.dialing().len(), bench.pool.pacer().credentials()), (1, 1));
}

#[test]
fn a_frame_calls_the_pools_own_generation_the_present_one() {
    let mut bench = Bench::new(1, |_| {});
    bench.step(Event::Demoted);
    assert_eq!(bench.pool.topology(), 1);
    let frame = Frame { now: bench.now, origin: Time::from_millis(9_000_000), dials: &[], leases: &[], topology: 7 };
    assert_eq!(bench.pool.seen_from(&bench.policy, &frame).topology(), 1);
}
