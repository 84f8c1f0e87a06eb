//! Commands out: what the machine orders becomes tasks, answers and closed sessions.

use std::sync::Arc;

use super::{
    Answer, Core, Shared, Slot, Waiter,
    question::{Inquiry, Subject},
};
use crate::{
    DialId, LeaseId, Refusal,
    adapter::{Connect, Kind, lease::Granted, session},
    core::{link, pool::Command},
};

impl<C: Connect> Shared<C> {
    pub(super) fn carry_out(self: &Arc<Self>, core: &mut Core<C>, command: Command) {
        match command {
            Command::Dial { slot, dial } => self.start_dial(core, slot, dial),
            Command::Link { slot, command } => self.carry_out_link(core, slot, command),
            Command::Grant { lease, slot, dial } => self.grant(core, lease, slot, dial),
            Command::Refuse { lease, refusal } => self.refuse(core, lease, refusal),
            Command::Report { slot, lease, fault, .. } => {
                let acquired = core.place(slot).and_then(|place| place.acquired);
                self.tell_of_lease(acquired, Kind::LeaseLost(lease, fault));
            }
        }
    }

    fn start_dial(&self, core: &mut Core<C>, slot: u16, dial: DialId) {
        core.dials += 1;
        self.tell(Some(dial), Kind::Dialing);
        if let Some(place) = core.place(slot) {
            *place = Slot { dial: Some(dial), ..Slot::EMPTY };
        }
        core.births.push((slot, dial));
    }

    pub(super) fn spawn_dial(self: &Arc<Self>, slot: u16, dial: DialId) {
        let end = session::End::new(self, slot, dial);
        let task = self.runtime.spawn(session::run(end, Arc::clone(&self.connect))).abort_handle();
        let mut core = self.lock();
        let Some(place) = core.place(slot).filter(|place| place.dial == Some(dial)) else {
            return;
        };
        if place.aborted == Some(dial) {
            // Ordered by another thread since the lock was let go of.
            task.abort();
        }
        place.task = Some(task);
    }

    fn carry_out_link(self: &Arc<Self>, core: &mut Core<C>, slot: u16, command: link::Command) {
        let Some(place) = core.place(slot) else { return };
        match command {
            link::Command::Abort(dial) if place.dial == Some(dial) => {
                place.aborted = Some(dial);
                for task in [place.probe.take(), place.task.take()].into_iter().flatten() {
                    task.abort();
                }
                let kept = place.kept.take();
                core.trash.extend(kept);
            }
            // Dropping the client ends the session gracefully, also the one that a probe has; its task tells when
            // it has ended.
            link::Command::Close(dial) if place.dial == Some(dial) => {
                if let Some(probe) = place.probe.take() {
                    probe.abort();
                }
                let kept = place.kept.take();
                core.trash.extend(kept);
            }
            link::Command::Probe { dial, by } | link::Command::Reset { dial, by } if place.dial == Some(dial) => {
                let Some(kept) = place.kept.take() else { return };
                let clean = matches!(command, link::Command::Reset { .. });
                let shared = Arc::downgrade(self);
                let connect = Arc::clone(&self.connect);
                let task = self.runtime.spawn(session::probe(shared, connect, slot, dial, by, kept, clean));
                place.probe = Some(task.abort_handle());
            }
            link::Command::Warn(lease) => {
                let Some(acquired) = place.acquired else { return };
                tracing::warn!(lease = lease.0, %acquired, "a lease has been held for long");
                self.tell_of_lease(Some(acquired), Kind::LeaseLong(lease));
            }
            link::Command::Look(lease) => {
                let watch = place.watch.clone();
                core.looks.extend(watch.map(|watch| (slot, lease, watch)));
            }
            link::Command::Inquire { dial, by } if place.dial == Some(dial) => {
                let Some(kept) = place.kept.take() else { return };
                core.inquiries.push(Inquiry { slot, dial, by, kept, about: Vec::new() });
            }
            link::Command::Ask { dial, by } if place.dial == Some(dial) => {
                let Some(watch) = place.watch.clone() else { return };
                let asks = |inquiry: &&mut Inquiry<C>| inquiry.dial.endpoint() == dial.endpoint();
                if let Some(inquiry) = core.inquiries.iter_mut().find(asks) {
                    inquiry.about.push(Subject { slot, dial, by, watch });
                }
            }
            link::Command::Inquire { .. } | link::Command::Ask { .. } => {}
            link::Command::Abort(_) | link::Command::Close(_) => {}
            link::Command::Probe { .. } | link::Command::Reset { .. } => {}
        }
    }

    fn grant(self: &Arc<Self>, core: &mut Core<C>, lease: LeaseId, slot: u16, dial: DialId) {
        let asking = core.asking.filter(|(asking, _)| *asking == lease);
        let waiter = if asking.is_some() { None } else { core.waiter(lease) };
        let Some(place) = core.place(slot) else { return };
        let Some(kept) = place.kept.take_if(|_| place.dial == Some(dial)) else { return };
        let granted = Granted { lease, slot, dial, kept };
        if let Some((_, acquired)) = asking {
            place.acquired = Some(acquired);
            core.answer = Some(Ok(granted));
        } else {
            place.acquired = waiter.as_ref().map(|waiter| waiter.acquired);
            core.answers.push(Answer { to: waiter.map(|waiter| waiter.answer), answer: Ok(granted) });
        }
    }

    fn refuse(&self, core: &mut Core<C>, lease: LeaseId, refusal: Refusal) {
        let asking = core.asking.filter(|(asking, _)| *asking == lease);
        let waiter = if asking.is_some() { None } else { core.waiter(lease) };
        let acquired = asking.map(|(_, acquired)| acquired).or(waiter.as_ref().map(|waiter| waiter.acquired));
        self.tell_of_lease(acquired, Kind::Refused(lease, refusal));
        if asking.is_some() {
            core.answer = Some(Err(refusal));
        } else {
            core.answers.push(Answer { to: waiter.map(|waiter| waiter.answer), answer: Err(refusal) });
        }
    }
}

impl<C: Connect> Core<C> {
    /// Takes who waits under a name out of the queue.
    pub(super) fn waiter(&mut self, lease: LeaseId) -> Option<Waiter<C>> {
        // Mostly it is who has waited longest.
        if self.waiting.front().is_some_and(|first| first.lease == lease) {
            return self.waiting.pop_front();
        }
        let place = self.waiting.binary_search_by_key(&lease, |waiter| waiter.lease).ok()?;
        self.waiting.remove(place)
    }
}
