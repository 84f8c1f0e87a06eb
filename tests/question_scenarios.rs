//! Who is asked about a lease that has been silent for long, through whom, and what follows from no answer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a test says what it expects by failing, and drives the machines with small numbers"
)]

mod pool_bench;

use pool_bench::Bench;
use relink::{
    Fault, LeaseId, Span, Time, Work,
    link::{self, Link},
    pool::{ASKERS, Command, Event},
};

const BUSY: Work = Work::Statement { durable: true };

#[test]
fn a_lease_is_looked_at_each_patience_and_suspected_when_it_was_silent_for_one() {
    let mut bench = Bench::new(1, |policy| policy.max_size = 1);
    bench.ask(1);
    bench.open(0);
    bench.pass(1_000);
    let look = Command::Link { slot: 0, command: link::Command::Look(LeaseId(1)) };
    assert_eq!(bench.step(Event::Elapsed), [look]);
    // Sent a moment ago: the next look comes when it has been silent for the patience.
    let sent = bench.now;
    bench.pass(300);
    see(&mut bench, 1, sent);
    assert_eq!(bench.pool.timeout(&bench.policy), sent + Span::from_secs(1));
    bench.pass(700);
    assert_eq!(bench.step(Event::Elapsed), [look]);
    see(&mut bench, 1, sent);
    assert!(matches!(bench.pool.link(0), Link::Suspected { again: false, .. }), "{:?}", bench.pool.link(0));
}

#[test]
fn an_idle_session_of_the_endpoint_asks_about_all_that_are_silent() {
    let mut bench = Bench::new(1, |policy| policy.max_size = 3);
    silent_leases(&mut bench, 2, 1);
    let Link::Probing { session: asker, deadline: by, .. } = bench.pool.link(2) else {
        panic!("the idle session asks: {:?}", bench.pool.link(2))
    };
    // The second became silent while the first was being asked about: its question waits for the one who asks.
    let asked = |slot| bench.pool.link(slot).question().is_some();
    assert_eq!((asked(0), asked(1)), (true, false));
    let commands = bench.step(Event::Proved { slot: 2, dial: asker.dial, by });
    let of = |command: &Command| match *command {
        Command::Link { slot, command: link::Command::Inquire { .. } } => Some((slot, "asks")),
        Command::Link { slot, command: link::Command::Ask { .. } } => Some((slot, "is asked about")),
        _ => None,
    };
    let all: Vec<_> = commands.iter().filter_map(of).collect();
    assert_eq!(all, [(2, "asks"), (1, "is asked about")]);
}

#[test]
fn where_no_session_is_idle_an_asker_is_dialed_and_never_lent() {
    let mut bench = Bench::new(1, |policy| policy.max_size = 2);
    silent_leases(&mut bench, 2, 0);
    bench.ask(9);
    let Link::Dialing { dial, .. } = bench.pool.link(ASKERS) else { panic!("no asker: {:?}", bench.pool) };
    let commands = bench.step(Event::Dialed { slot: ASKERS, dial });
    let asks = |command: &&Command| matches!(command, Command::Link { command: link::Command::Ask { .. }, .. });
    assert_eq!(commands.iter().filter(asks).count(), 2, "one question about both: {commands:?}");
    let Link::Probing { deadline: by, .. } = bench.pool.link(ASKERS) else { panic!("does not ask") };
    for slot in 0..2 {
        let dial = bench.pool.link(slot).dial().unwrap();
        bench.step(Event::FoundAlive { slot, dial, by: bench.pool.link(slot).question().unwrap() });
    }
    bench.step(Event::Proved { slot: ASKERS, dial, by });
    assert!(matches!(bench.pool.link(ASKERS), Link::Online { .. }), "kept for the next question");
    assert_eq!(bench.pool.waiters(), 1, "and lent to nobody");
    bench.pass(600_000);
    bench.step(Event::Elapsed);
    assert!(matches!(bench.pool.link(ASKERS), Link::Closing { .. }), "until it was idle for long");
}

