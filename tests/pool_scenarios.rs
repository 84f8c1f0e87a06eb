//! One scenario each for what the pool once did wrong, or could.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a test says what it expects by failing, and drives the machines with small numbers"
)]

mod pool_bench;

use pool_bench::Bench;
use relink::{
    LeaseId, OnDown, Refusal, Span, Time, Work,
    link::{self, Link},
    pool::{Command, Event},
};

#[test]
fn a_stale_return_changes_nothing_for_the_next_borrower() {
    let mut bench = Bench::new(1, |policy| policy.max_size = 2);
    bench.ask(1);
    bench.ask(2);
    bench.open(0);
    bench.open(1);
    bench.step(Event::Resized { max_size: 1 });
    let before = bench.pool.links().to_vec();
    let slot = bench.slot_of(2);
    bench.step(Event::Returned { slot, lease: LeaseId(1), work: Work::AtRest });
    assert_eq!(bench.pool.links(), before);
}

#[test]
fn a_pool_made_smaller_does_not_close_more_than_it_must() {
    let mut bench = Bench::new(1, |policy| policy.max_size = 3);
    for lease in 1..=3 {
        bench.ask(lease);
    }
    for slot in 0..3 {
        bench.open(slot);
    }
    bench.step(Event::Resized { max_size: 2 });
    for lease in 1..=3 {
        let slot = bench.slot_of(lease);
        bench.step(Event::Returned { slot, lease: LeaseId(lease), work: Work::AtRest });
    }
    assert_eq!((bench.pool.tally().online, bench.pool.tally().closing), (2, 1));
}

#[test]
fn a_session_cleaned_after_its_return_counts_against_the_size() {
    let mut bench = Bench::new(1, |policy| policy.max_size = 2);
    bench.ask(1);
    bench.ask(2);
    bench.open(0);
    bench.open(1);
    bench.step(Event::Resized { max_size: 1 });
    for lease in 1..=2 {
        let slot = bench.slot_of(lease);
        bench.step(Event::Returned { slot, lease: LeaseId(lease), work: Work::InTransaction });
    }
    for slot in 0..2 {
        if let Link::Probing { session, deadline: by, .. } = bench.pool.link(slot) {
            bench.step(Event::Proved { slot, dial: session.dial, by });
        }
    }
    assert_eq!((bench.pool.tally().online, bench.pool.tally().closing), (1, 1));
}

#[test]
fn a_pool_resized_after_its_stop_still_ends() {
    let mut bench = Bench::new(1, |policy| policy.max_size = 1);
    bench.step(Event::Stopped { deadline: Time::from_millis(10_000) });
    bench.step(Event::Resized { max_size: 3 });
    assert!(bench.pool.is_closed());
}

#[test]
fn a_hedge_in_flight_outlives_the_deadline_of_the_dial_it_hedges() {
    let mut bench = Bench::new(2, |policy| policy.max_size = 1);
    bench.ask(1);
    bench.pass(250);
    bench.step(Event::Elapsed);
    let (slot, hedge) = bench.dialing().into_iter().find(|(_, dial)| dial.endpoint() == 1).unwrap();
    // The transport of the first is overdue now, that of the hedge not yet.
    bench.pass(1_750);
    bench.step(Event::Elapsed);
    assert!(matches!(bench.pool.link(slot), Link::Dialing { dial, .. } if dial == hedge));
    bench.pass(200);
    bench.step(Event::Elapsed);
    // Every place is taken: a timer that is always due would spin the driver.
    assert!(bench.pool.timeout(&bench.policy) > bench.now);
    let granted = bench.step(Event::Dialed { slot, dial: hedge });
    assert!(granted.contains(&Command::Grant { lease: LeaseId(1), slot, dial: hedge }));
}

