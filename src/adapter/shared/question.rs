//! Questions about sessions whose callers have waited for long: who is looked at, who is asked, what comes of it.

use std::{mem, sync::Arc, time::Duration};

use super::{Core, Shared};
use crate::{
    DialId, Fault, LeaseId, Time, Work,
    adapter::{Connect, Failure, Found, Kind, Limits, Look, lease::Kept, session},
    core::{link::Link, pool},
};

/// The session that asks, and those that it asks about.
pub(in crate::adapter) struct Inquiry<C: Connect> {
    pub(in crate::adapter) slot: u16,
    pub(in crate::adapter) dial: DialId,
    pub(in crate::adapter) by: Time,
    pub(in crate::adapter) kept: Kept<C>,
    pub(in crate::adapter) about: Vec<Subject<C>>,
}

/// A session that is asked about.
pub(in crate::adapter) struct Subject<C: Connect> {
    pub(in crate::adapter) slot: u16,
    pub(in crate::adapter) dial: DialId,
    pub(in crate::adapter) by: Time,
    pub(in crate::adapter) watch: Arc<C::Watch>,
}

impl<C: Connect> Shared<C> {
    /// Looks what a lease's session is doing, and tells the machine.
    pub(super) fn look(self: &Arc<Self>, slot: u16, lease: LeaseId, watch: &C::Watch) {
        let look = self.connect.look(watch);
        let now = self.now();
        let mut core = self.lock();
        self.looked(&mut core, slot, lease, look, now);
        self.publish(&mut core);
        self.unlock(core);
    }

    /// A timeout of the machine has come. Whoever is about to be given up or cut is looked at once more: what has come
    /// by now counts, whatever else was late, and what is in flight decides what its loss means.
    pub(in crate::adapter) fn elapsed(self: &Arc<Self>) {
        let now = self.now();
        for (slot, lease, watch) in self.doomed(now) {
            self.look(slot, lease, &watch);
        }
        self.feed(pool::Event::Elapsed);
    }

    fn doomed(&self, now: Time) -> Vec<(u16, LeaseId, Arc<C::Watch>)> {
        let mut core = self.lock();
        let doomed = (0..).zip(core.machine.links()).filter(|(_, link)| link.is_doomed(now));
        let due: Vec<_> = doomed.filter_map(|(slot, link)| Some((slot, link.lease()?.id))).collect();
        due.into_iter().filter_map(|(slot, lease)| Some((slot, lease, core.place(slot)?.watch.clone()?))).collect()
    }

    /// Starts the questions of a step.
    pub(super) fn inquire(self: &Arc<Self>, core: &mut Core<C>, now: Time) {
        if core.inquiries.is_empty() {
            return;
        }
        for inquiry in mem::take(&mut core.inquiries) {
            let (slot, dial) = (inquiry.slot, inquiry.dial);
            // Who was suspected first may have waited long for somebody to ask.
            let by = inquiry.about.iter().map(|subject| subject.by).fold(inquiry.by, Time::min);
            let limits = Limits { grace: self.policy.grace.into(), within: (by - now).into() };
            let asking = session::ask(Arc::downgrade(self), Arc::clone(&self.connect), inquiry, limits);
            let task = self.runtime.spawn(asking).abort_handle();
            if let Some(place) = core.place(slot).filter(|place| place.dial == Some(dial)) {
                place.probe = Some(task);
            }
        }
    }

    /// Half of the time of the question that a session puts is over. If it has been silent for most of that, others may ask.
    pub(in crate::adapter) fn doubt_asker(self: &Arc<Self>, slot: u16, dial: DialId, by: Time, half: Duration) {
        let watch =
            self.lock().place(slot).filter(|place| place.dial == Some(dial)).and_then(|place| place.watch.clone());
        let Some(watch) = watch else { return };
        if self.connect.look(&watch).silence < half / 2 {
            return;
        }
        let now = self.now();
        let mut core = self.lock();
        self.step(&mut core, now, pool::Event::Unheard { slot, dial, by });
        if matches!(core.machine.link(slot), Link::Closing { dial: ended, .. } if ended == dial) {
            let failure = Failure::new(Fault::TimedOut, "the session was to ask about others and stayed silent");
            self.blame(&mut core, dial, failure, Kind::Unproved);
        }
        self.publish(&mut core);
        self.unlock(core);
    }

    /// The server said what it knows of a session.
    pub(in crate::adapter) fn found(self: &Arc<Self>, subject: &Subject<C>, found: Found) {
        let Subject { slot, dial, by, ref watch } = *subject;
        // What has come since the question was put says more than its answer.
        let look = self.connect.look(watch);
        let now = self.now();
        let mut core = self.lock();
        let link = core.machine.link(slot);
        if let Some(lease) = link.lease().filter(|_| link.dial() == Some(dial)) {
            self.looked(&mut core, slot, lease.id, look, now);
        }
        let link = core.machine.link(slot);
        let open = link.dial() == Some(dial) && link.question() == Some(by);
        match found {
            Found::Alive => self.step(&mut core, now, pool::Event::FoundAlive { slot, dial, by }),
            Found::Undecided => self.step(&mut core, now, pool::Event::Undecided { slot, dial, by }),
            Found::Dead(failure) if open => {
                self.condemn(&mut core, slot, failure);
                self.step(&mut core, now, pool::Event::FoundDead { slot, dial, by });
            }
            Found::Dead(_) => {}
        }
        self.publish(&mut core);
        self.unlock(core);
    }

    fn looked(self: &Arc<Self>, core: &mut Core<C>, slot: u16, lease: LeaseId, look: Look, now: Time) {
        let Look { work, silence } = look;
        let silence = u64::try_from(silence.as_millis()).unwrap_or(u64::MAX);
        let Some(place) = core.place(slot) else { return };
        let heard_at = place.heard_at.max(Time::from_millis(now.as_millis().saturating_sub(silence)));
        place.heard_at = if matches!(work, Work::Statement { .. }) { heard_at } else { now };
        self.step(core, now, pool::Event::Worked { slot, lease, work, heard_at });
    }

    /// Says why a session is ended before its calls fail for it; the first reason counts.
    fn condemn(&self, core: &mut Core<C>, slot: u16, failure: Failure) {
        let Some(place) = core.place(slot) else { return };
        let (Some(dial), Some(watch), Some(ending)) = (place.dial, &place.watch, &place.ending) else { return };
        let death = self.connect.condemn(watch, failure.clone());
        if death.is_none_or(|death| ending.death.set(death).is_ok()) {
            self.blame(core, dial, failure, Kind::Lost);
        }
    }

    /// The same of a lease that a timeout has ended.
    pub(super) fn condemn_overdue(&self, core: &mut Core<C>, slot: u16, cause: Fault) {
        let why = if cause == Fault::TimedOut {
            "the server was silent, and asked about the session twice, stayed silent"
        } else if core.machine.is_stopping() {
            "the pool is closed, and its drain deadline has passed"
        } else {
            "the session has ended, and nothing else was heard of its end within close_deadline"
        };
        self.condemn(core, slot, Failure::new(cause, why));
    }
}
