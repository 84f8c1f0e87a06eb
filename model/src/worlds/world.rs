//! A pool, everything around it, and every order in which things may happen.

use relink::{
    Checked, DialId, Fault, Frame, LeaseId, Span, Time, Work,
    link::Link,
    pool::{Command, Event, Pool},
};
use stateright::{Model, Property};

use crate::check::Chance;

use super::{
    NOW,
    bug::Bug,
    ghost::{About, Borrower, Ghost, Line, Peer, Question, Waiter},
    law::{self, Law},
};

/// What may happen around one pool. Every list is a list of what the adversary may choose.
#[derive(Clone, Debug)]
pub struct World {
    /// The name in reports.
    pub name: &'static str,
    /// The policy by which the machines are judged.
    pub policy: Checked,
    /// The policy that they are given: the same, unless that is the bug.
    pub driven: Checked,
    /// Endpoints of the set.
    pub endpoints: u8,
    /// Most borrowers, those who wait included.
    pub borrowers: usize,
    /// How long each waits.
    pub acquire: Span,
    /// Why a dial may fail.
    pub faults: &'static [Fault],
    /// What a borrower's session may be seen doing; nothing: it is never observed.
    pub works: &'static [Work],
    /// How a session may be given back.
    pub returns: &'static [Work],
    /// The words of chance: one for each class of outcome.
    pub words: &'static [u64],
    /// A transport may come up before the dial has its answer.
    pub accepts: bool,
    /// Demotions may be observed.
    pub demotion: bool,
    /// Renewals may come.
    pub renewal: bool,
    /// The pool may be told to end.
    pub stop: bool,
    /// The pool may be paused and resumed.
    pub pause: bool,
    /// The sizes that the pool may be given; the first is its own.
    pub sizes: &'static [u16],
    /// What is done wrong.
    pub bug: Option<Bug>,
}

/// One state of a world, seen from the frame whose present is [`NOW`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The machine under test.
    pub pool: Pool,
    /// The rest.
    pub ghost: Ghost,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A millisecond passes.
    Tick,
    /// The pool is told that something has happened; the word of chance comes with it.
    Tell(Event, u64),
}

impl World {
    /// When [`Event::Elapsed`] is due.
    pub(super) fn timeout(&self, state: &State) -> Time {
        let links = state.pool.links().iter().map(|link| link.timeout(&self.driven));
        let waiters = state.ghost.queue.iter().map(|waiter| waiter.deadline);
        if self.bug == Some(Bug::DropTimer) {
            return links.chain(waiters).min().unwrap_or(Time::NEVER);
        }
        state.pool.timeout(&self.driven)
    }

    /// When the next dial may start.
    pub(super) fn next_dial_at(&self, pool: &Pool) -> Time {
        if self.bug == Some(Bug::DropTimer) { Time::NEVER } else { pool.next_dial_at(&self.driven) }
    }

    fn tell(&self, last: &State, event: Event, chance: u64) -> State {
        let mut state = last.clone();
        let mut out: Vec<Command> = Vec::new();
        state.ghost.observe(event);
        self.step(&mut state.pool, &state.ghost, event, chance, &mut out);
        for command in out {
            state.ghost.obey(self, &last.pool, event, command);
        }
        // A timer that has been served must not be due again at once, or time would stand still.
        let served = event != Event::Elapsed || self.timeout(&state) > NOW;
        state.ghost.must(served, Law::S10);
        law::judge(self, &mut state);
        state
    }

    /// The same state in the frame whose present is [`NOW`], when it is `now` in the old one.
    fn seen_from(&self, state: State, now: Time) -> State {
        let State { pool, mut ghost } = state;
        let dials: Vec<DialId> = ghost.peers.iter().map(|peer| peer.dial).collect();
        let mut leases: Vec<LeaseId> = ghost.queue.iter().map(|waiter| waiter.lease).collect();
        leases.extend(ghost.borrowers.iter().map(|borrower| borrower.lease));
        leases.sort_unstable();
        let frame = Frame { now, origin: NOW, dials: &dials, leases: &leases, topology: 0 };
        let pool = pool.seen_from(&self.driven, &frame);
        // A deadline that has passed must stay so: the laws judge it.
        let overdue = |at: Time| frame.since(at, Span::from_millis(1));
        for peer in &mut ghost.peers {
            let dialing = peer.line == Line::Dialing;
            peer.dial = frame.dial(peer.dial);
            peer.deadline = if dialing { overdue(peer.deadline) } else { NOW };
            peer.outdated &= dialing;
            peer.question = peer.question.map(|asked| Question { by: frame.due(asked.by), ..asked });
        }
        for waiter in &mut ghost.queue {
            waiter.lease = frame.lease(waiter.lease);
            waiter.deadline = overdue(waiter.deadline);
        }
        for borrower in &mut ghost.borrowers {
            borrower.lease = frame.lease(borrower.lease);
            borrower.dial = frame.dial(borrower.dial);
        }
        ghost.stopped = ghost.stopped.map(overdue);
        State { pool, ghost }
    }

