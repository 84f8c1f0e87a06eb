//! The pool's commands: what becomes of the world by each, and which law it may break.

use relink::{
    DialId, Fault, LeaseId, Time, Work,
    link::{self, Link},
    pool::{ASKERS, Command, Event, Pool, Refusal},
};

use super::{About, Borrower, Evidence, Ghost, Line, Peer, Told};
use crate::worlds::{NOW, law::Law, world::World};

impl Ghost {
    /// Carries out a command of the pool, and holds it against the laws.
    pub(crate) fn obey(&mut self, world: &World, before: &Pool, event: Event, command: Command) {
        match command {
            Command::Dial { slot, dial } => self.dial(world, slot, dial),
            Command::Link { command: link::Command::Abort(dial), .. } => self.end(dial),
            Command::Link { command: link::Command::Close(dial), .. } => {
                // To close what is gone already is allowed; to close twice, or what is not open, is not.
                let open = self.peer(dial).is_none_or(|peer| peer.line == Line::Open);
                self.must(open, Law::S5);
                self.end(dial);
            }
            Command::Link { command: link::Command::Probe { dial, by }, .. } => {
                self.ask(dial, About::Role { old: false }, by);
            }
            Command::Link { command: link::Command::Reset { dial, by }, .. } => self.ask(dial, About::Reset, by),
            Command::Link { command: link::Command::Inquire { dial, by }, .. } => {
                self.ask(dial, About::Role { old: false }, by);
            }
            Command::Link { command: link::Command::Ask { dial, by }, .. } => self.ask(dial, About::Alive, by),
            Command::Link { command: link::Command::Look(lease), .. } => {
                for borrower in self.borrowers.iter_mut().filter(|borrower| borrower.lease == lease) {
                    borrower.looked = true;
                }
            }
            Command::Link { command: link::Command::Warn(_), .. } => {}
            Command::Grant { lease, slot, dial } => self.grant(world, lease, slot, dial),
            Command::Refuse { lease, refusal } => {
                let place = self.queue.iter().position(|waiter| waiter.lease == lease);
                self.must(place.is_some(), Law::S12);
                let Some(place) = place else { return };
                let waiter = self.queue.remove(place);
                self.must(refusal != Refusal::Deadline || waiter.deadline <= NOW, Law::S13);
            }
            Command::Report { lease, fault, .. } => self.report(world, before, event, lease, fault),
        }
    }

    fn dial(&mut self, world: &World, slot: u16, dial: DialId) {
        let endpoint = dial.endpoint();
        let unanswered =
            self.peers.iter().filter(|peer| peer.line == Line::Dialing && peer.dial.endpoint() == endpoint);
        // Every world allows one dial at a time, after a success too.
        self.must(unanswered.count() < usize::from(world.policy.max_dials), Law::S1);
        self.must(self.peers.iter().all(|peer| peer.dial.serial() < dial.serial()), Law::S6);
        self.must(self.fatal & (1 << endpoint) == 0, Law::S7);
        self.must(self.stopped.is_none(), Law::S11);
        self.peers.push(Peer {
            dial,
            slot,
            line: Line::Dialing,
            deadline: NOW + world.policy.dial_deadline_max,
            question: None,
            dirty: false,
            evidence: Evidence::Current,
            outdated: false,
            late: false,
            turned: false,
        });
    }

    /// A dial is given up, or a session's end is ordered: only its answers matter from now on.
    fn end(&mut self, dial: DialId) {
        self.with(dial, |peer| {
            peer.line = match peer.line {
                Line::Dialing | Line::Aborting => Line::Aborting,
                Line::Open | Line::Closing => Line::Closing,
            };
            peer.question = None;
            peer.dirty = false;
            peer.evidence = Evidence::Current;
            peer.turned = false;
        });
    }

    fn grant(&mut self, world: &World, lease: LeaseId, slot: u16, dial: DialId) {
        let peer = self.peer(dial).copied().filter(|peer| peer.slot == slot);
        let ready = peer.is_some_and(|peer| peer.line == Line::Open && peer.question.is_none());
        let alone = self.borrowers.iter().all(|borrower| borrower.dial != dial);
        let first = self.queue.first().is_some_and(|waiter| waiter.lease == lease);
        self.must(ready && alone && first && slot < ASKERS, Law::S12);
        self.must(peer.is_none_or(|peer| peer.evidence != Evidence::Older), Law::S8);
        self.must(peer.is_none_or(|peer| peer.evidence != Evidence::Demoted), Law::S9);
        self.must(peer.is_none_or(|peer| !peer.dirty), Law::S17);
        self.must(self.stopped.is_none(), Law::S11);
        self.queue.retain(|waiter| waiter.lease != lease);
        self.misled |= world.roles && dial.endpoint() != self.primary && (self.met || !world.fenced);
        self.borrowers.push(Borrower {
            lease,
            slot,
            dial,
            work: Work::AtRest,
            told: true,
            heard_at: NOW,
            looked: false,
            noticed_by: Time::NEVER,
            undecided: false,
        });
    }

    fn report(&mut self, world: &World, before: &Pool, event: Event, lease: LeaseId, fault: Fault) {
        let place = self.borrowers.iter().position(|borrower| borrower.lease == lease);
        self.must(place.is_some(), Law::S12);
        let Some(place) = place else { return };
        let borrower = self.borrowers.remove(place);
        let durable = borrower.work == Work::Statement { durable: true };
        let told = if fault == Fault::Ambiguous { Told::Ambiguous } else { Told::Undone };
        if durable && world.silence.is_some() {
            // What becomes of the statement shows whether that was right.
            self.underway = self.underway.filter(|earlier| *earlier == Told::Undone).or(Some(told));
        } else {
            self.must(durable == (told == Told::Ambiguous), Law::S14);
        }
        let over = match before.link(borrower.slot) {
            Link::Suspected { deadline, again, .. } => again && deadline <= NOW,
            Link::Draining { deadline, .. } => deadline <= NOW,
            Link::Idle | Link::Waiting | Link::Held { .. } | Link::Dialing { .. } | Link::Online { .. } => false,
            Link::Leased { .. } | Link::Probing { .. } | Link::Closing { .. } | Link::Closed => false,
        };
        let due = match event {
            Event::Lost { dial, .. } | Event::FoundDead { dial, .. } => dial == borrower.dial,
            Event::Elapsed => over,
            Event::Asked { .. } | Event::GaveUp { .. } | Event::Returned { .. } | Event::Accepted { .. } => false,
            Event::Dialed { .. } | Event::DialFailed { .. } | Event::Proved { .. } | Event::Unproved { .. } => false,
            Event::Worked { .. } | Event::Unheard { .. } | Event::FoundAlive { .. } | Event::Undecided { .. } => false,
            Event::Gone { .. } | Event::Demoted => false,
            Event::Discarded { .. } | Event::Ended { .. } => false,
            Event::Renewed | Event::Resized { .. } | Event::Paused | Event::Resumed | Event::Stopped { .. } => false,
        };
        self.must(due, Law::S11);
    }
}
