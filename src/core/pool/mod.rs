//! N links, their pacer and those who wait: who gets a session, and how many there should be.

mod event;
mod pass;
mod question;
mod settle;

use alloc::{collections::VecDeque, vec::Vec};

pub use event::{ASKERS, Command, Event, Refusal, Tally};

use super::{
    fault::Fault,
    frame::Frame,
    link::{self, LeaseId, Link, Work},
    pacer::{self, DialId, Pacer},
    policy::{Checked, SESSIONS_MAX},
    time::Time,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Waiter {
    lease: LeaseId,
    deadline: Time,
}

/// A pool of links to one endpoint set.
///
/// It allocates when it is built or resized, never in a step, as long as the vector that a step
/// fills has room for [`Pool::commands_max`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pool {
    links: Vec<Link>,
    /// One for each endpoint, beyond `max_size`: it asks the server about others, and is never lent.
    askers: Vec<Link>,
    /// The endpoints, a bit each, that refused the last dial, and so were not silent; kept where the policy has a patience.
    refusing: u8,
    pacer: Pacer,
    waiters: VecDeque<Waiter>,
    /// The links that are online, the one last used at the end. Follows from `links`, but for the order.
    free: Vec<u16>,
    /// Follows from `links` too: counting them anew would make every step as long as the pool is large.
    tally: Tally,
    /// Suspected links; follows from `links`.
    suspected: u16,
    /// Those about which a question is still to be put; follows from `links`.
    unasked: u16,
    /// Askers that want a session; follows from `askers`.
    askers_waiting: u8,
    topology: u32,
    max_size: u16,
    paused: bool,
    stopping: bool,
}

/// One step in progress.
struct Turn<'a> {
    policy: &'a Checked,
    now: Time,
    chance: u64,
    out: &'a mut Vec<Command>,
    wake: Time,
}

impl Turn<'_> {
    fn wake_at(&mut self, at: Time) {
        self.wake = self.wake.min(at);
    }
}

impl Pool {
    /// A pool that has dialed nothing yet. `endpoints` is from 1 to [`ENDPOINTS_MAX`](pacer::ENDPOINTS_MAX).
    ///
    /// It has no timer armed and wants nothing: what the policy wants, `min_idle`, follows from the first
    /// step. So a driver feeds one event at once, such as [`Event::Resumed`], which means nothing else.
    pub fn new(policy: &Checked, endpoints: u8) -> Self {
        let pacer = Pacer::new(endpoints);
        // A hedged dial needs a place of its own: one for each endpoint after the first.
        let places = usize::from(policy.max_size) + usize::from(pacer.endpoints()) - 1;
        let waiters = usize::try_from(policy.waiters_max).unwrap_or(usize::MAX).saturating_add(1);
        let mut pool = Self {
            links: Vec::new(),
            askers: alloc::vec![Link::Idle; usize::from(pacer.endpoints())],
            refusing: 0,
            pacer,
            waiters: VecDeque::with_capacity(waiters),
            free: Vec::new(),
            tally: Tally::default(),
            suspected: 0,
            unasked: 0,
            askers_waiting: 0,
            topology: 0,
            max_size: policy.max_size,
            paused: false,
            stopping: false,
        };
        pool.make_room(places);
        pool
    }

    fn make_room(&mut self, places: usize) {
        while self.links.len() < places {
            self.links.push(Link::Idle);
            self.tally.idle = self.tally.idle.saturating_add(1);
        }
        self.free.reserve(places.saturating_sub(self.free.len()));
    }

    /// The most commands that one step can give.
    pub fn commands_max(&self) -> usize {
        (self.links.len() + self.askers.len()) * 4 + self.waiters.capacity() + 8
    }

