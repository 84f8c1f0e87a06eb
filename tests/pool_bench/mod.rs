//! A pool on a clock of the test's own, for scenarios.
#![allow(dead_code, reason = "each test binary uses its own part")]

use relink::{
    DialId, Fault, LeaseId, Policy, Refusal, Span, Time, Work,
    link::{self, Link},
    policy::Checked,
    pool::{Command, Event, Pool},
};

/// The command that ends a wait without a session.
pub(crate) fn refuse(lease: u64, refusal: Refusal) -> Command {
    Command::Refuse { lease: LeaseId(lease), refusal }
}

/// A pool and its clock.
pub(crate) struct Bench {
    pub(crate) pool: Pool,
    pub(crate) policy: Checked,
    pub(crate) now: Time,
}

impl Bench {
    pub(crate) fn new(endpoints: u8, change: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = Policy::default();
        change(&mut policy);
        let policy = policy.check().unwrap_or_else(|_| panic!("a policy that may be had"));
        Self { pool: Pool::new(&policy, endpoints), policy, now: Time::from_millis(1_000) }
    }

    pub(crate) fn step(&mut self, event: Event) -> Vec<Command> {
        self.step_by(event, 0)
    }

    pub(crate) fn step_by(&mut self, event: Event, chance: u64) -> Vec<Command> {
        let mut out = Vec::new();
        self.pool.step(&self.policy, self.now, event, chance, &mut out);
        out
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.now = self.now + Span::from_millis(ms);
    }

    pub(crate) fn ask(&mut self, lease: u64) -> Vec<Command> {
        let deadline = self.now + Span::from_secs(3_600);
        self.step(Event::Asked { lease: LeaseId(lease), deadline })
    }

    /// Opens the session of the next dial; `place` counts them.
    pub(crate) fn open(&mut self, place: u64) {
        let mut tries = 0;
        while self.dialing().is_empty() {
            // Nobody is asking: ask, and do so no more.
            self.ask(1_000_000 + place);
            self.step(Event::Elapsed);
            tries += 1;
            assert!(tries < 10, "no dial starts");
        }
        let (slot, dial) = self.dialing().remove(0);
        self.step(Event::GaveUp { lease: LeaseId(1_000_000 + place) });
        self.step(Event::Dialed { slot, dial });
        self.step(Event::Elapsed);
    }

    /// A first dial fails, and the next is in flight.
    pub(crate) fn fail_once(&mut self, fault: Fault) {
        self.ask(1);
        let (slot, dial) = self.dialing().remove(0);
        self.step(Event::DialFailed { slot, dial, fault });
        self.pass(60_000);
        self.step(Event::Elapsed);
    }

    /// Opens so many sessions, lends them, and has them all returned; gives the place of the one returned last.
    pub(crate) fn open_and_return(&mut self, sessions: u64) -> u16 {
        for lease in 1..=sessions {
            self.ask(lease);
        }
        for place in 0..sessions {
            self.open(place);
        }
        let slots: Vec<u16> = (1..=sessions).map(|lease| self.slot_of(lease)).collect();
        for (slot, lease) in slots.iter().zip(1..) {
            self.step(Event::Returned { slot: *slot, lease: LeaseId(lease), work: Work::AtRest });
        }
        *slots.last().unwrap()
    }

    pub(crate) fn dialing(&self) -> Vec<(u16, DialId)> {
        self.all(|link| matches!(link, Link::Dialing { .. }))
    }

    pub(crate) fn closing(&self) -> Vec<(u16, DialId)> {
        self.all(|link| matches!(link, Link::Closing { .. }))
    }

    /// The links that are as asked, with the dial that each has.
    pub(crate) fn all(&self, is: impl Fn(&Link) -> bool) -> Vec<(u16, DialId)> {
        let links = (0..).zip(self.pool.links()).filter(|(_, link)| is(link));
        links.filter_map(|(slot, link)| Some((slot, link.dial()?))).collect()
    }

    pub(crate) fn slot_of(&self, lease: u64) -> u16 {
        let holds = |link: &Link| link.lease().is_some_and(|held: link::Lease| held.id == LeaseId(lease));
        (0..).zip(self.pool.links()).find(|(_, link)| holds(link)).map(|(slot, _)| slot).expect("a borrower")
    }
}