#[test]
fn a_race_that_is_won_starts_no_more_dials() {
    let mut bench = Bench::new(2, |policy| {
        policy.max_size = 8;
        policy.min_idle = 1;
        policy.max_idle = 1;
    });
    bench.step(Event::Elapsed);
    bench.pass(250);
    bench.step(Event::Elapsed);
    let (slot, dial) = bench.dialing().into_iter().find(|(_, dial)| dial.endpoint() == 1).unwrap();
    let answered = bench.step(Event::Dialed { slot, dial });
    assert!(!answered.iter().any(|command| matches!(command, Command::Dial { .. })), "{answered:?}");
    bench.pass(250);
    let later = bench.step(Event::Elapsed);
    assert!(!later.iter().any(|command| matches!(command, Command::Dial { .. })), "{later:?}");
}

#[test]
fn a_pool_that_fails_fast_and_keeps_nothing_idle_still_ends_its_outage() {
    let mut bench = Bench::new(1, |policy| {
        policy.on_down = OnDown::FailFast;
        policy.min_idle = 0;
    });
    bench.ask(1);
    let (slot, dial) = bench.dialing().remove(0);
    bench.step(Event::DialFailed { slot, dial, fault: relink::Fault::Refused });
    assert_eq!(bench.pool.waiters(), 0);
    bench.pass(60_000);
    assert!(
        bench.ask(2).contains(&Command::Refuse { lease: LeaseId(2), refusal: Refusal::Down }),
        "nobody waits in an outage"
    );
    assert!(!bench.dialing().is_empty(), "but somebody must find out that it is over");
}

#[test]
fn a_session_past_its_lifetime_is_not_lent() {
    let mut bench = Bench::new(1, |policy| {
        policy.max_size = 1;
        policy.lifetime_max = Some(Span::from_secs(40));
    });
    bench.open(0);
    bench.pass(40_000);
    let granted = bench.ask(1);
    assert!(!granted.iter().any(|command| matches!(command, Command::Grant { .. })), "{granted:?}");
}

#[test]
fn a_session_that_has_just_answered_is_lent_even_if_none_may_be_older() {
    let mut bench = Bench::new(1, |policy| policy.stale_after = Span::ZERO);
    bench.open(0);
    bench.pass(1);
    bench.ask(1);
    let Link::Probing { session, deadline: by, .. } = bench.pool.link(0) else {
        panic!("not asked: {:?}", bench.pool.link(0))
    };
    let granted = bench.step(Event::Proved { slot: 0, dial: session.dial, by });
    assert!(granted.contains(&Command::Grant { lease: LeaseId(1), slot: 0, dial: session.dial }));
}

#[test]
fn a_discarded_session_is_closed_and_starts_no_outage() {
    let mut bench = Bench::new(1, |policy| policy.max_size = 1);
    bench.ask(1);
    bench.open(0);
    let slot = bench.slot_of(1);
    let dial = bench.pool.link(slot).dial().unwrap();
    bench.step(Event::Worked { slot, lease: LeaseId(1), work: Work::Statement { durable: true }, heard_at: bench.now });
    let stale = bench.step(Event::Discarded { slot, lease: LeaseId(2) });
    assert_eq!(stale, [], "who has nothing can discard nothing");
    let commands = bench.step(Event::Discarded { slot, lease: LeaseId(1) });
    assert_eq!(commands, [Command::Link { slot, command: link::Command::Close(dial) }], "and nobody is told of a loss");
    assert_eq!(bench.pool.pacer().outage_since(), None);
    assert_eq!(bench.pool.pacer().online(), 0);
    bench.step(Event::Gone { slot, dial });
    assert!(!bench.dialing().is_empty(), "the place is free, and nothing holds up the next dial");
}

