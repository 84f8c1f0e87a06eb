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
    Fault, Frame, LeaseId, OnDown, Refusal, Span, Time, Validate, Work,
    link::{self, Link},
    pacer::Phase,
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
