//! N links, their pacer and those who wait: who gets a session, and how many there should be.

use alloc::{collections::VecDeque, vec::Vec};

use super::{
    fault::Fault,
    frame::Frame,
    link::{self, LeaseId, Link, Work},
    pacer::{self, DialId, Pacer},
    policy::{Checked, OnDown, Validate},
    time::{Span, Time},
};

/// What has happened to a pool. `slot` is the place of a link; names decide what is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Event {
    /// Somebody asks for a session. Names are issued by the driver, each larger than all before.
    Asked {
        /// The wait, and then the lease.
        lease: LeaseId,
        /// When the wait is over.
        deadline: Time,
    },
    /// Who waited does so no more.
    GaveUp {
        /// The wait.
        lease: LeaseId,
    },
    /// A borrower gave a session back.
    Returned {
        /// The link.
        slot: u16,
        /// The lease that ended.
        lease: LeaseId,
        /// How the session was left.
        work: Work,
    },
    /// A borrower gave a session back that shall be closed instead of being lent again.
    Discarded {
        /// The link.
        slot: u16,
        /// The lease that ended.
        lease: LeaseId,
    },
    /// The transport of a dial is up.
    Accepted {
        /// The link.
        slot: u16,
        /// The dial.
        dial: DialId,
    },
    /// A dial opened a session of the wanted role.
    Dialed {
        /// The link.
        slot: u16,
        /// The dial.
        dial: DialId,
    },
    /// A dial failed and has left nothing behind.
    DialFailed {
        /// The link.
        slot: u16,
        /// The dial.
        dial: DialId,
        /// Why.
        fault: Fault,
    },
    /// A session answered and has the wanted role; if it had to be cleaned, it is clean.
    Proved {
        /// The link.
        slot: u16,
        /// The session.
        dial: DialId,
        /// Which question this answers; see [`link::Command`].
        by: Time,
    },
    /// A session answered wrongly, or could not be cleaned.
    Unproved {
        /// The link.
        slot: u16,
        /// The session.
        dial: DialId,
        /// Which question this answers; see [`link::Command`].
        by: Time,
        /// What was wrong.
        fault: Fault,
    },
    /// What a borrower's session is doing was observed.
    Worked {
        /// The link.
        slot: u16,
        /// The lease.
        lease: LeaseId,
        /// What it is doing.
        work: Work,
    },
    /// The server was asked about a session and knows it to be at work.
    FoundAlive {
        /// The link.
        slot: u16,
        /// The session.
        dial: DialId,
        /// Which question this answers; see [`link::Command`].
        by: Time,
    },
    /// The server was asked about a session and knows it to be gone, or idle.
    FoundDead {
        /// The link.
        slot: u16,
        /// The session.
        dial: DialId,
        /// Which question this answers; see [`link::Command`].
        by: Time,
    },
    /// A session ended.
    Lost {
        /// The link.
        slot: u16,
        /// The session.
        dial: DialId,
        /// Why.
        fault: Fault,
    },
    /// What was being closed is gone.
    Gone {
        /// The link.
        slot: u16,
        /// The dial or session.
        dial: DialId,
    },
    /// A server lost the role that its sessions were opened for: the topology generation rises.
    Demoted,
    /// Credentials or configuration were renewed: the credential generation rises.
    Renewed,
    /// The pool shall have another size, 1 ..= 10 000.
    Resized {
        /// The new `max_size`.
        max_size: u16,
    },
    /// Nobody shall be served and nothing dialed until [`Event::Resumed`].
    Paused,
    /// The end of a pause.
    Resumed,
    /// The pool shall end.
    Stopped {
        /// When leases are cut.
        deadline: Time,
    },
    /// A timeout of the pool has come; see [`Pool::timeout`].
    Elapsed,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Command {
    /// Dial the endpoint that the dial names.
    Dial {
        /// The link.
        slot: u16,
        /// The dial.
        dial: DialId,
    },
    /// A link's command about its dial or session.
    Link {
        /// The link.
        slot: u16,
        /// What to do.
        command: link::Command,
    },
    /// Lend the session to who waited.
    Grant {
        /// The lease that begins.
        lease: LeaseId,
        /// The link.
        slot: u16,
        /// The session.
        dial: DialId,
    },
    /// Tell who waited that there is no session.
    Refuse {
        /// The wait that ends.
        lease: LeaseId,
        /// Why.
        refusal: Refusal,
    },
    /// Tell a borrower that its session is lost, and what that means for its work.
    Report {
        /// The lease.
        lease: LeaseId,
        /// [`Fault::Ambiguous`] if a statement in flight may have become durable.
        fault: Fault,
    },
}