    /// The transition function. `chance` is one random word. Commands are appended to `out`.
    ///
    /// Not proved free of panics at link time, unlike [`Link::step`] and [`Pacer::step`]: the vectors of
    /// the standard library keep paths that panic when memory ends, which no step here takes.
    ///
    /// Returns a time not later than the earliest timeout that this step has armed; a driver whose
    /// timer is set for [`Pool::timeout`] need only set it anew when this is earlier.
    pub fn step(&mut self, policy: &Checked, now: Time, event: Event, chance: u64, out: &mut Vec<Command>) -> Time {
        let now = self.pacer.advance(now);
        let turn = &mut Turn { policy, now, chance, out, wake: Time::NEVER };
        match event {
            Event::Asked { lease, deadline } => self.asked(turn, lease, deadline),
            Event::GaveUp { lease } => self.waiters.retain(|waiter| waiter.lease != lease),
            Event::Returned { slot, lease, work } => {
                self.pass(turn, slot, link::Event::Returned { lease, work }, None);
            }
            Event::Discarded { slot, lease } => self.discarded(turn, slot, lease),
            Event::Ended { slot, lease, work } => self.ended(turn, slot, lease, work),
            Event::Accepted { slot, dial } => self.pass(turn, slot, link::Event::Accepted { dial }, None),
            Event::Dialed { slot, dial } => self.dialed(turn, slot, dial),
            Event::DialFailed { slot, dial, fault } => {
                self.pass(turn, slot, link::Event::DialFailed { dial }, Some(fault));
            }
            Event::Proved { slot, dial, by } => self.pass(turn, slot, link::Event::Proved { dial, by }, None),
            Event::Unproved { slot, dial, by, fault } => {
                self.pass(turn, slot, link::Event::Unproved { dial, by }, Some(fault));
            }
            Event::Unheard { slot, dial, by } => self.unheard(turn, slot, dial, by),
            Event::Worked { slot, lease, work, heard_at } => {
                self.pass(turn, slot, link::Event::Worked { lease, work, heard_at }, None);
            }
            Event::FoundAlive { slot, dial, by } => {
                self.pass(turn, slot, link::Event::FoundAlive { dial, by }, None);
            }
            Event::Undecided { slot, dial, by } => {
                self.pass(turn, slot, link::Event::Undecided { dial, by }, None);
            }
            Event::FoundDead { slot, dial, by } => {
                self.pass(turn, slot, link::Event::FoundDead { dial, by }, Some(Fault::TimedOut));
            }
            Event::Lost { slot, dial, fault } => self.pass(turn, slot, link::Event::Lost { dial }, Some(fault)),
            Event::Gone { slot, dial } => self.pass(turn, slot, link::Event::Gone { dial }, None),
            Event::Demoted => self.topology = self.topology.saturating_add(1),
            Event::Renewed => self.renewed(turn),
            Event::Resized { max_size } => self.resized(max_size),
            Event::Paused => self.paused = true,
            Event::Resumed => self.paused = false,
            Event::Stopped { deadline } => self.stopped(turn, deadline),
            Event::Elapsed => self.elapsed(turn),
        }
        self.settle(turn);
        // Only when what was due has been done is it known what is due next.
        if event == Event::Elapsed { self.timeout(policy) } else { turn.wake }
    }

    fn asked(&mut self, turn: &mut Turn<'_>, lease: LeaseId, deadline: Time) {
        if self.stopping {
            return turn.out.push(Command::Refuse { lease, refusal: Refusal::Stopped });
        }
        self.waiters.push_back(Waiter { lease, deadline });
        self.serve(turn);
        // Whoever is still there waits, if there is time and room to wait.
        if self.waiters.back().is_none_or(|last| last.lease != lease) {
            return;
        }
        let full = self.waiters.len() > usize::try_from(turn.policy.waiters_max).unwrap_or(usize::MAX);
        if full || deadline <= turn.now {
            self.waiters.pop_back();
            let refusal = if full { Refusal::Full } else { Refusal::Deadline };
            return turn.out.push(Command::Refuse { lease, refusal });
        }
        turn.wake_at(deadline);
    }

