//! A pool, a world that may answer it late, twice or never, and a ledger of what must hold after each step.
//!
//! Everything is decoded from bytes, so that a property test and a fuzzer drive the same thing.
#![allow(dead_code, reason = "each test binary uses its own part")]

mod events;
mod ledger;
mod policies;
mod recovery;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use relink::{
    DialId, LeaseId, Time, Work,
    policy::Checked,
    pool::{ASKERS, Command, Event, Pool},
};

/// Bytes, and zeros when they have run out.
pub(crate) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `below`.
    pub(crate) fn below(&mut self, below: usize) -> usize {
        usize::from(self.byte()) % below.max(1)
    }
}

/// What the driver owes an answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    Dial,
    End,
    /// A probe or a reset, of that name.
    Probe(Time),
    Question(Time),
    /// A look at what a lease's session is doing.
    Look(LeaseId),
}

/// A lease as its borrower sees it.
#[derive(Clone, Copy, Debug)]
struct Borrowed {
    slot: u16,
    dial: DialId,
    work: Work,
    /// The latest sign of life that was told.
    heard_at: Time,
}

/// Per endpoint: what the bounds on dials speak of.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    /// The leaky bucket of S2, in units of 1/(lo·w0) dials, and when it was last looked at, in milliseconds.
    level: u64,
    at: u64,
    /// S3: no dial before then, in milliseconds.
    not_before: u64,
}

pub(crate) struct Harness {
    pub(crate) pool: Pool,
    pub(crate) policy: Checked,
    endpoints: u8,
    /// The latest time that the pool was told.
    pub(crate) now: Time,
    /// When the driver's timer is set for.
    armed: Time,
    out: Vec<Command>,
    owed: Vec<(Owed, u16, DialId)>,
    /// Every session ever opened, and how often it was closed.
    opened: BTreeMap<DialId, u8>,
    /// Dials that have had their answer.
    answered: BTreeSet<DialId>,
    /// Dials and sessions of which nothing is left.
    gone: BTreeSet<DialId>,
    queue: VecDeque<(LeaseId, Time)>,
    leases: BTreeMap<LeaseId, Borrowed>,
    pace: Vec<Pace>,
    past: Vec<Event>,
    next_lease: u64,
    stop_deadline: Option<Time>,
    paused: bool,
    pub(crate) max_size: u16,
}

impl Harness {
    pub(crate) fn new(bytes: &mut Bytes<'_>) -> Self {
        let (policy, endpoints) = policies::decode(bytes);
        let pool = Pool::new(&policy, endpoints);
        let max_size = policy.max_size;
        Self {
            out: Vec::with_capacity(pool.commands_max()),
            pool,
            policy,
            endpoints,
            now: Time::ZERO,
            armed: Time::ZERO,
            owed: Vec::new(),
            opened: BTreeMap::new(),
            answered: BTreeSet::new(),
            gone: BTreeSet::new(),
            queue: VecDeque::new(),
            leases: BTreeMap::new(),
            pace: vec![Pace::default(); usize::from(endpoints)],
            past: Vec::new(),
            next_lease: 0,
            stop_deadline: None,
            paused: false,
            max_size,
        }
    }

    /// Plays all bytes, and checks after each step.
    pub(crate) fn play(&mut self, bytes: &mut Bytes<'_>) {
        while !bytes.is_empty() {
            self.play_one(bytes);
        }
    }

    fn play_one(&mut self, bytes: &mut Bytes<'_>) {
        match bytes.below(32) {
            0..=3 => self.ask(bytes),
            4 => self.give_up(bytes),
            5..=6 => self.give_back(bytes),
            7 if bytes.below(2) == 0 => self.discard(bytes),
            7 => self.give_back_ended(bytes),
            8..=14 => self.answer(bytes),
            15 => self.lose(bytes),
            16..=17 => self.work(bytes),
            18 => self.demote_or_renew(bytes),
            19 => self.resize(bytes),
            20 => self.pause(bytes),
            21 => self.stop(bytes),
            22..=25 => self.wait(bytes),
            26 => self.elapse(bytes),
            27 => self.turn_the_clock_back(bytes),
            28..=29 => self.repeat(bytes),
            _ => self.make_up(bytes),
        }
    }

    fn owner(&self, dial: DialId) -> Option<u16> {
        let askers = (ASKERS..).zip(self.pool.askers());
        let mut all = (0..).zip(self.pool.links()).chain(askers);
        all.find(|(_, link)| link.dial() == Some(dial)).map(|(slot, _)| slot)
    }

    fn step(&mut self, event: Event, bytes: &mut Bytes<'_>) {
        self.past.push(event);
        self.deliver(event, bytes, self.now);
    }
}
