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

use relink::{
    DialId, Fault, LeaseId, OnDown, Policy, Refusal, Span, Time, Work,
    link::{self, Link},
    policy::Checked,
    pool::{ASKERS, Command, Event, Pool},
};

const BUSY: Work = Work::Statement { durable: true };

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
    bench.step(Event::DialFailed { slot, dial, fault: Fault::Refused });
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
    bench.step(Event::Worked { slot, lease: LeaseId(1), work: BUSY, heard_at: bench.now });
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
    let lost = bench.step(Event::Lost { slot, dial, fault: Fault::Lost });
    let ambiguous = Command::Report { slot, lease: LeaseId(1), fault: Fault::Ambiguous };
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
    bench.see(1, sent);
    assert_eq!(bench.pool.timeout(&bench.policy), sent + Span::from_secs(1));
    bench.pass(700);
    assert_eq!(bench.step(Event::Elapsed), [look]);
    bench.see(1, sent);
    assert!(matches!(bench.pool.link(0), Link::Suspected { again: false, .. }), "{:?}", bench.pool.link(0));
}

#[test]
fn an_idle_session_of_the_endpoint_asks_about_all_that_are_silent() {
    let mut bench = Bench::new(1, |policy| policy.max_size = 3);
    bench.silent_leases(2, 1);
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
    bench.silent_leases(2, 0);
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
fn an_endpoint_that_refuses_the_asker_is_not_silent() {
    for (fault, spared) in [(Fault::Overloaded, true), (Fault::Denied, true), (Fault::TimedOut, false)] {
        let mut bench = Bench::new(1, |policy| policy.max_size = 1);
        bench.silent_leases(1, 0);
        let dial = bench.pool.link(ASKERS).dial().unwrap();
        bench.step(Event::DialFailed { slot: ASKERS, dial, fault });
        bench.pass(2_000);
        bench.step(Event::Elapsed);
        bench.pass(2_000);
        bench.step(Event::Elapsed);
        let lent = bench.pool.link(0).lease().is_some();
        assert_eq!(lent, spared, "{fault}: {:?}", bench.pool.link(0));
    }
}

/// A pool, its clock, and its last commands.
struct Bench {
    pool: Pool,
    policy: Checked,
    now: Time,
}

impl Bench {
    fn new(endpoints: u8, change: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = Policy::default();
        change(&mut policy);
        let policy = policy.check().unwrap_or_else(|_| panic!("a policy that may be had"));
        Self { pool: Pool::new(&policy, endpoints), policy, now: Time::from_millis(1_000) }
    }

    fn step(&mut self, event: Event) -> Vec<Command> {
        let mut out = Vec::new();
        self.pool.step(&self.policy, self.now, event, 0, &mut out);
        out
    }

    fn pass(&mut self, ms: u64) {
        self.now = self.now + Span::from_millis(ms);
    }

    fn ask(&mut self, lease: u64) -> Vec<Command> {
        let deadline = self.now + Span::from_secs(3_600);
        self.step(Event::Asked { lease: LeaseId(lease), deadline })
    }

    /// Opens the session of the next dial; `place` counts them.
    fn open(&mut self, place: usize) {
        let mut tries = 0;
        while self.dialing().is_empty() {
            // Nobody is asking: ask, and do so no more.
            self.ask(1_000_000 + place as u64);
            self.step(Event::Elapsed);
            tries += 1;
            assert!(tries < 10, "no dial starts");
        }
        let (slot, dial) = self.dialing().remove(0);
        self.step(Event::GaveUp { lease: LeaseId(1_000_000 + place as u64) });
        self.step(Event::Dialed { slot, dial });
        self.step(Event::Elapsed);
    }

    /// What a lease is doing is seen: a statement, silent since then.
    fn see(&mut self, lease: u64, heard_at: Time) -> Vec<Command> {
        let slot = self.slot_of(lease);
        self.step(Event::Worked { slot, lease: LeaseId(lease), work: BUSY, heard_at })
    }

    /// Leases whose statements have been silent for the patience, beside some idle sessions.
    fn silent_leases(&mut self, leases: u64, idle: u64) {
        for lease in 1..=leases + idle {
            self.ask(lease);
            self.open(0);
        }
        for lease in leases + 1..=leases + idle {
            self.step(Event::Returned { slot: self.slot_of(lease), lease: LeaseId(lease), work: Work::AtRest });
        }
        let sent = self.now;
        self.pass(1_000);
        for lease in 1..=leases {
            self.see(lease, sent);
        }
    }

    fn dialing(&self) -> Vec<(u16, DialId)> {
        let dials = (0..).zip(self.pool.links());
        dials
            .filter(|(_, link)| matches!(link, Link::Dialing { .. }))
            .map(|(slot, link)| (slot, link.dial().unwrap()))
            .collect()
    }

    fn slot_of(&self, lease: u64) -> u16 {
        let holds = |link: &Link| link.lease().is_some_and(|held: link::Lease| held.id == LeaseId(lease));
        (0..).zip(self.pool.links()).find(|(_, link)| holds(link)).map(|(slot, _)| slot).expect("a borrower")
    }
}
