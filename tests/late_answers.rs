//! What comes late, twice or under another's name: it changes nothing but the closing of what it brought.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test says what it expects by failing"
)]

mod machines;

use machines::{link_events, link_states, policy, stale_link_events};
use relink::{
    DialId, LeaseId, Time, Work,
    link::{self, Link},
    policy::Checked,
};

#[test]
fn closed_is_the_end() {
    let policy = policy(|_| {});
    for event in link_events(&Link::Closed) {
        let (next, command) = Link::Closed.step(&policy, Time::from_millis(1), event);
        assert_eq!(next, Link::Closed, "{event:?}");
        let brought = match event {
            link::Event::Dialed { dial, .. } => Some(link::Command::Close(dial)),
            _ => None,
        };
        assert_eq!(command, brought, "{event:?}");
    }
}

#[test]
fn an_answer_that_names_another_dial_lease_or_question_changes_nothing() {
    let policy = policy(|_| {});
    for link in link_states(&policy) {
        for event in stale_link_events(&link) {
            let (next, command) = link.step(&policy, Time::from_millis(50_000), event);
            assert_eq!(next, link, "{event:?}");
            let closes = matches!((event, command), (link::Event::Dialed { .. }, Some(link::Command::Close(_))));
            assert!(command.is_none() || closes, "{link:?}, {event:?}: {command:?}");
        }
    }
}

/// The states that a link is in after each of the events, and what it was told to do there.
fn run(policy: &Checked, events: &[(u64, link::Event)]) -> (Link, Option<link::Command>) {
    let step = |(link, _): (Link, _), (ms, event): &(u64, _)| link.step(policy, Time::from_millis(*ms), *event);
    events.iter().fold((Link::Idle, None), step)
}

const DIAL: DialId = machines::DIAL;

fn lent(lease: LeaseId) -> Vec<(u64, link::Event)> {
    let (deadline, at) = (Time::from_millis(9_000), Time::from_millis(1_000));
    let dialed = link::Event::Dialed { dial: DIAL, stable_at: at, retire_at: Time::NEVER };
    vec![
        (1_000, link::Event::Wanted),
        (1_000, link::Event::Granted { dial: DIAL, deadline, topology: 0 }),
        (1_000, dialed),
        (1_000, link::Event::Lent { lease }),
    ]
}

#[test]
fn a_late_found_dead_under_a_later_suspicion_is_inert() {
    let policy = policy(|_| {});
    let worked = |heard_at| link::Event::Worked {
        lease: machines::LEASE,
        work: Work::Statement { durable: true },
        heard_at: Time::from_millis(heard_at),
    };
    let silent = |at, heard_at| vec![(at, worked(heard_at)), (at, link::Event::Questioned { asker: 1 })];
    let first = [lent(machines::LEASE), silent(2_000, 1_000)].concat();
    let (_, Some(link::Command::Ask { by: old, .. })) = run(&policy, &first) else { panic!("not asked") };
    // The statement went on, and then another is suspected.
    let second = [first, vec![(2_500, worked(2_500))], silent(3_500, 2_500)].concat();
    let (suspected, Some(link::Command::Ask { by, .. })) = run(&policy, &second) else { panic!("not asked again") };
    let now = Time::from_millis(3_600);
    let late = link::Event::FoundDead { dial: DIAL, by: old };
    assert_eq!(suspected.step(&policy, now, late), (suspected, None));
    let (ended, command) = suspected.step(&policy, now, link::Event::FoundDead { dial: DIAL, by });
    assert!(matches!((ended, command), (Link::Closing { .. }, Some(link::Command::Abort(DIAL)))), "{ended:?}");
}

#[test]
fn a_duplicate_proved_does_not_answer_a_later_reset() {
    let policy = policy(|_| {});
    let asked = [lent(machines::LEASE), vec![(1_500, returned(Work::AtRest)), (2_000, doubted())]].concat();
    let (_, Some(link::Command::Probe { by: old, .. })) = run(&policy, &asked) else { panic!("not asked") };
    let proved = link::Event::Proved { dial: DIAL, by: old };
    let lend = link::Event::Lent { lease: machines::LEASE };
    let left = returned(Work::InTransaction);
    let unclean = [asked, vec![(2_001, proved), (2_002, lend), (2_003, left)]].concat();
    let (resetting, Some(link::Command::Reset { by, .. })) = run(&policy, &unclean) else { panic!("not cleaned") };
    let now = Time::from_millis(2_004);
    assert_eq!(resetting.step(&policy, now, proved), (resetting, None));
    let (clean, _) = resetting.step(&policy, now, link::Event::Proved { dial: DIAL, by });
    assert!(matches!(clean, Link::Online { proved: true, .. }), "{clean:?}");
}

fn returned(work: Work) -> link::Event {
    link::Event::Returned { lease: machines::LEASE, work }
}

fn doubted() -> link::Event {
    link::Event::Doubted { topology: 1 }
}

#[test]
fn a_late_worked_does_not_touch_the_next_lease() {
    let policy = policy(|_| {});
    let next = link::Event::Lent { lease: machines::OTHER_LEASE };
    let (link, _) =
        run(&policy, &[lent(machines::LEASE), vec![(2_000, returned(Work::AtRest)), (2_000, next)]].concat());
    let durable = Work::Statement { durable: true };
    let now = Time::from_millis(2_001);
    let heard_at = Time::from_millis(1_000);
    let late = link::Event::Worked { lease: machines::LEASE, work: durable, heard_at };
    assert_eq!(link.step(&policy, now, late), (link, None));
    let own = link::Event::Worked { lease: machines::OTHER_LEASE, work: durable, heard_at };
    assert_eq!(link.step(&policy, now, own).0.lease().unwrap().work, durable);
}