#[test]
fn whoever_asks_and_ends_leaves_its_questions_to_the_next() {
    let mut bench = Bench::new(1, |policy| policy.max_size = 3);
    silent_leases(&mut bench, 1, 2);
    let slot = asker_of(&bench, 0).expect("an idle session asks");
    let (first, by) = (bench.pool.link(slot).dial().unwrap(), bench.pool.link(0).question().unwrap());
    bench.pass(300);
    bench.step(Event::Lost { slot, dial: first, fault: Fault::Lost });
    let next = asker_of(&bench, 0).expect("another asks");
    assert_ne!(next, slot);
    assert_eq!(bench.pool.link(0).question(), Some(by), "in what is left of the time");
    let dial = bench.pool.link(next).dial().unwrap();
    bench.step(Event::Unproved { slot: next, dial, by: bench.pool.link(next).question().unwrap(), fault: Fault::Lost });
    assert_eq!(asker_of(&bench, 0), None, "nobody is left, so one is dialed");
    assert!(matches!(bench.pool.link(ASKERS), Link::Dialing { .. }), "{:?}", bench.pool.link(ASKERS));
}

#[test]
fn where_whoever_asks_is_not_heard_others_ask_too() {
    let mut bench = Bench::new(1, |policy| policy.max_size = 3);
    silent_leases(&mut bench, 1, 2);
    let slot = asker_of(&bench, 0).expect("an idle session asks");
    let (dial, by) = (bench.pool.link(slot).dial().unwrap(), bench.pool.link(slot).question().unwrap());
    bench.step(Event::Unheard { slot, dial, by: by + Span::from_millis(1) });
    assert_eq!(asker_of(&bench, 0), Some(slot), "that question is none of its");
    bench.step(Event::Unheard { slot, dial, by });
    assert!(asker_of(&bench, 0).is_some_and(|next| next != slot));
    assert!(matches!(bench.pool.link(slot), Link::Probing { .. }), "it may still answer");
    // Which the server may then have been asked twice; the first answer counts.
    let (of, by) = (bench.pool.link(0).dial().unwrap(), bench.pool.link(0).question().unwrap());
    bench.step(Event::FoundAlive { slot: 0, dial: of, by });
    assert!(matches!(bench.pool.link(0), Link::Leased { .. }));
    let before = bench.pool.clone();
    bench.step(Event::FoundDead { slot: 0, dial: of, by });
    assert_eq!(bench.pool, before);
}

#[test]
fn an_asker_that_is_not_heard_makes_room_for_another() {
    let mut bench = Bench::new(1, |policy| policy.max_size = 1);
    silent_leases(&mut bench, 1, 0);
    let dial = bench.pool.link(ASKERS).dial().unwrap();
    bench.step(Event::Dialed { slot: ASKERS, dial });
    bench.step(Event::Unheard { slot: ASKERS, dial, by: bench.pool.link(ASKERS).question().unwrap() });
    assert!(matches!(bench.pool.link(ASKERS), Link::Closing { .. }), "it is there for nothing else");
    bench.step(Event::Gone { slot: ASKERS, dial });
    assert!(matches!(bench.pool.link(ASKERS), Link::Dialing { .. } | Link::Waiting), "{:?}", bench.pool.link(ASKERS));
}

#[test]
fn what_cannot_be_told_yet_is_asked_again_at_once() {
    let mut bench = Bench::new(1, |policy| policy.max_size = 2);
    silent_leases(&mut bench, 1, 1);
    let slot = asker_of(&bench, 0).expect("an idle session asks");
    let (dial, by) = (bench.pool.link(slot).dial().unwrap(), bench.pool.link(slot).question().unwrap());
    bench.pass(1_500);
    bench.step(Event::Proved { slot, dial, by });
    let of = bench.pool.link(0).dial().unwrap();
    let commands = bench.step(Event::Undecided { slot: 0, dial: of, by: bench.pool.link(0).question().unwrap() });
    let by = bench.now + Span::from_secs(2);
    let ask = Command::Link { slot: 0, command: link::Command::Ask { dial: of, by } };
    assert!(commands.contains(&ask), "with all of its time: {commands:?}");
    assert!(matches!(bench.pool.link(0), Link::Suspected { again: false, .. }));
}

/// Who asks about the session at that place.
fn asker_of(bench: &Bench, slot: u16) -> Option<u16> {
    if let Link::Suspected { asker, .. } = bench.pool.link(slot) { asker } else { None }
}

#[test]
fn an_endpoint_that_refuses_the_asker_is_not_silent() {
    for (fault, spared) in [(Fault::Overloaded, true), (Fault::Denied, true), (Fault::TimedOut, false)] {
        let mut bench = Bench::new(1, |policy| policy.max_size = 1);
        silent_leases(&mut bench, 1, 0);
        let dial = bench.pool.link(ASKERS).dial().unwrap();
        bench.step(Event::DialFailed { slot: ASKERS, dial, fault });
        bench.pass(2_000);
        bench.step(Event::Elapsed);
        bench.pass(2_000);
        assert!(bench.pool.link(0).is_doomed(bench.now), "to be looked at before it is given up");
        let commands = bench.step(Event::Elapsed);
        let lent = bench.pool.link(0).lease().is_some();
        assert_eq!(lent, spared, "{fault}: {:?}", bench.pool.link(0));
        let silent = |command: &Command| matches!(command, Command::Report { cause: Fault::TimedOut, .. });
        assert_eq!(commands.iter().any(silent), !spared, "{fault}: {commands:?}");
    }
}