/// Why a wait ended without a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Refusal {
    /// Its own deadline passed.
    Deadline,
    /// There is an outage, and the policy says not to wait in one.
    Down,
    /// A fatal fault stopped dialing; only a renewal helps.
    Held(Fault),
    /// `waiters_max` others wait already.
    Full,
    /// The pool is shutting down.
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Waiter {
    lease: LeaseId,
    deadline: Time,
}

/// How many links are in each kind of state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Tally {
    /// Places without a session that want none.
    pub idle: u16,
    /// Wanting a session, waiting for the pacer, or held.
    pub waiting: u16,
    /// A dial in flight.
    pub dialing: u16,
    /// Sessions at rest, ready to be lent.
    pub online: u16,
    /// Sessions with a borrower.
    pub leased: u16,
    /// Sessions being asked or cleaned.
    pub probing: u16,
    /// Dials or sessions being closed.
    pub closing: u16,
    /// Links that have ended.
    pub closed: u16,
}

impl Tally {
    fn of(&mut self, link: &Link) -> &mut u16 {
        match link {
            Link::Idle => &mut self.idle,
            Link::Waiting | Link::Held { .. } => &mut self.waiting,
            Link::Dialing { .. } => &mut self.dialing,
            Link::Online { .. } => &mut self.online,
            Link::Leased { .. } | Link::Suspected { .. } | Link::Draining { .. } => &mut self.leased,
            Link::Probing { .. } => &mut self.probing,
            Link::Closing { .. } => &mut self.closing,
            Link::Closed => &mut self.closed,
        }
    }

    /// Sessions that are not being closed.
    const fn usable(&self) -> u16 {
        self.online.saturating_add(self.leased).saturating_add(self.probing)
    }

    /// Sessions, those being closed included: what counts against `max_size` beside dials.
    const fn owned(&self) -> u16 {
        self.usable().saturating_add(self.closing)
    }
}