    /// The session is retired, which its borrower may outlive, and then given back.
    fn discarded(&mut self, turn: &mut Turn<'_>, slot: u16, lease: LeaseId) {
        if self.link(slot).lease().is_some_and(|held| held.id == lease) {
            self.pass(turn, slot, link::Event::Retired, None);
            self.pass(turn, slot, link::Event::Returned { lease, work: Work::AtRest }, None);
        }
    }

    /// The session's place comes to an end as all do when a pool stops: the lease is over with the
    /// session's loss, or is cut where nobody tells of one.
    fn ended(&mut self, turn: &mut Turn<'_>, slot: u16, lease: LeaseId, work: Work) {
        if self.link(slot).lease().is_some_and(|held| held.id == lease) {
            let deadline = turn.now + turn.policy.close_deadline;
            self.pass(turn, slot, link::Event::Worked { lease, work, heard_at: turn.now }, None);
            self.pass(turn, slot, link::Event::Stopped { deadline }, None);
        }
    }

    fn dialed(&mut self, turn: &mut Turn<'_>, slot: u16, dial: DialId) {
        let policy = turn.policy;
        let on_trial = self.pacer.outage_since().is_some();
        let stable_at = if on_trial { turn.now + policy.stable_for } else { turn.now };
        let retire_at = policy
            .lifetime_max
            .map_or(Time::NEVER, |longest| turn.now + (longest - policy.lifetime_jitter.of(longest).draw(turn.chance)));
        self.pass(turn, slot, link::Event::Dialed { dial, stable_at, retire_at }, None);
    }

    fn renewed(&mut self, turn: &mut Turn<'_>) {
        self.pace(turn, pacer::Event::Renewed);
        for slot in self.slots() {
            if matches!(self.link(slot), Link::Held { .. }) {
                self.pass(turn, slot, link::Event::Renewed, None);
            }
        }
    }

    fn resized(&mut self, max_size: u16) {
        // What has ended gets no new places, or it would never have ended.
        if self.stopping {
            return;
        }
        self.max_size = max_size.clamp(1, SESSIONS_MAX);
        self.make_room(usize::from(self.max_size) + usize::from(self.pacer.endpoints()) - 1);
    }

    fn stopped(&mut self, turn: &mut Turn<'_>, deadline: Time) {
        self.stopping = true;
        self.refuse_all(turn, Refusal::Stopped);
        for slot in self.slots().chain(self.asker_slots()) {
            self.pass(turn, slot, link::Event::Stopped { deadline }, None);
        }
    }

    fn elapsed(&mut self, turn: &mut Turn<'_>) {
        let mut busy = self.tally.busy();
        for slot in self.slots() {
            if busy == 0 {
                break;
            }
            if self.links.get(usize::from(slot)).is_some_and(|link| link.dial().is_some()) {
                busy -= 1;
                self.overdue(turn, slot);
            }
        }
        for slot in self.asker_slots() {
            self.overdue(turn, slot);
        }
        let now = turn.now;
        let out = &mut *turn.out;
        self.waiters.retain(|waiter| {
            let over = waiter.deadline <= now;
            if over {
                out.push(Command::Refuse { lease: waiter.lease, refusal: Refusal::Deadline });
            }
            !over
        });
    }

    /// Serves the timeouts of a link that are due.
    fn overdue(&mut self, turn: &mut Turn<'_>, slot: u16) {
        // A lease can be overdue in two ways at once: not looked at, and held too long.
        for _ in 0..2 {
            if self.link(slot).timeout(turn.policy) > turn.now {
                break;
            }
            let event = self.due(turn, slot);
            self.pass(turn, slot, event, None);
        }
    }

