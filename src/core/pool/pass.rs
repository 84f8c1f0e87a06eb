//! How an event reaches a link, and what the link's step means for the pool and the pacer.

use super::{ASKERS, Command, Pool, Turn};
use crate::core::{
    fault::Fault,
    link::{self, Link},
    pacer::{self, DialId},
    time::Time,
};

impl Pool {
    /// Gives an event to a link, and to the pacer what it means for the endpoint.
    pub(super) fn pass(&mut self, turn: &mut Turn<'_>, slot: u16, event: link::Event, fault: Option<Fault>) {
        let before = self.link(slot);
        // Looked at where they are: links are large enough for each copy to be felt.
        let mut after = before;
        let command = after.apply(turn.policy, turn.now, event);
        let (before, after) = (&before, &after);
        self.put(slot, before, after);
        turn.wake_at(after.timeout(turn.policy));
        if let Some(command) = command {
            turn.out.push(Command::Link { slot, command });
        }
        if before == after {
            return;
        }
        if matches!(after, Link::Closing { .. }) {
            self.reopen(turn, slot);
        }
        let silence = if event == link::Event::Elapsed { before.silence() } else { None };
        let fault = silence.or(fault).unwrap_or(Fault::Lost);
        if fault == Fault::WrongRole && self.is_demotion(before) {
            self.topology = self.topology.saturating_add(1);
        }
        let given_back = matches!(event, link::Event::Returned { .. });
        if let Some(lease) = before.lease().filter(|_| !given_back && matches!(after, Link::Closing { .. })) {
            turn.out.push(Command::Report { slot, lease: lease.id, fault: lease.work.loss(fault), cause: fault });
        }
        if let Some(event) = meaning(before, after, event, fault, turn.now) {
            self.note_refusal(turn.policy, event);
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

    pub(super) fn pace(&mut self, turn: &Turn<'_>, event: pacer::Event) -> Option<pacer::Command> {
        self.pacer.apply(turn.policy, turn.now, event, turn.chance)
    }

    fn put(&mut self, slot: u16, before: &Link, after: &Link) {
        if let Some(endpoint) = slot.checked_sub(ASKERS) {
            if let Some(place) = self.askers.get_mut(usize::from(endpoint)) {
                *place = *after;
            }
            let waits = |link: &Link| u8::from(matches!(link, Link::Waiting));
            self.askers_waiting = self.askers_waiting.saturating_add(waits(after)).saturating_sub(waits(before));
            return;
        }
        let Some(place) = self.links.get_mut(usize::from(slot)) else { return };
        *place = *after;
        let count = self.tally.of(before);
        *count = count.saturating_sub(1);
        let count = self.tally.of(after);
        *count = count.saturating_add(1);
        if let Link::Suspected { asker, .. } = before {
            self.suspected = self.suspected.saturating_sub(1);
            self.unasked = self.unasked.saturating_sub(u16::from(asker.is_none()));
        }
        if let Link::Suspected { asker, .. } = after {
            self.suspected = self.suspected.saturating_add(1);
            self.unasked = self.unasked.saturating_add(u16::from(asker.is_none()));
        }
        match (matches!(before, Link::Online { .. }), matches!(after, Link::Online { .. })) {
            (true, false) if self.free.last() == Some(&slot) => {
                self.free.pop();
            }
            (true, false) => self.free.retain(|other| *other != slot),
            (false, true) => self.free.push(slot),
            (true, true) | (false, false) => {}
        }
    }

    pub(super) fn slots(&self) -> core::ops::Range<u16> {
        0..u16::try_from(self.links.len()).unwrap_or(u16::MAX)
    }

    /// Gives an event to the first `most` links that are as asked.
    pub(super) fn pass_to(&mut self, turn: &mut Turn<'_>, most: u16, is: impl Fn(&Link) -> bool, event: link::Event) {
        let mut left = most;
        for slot in self.slots() {
            if left == 0 {
                return;
            }
            if self.links.get(usize::from(slot)).is_some_and(&is) {
                self.pass(turn, slot, event, None);
                left -= 1;
            }
        }
    }

    pub(super) fn find(&self, like: &Link) -> Option<u16> {
        self.slots().zip(&self.links).find_map(|(slot, link)| (link == like).then_some(slot))
    }
}

/// Whether a session that is closed was lost, rather than closed on purpose.
fn is_loss(before: &Link, event: link::Event) -> bool {
    match event {
        link::Event::Lost { .. } | link::Event::FoundDead { .. } => true,
        link::Event::Unproved { .. } | link::Event::Unheard { .. } => true,
        link::Event::Elapsed => matches!(before, Link::Suspected { .. } | Link::Probing { .. }),
        link::Event::Wanted | link::Event::Unwanted | link::Event::Granted { .. } | link::Event::HeldBack { .. } => {
            false
        }
        link::Event::Renewed | link::Event::Accepted { .. } | link::Event::Dialed { .. } => false,
        link::Event::DialFailed { .. } | link::Event::Lent { .. } | link::Event::Worked { .. } => false,
        link::Event::Returned { .. } | link::Event::Doubted { .. } | link::Event::Proved { .. } => false,
        link::Event::Engaged { .. } | link::Event::Questioned { .. } | link::Event::Reopened => false,
        link::Event::Spared | link::Event::FoundAlive { .. } | link::Event::Undecided { .. } => false,
        link::Event::Gone { .. } => false,
        link::Event::Retired | link::Event::Stopped { .. } => false,
    }
}

/// What a link's step means for the pacing of its endpoint.
fn meaning(before: &Link, after: &Link, event: link::Event, fault: Fault, now: Time) -> Option<pacer::Event> {
    match *before {
        Link::Idle | Link::Waiting | Link::Held { .. } | Link::Closing { .. } | Link::Closed => None,
        Link::Dialing { dial, .. } => match after {
            Link::Online { .. } => Some(pacer::Event::Dialed { dial }),
            Link::Waiting => Some(pacer::Event::Failed { dial, fault }),
            Link::Closing { .. } if event == link::Event::Elapsed => Some(pacer::Event::Failed { dial, fault }),
            Link::Closing { .. } => Some(pacer::Event::Abandoned { dial }),
            Link::Idle | Link::Dialing { .. } | Link::Held { .. } | Link::Closed => None,
            Link::Leased { .. } | Link::Suspected { .. } | Link::Draining { .. } | Link::Probing { .. } => None,
        },
        Link::Online { session, .. }
        | Link::Leased { session, .. }
        | Link::Suspected { session, .. }
        | Link::Draining { session, .. }
        | Link::Probing { session, .. } => match after {
            Link::Closing { .. } if is_loss(before, event) => {
                Some(pacer::Event::Lost { endpoint: session.dial.endpoint(), unstable: now < session.stable_at })
            }
            Link::Closing { .. } => Some(pacer::Event::Retired { endpoint: session.dial.endpoint() }),
            Link::Idle | Link::Waiting | Link::Dialing { .. } | Link::Held { .. } | Link::Closed => None,
            Link::Online { .. } | Link::Leased { .. } | Link::Suspected { .. } => None,
            Link::Draining { .. } | Link::Probing { .. } => None,
        },
    }
}