#[test]
fn a_session_that_came_back_ended_stays_lent_until_its_loss_is_told() {
    let mut bench = Bench::new(1, |policy| policy.max_size = 1);
    bench.ask(1);
    bench.open(0);
    bench.ask(2);
    let slot = bench.slot_of(1);
    let dial = bench.pool.link(slot).dial().unwrap();
    let work = Work::Statement { durable: true };
    assert_eq!(bench.step(Event::Ended { slot, lease: LeaseId(2), work }), [], "who has nothing gives nothing back");
    assert_eq!(bench.step(Event::Ended { slot, lease: LeaseId(1), work }), [], "the next in line waits on");
    let lost = bench.step(Event::Lost { slot, dial, fault: relink::Fault::Lost });
    let (fault, cause) = (relink::Fault::Ambiguous, relink::Fault::Lost);
    let ambiguous = Command::Report { slot, lease: LeaseId(1), fault, cause };
    assert!(lost.contains(&ambiguous), "{lost:?}");
    assert!(bench.pool.pacer().outage_since().is_some(), "and it is a loss like any other");
}

#[test]
fn a_session_that_came_back_ended_is_cut_if_nobody_tells_of_its_loss() {
    let mut bench = Bench::new(1, |policy| policy.max_size = 1);
    bench.ask(1);
    bench.open(0);
    let slot = bench.slot_of(1);
    let dial = bench.pool.link(slot).dial().unwrap();
    bench.step(Event::Ended { slot, lease: LeaseId(1), work: Work::AtRest });
    let over = bench.now + bench.policy.close_deadline;
    assert_eq!(bench.pool.timeout(&bench.policy), over);
    bench.now = over;
    let cut = bench.step(Event::Elapsed);
    assert!(cut.contains(&Command::Link { slot, command: link::Command::Abort(dial) }), "{cut:?}");
    // It was not silent.
    let (fault, cause) = (relink::Fault::Lost, relink::Fault::Lost);
    assert!(cut.contains(&Command::Report { slot, lease: LeaseId(1), fault, cause }), "{cut:?}");
}

#[test]
fn idle_sessions_are_retired_down_to_min_idle_and_the_rest_are_asked() {
    let mut bench = Bench::new(1, |policy| {
        (policy.max_size, policy.max_idle, policy.min_idle) = (3, 3, 1);
        (policy.idle_max, policy.lifetime_max) = (Some(Span::from_secs(600)), None);
    });
    for lease in 1..=3 {
        bench.ask(lease);
    }
    for slot in 0..3 {
        bench.open(slot);
    }
    for lease in 1..=3 {
        let slot = bench.slot_of(lease);
        bench.step(Event::Returned { slot, lease: LeaseId(lease), work: Work::AtRest });
    }
    bench.pass(600_000);
    bench.step(Event::Elapsed);
    assert_eq!((bench.pool.tally().closing, bench.pool.tally().probing), (2, 1));
    assert!(bench.dialing().is_empty(), "what is closed for being idle is not dialed anew");
    assert!(bench.pool.timeout(&bench.policy) > bench.now, "no timer is always due");
    let (slot, link) = (0..).zip(bench.pool.links()).find(|(_, link)| link.session().is_some()).unwrap();
    let (dial, by) = (link.dial().unwrap(), link.question().unwrap());
    bench.step(Event::Proved { slot, dial, by });
    bench.pass(599_999);
    bench.step(Event::Elapsed);
    assert_eq!((bench.pool.tally().online, bench.pool.tally().probing), (1, 0), "it is asked once in `idle_max`");
    bench.pass(1);
    bench.step(Event::Elapsed);
    assert_eq!((bench.pool.tally().online, bench.pool.tally().probing), (0, 1));
}

#[test]
fn a_session_past_its_lifetime_is_retired_even_if_min_idle_needs_one() {
    let mut bench = Bench::new(1, |policy| {
        (policy.max_size, policy.min_idle) = (1, 1);
        (policy.idle_max, policy.lifetime_max) = (Some(Span::from_secs(600)), Some(Span::from_secs(600)));
    });
    bench.open(0);
    bench.pass(600_000);
    bench.step(Event::Elapsed);
    assert_eq!(bench.pool.tally().closing, 1);
}
