//! The rules of a pool, each at its edge: who is refused, what is retired when, which places there are.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects by failing, and drives the machines with small numbers"
)]

mod pool_bench;

use pool_bench::{Bench, refuse};
use relink::{
    Fault, Frame, LeaseId, Refusal, Span, Time, Validate, Work,
    link::{self, Link},
    pacer::Phase,
    pool::{Command, Event},
};

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
    assert_eq!(bench.pool.askers().len(), 2);
    // Four for each place, one for each waiter and one more, and eight: what a queue holds beyond is the allocator's.
    let (most, least) = (bench.pool.commands_max(), 4 * (4 + 2) + 3 + 8);
    assert!((least..least + 8).contains(&most), "{most}");
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
fn a_session_whose_life_is_over_is_closed_and_not_asked() {
    let mut bench = Bench::new(1, |policy| policy.lifetime_max = Some(Span::from_secs(40)));
    bench.open(0);
    bench.pass(40_000);
    bench.ask(1);
    assert_eq!((bench.pool.tally().closing, bench.pool.tally().probing), (1, 0));
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

#[test]
fn silence_before_the_transport_is_up_is_absence_and_later_it_is_overload() {
    for (accepted, due, phase) in [(false, 2_250, Phase::Down), (true, 5_000, Phase::Overloaded)] {
        let mut bench = Bench::new(1, |_| {});
        bench.ask(1);
        let (slot, dial) = bench.dialing().remove(0);
        if accepted {
            bench.step(Event::Accepted { slot, dial });
        }
        bench.pass(due - 1);
        assert_eq!(bench.step(Event::Elapsed), []);
        bench.pass(1);
        let aborted = Command::Link { slot, command: link::Command::Abort(dial) };
        assert_eq!(bench.step(Event::Elapsed), [aborted]);
        assert_eq!(bench.pool.pacer().phase(0), phase);
    }
}

#[test]
fn a_session_on_trial_is_stable_at_the_end_of_it_and_not_before() {
    for (after, phase) in [(29_999, Phase::Down), (30_000, Phase::Settling)] {
        let mut bench = Bench::new(1, |_| {});
        bench.fail_once(Fault::Refused);
        let (slot, dial) = bench.dialing().remove(0);
        bench.step(Event::Dialed { slot, dial });
        bench.pass(after);
        bench.step(Event::Lost { slot, dial, fault: Fault::Lost });
        assert_eq!(bench.pool.pacer().phase(0), phase, "lost after {after} ms");
    }
}

#[test]
fn a_wrong_role_is_a_demotion_where_a_session_was_had_with_the_right_one() {
    for (sessions, fault, topology) in
        [(0, Fault::WrongRole, 0), (1, Fault::WrongRole, 1), (1, Fault::Refused, 0), (1, Fault::Lost, 0)]
    {
        let mut bench = Bench::new(1, |_| {});
        if sessions > 0 {
            bench.ask(1);
            bench.open(0);
        }
        bench.ask(2);
        let (slot, dial) = bench.dialing().remove(0);
        bench.step(Event::DialFailed { slot, dial, fault });
        assert_eq!(bench.pool.topology(), topology, "{sessions} sessions, {fault}");
    }
    let mut bench = Bench::new(1, |_| {});
    bench.ask(1);
    bench.open(0);
    let slot = bench.slot_of(1);
    let dial = bench.pool.link(slot).dial().unwrap();
    bench.step(Event::Lost { slot, dial, fault: Fault::WrongRole });
    assert_eq!(bench.pool.topology(), 1);
}

#[test]
fn evidence_is_asked_for_when_it_is_as_old_as_the_policy_says() {
    // By its age since it was returned, or else since it was dialed.
    for (validate, returned, age, asked) in [
        (Validate::Stale, true, 999, false),
        (Validate::Stale, true, 1_000, true),
        (Validate::Stale, false, 999, false),
        (Validate::Always, true, 1, true),
        (Validate::Always, true, 0, true),
        (Validate::Always, false, 999, false),
        (Validate::Always, false, 1_000, true),
        (Validate::Never, true, 60_000, false),
    ] {
        let mut bench = Bench::new(1, |policy| policy.validate = validate);
        bench.open(0);
        if returned {
            bench.ask(1);
            let slot = bench.slot_of(1);
            bench.step(Event::Returned { slot, lease: LeaseId(1), work: Work::AtRest });
        }
        bench.pass(age);
        bench.ask(2);
        assert_eq!(bench.pool.tally().probing == 1, asked, "{validate:?}, {returned}, {age} ms");
    }
}

#[test]
fn evidence_of_an_older_generation_is_asked_for_whatever_the_policy_says() {
    for validate in [Validate::Stale, Validate::Always, Validate::Never] {
        let mut bench = Bench::new(1, |policy| policy.validate = validate);
        bench.open(0);
        bench.step(Event::Demoted);
        bench.ask(1);
        assert_eq!(bench.pool.tally().probing, 1, "{validate:?}");
    }
}

#[test]
fn no_more_sessions_are_asked_than_there_are_waiters_and_the_last_used_is_first() {
    let mut bench = Bench::new(1, |_| {});
    let last = bench.open_and_return(3);
    bench.pass(5_000);
    bench.ask(9);
    assert_eq!((bench.pool.tally().probing, bench.pool.tally().online), (1, 2));
    assert!(matches!(bench.pool.link(last), Link::Probing { .. }));
}

#[test]
fn what_was_used_longest_ago_goes_first_when_the_pool_is_made_smaller() {
    let mut bench = Bench::new(1, |_| {});
    let last = bench.open_and_return(3);
    let told = bench.step(Event::Resized { max_size: 1 });
    let closed = |told: &Command| matches!(told, Command::Link { command: link::Command::Close(_), .. });
    assert_eq!((told.iter().filter(|told| closed(told)).count(), bench.pool.tally().online), (2, 1));
    assert!(matches!(bench.pool.link(last), Link::Online { .. }));
}

#[test]
fn no_more_than_max_idle_stay_when_nobody_waits() {
    let mut bench = Bench::new(1, |policy| (policy.max_idle, policy.min_idle) = (2, 0));
    bench.open_and_return(3);
    assert_eq!((bench.pool.tally().closing, bench.pool.tally().online), (1, 2));
}

#[test]
fn a_pause_lends_nothing_and_dials_nothing_until_it_ends() {
    let mut bench = Bench::new(1, |_| {});
    bench.open(0);
    bench.step(Event::Paused);
    assert_eq!((bench.ask(1), bench.ask(2)), (Vec::new(), Vec::new()));
    bench.pass(60);
    assert_eq!((bench.step(Event::Elapsed), bench.pool.waiters()), (Vec::new(), 2));
    bench.step(Event::Resumed);
    assert_eq!((bench.pool.tally().leased, bench.pool.tally().dialing, bench.pool.waiters()), (1, 1, 1));
}
