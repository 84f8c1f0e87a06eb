//! Events in, from the tasks: what came of a dial, a question and a session.

use std::{mem, sync::Arc};

use super::{Shared, Slot};
use crate::{
    DialId, Fault, Time,
    adapter::{Connect, Death, Failure, Kind, lease::Kept},
    core::pool,
};

impl<C: Connect> Shared<C> {
    /// A dial opened a session.
    pub(in crate::adapter) fn adopt(self: &Arc<Self>, slot: u16, dial: DialId, mut kept: Kept<C>) {
        let pool = Arc::downgrade(self);
        self.connect.adopted(&mut kept.client, move || {
            if let Some(pool) = pool.upgrade() {
                pool.feed(pool::Event::Demoted);
            }
        });
        let watch = Arc::new(self.connect.watch(&kept.client));
        let now = self.now();
        let mut core = self.lock();
        match core.place(slot) {
            Some(place) if place.dial == Some(dial) => {
                place.watch = Some(watch);
                place.ending = Some(Arc::clone(&kept.ending));
                place.kept = Some(kept);
            }
            Some(_) | None => core.trash.push(kept),
        }
        self.tell(Some(dial), Kind::Online);
        self.step(&mut core, now, pool::Event::Dialed { slot, dial });
        self.publish(&mut core);
        self.unlock(core);
    }

    /// A dial failed.
    pub(in crate::adapter) fn dial_failed(self: &Arc<Self>, slot: u16, dial: DialId, failure: Failure) {
        let now = self.now();
        let mut core = self.lock();
        let fault = failure.fault;
        self.blame(&mut core, dial, failure, Kind::DialFailed);
        self.step(&mut core, now, pool::Event::DialFailed { slot, dial, fault });
        self.publish(&mut core);
        self.unlock(core);
    }

    /// A session ended. What it was doing is told first: the loss means something else then.
    pub(in crate::adapter) fn bury(self: &Arc<Self>, slot: u16, dial: DialId, death: Death) {
        let now = self.now();
        let mut core = self.lock();
        let Death { failure, work } = death;
        let fault = failure.fault;
        let link = core.machine.link(slot);
        if link.session().is_some_and(|session| session.dial == dial) {
            self.blame(&mut core, dial, failure, Kind::Lost);
            if let Some(lease) = link.lease() {
                self.step(&mut core, now, pool::Event::Worked { slot, lease: lease.id, work, heard_at: now });
            }
        }
        self.step(&mut core, now, pool::Event::Lost { slot, dial, fault });
        self.publish(&mut core);
        self.unlock(core);
    }

    /// A probe or a reset has an answer, and the client comes back.
    pub(in crate::adapter) fn probed(
        self: &Arc<Self>,
        slot: u16,
        dial: DialId,
        by: Time,
        kept: Kept<C>,
        answer: Result<(), Failure>,
    ) {
        let now = self.now();
        let mut core = self.lock();
        match core.place(slot) {
            Some(place) if place.dial == Some(dial) && place.kept.is_none() => {
                place.kept = Some(kept);
                place.probe = None;
            }
            Some(_) | None => core.trash.push(kept),
        }
        let event = match answer {
            Ok(()) => pool::Event::Proved { slot, dial, by },
            Err(failure) => {
                let fault = failure.fault;
                self.blame(&mut core, dial, failure, Kind::Unproved);
                pool::Event::Unproved { slot, dial, by, fault }
            }
        };
        self.step(&mut core, now, event);
        self.publish(&mut core);
        self.unlock(core);
    }

    /// The task of a dial or session has ended: nothing of it is left.
    pub(in crate::adapter) fn gone(self: &Arc<Self>, slot: u16, dial: DialId, finished: bool) {
        let now = self.now();
        let mut core = self.lock();
        let ours = core.place(slot).is_some_and(|place| place.aborted == Some(dial));
        if !finished && !ours {
            if std::thread::panicking() {
                let failure = Failure::new(Fault::Misconfigured, "the connector panicked");
                self.blame(&mut core, dial, failure, Kind::DialFailed);
                let fault = Fault::Misconfigured;
                self.step(&mut core, now, pool::Event::DialFailed { slot, dial, fault });
            } else {
                // Nobody told the task to end, so its runtime has: nothing can be dialed any more.
                self.step(&mut core, now, pool::Event::Stopped { deadline: now });
            }
            self.step(&mut core, now, pool::Event::Lost { slot, dial, fault: Fault::Lost });
        }
        if let Some(place) = core.place(slot).filter(|place| place.dial == Some(dial)) {
            let place = mem::replace(place, Slot::EMPTY);
            core.trash.extend(place.kept);
            if let Some(probe) = place.probe {
                probe.abort();
            }
        }
        self.step(&mut core, now, pool::Event::Gone { slot, dial });
        self.publish(&mut core);
        self.unlock(core);
    }
}
