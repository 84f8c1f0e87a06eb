//! A pool, a world that may answer it late, twice or never, and a ledger of what must hold after each step.
//!
//! Everything is decoded from bytes, so that a property test and a fuzzer drive the same thing.
#![allow(dead_code, reason = "each test binary uses its own part")]

mod ledger;
mod policies;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use relink::{
    DialId, Fault, LeaseId, Span, Time, Work,
    link::{Command as LinkCommand, Link},
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
    /// The leaky bucket of S2, in units of 1/(lo·w0) dials, and when it was last looked at.
    level: u64,
    at: Time0,
    /// S3: no dial before then.
    not_before: Time0,
}

type Time0 = u64;

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

    fn ask(&mut self, bytes: &mut Bytes<'_>) {
        let lease = LeaseId(self.next_lease);
        self.next_lease += 1;
        let deadline = self.now + Span::from_millis(u64::from(bytes.byte()) * 100);
        self.queue.push_back((lease, deadline));
        self.step(Event::Asked { lease, deadline }, bytes);
    }

    fn give_up(&mut self, bytes: &mut Bytes<'_>) {
        let place = bytes.below(self.queue.len());
        let lease = self.queue.remove(place).map_or(LeaseId(0), |(lease, _)| lease);
        self.step(Event::GaveUp { lease }, bytes);
    }

    fn give_back(&mut self, bytes: &mut Bytes<'_>) {
        let place = bytes.below(self.leases.len());
        let Some((&lease, &Borrowed { slot, .. })) = self.leases.iter().nth(place) else { return };
        self.leases.remove(&lease);
        self.step(Event::Returned { slot, lease, work: work(bytes) }, bytes);
    }

    fn discard(&mut self, bytes: &mut Bytes<'_>) {
        let place = bytes.below(self.leases.len());
        let Some((&lease, &Borrowed { slot, .. })) = self.leases.iter().nth(place) else { return };
        self.leases.remove(&lease);
        self.step(Event::Discarded { slot, lease }, bytes);
    }

    /// Its session has ended, which may be told later, or never.
    fn give_back_ended(&mut self, bytes: &mut Bytes<'_>) {
        let place = bytes.below(self.leases.len());
        let work = work(bytes);
        let Some((&lease, borrowed)) = self.leases.iter_mut().nth(place) else { return };
        if borrowed.work != work {
            (borrowed.work, borrowed.heard_at) = (work, self.now);
        }
        let slot = borrowed.slot;
        self.step(Event::Ended { slot, lease, work }, bytes);
        let link = self.pool.link(slot);
        let over = self.now + self.policy.close_deadline;
        assert!(matches!(link, Link::Draining { deadline, .. } if deadline <= over), "{link:?} may be lent again");
    }

    /// Answers something that is owed, in any order.
    fn answer(&mut self, bytes: &mut Bytes<'_>) {
        let place = bytes.below(self.owed.len());
        let Some(&(owed, slot, dial)) = self.owed.get(place) else { return };
        let how = bytes.byte();
        let fault = fault(bytes);
        let event = match (owed, how % 4) {
            (Owed::Dial, 0 | 1) => Event::Dialed { slot, dial },
            (Owed::Dial, 2) => Event::DialFailed { slot, dial, fault },
            (Owed::Dial, _) => return self.step(Event::Accepted { slot, dial }, bytes),
            (Owed::End, _) => Event::Gone { slot, dial },
            (Owed::Probe(by), 2) if bytes.below(2) == 0 => return self.step(Event::Unheard { slot, dial, by }, bytes),
            (Owed::Probe(by), 0..=2) => Event::Proved { slot, dial, by },
            (Owed::Probe(by), _) => Event::Unproved { slot, dial, by, fault },
            (Owed::Question(by), 0) => Event::FoundAlive { slot, dial, by },
            (Owed::Question(by), 1) => Event::Undecided { slot, dial, by },
            (Owed::Question(by), _) => Event::FoundDead { slot, dial, by },
            (Owed::Look(lease), _) => self.seen(slot, lease, Span::from_millis(u64::from(how) * 20)),
        };
        self.owed.remove(place);
        self.step(event, bytes);
    }

    fn lose(&mut self, bytes: &mut Bytes<'_>) {
        let place = bytes.below(self.opened.len());
        let Some(&dial) = self.opened.keys().nth(place) else { return };
        let Some(slot) = self.owner(dial) else { return };
        let fault = fault(bytes);
        self.step(Event::Lost { slot, dial, fault }, bytes);
    }

    fn work(&mut self, bytes: &mut Bytes<'_>) {
        let place = bytes.below(self.leases.len());
        let work = work(bytes);
        let Some((&lease, borrowed)) = self.leases.iter_mut().nth(place) else { return };
        borrowed.work = work;
        let slot = borrowed.slot;
        let event = self.seen(slot, lease, Span::from_millis(u64::from(bytes.byte()) * 20));
        self.step(event, bytes);
    }

    /// What a lease's session is seen doing, silent for so long.
    fn seen(&mut self, slot: u16, lease: LeaseId, silence: Span) -> Event {
        let now = self.now;
        let heard_at = Time::from_millis(now.as_millis().saturating_sub(silence.as_millis()));
        let Some(borrowed) = self.leases.get_mut(&lease) else {
            return Event::Worked { slot, lease, work: Work::AtRest, heard_at };
        };
        let (work, heard_at) = (borrowed.work, borrowed.heard_at.max(heard_at));
        borrowed.heard_at = if matches!(work, Work::Statement { .. }) { heard_at } else { now };
        Event::Worked { slot, lease, work, heard_at }
    }

    fn demote_or_renew(&mut self, bytes: &mut Bytes<'_>) {
        let event = if bytes.below(2) == 0 { Event::Demoted } else { Event::Renewed };
        self.step(event, bytes);
    }

    fn resize(&mut self, bytes: &mut Bytes<'_>) {
        let max_size = bytes.byte() as u16 % 5;
        if self.stop_deadline.is_none() {
            self.max_size = max_size.max(1);
        }
        self.step(Event::Resized { max_size }, bytes);
    }

    fn pause(&mut self, bytes: &mut Bytes<'_>) {
        self.paused = bytes.below(3) == 0;
        self.step(if self.paused { Event::Paused } else { Event::Resumed }, bytes);
    }

    /// Rare: what follows is a drain.
    fn stop(&mut self, bytes: &mut Bytes<'_>) {
        if bytes.byte() < 200 {
            return;
        }
        let deadline = self.now + Span::from_millis(u64::from(bytes.byte()) * 100);
        self.stop_deadline = Some(self.stop_deadline.map_or(deadline, |sooner| sooner.min(deadline)));
        self.step(Event::Stopped { deadline }, bytes);
    }

    fn wait(&mut self, bytes: &mut Bytes<'_>) {
        let due = self.pool.timeout(&self.policy);
        let (how, much) = (bytes.below(4), u64::from(bytes.byte()));
        self.now = match how {
            // A month, of which the client slept most.
            0 if much > 250 => self.now + Span::from_secs(30 * 86_400),
            0 => self.now + Span::from_millis(much),
            1 => self.now + Span::from_millis(much * 100),
            _ if due == Time::NEVER => self.now,
            _ => self.now.max(due),
        };
        self.elapse(bytes);
    }

    fn elapse(&mut self, bytes: &mut Bytes<'_>) {
        self.step(Event::Elapsed, bytes);
    }

    fn turn_the_clock_back(&mut self, bytes: &mut Bytes<'_>) {
        let now = self.now;
        self.now = Time::from_millis(now.as_millis() / 2);
        let event = Event::GaveUp { lease: LeaseId(u64::MAX) };
        self.deliver(event, bytes, now);
        self.now = now;
    }

    /// Something that has been reported already is reported again.
    fn repeat(&mut self, bytes: &mut Bytes<'_>) {
        let place = bytes.below(self.past.len());
        let Some(&event) = self.past.get(place) else { return };
        self.step_if_stale(event, bytes);
    }

    /// Something is reported that never was.
    fn make_up(&mut self, bytes: &mut Bytes<'_>) {
        let slot = bytes.below(8) as u16;
        // Often a dial that is, or was, there: then only the rest of the name makes it stale.
        let made_up = DialId::new(bytes.byte().into(), bytes.byte());
        let dial = self.pool.link(slot).dial().filter(|_| bytes.below(2) == 0).unwrap_or(made_up);
        let lease = LeaseId(u64::MAX - u64::from(bytes.byte()));
        let by = self.now + Span::from_millis(u64::from(bytes.byte()) * 10);
        let (work, fault) = (work(bytes), fault(bytes));
        let event = match bytes.below(14) {
            10 => Event::Ended { slot, lease, work },
            0 => Event::Returned { slot, lease, work },
            1 => Event::Accepted { slot, dial },
            2 => Event::DialFailed { slot, dial, fault },
            3 => Event::Proved { slot, dial, by },
            4 => Event::Unproved { slot, dial, by, fault },
            5 => Event::Worked { slot, lease, work, heard_at: self.now },
            6 => Event::FoundAlive { slot, dial, by },
            7 => Event::FoundDead { slot, dial, by },
            8 => Event::Lost { slot, dial, fault },
            9 => Event::Discarded { slot, lease },
            11 => Event::Undecided { slot, dial, by },
            12 => Event::Unheard { slot, dial, by },
            _ => Event::Gone { slot, dial },
        };
        self.step_if_stale(event, bytes);
    }

    /// From now on every dial answers, every session lives and every lease comes back: S10, L1 and L4
    /// say that then everybody is served.
    pub(crate) fn recover(&mut self) {
        let bytes = &mut Bytes::new(&[]);
        if self.stop_deadline.is_some() {
            return self.drain();
        }
        self.paused = false;
        self.step(Event::Resumed, bytes);
        self.step(Event::Renewed, bytes);
        for _ in 0..3 {
            let (lease, deadline) = (LeaseId(self.next_lease), Time::NEVER);
            self.next_lease += 1;
            self.queue.push_back((lease, deadline));
            self.step(Event::Asked { lease, deadline }, bytes);
        }
        let (begin, mut steps) = (self.now, 0);
        loop {
            self.serve_all(bytes);
            if self.queue.is_empty() && self.pool.tally().online >= self.policy.min_idle.min(self.max_size) {
                break;
            }
            let due = self.pool.timeout(&self.policy);
            self.now = if due == Time::NEVER { self.now } else { self.now.max(due) };
            self.step(Event::Elapsed, bytes);
            steps += 1;
            assert!(steps < 400, "L4: still waiting since {begin:?}: {:?}", self.pool);
        }
        let windows = self.policy.capd.max(self.policy.cap(self.policy.elapsed_max)).max(Span::from_secs(120));
        let bound = self.policy.jitter_hi.of(windows) * 8 + self.policy.dial_deadline_max * 2;
        assert!(self.now - begin <= bound, "L4: took {:?} of {bound:?}: {:?}", self.now - begin, self.pool);
    }

    /// L5: after a stop, everything ends.
    fn drain(&mut self) {
        let bytes = &mut Bytes::new(&[]);
        for _ in 0..200 {
            self.serve_all(bytes);
            let due = self.pool.timeout(&self.policy);
            self.now = if due == Time::NEVER { self.now } else { self.now.max(due) };
            self.step(Event::Elapsed, bytes);
        }
        assert!(self.pool.is_closed(), "L5: {:?}", self.pool);
    }

    fn serve_all(&mut self, bytes: &mut Bytes<'_>) {
        let mut answers = 0;
        while let Some((owed, slot, dial)) = self.owed.pop() {
            answers += 1;
            assert!(answers < 500, "S15: answers without end and no time passes: {owed:?} {:?}", self.pool);
            let event = match owed {
                Owed::Dial => Event::Dialed { slot, dial },
                Owed::End => Event::Gone { slot, dial },
                Owed::Probe(by) => Event::Proved { slot, dial, by },
                Owed::Question(by) => Event::FoundAlive { slot, dial, by },
                Owed::Look(lease) => self.seen(slot, lease, Span::ZERO),
            };
            self.step(event, bytes);
        }
        while let Some((&lease, &Borrowed { slot, .. })) = self.leases.first_key_value() {
            self.leases.remove(&lease);
            self.step(Event::Returned { slot, lease, work: Work::AtRest }, bytes);
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

fn work(bytes: &mut Bytes<'_>) -> Work {
    match bytes.below(4) {
        0 => Work::AtRest,
        1 => Work::InTransaction,
        2 => Work::Statement { durable: false },
        _ => Work::Statement { durable: true },
    }
}

fn fault(bytes: &mut Bytes<'_>) -> Fault {
    // Fatal ones are rare, or every run would end held.
    match bytes.byte() {
        255 => Fault::Misconfigured,
        other => Fault::ALL[usize::from(other) % 8],
    }
}
