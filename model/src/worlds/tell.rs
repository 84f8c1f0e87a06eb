//! What happens in a world of a pool, in words.

use relink::{Fault, Work, link::Link, pool::Event};

use super::world::{Action, State, World};
use crate::{
    catalogue::{run::Run, story::Tell},
    check::Counterexample,
};

impl Tell for World {
    fn passes(&self, action: &Action) -> u64 {
        match *action {
            Action::Tick => 1,
            Action::Jump => self.jump.unwrap_or_default().as_millis(),
            Action::Work(..) | Action::Die(_) | Action::Arrive => 0,
            Action::FailOver | Action::Promote | Action::Tell(..) => 0,
        }
    }

    fn event(&self, state: &State, action: &Action) -> (&'static str, String) {
        match *action {
            Action::Tick => ("time", "passes".to_owned()),
            Action::Jump => ("clock", "jumps".to_owned()),
            Action::Work(_, work) => ("borrower", format!("is now {}", left(work))),
            Action::Die(_) => ("server", "falls silent under a statement".to_owned()),
            Action::Arrive => ("server", "carries out a statement whose loss was told".to_owned()),
            Action::FailOver => ("server", format!("endpoint {} is the primary now", self.next_primary(state))),
            Action::Promote => {
                ("server", format!("endpoint {} is the primary now, unknown to the other", self.next_primary(state)))
            }
            Action::Tell(event, _) => {
                // The last is the answer itself.
                let [first, second] = self.told(state, event);
                told(second.or(first).unwrap_or(event))
            }
        }
    }

    fn run(&self, found: &Counterexample<Self>) -> Option<Run> {
        Some(self.rerun(found))
    }

    fn place(&self, state: &State) -> String {
        let links: Vec<_> = state.pool.links().iter().map(name).collect();
        let mut place = links.join(", ");
        if !state.ghost.queue.is_empty() {
            place.push_str(&format!("; {} waiting", state.ghost.queue.len()));
        }
        if let Some(law) = state.ghost.broken {
            place.push_str(&format!("; {} is broken", law.name()));
        }
        place
    }
}

pub(super) const fn name(link: &Link) -> &'static str {
    match link {
        Link::Idle => "idle",
        Link::Waiting => "waiting",
        Link::Held { .. } => "held",
        Link::Dialing { .. } => "dialing",
        Link::Online { .. } => "online",
        Link::Leased { .. } => "leased",
        Link::Suspected { .. } => "suspected",
        Link::Draining { .. } => "draining",
        Link::Probing { .. } => "probing",
        Link::Closing { .. } => "closing",
        Link::Closed => "closed",
    }
}

/// Who, and what.
pub(super) fn told(event: Event) -> (&'static str, String) {
    let fault = |what: &str, fault: Fault| format!("{what}: {fault}");
    let (who, what) = match event {
        Event::Asked { lease, .. } => ("borrower", format!("{} asks for a session", lease.0)),
        Event::GaveUp { lease } => ("borrower", format!("{} gives up", lease.0)),
        Event::Returned { lease, work, .. } => ("borrower", format!("{} returns it {}", lease.0, left(work))),
        Event::Discarded { lease, .. } => ("borrower", format!("{} discards it", lease.0)),
        Event::Ended { lease, work, .. } => ("borrower", format!("{} returns it ended, {}", lease.0, left(work))),
        Event::Worked { lease, work, .. } => ("driver", format!("sees that {} is {}", lease.0, left(work))),
        Event::Accepted { .. } => ("server", "accepts the dial".to_owned()),
        Event::Dialed { .. } => ("server", "opens a session".to_owned()),
        Event::DialFailed { fault: why, .. } => ("server", fault("fails the dial", why)),
        Event::Lost { fault: why, .. } => ("server", fault("loses a session", why)),
        Event::Proved { .. } => ("server", "proves a session".to_owned()),
        Event::Unproved { fault: why, .. } => ("server", fault("disproves a session", why)),
        Event::FoundAlive { .. } => ("server", "shows nothing against the session".to_owned()),
        Event::Undecided { .. } => ("server", "cannot tell yet of the session".to_owned()),
        Event::Unheard { .. } => ("driver", "has not heard the session that is to ask".to_owned()),
        Event::FoundDead { .. } => ("server", "says that the session is dead".to_owned()),
        Event::Gone { .. } => ("driver", "has closed it".to_owned()),
        Event::Demoted => ("server", "shows that it is demoted".to_owned()),
        Event::Renewed => ("operator", "renews the credentials".to_owned()),
        Event::Resized { max_size } => ("operator", format!("resizes the pool to {max_size}")),
        Event::Paused => ("operator", "pauses the pool".to_owned()),
        Event::Resumed => ("operator", "resumes the pool".to_owned()),
        Event::Stopped { .. } => ("operator", "stops the pool".to_owned()),
        Event::Elapsed => ("timer", "is due".to_owned()),
    };
    (who, what)
}

pub(super) const fn left(work: Work) -> &'static str {
    match work {
        Work::AtRest => "at rest",
        Work::InTransaction => "in a transaction",
        Work::Statement { durable: true } => "in a statement that may be durable",
        Work::Statement { durable: false } => "in a statement",
    }
}