/// A pool of links to one endpoint set.
///
/// It allocates when it is built or resized, never in a step, as long as the vector that a step
/// fills has room for [`Pool::commands_max`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pool {
    links: Vec<Link>,
    pacer: Pacer,
    waiters: VecDeque<Waiter>,
    /// The links that are online, the one last used at the end: an index into `links`.
    free: Vec<u16>,
    /// An index into `links` too.
    tally: Tally,
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
    /// A pool that has dialed nothing yet. `endpoints` is 1 ..= 8.
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
            pacer,
            waiters: VecDeque::with_capacity(waiters),
            free: Vec::new(),
            tally: Tally::default(),
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
        self.links.len() * 4 + self.waiters.capacity() + 8
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
        let mut turn = Turn { policy, now, chance, out, wake: Time::NEVER };
        let turn_ref = &mut turn;
        match event {
            Event::Asked { lease, deadline } => self.asked(turn_ref, lease, deadline),
            Event::GaveUp { lease } => self.waiters.retain(|waiter| waiter.lease != lease),
            Event::Returned { slot, lease, work } => {
                self.pass(turn_ref, slot, link::Event::Returned { lease, work }, None);
            }
            Event::Discarded { slot, lease } => self.discarded(turn_ref, slot, lease),
            Event::Accepted { slot, dial } => self.pass(turn_ref, slot, link::Event::Accepted { dial }, None),
            Event::Dialed { slot, dial } => self.dialed(turn_ref, slot, dial),
            Event::DialFailed { slot, dial, fault } => {
                self.pass(turn_ref, slot, link::Event::DialFailed { dial }, Some(fault));
            }
            Event::Proved { slot, dial, by } => self.pass(turn_ref, slot, link::Event::Proved { dial, by }, None),
            Event::Unproved { slot, dial, by, fault } => {
                self.pass(turn_ref, slot, link::Event::Unproved { dial, by }, Some(fault));
            }
            Event::Worked { slot, lease, work } => self.pass(turn_ref, slot, link::Event::Worked { lease, work }, None),
            Event::FoundAlive { slot, dial, by } => {
                self.pass(turn_ref, slot, link::Event::FoundAlive { dial, by }, None);
            }
            Event::FoundDead { slot, dial, by } => {
                self.pass(turn_ref, slot, link::Event::FoundDead { dial, by }, Some(Fault::TimedOut));
            }
            Event::Lost { slot, dial, fault } => self.pass(turn_ref, slot, link::Event::Lost { dial }, Some(fault)),
            Event::Gone { slot, dial } => self.pass(turn_ref, slot, link::Event::Gone { dial }, None),
            Event::Demoted => self.topology = self.topology.saturating_add(1),
            Event::Renewed => self.renewed(turn_ref),
            Event::Resized { max_size } => self.resized(max_size),
            Event::Paused => self.paused = true,
            Event::Resumed => self.paused = false,
            Event::Stopped { deadline } => self.stopped(turn_ref, deadline),
            Event::Elapsed => self.elapsed(turn_ref),
        }
        self.settle(&mut turn);
        turn.wake
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

    fn dialed(&mut self, turn: &mut Turn<'_>, slot: u16, dial: DialId) {
        let policy = turn.policy;
        let on_trial = self.pacer.outage_since().is_some();
        let stable_at = if on_trial { turn.now + policy.stable_for } else { turn.now };
        let retire_at = policy.lifetime_max.map_or(Time::NEVER, |longest| {
            let most = policy.lifetime_jitter.of(longest).as_millis();
            let early = ((u128::from(turn.chance) * (u128::from(most) + 1)) >> 64) as u64;
            turn.now + (longest - Span::from_millis(early))
        });
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
        self.max_size = max_size.clamp(1, 10_000);
        self.make_room(usize::from(self.max_size) + usize::from(self.pacer.endpoints()) - 1);
    }

    fn stopped(&mut self, turn: &mut Turn<'_>, deadline: Time) {
        self.stopping = true;
        self.refuse_all(turn, Refusal::Stopped);
        for slot in self.slots() {
            self.pass(turn, slot, link::Event::Stopped { deadline }, None);
        }
    }

    fn elapsed(&mut self, turn: &mut Turn<'_>) {
        for slot in self.slots() {
            // A lease can be overdue in two ways at once: its statement silent, and held too long.
            for _ in 0..2 {
                if self.link(slot).timeout(turn.policy) <= turn.now {
                    self.pass(turn, slot, link::Event::Elapsed, Some(Fault::TimedOut));
                }
            }
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
        turn.wake = self.timeout(turn.policy);
    }

    /// What follows from the state alone, after every event.
    fn settle(&mut self, turn: &mut Turn<'_>) {
        // What the size forbids goes even if somebody waits; what is merely idle goes if nobody does.
        self.retire_free(turn, usize::from(self.tally.usable().saturating_sub(self.max_size)));
        self.serve(turn);
        self.retire_free(turn, self.free.len().saturating_sub(usize::from(turn.policy.max_idle)));
        self.refuse_hopeless(turn);
        self.want(turn);
        self.hold_back(turn);
        self.dial(turn);
    }

    /// Closes up to `most` of the free sessions. The one that was used longest ago goes first.
    fn retire_free(&mut self, turn: &mut Turn<'_>, most: usize) {
        for _ in 0..most {
            let Some(&oldest) = self.free.first() else { return };
            self.pass(turn, oldest, link::Event::Retired, None);
        }
    }

    /// Lends sessions to those who wait, in order.
    fn serve(&mut self, turn: &mut Turn<'_>) {
        if self.paused {
            return;
        }
        while let Some(&waiter) = self.waiters.front() {
            let Some(&slot) = self.free.last() else { return };
            let Some(&Link::Online { session, since, proved }) = self.links.get(usize::from(slot)) else { return };
            if session.retire_at <= turn.now {
                self.pass(turn, slot, link::Event::Retired, None);
                continue;
            }
            let idle = turn.now - since;
            if self.is_stale(turn.policy, session, idle, proved) {
                if usize::from(self.tally.probing) >= self.waiters.len() {
                    return;
                }
                self.pass(turn, slot, link::Event::Doubted { topology: self.topology }, None);
                continue;
            }
            self.waiters.pop_front();
            self.pass(turn, slot, link::Event::Lent { lease: waiter.lease }, None);
            turn.out.push(Command::Grant { lease: waiter.lease, slot, dial: session.dial });
        }
    }

    /// Whether a session's evidence is too old to lend it unasked.
    fn is_stale(&self, policy: &Checked, session: link::Session, idle: Span, proved: bool) -> bool {
        // Whatever the limit, an answer of this very moment is fresh; or asking would never end.
        let answered_now = proved && idle == Span::ZERO;
        session.topology != self.topology
            || match policy.validate {
                Validate::Never => false,
                Validate::Stale => !answered_now && idle >= policy.stale_after,
                Validate::Always => !answered_now && (!proved || idle >= policy.stale_after),
            }
    }

    /// Tells those who wait when waiting cannot help, or must not be by policy.
    fn refuse_hopeless(&mut self, turn: &mut Turn<'_>) {
        let anybody = self.tally.online > 0 || self.tally.leased > 0 || self.tally.probing > 0;
        if anybody || self.waiters.is_empty() {
            return;
        }
        if let Some(fault) = self.pacer.held().filter(|_| self.tally.dialing == 0) {
            self.refuse_all(turn, Refusal::Held(fault));
        }
        if turn.policy.on_down == OnDown::FailFast && self.pacer.outage_since().is_some() {
            self.refuse_all(turn, Refusal::Down);
        }
    }

    /// Shows the fatal fault where links wait in vain.
    fn hold_back(&mut self, turn: &mut Turn<'_>) {
        if self.tally.waiting == 0 {
            return;
        }
        if let Some(fault) = self.pacer.held() {
            self.pass_to(turn, u16::MAX, |link| *link == Link::Waiting, link::Event::HeldBack { fault });
        }
    }

    fn refuse_all(&mut self, turn: &mut Turn<'_>, refusal: Refusal) {
        for waiter in self.waiters.drain(..) {
            turn.out.push(Command::Refuse { lease: waiter.lease, refusal });
        }
    }

    /// How many more sessions are needed than there are.
    fn needed(&self, policy: &Checked) -> u16 {
        if self.stopping || self.paused {
            return 0;
        }
        let room = self.max_size.saturating_sub(self.tally.owned());
        let soon = self.tally.online.saturating_add(self.tally.probing);
        let waiting = u16::try_from(self.waiters.len()).unwrap_or(u16::MAX);
        // Who fails fast does not wait, so in an outage nobody would ask for the dial that ends it.
        let probing = policy.on_down == OnDown::FailFast && self.pacer.outage_since().is_some();
        waiting.max(policy.min_idle).max(u16::from(probing)).saturating_sub(soon).min(room)
    }

    /// Raises and lowers how many links want a session.
    fn want(&mut self, turn: &mut Turn<'_>) {
        let needed = self.needed(turn.policy);
        let have = self.tally.waiting.saturating_add(self.tally.dialing);
        if have < needed {
            self.pass_to(turn, needed - have, |link| *link == Link::Idle, link::Event::Wanted);
        } else if have > needed && self.tally.waiting > 0 {
            let wants_no_more = |link: &Link| matches!(link, Link::Waiting | Link::Held { .. });
            self.pass_to(turn, have - needed, wants_no_more, link::Event::Unwanted);
        }
        // Once a hedged dial has won, those that lost the race are given up, the silent ones first. The
        // closing of a dial that failed is no reason to give up the one that hedges it.
        let places = self.max_size.saturating_add(u16::from(self.pacer.endpoints()) - 1);
        let won = self.tally.usable() >= self.max_size;
        let hedged = if won { 0 } else { places.saturating_sub(self.tally.owned()) };
        if self.tally.dialing > hedged {
            let favourite = self.pacer.favourite();
            let lost = |link: &Link| matches!(link, Link::Dialing { dial, .. } if dial.endpoint() != favourite);
            self.pass_to(turn, self.tally.dialing - hedged, lost, link::Event::Unwanted);
        }
        if self.tally.dialing > hedged {
            let dialing = |link: &Link| matches!(link, Link::Dialing { .. });
            self.pass_to(turn, self.tally.dialing - hedged, dialing, link::Event::Unwanted);
        }
    }

    /// Starts what the pacer lets start now, and wakes for what it lets start later.
    fn dial(&mut self, turn: &mut Turn<'_>) {
        while self.may_dial(turn.policy) {
            let hedge = self.tally.waiting == 0;
            let next = self.pacer.next(hedge);
            if next.at > turn.now {
                return turn.wake_at(next.at);
            }
            let from = if hedge { Link::Idle } else { Link::Waiting };
            let Some(slot) = self.find(&from) else { return };
            if hedge {
                self.pass(turn, slot, link::Event::Wanted, None);
            }
            let Some(pacer::Command::Dial { dial, deadline }) =
                self.pace(turn, pacer::Event::Requested { endpoint: next.endpoint })
            else {
                return;
            };
            self.pass(turn, slot, link::Event::Granted { dial, deadline, topology: self.topology }, None);
            turn.out.push(Command::Dial { slot, dial });
        }
    }

    /// Whether a dial, or a hedge of one, could be of use.
    fn may_dial(&self, policy: &Checked) -> bool {
        let race = self.tally.dialing > 0 && self.tally.dialing < u16::from(self.pacer.endpoints());
        // A race that is won needs no more hedges; and where no place is free, none could start.
        let hedges = race && self.tally.idle > 0 && self.needed(policy) > 0;
        let held = self.tally.waiting > 0 && self.pacer.held().is_some();
        !self.paused && !self.stopping && !held && (self.tally.waiting > 0 || hedges)
    }

    /// Gives an event to a link, and to the pacer what it means for the endpoint.
    fn pass(&mut self, turn: &mut Turn<'_>, slot: u16, event: link::Event, fault: Option<Fault>) {
        let before = self.link(slot);
        // Looked at where they are: links are large enough for each copy to be felt.
        let (ref after, command) = before.step(turn.policy, turn.now, event);
        let before = &before;
        self.put(slot, before, after);
        turn.wake_at(after.timeout(turn.policy));
        if let Some(command) = command {
            turn.out.push(Command::Link { slot, command });
        }
        if before == after {
            return;
        }
        let fault = declared(before, event).or(fault).unwrap_or(Fault::Lost);
        if fault == Fault::WrongRole && self.is_demotion(before) {
            self.topology = self.topology.saturating_add(1);
        }
        let given_back = matches!(event, link::Event::Returned { .. });
        if let Some(lease) = before.lease().filter(|_| !given_back && matches!(after, Link::Closing { .. })) {
            turn.out.push(Command::Report { lease: lease.id, fault: lease.work.loss(fault) });
        }
        if let Some(event) = meaning(before, after, event, fault, turn.now) {
            self.pace(turn, event);
        }
        if self.stopping && *after == Link::Idle {
            self.pass(turn, slot, link::Event::Stopped { deadline: turn.now }, None);
        }
    }

    fn is_demotion(&self, before: &Link) -> bool {
        let endpoint = before.dial().map_or(0, DialId::endpoint);
        before.session().is_some() || self.pacer.online_at(endpoint) > 0
    }

    fn pace(&mut self, turn: &Turn<'_>, event: pacer::Event) -> Option<pacer::Command> {
        self.pacer.apply(turn.policy, turn.now, event, turn.chance)
    }

    fn put(&mut self, slot: u16, before: &Link, after: &Link) {
        let Some(place) = self.links.get_mut(usize::from(slot)) else { return };
        *place = *after;
        let count = self.tally.of(before);
        *count = count.saturating_sub(1);
        let count = self.tally.of(after);
        *count = count.saturating_add(1);
        match (matches!(before, Link::Online { .. }), matches!(after, Link::Online { .. })) {
            (true, false) if self.free.last() == Some(&slot) => {
                self.free.pop();
            }
            (true, false) => self.free.retain(|other| *other != slot),
            (false, true) => self.free.push(slot),
            (true, true) | (false, false) => {}
        }
    }

    fn slots(&self) -> core::ops::Range<u16> {
        0..u16::try_from(self.links.len()).unwrap_or(u16::MAX)
    }

    /// Gives an event to the first `most` links that are as asked.
    fn pass_to(&mut self, turn: &mut Turn<'_>, most: u16, is: impl Fn(&Link) -> bool, event: link::Event) {
        let mut left = most;
        for slot in self.slots() {
            if left == 0 {
                return;
            }
            if is(&self.link(slot)) {
                self.pass(turn, slot, event, None);
                left -= 1;
            }
        }
    }

    fn find(&self, like: &Link) -> Option<u16> {
        self.slots().find(|slot| self.link(*slot) == *like)
    }

    /// The link at a place; a place that does not exist is closed.
    pub fn link(&self, slot: u16) -> Link {
        self.links.get(usize::from(slot)).copied().unwrap_or(Link::Closed)
    }

    /// All links.
    pub fn links(&self) -> &[Link] {
        &self.links
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
        for link in &mut seen.links {
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
        self.stopping && self.links.iter().all(|link| *link == Link::Closed)
    }

    /// When the next dial may start; `NEVER` when none is wanted or an answer must come first.
    pub fn next_dial_at(&self, policy: &Checked) -> Time {
        if self.may_dial(policy) { self.pacer.next(self.tally.waiting == 0).at } else { Time::NEVER }
    }

    /// When [`Event::Elapsed`] is due.
    pub fn timeout(&self, policy: &Checked) -> Time {
        let links = self.links.iter().map(|link| link.timeout(policy));
        let waiters = self.waiters.iter().map(|waiter| waiter.deadline);
        links.chain(waiters).min().unwrap_or(Time::NEVER).min(self.next_dial_at(policy))
    }
}

/// The fault that a link's own deadline declares.
fn declared(before: &Link, event: link::Event) -> Option<Fault> {
    match (before, event) {
        (Link::Dialing { accepted: true, .. }, link::Event::Elapsed) => Some(Fault::TimedOut),
        (Link::Dialing { accepted: false, .. }, link::Event::Elapsed) => Some(Fault::Unreachable),
        _ => None,
    }
}

/// Whether a session was lost, rather than closed on purpose.
fn is_loss(before: &Link, after: &Link, event: link::Event) -> bool {
    let overdue = matches!(before, Link::Suspected { .. } | Link::Probing { .. });
    let ended = match event {
        link::Event::Lost { .. } | link::Event::FoundDead { .. } | link::Event::Unproved { .. } => true,
        link::Event::Elapsed => overdue,
        _ => false,
    };
    ended && before.session().is_some() && matches!(after, Link::Closing { .. })
}

/// What a link's step means for the pacing of its endpoint.
fn meaning(before: &Link, after: &Link, event: link::Event, fault: Fault, now: Time) -> Option<pacer::Event> {
    match (before, after) {
        (&Link::Dialing { dial, .. }, Link::Online { .. }) => Some(pacer::Event::Dialed { dial }),
        (&Link::Dialing { dial, .. }, Link::Waiting) => Some(pacer::Event::Failed { dial, fault }),
        (&Link::Dialing { dial, .. }, Link::Closing { .. }) if event == link::Event::Elapsed => {
            Some(pacer::Event::Failed { dial, fault })
        }
        (&Link::Dialing { dial, .. }, Link::Closing { .. }) => Some(pacer::Event::Abandoned { dial }),
        (_, Link::Closing { .. }) => before.session().map(|session| {
            let endpoint = session.dial.endpoint();
            if is_loss(before, after, event) {
                pacer::Event::Lost { endpoint, unstable: now < session.stable_at }
            } else {
                pacer::Event::Retired { endpoint }
            }
        }),
        _ => None,
    }
}