    fn ask_about(&self, state: &State, tell: &mut Tell<'_>) {
        let State { pool, ghost } = state;
        let present = ghost.queue.len() + ghost.borrowers.len();
        if present < self.borrowers {
            // One more than all before; the frame calls them 1, 2, 3.
            let lease = LeaseId(u64::try_from(present).unwrap_or(u64::MAX).saturating_add(1));
            tell.drawn(Event::Asked { lease, deadline: NOW + self.acquire });
        }
        for waiter in &ghost.queue {
            tell.drawn(Event::GaveUp { lease: waiter.lease });
        }
        for borrower in &ghost.borrowers {
            let (slot, lease) = (borrower.slot, borrower.lease);
            for work in self.works.iter().filter(|work| **work != borrower.work) {
                tell.once(Event::Worked { slot, lease, work: *work });
                tell.once(Event::Ended { slot, lease, work: *work });
            }
            for work in self.returns {
                tell.once(Event::Returned { slot, lease, work: *work });
            }
            tell.once(Event::Discarded { slot, lease });
        }
        if self.demotion {
            tell.once(Event::Demoted);
        }
        if self.renewal {
            tell.once(Event::Renewed);
        }
        if self.pause {
            tell.once(if ghost.paused { Event::Resumed } else { Event::Paused });
        }
        if self.stop && ghost.stopped.is_none() {
            tell.once(Event::Stopped { deadline: NOW + self.policy.drain_deadline });
        }
        if pool.links().iter().any(|link| *link != Link::Closed) {
            for max_size in self.sizes.iter().filter(|_| self.sizes.len() > 1) {
                tell.once(Event::Resized { max_size: *max_size });
            }
        }
    }

    /// What the network, the server and the driver may answer: anything, at any time, or never.
    fn answer(&self, peer: &Peer, link: Link, tell: &mut Tell<'_>) {
        let Peer { dial, slot, .. } = *peer;
        match peer.line {
            Line::Dialing => {
                if self.accepts && matches!(link, Link::Dialing { accepted: false, .. }) {
                    tell.once(Event::Accepted { slot, dial });
                }
                tell.drawn(Event::Dialed { slot, dial });
                for fault in self.faults {
                    tell.drawn(Event::DialFailed { slot, dial, fault: *fault });
                }
            }
            Line::Aborting => {
                tell.once(Event::Dialed { slot, dial });
                tell.once(Event::DialFailed { slot, dial, fault: Fault::Refused });
                tell.once(Event::Gone { slot, dial });
            }
            Line::Open => tell.drawn(Event::Lost { slot, dial, fault: Fault::Lost }),
            Line::Closing => tell.once(Event::Gone { slot, dial }),
        }
        let Some(Question { about, by }) = peer.question else { return };
        match about {
            About::Role { .. } => {
                tell.once(Event::Proved { slot, dial, by });
                tell.drawn(Event::Unproved { slot, dial, by, fault: Fault::WrongRole });
            }
            About::Reset => {
                tell.once(Event::Proved { slot, dial, by });
                tell.drawn(Event::Unproved { slot, dial, by, fault: Fault::Lost });
            }
            About::Alive => {
                tell.once(Event::FoundAlive { slot, dial, by });
                tell.drawn(Event::FoundDead { slot, dial, by });
            }
        }
    }
}

/// Collects what may happen.
struct Tell<'a> {
    words: &'static [u64],
    actions: &'a mut Vec<Action>,
}

impl Tell<'_> {
    /// An event that no wait follows.
    fn once(&mut self, event: Event) {
        self.actions.push(Action::Tell(event, 0));
    }

    /// An event that a wait may follow: with every class of chance.
    fn drawn(&mut self, event: Event) {
        self.actions.extend(self.words.iter().map(|word| Action::Tell(event, *word)));
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let state = State { pool: Pool::new(&self.driven, self.endpoints), ghost: Ghost::default() };
        // A driver's first act is to let the new pool want what the policy says.
        let started = self.tell(&self.seen_from(state, NOW), Event::Elapsed, 0);
        vec![self.seen_from(started, NOW)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.ghost.broken.is_some() {
            return;
        }
        let mut tell = Tell { words: self.words, actions };
        if self.timeout(state) <= NOW {
            tell.drawn(Event::Elapsed);
        } else {
            tell.actions.push(Action::Tick);
        }
        for peer in &state.ghost.peers {
            self.answer(peer, state.pool.link(peer.slot), &mut tell);
        }
        self.ask_about(state, &mut tell);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let next = match action {
            Action::Tick => {
                let mut state = self.seen_from(last.clone(), NOW + Span::from_millis(1));
                law::judge(self, &mut state);
                state
            }
            Action::Tell(event, chance) => self.seen_from(self.tell(last, event, chance), NOW),
        };
        (next != *last).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        law::properties(self)
    }
}

impl Chance for World {
    /// Chance is an adversary's, too: what is judged here must hold whatever is drawn.
    fn random(&self, _: &State) -> bool {
        false
    }

    fn owned_bytes(&self, state: &State) -> usize {
        let State { pool, ghost } = state;
        size_of_val(pool.links())
            + pool.links().len() * size_of::<u16>()
            + pool.waiters() * size_of::<(LeaseId, Time)>()
            + ghost.peers.capacity() * size_of::<Peer>()
            + ghost.queue.capacity() * size_of::<Waiter>()
            + ghost.borrowers.capacity() * size_of::<Borrower>()
    }
}
