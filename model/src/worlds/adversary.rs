//! What may happen next: whatever the network, the servers, the borrowers and the operator choose to do.

use relink::{
    DialId, Fault, LeaseId, Time, Work,
    link::Link,
    pool::{ASKERS, Event, Pool},
};

use super::{
    NOW,
    bug::Bug,
    ghost::{About, Borrower, Ghost, Line, Peer, Question},
    world::{Action, State, World},
};

/// Collects what may happen in a state.
pub(super) struct Moves<'a> {
    pub(super) world: &'a World,
    pub(super) state: &'a State,
    pub(super) actions: &'a mut Vec<Action>,
}

impl Moves<'_> {
    pub(super) fn all(&mut self) {
        let (world, State { pool, ghost, .. }) = (self.world, self.state);
        // A look costs no time: nothing comes between the order and the answer.
        if let Some(held) = ghost.borrowers.iter().find(|held| held.looked) {
            return self.look(held);
        }
        let due = world.timeout(self.state) <= NOW;
        let asked =
            ghost.peers.iter().any(|peer| peer.question.is_some() || peer.slot >= ASKERS && peer.line == Line::Dialing);
        // Whoever is about to be given up or cut is looked at first.
        let doomed = |held: &&Borrower| !held.told && pool.link(held.slot).is_doomed(NOW);
        if let Some(held) = ghost.borrowers.iter().find(doomed) {
            return self.look(held);
        }
        let waits = world.prompt && ghost.peers.iter().any(|peer| peer.line != Line::Open);
        if !due && !waits {
            self.actions.push(Action::Tick);
            self.actions.extend(world.jump.map(|_| Action::Jump));
        } else if due && (world.jump.is_none() || !asked || world.bug == Some(Bug::TimersFirst)) {
            self.drawn(Event::Elapsed);
        }
        for peer in &ghost.peers {
            self.line(peer, pool.link(peer.slot));
            self.question(peer);
        }
        // After a jump everything is late: the driver comes to its timers before it hears of anything new.
        if world.jump.is_none() || !due {
            self.silence(ghost);
            self.borrowers(ghost);
            self.operator(pool, ghost);
        }
    }

    /// What may be heard of a dial or its session: anything, at any time, or nothing.
    fn line(&mut self, peer: &Peer, link: Link) {
        let Peer { dial, slot, .. } = *peer;
        match peer.line {
            Line::Dialing => {
                if self.world.accepts && matches!(link, Link::Dialing { connect_by, .. } if connect_by != Time::NEVER) {
                    self.once(Event::Accepted { slot, dial });
                }
                if self.may_say(peer, true) {
                    self.drawn(Event::Dialed { slot, dial });
                }
                if self.world.roles && self.may_say(peer, false) {
                    self.drawn(Event::DialFailed { slot, dial, fault: Fault::WrongRole });
                }
                for fault in self.world.faults {
                    self.drawn(Event::DialFailed { slot, dial, fault: *fault });
                }
            }
            Line::Aborting => {
                self.once(Event::Dialed { slot, dial });
                self.once(Event::DialFailed { slot, dial, fault: Fault::Refused });
                self.once(Event::Gone { slot, dial });
            }
            Line::Open if self.world.jump.is_some() => {}
            Line::Open if self.is_untold(dial) => {}
            Line::Open => self.drawn(Event::Lost { slot, dial, fault: Fault::Lost }),
            Line::Closing => self.once(Event::Gone { slot, dial }),
        }
    }

    fn question(&mut self, peer: &Peer) {
        let Peer { dial, slot, question, .. } = *peer;
        let Some(Question { about, by }) = question else { return };
        // The driver looks before it tells what the server said.
        let untold = self.state.ghost.borrowers.iter().find(|held| held.dial == dial && !held.told);
        if let (About::Alive, Some(held)) = (about, untold) {
            return self.look(held);
        }
        let well = self.world.jump.is_some();
        match about {
            About::Alive => {
                let cut_off = self.state.ghost.borrowers.iter().find(|held| held.dial == dial && held.is_cut_off());
                // Of one that is dead it may once be too early to tell.
                match cut_off {
                    None => self.once(Event::FoundAlive { slot, dial, by }),
                    Some(held) if !held.undecided => self.once(Event::Undecided { slot, dial, by }),
                    Some(_) => {}
                }
                if !well {
                    self.drawn(Event::FoundDead { slot, dial, by });
                }
            }
            About::Role { .. } => {
                if self.may_say(peer, true) {
                    self.once(Event::Proved { slot, dial, by });
                }
                if !well {
                    self.drawn(Event::Unheard { slot, dial, by });
                }
                if !well && self.may_say(peer, false) {
                    self.drawn(Event::Unproved { slot, dial, by, fault: Fault::WrongRole });
                }
            }
            About::Reset => {
                self.once(Event::Proved { slot, dial, by });
                if !well {
                    self.drawn(Event::Unproved { slot, dial, by, fault: Fault::Lost });
                }
            }
        }
    }

    /// The pool is told what a borrower is doing.
    fn look(&mut self, held: &Borrower) {
        let Borrower { slot, lease, work, heard_at, .. } = *held;
        self.once(Event::Worked { slot, lease, work, heard_at });
    }

    /// Whether the pool does not know what a session's borrower is doing: the driver looks before it tells what came of
    /// the session.
    fn is_untold(&self, dial: DialId) -> bool {
        self.state.ghost.borrowers.iter().any(|held| held.dial == dial && !held.told)
    }

    /// Whether a server may answer that it is the primary, or that it is not: where that matters, it says what it is, or
    /// what it was when it was asked.
    fn may_say(&self, peer: &Peer, primary: bool) -> bool {
        let Ghost { primary: latest, split, .. } = self.state.ghost;
        let is_primary = split || peer.dial.endpoint() == latest;
        !self.world.roles || peer.turned || is_primary == primary
    }

    fn silence(&mut self, ghost: &Ghost) {
        if self.world.silence.is_some() {
            let waits = |work| matches!(work, Work::Statement { .. });
            let living = ghost.borrowers.iter().filter(|held| waits(held.work) && !held.is_cut_off());
            self.actions.extend(living.map(|held| Action::Die(held.slot)));
            self.actions.extend(ghost.underway.map(|_| Action::Arrive));
        }
        if self.world.fenced && !ghost.split {
            self.actions.push(Action::Promote);
        }
        if self.world.roles && !self.world.fenced {
            self.actions.push(Action::FailOver);
        }
    }

    fn borrowers(&mut self, ghost: &Ghost) {
        let World { borrowers, acquire, works, returns, .. } = *self.world;
        let present = ghost.queue.len() + ghost.borrowers.len();
        if present < borrowers {
            // One more than all before; the frame calls them 1, 2, 3.
            let lease = LeaseId(u64::try_from(present).unwrap_or(u64::MAX).saturating_add(1));
            self.drawn(Event::Asked { lease, deadline: NOW + acquire });
        }
        for waiter in &ghost.queue {
            self.drawn(Event::GaveUp { lease: waiter.lease });
        }
        // Who waits on a dead peer waits on, and who has given back a session that had ended has done all.
        let is_over = |held: &Borrower| ghost.peer(held.dial).is_some_and(|peer| peer.dirty);
        for held in ghost.borrowers.iter().filter(|held| !held.is_cut_off() && !is_over(held)) {
            let (slot, lease) = (held.slot, held.lease);
            if !held.told {
                self.look(held);
            }
            for work in works.iter().filter(|work| **work != held.work) {
                self.actions.push(Action::Work(slot, *work));
                if self.world.jump.is_none() {
                    self.once(Event::Ended { slot, lease, work: *work });
                }
            }
            for work in returns {
                self.once(Event::Returned { slot, lease, work: *work });
            }
            self.once(Event::Discarded { slot, lease });
        }
    }

    fn operator(&mut self, pool: &Pool, ghost: &Ghost) {
        let world = self.world;
        if world.demotion {
            self.once(Event::Demoted);
        }
        if world.renewal {
            self.once(Event::Renewed);
        }
        if world.pause {
            self.once(if ghost.paused { Event::Resumed } else { Event::Paused });
        }
        if world.stop && ghost.stopped.is_none() {
            self.once(Event::Stopped { deadline: NOW + world.policy.drain_deadline });
        }
        if pool.links().iter().any(|link| *link != Link::Closed) {
            for max_size in world.sizes.iter().filter(|_| world.sizes.len() > 1) {
                self.once(Event::Resized { max_size: *max_size });
            }
        }
    }

    /// An event that no wait follows.
    fn once(&mut self, event: Event) {
        self.of(event, &[0]);
    }

    /// An event that a wait may follow: with every class of chance.
    fn drawn(&mut self, event: Event) {
        self.of(event, self.world.words);
    }

    fn of(&mut self, event: Event, words: &[u64]) {
        self.actions.extend(words.iter().map(|word| Action::Tell(event, *word)));
    }
}
