//! A state of a pool's world, and what may happen in it, as a person reads them.

use std::fmt;

use relink::{Time, link::Link, pool::Event};

use super::{
    NOW,
    ghost::{About, Evidence, Line, Peer, Told},
    tell,
    world::{Action, State},
};
use crate::show::{chance, name, pacer, until};

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool, fence, ghost, .. } = self;
        for (slot, link) in pool.links().iter().enumerate() {
            writeln!(f, "link {slot}: {}", Shown(link))?;
        }
        for (endpoint, link) in pool.askers().iter().enumerate().filter(|(_, link)| **link != Link::Idle) {
            writeln!(f, "asker of endpoint {endpoint}: {}", Shown(link))?;
        }
        pacer(f, pool.pacer())?;
        for peer in &ghost.peers {
            writeln!(f, "network: {}", Shown(peer))?;
        }
        for waiter in &ghost.queue {
            writeln!(f, "waiting: {}, for it ends {}", waiter.lease.0, until(waiter.deadline))?;
        }
        for borrower in &ghost.borrowers {
            let (lease, dial, work) = (borrower.lease.0, name(borrower.dial), tell::left(borrower.work));
            let silent = borrower.noticed_by < Time::NEVER;
            let silent = silent.then(|| format!(", its peer is silent: noticed {}", until(borrower.noticed_by)));
            let silent = silent.unwrap_or_default();
            writeln!(f, "borrower: {lease} has {dial} of link {}, {work}{silent}", borrower.slot)?;
        }
        let paused = if ghost.paused { "paused, " } else { "" };
        let stopped = ghost.stopped.map_or_else(String::new, |at| format!("told to end {}, ", until(at)));
        if pool.pacer().endpoints() > 1 {
            let split = if ghost.split { ", and the other does not know" } else { "" };
            writeln!(f, "primary, where roles matter: endpoint {}{split}", ghost.primary)?;
        }
        if let Some(latest) = fence.latest() {
            writeln!(f, "fence: the latest known timeline is {}", latest.timeline)?;
        }
        if let Some(told) = ghost.underway {
            let told = match told {
                Told::Ambiguous => "ambiguous",
                Told::Undone => "undone",
            };
            writeln!(f, "network: a statement that was told {told} may still arrive")?;
        }
        write!(f, "pool: {paused}{stopped}size {}", pool.max_size())?;
        ghost.broken.map_or(Ok(()), |law| write!(f, "\n{} is broken", law.name()))
    }
}

struct Shown<'a, T>(&'a T);

impl fmt::Display for Shown<'_, Link> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(tell::name(self.0))?;
        if let Some(dial) = self.0.dial() {
            write!(f, " {}", name(dial))?;
        }
        match *self.0 {
            Link::Idle | Link::Waiting | Link::Closed => Ok(()),
            Link::Held { fault } => write!(f, ": {fault}"),
            Link::Dialing { deadline, connect_by: Time::NEVER, .. } => {
                write!(f, ", accepted, over {}", until(deadline))
            }
            Link::Dialing { deadline, connect_by, .. } => write!(f, ", over {}", until(deadline.min(connect_by))),
            Link::Online { session, since, .. } => {
                write!(f, ", stable {}, unused for {}", until(session.stable_at), NOW - since)
            }
            Link::Leased { lease, .. } => write!(f, " to {}, {}", lease.id.0, tell::left(lease.work)),
            Link::Suspected { lease, deadline, again, asker, .. } => {
                let which = if again { "second question" } else { "question" };
                let put = if asker.is_some() { "" } else { " not put yet," };
                write!(f, " with {}, {}; {which}{put} over {}", lease.id.0, tell::left(lease.work), until(deadline))
            }
            Link::Draining { lease, deadline, .. } => write!(f, " of {}, cut {}", lease.id.0, until(deadline)),
            Link::Probing { deadline, .. } => write!(f, ", over {}", until(deadline)),
            Link::Closing { deadline, opened, .. } => {
                write!(f, "{}, over {}", if opened { "" } else { ", a dial given up" }, until(deadline))
            }
        }
    }
}

impl fmt::Display for Shown<'_, Peer> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = self.0;
        let line = match peer.line {
            Line::Dialing => "is being dialed",
            Line::Aborting => "was given up, and may still answer",
            Line::Open => "is open",
            Line::Closing => "is being closed",
        };
        write!(f, "{} for link {} {line}", name(peer.dial), peer.slot)?;
        if let Some(question) = peer.question {
            let about = match question.about {
                About::Role { old: false } => "its role",
                About::Role { old: true } => "its role before a demotion",
                About::Reset => "a clean state",
                About::Alive => "signs of life",
            };
            write!(f, ", asked for {about} until {}", until(question.by))?;
        }
        f.write_str(match peer.evidence {
            Evidence::Current => "",
            Evidence::Older => ", evidence from before a demotion",
            Evidence::Demoted => ", demoted since",
        })?;
        f.write_str(if peer.dirty { ", left unclean" } else { "" })?;
        f.write_str(if peer.outdated { ", dialed before a renewal" } else { "" })?;
        f.write_str(if peer.late { ", answered late" } else { "" })
    }
}

/// Who, what, about which of them, and with which chance.
pub(super) fn action(action: &Action) -> String {
    let (event, word) = match *action {
        Action::Tick => return "time passes".to_owned(),
        Action::Jump => return "clock jumps".to_owned(),
        Action::Work(slot, work) => return format!("borrower is now {}: link {slot}", tell::left(work)),
        Action::Die(slot) => return format!("server falls silent under a statement: link {slot}"),
        Action::Arrive => return "server carries out a statement whose loss was told".to_owned(),
        Action::Promote => return "server is promoted unknown to the primary: the next endpoint".to_owned(),
        Action::FailOver => return "server hands its role to the next endpoint".to_owned(),
        Action::Tell(event, word) => (event, word),
    };
    let (who, what) = tell::told(event);
    let which = match event {
        Event::Accepted { slot, dial } | Event::Dialed { slot, dial } | Event::DialFailed { slot, dial, .. } => {
            format!(": {} for link {slot}", name(dial))
        }
        Event::Proved { slot, dial, .. } | Event::Unproved { slot, dial, .. } | Event::Lost { slot, dial, .. } => {
            format!(": {} of link {slot}", name(dial))
        }
        Event::FoundAlive { slot, dial, .. }
        | Event::Undecided { slot, dial, .. }
        | Event::FoundDead { slot, dial, .. } => {
            format!(": {} of link {slot}", name(dial))
        }
        Event::Unheard { slot, dial, .. } | Event::Gone { slot, dial } => {
            format!(": {} of link {slot}", name(dial))
        }
        Event::Returned { slot, .. } | Event::Discarded { slot, .. } | Event::Ended { slot, .. } => {
            format!(": link {slot}")
        }
        Event::Asked { .. } | Event::GaveUp { .. } | Event::Worked { .. } | Event::Demoted | Event::Renewed => {
            String::new()
        }
        Event::Resized { .. } | Event::Paused | Event::Resumed | Event::Stopped { .. } | Event::Elapsed => {
            String::new()
        }
    };
    format!("{who} {what}{which}{}", chance(word))
}