#[test]
fn an_asker_that_waits_is_woken_for_and_given_up_when_nobody_is_suspected_any_more() {
    let mut bench = Bench::new(1, |policy| policy.max_size = 1);
    silent_leases(&mut bench, 1, 0);
    let dial = bench.pool.link(ASKERS).dial().unwrap();
    bench.step(Event::DialFailed { slot: ASKERS, dial, fault: Fault::TimedOut });
    assert_eq!(bench.pool.link(ASKERS), Link::Waiting);
    let next = bench.pool.pacer().may_at(0);
    assert!(next > bench.now);
    assert_eq!(bench.pool.timeout(&bench.policy), next);
    let now = bench.now;
    see(&mut bench, 1, now);
    assert_eq!(bench.pool.link(ASKERS), Link::Idle, "{:?}", bench.pool.link(0));
}

#[test]
fn an_endpoint_is_spared_for_its_own_last_refusal_alone() {
    use Fault::{Overloaded, TimedOut};
    for (answers, spared) in [
        (&[TimedOut, TimedOut][..], false),
        (&[Overloaded, Overloaded], true),
        (&[Overloaded, TimedOut], false),
        (&[TimedOut, Overloaded], true),
    ] {
        let mut bench = Bench::new(2, |policy| policy.max_size = 1);
        bench.ask(1);
        let (slot, first) = bench.dialing().remove(0);
        // The other endpoint refuses, before all else.
        bench.step(Event::DialFailed { slot, dial: first, fault: Fault::Refused });
        bench.step(Event::Elapsed);
        let (slot, dial) = bench.dialing().remove(0);
        assert_eq!((first.endpoint(), dial.endpoint()), (0, 1));
        bench.step(Event::Dialed { slot, dial });
        let sent = bench.now;
        bench.pass(1_000);
        see(&mut bench, 1, sent);
        for fault in answers {
            assert_eq!(bench.pool.link(ASKERS), Link::Idle, "nobody is to be asked about there");
            let dial = bench.pool.link(ASKERS + 1).dial().unwrap();
            bench.step(Event::DialFailed { slot: ASKERS + 1, dial, fault: *fault });
            bench.pass(2_000);
            bench.step(Event::Elapsed);
        }
        assert_eq!(
            bench.pool.links().iter().any(|link| link.lease().is_some()),
            spared,
            "{answers:?}: {:?}",
            bench.pool
        );
    }
}

#[test]
fn nobody_is_given_up_unasked_in_a_pause() {
    for paused in [false, true] {
        let mut bench = Bench::new(1, |policy| policy.max_size = 1);
        if paused {
            bench.ask(1);
            bench.open(0);
            bench.step(Event::Paused);
            let sent = bench.now;
            bench.pass(1_000);
            see(&mut bench, 1, sent);
        } else {
            silent_leases(&mut bench, 1, 0);
        }
        assert!(matches!(bench.pool.link(0), Link::Suspected { .. }));
        for _ in 0..2 {
            bench.pass(2_000);
            bench.step(Event::Elapsed);
        }
        assert_eq!(bench.pool.link(0).lease().is_some(), paused, "{:?}", bench.pool.link(0));
    }
}

/// What a lease is doing is seen: a statement, silent since then.
fn see(bench: &mut Bench, lease: u64, heard_at: Time) -> Vec<Command> {
    let slot = bench.slot_of(lease);
    bench.step(Event::Worked { slot, lease: LeaseId(lease), work: BUSY, heard_at })
}

/// Leases whose statements have been silent for the patience, beside some idle sessions.
fn silent_leases(bench: &mut Bench, leases: u64, idle: u64) {
    for lease in 1..=leases + idle {
        bench.ask(lease);
        bench.open(0);
    }
    for lease in leases + 1..=leases + idle {
        bench.step(Event::Returned { slot: bench.slot_of(lease), lease: LeaseId(lease), work: Work::AtRest });
    }
    let sent = bench.now;
    bench.pass(1_000);
    for lease in 1..=leases {
        see(bench, lease, sent);
    }
}