    /// What the timeout of a link means.
    fn due(&self, turn: &Turn<'_>, slot: u16) -> link::Event {
        match self.link(slot) {
            // What `min_idle` keeps is not retired for being idle: it is asked, and then as good as new.
            Link::Online { session, .. } if session.retire_at > turn.now && slot < ASKERS => {
                let kept = self.tally.online.saturating_add(self.tally.probing) <= turn.policy.min_idle;
                if kept { link::Event::Doubted { topology: self.topology } } else { link::Event::Elapsed }
            }
            Link::Suspected { session, again: true, .. } if self.is_excused(session.dial.endpoint()) => {
                link::Event::Spared
            }
            Link::Idle | Link::Waiting | Link::Held { .. } | Link::Dialing { .. } | Link::Online { .. } => {
                link::Event::Elapsed
            }
            Link::Leased { .. } | Link::Suspected { .. } | Link::Draining { .. } => link::Event::Elapsed,
            Link::Probing { .. } | Link::Closing { .. } | Link::Closed => link::Event::Elapsed,
        }
    }

    /// The link at a place; a place that does not exist is closed.
    pub fn link(&self, slot: u16) -> Link {
        let place = match slot.checked_sub(ASKERS) {
            Some(endpoint) => self.askers.get(usize::from(endpoint)),
            None => self.links.get(usize::from(slot)),
        };
        place.copied().unwrap_or(Link::Closed)
    }

    /// All links that serve borrowers.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// The links that ask about others, by endpoint; their places begin at [`ASKERS`].
    pub fn askers(&self) -> &[Link] {
        &self.askers
    }

    /// The pacer.
    pub fn pacer(&self) -> &Pacer {
        &self.pacer
    }

    /// How many links are in each kind of state.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// How many sessions there may be, dialing and closing included.
    pub fn max_size(&self) -> u16 {
        self.max_size
    }

    /// How many wait for a session.
    pub fn waiters(&self) -> usize {
        self.waiters.len()
    }

    /// The names of those who wait, in the order in which they will be served.
    pub fn queue(&self) -> impl Iterator<Item = LeaseId> + '_ {
        self.waiters.iter().map(|waiter| waiter.lease)
    }

    /// The topology generation.
    pub fn topology(&self) -> u32 {
        self.topology
    }

    /// Whether the pool was told to end.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// The same pool as `frame` shows it; the pool knows its own topology generation.
    #[must_use]
    pub fn seen_from(&self, policy: &Checked, frame: &Frame<'_>) -> Self {
        let frame = Frame { topology: self.topology, ..*frame };
        let mut seen = self.clone();
        for link in seen.links.iter_mut().chain(&mut seen.askers) {
            *link = link.seen_from(policy, &frame);
        }
        for waiter in &mut seen.waiters {
            *waiter = Waiter { lease: frame.lease(waiter.lease), deadline: frame.due(waiter.deadline) };
        }
        seen.pacer = seen.pacer.seen_from(policy, &frame);
        seen.topology = frame.generation(seen.topology);
        seen
    }

    /// Whether the pool was told to end and has nothing left to close.
    pub fn is_closed(&self) -> bool {
        self.stopping && self.links.iter().chain(&self.askers).all(|link| *link == Link::Closed)
    }

    /// When the next dial may start; `NEVER` when none is wanted or an answer must come first.
    pub fn next_dial_at(&self, policy: &Checked) -> Time {
        let next = if self.may_dial(policy) { self.pacer.next(self.tally.waiting == 0).at } else { Time::NEVER };
        next.min(self.next_asker_at())
    }

    /// When [`Event::Elapsed`] is due.
    pub fn timeout(&self, policy: &Checked) -> Time {
        // Only busy links have one. Once all of those are found, the rest of a large pool need not be read.
        let busy = self.links.iter().filter(|link| link.dial().is_some()).take(self.tally.busy().into());
        let links = busy.chain(&self.askers).map(|link| link.timeout(policy));
        let waiters = self.waiters.iter().map(|waiter| waiter.deadline);
        links.chain(waiters).min().unwrap_or(Time::NEVER).min(self.next_dial_at(policy))
    }
}
