//! Events in, from borrowers: who asks, gives up, and gives back.

use std::{panic::Location, sync::Arc};

use tokio::sync::oneshot;

use super::{Shared, Waiter};
use crate::{
    LeaseId, Refusal, Time,
    adapter::{Connect, lease::Granted},
    core::pool,
};

/// What comes of asking for a session.
pub(in crate::adapter) enum Asked<C: Connect> {
    /// There was an answer at once.
    Answered(Result<Granted<C>, Refusal>),
    /// The answer comes later, under this name.
    Waits(LeaseId, oneshot::Receiver<Result<Granted<C>, Refusal>>),
}

impl<C: Connect> Shared<C> {
    /// Asks for a session: at once, or by the answer that comes later.
    pub(in crate::adapter) fn ask(
        self: &Arc<Self>,
        now: Time,
        deadline: Time,
        acquired: &'static Location<'static>,
    ) -> Asked<C> {
        let mut core = self.lock();
        let lease = LeaseId(core.leases);
        core.leases += 1;
        core.asking = Some((lease, acquired));
        self.step(&mut core, now, pool::Event::Asked { lease, deadline });
        core.asking = None;
        let answer = core.answer.take();
        let asked = match answer {
            Some(answer) => Asked::Answered(answer),
            None => {
                let (sender, receiver) = oneshot::channel();
                core.waiting.push_back(Waiter { lease, answer: sender, acquired });
                Asked::Waits(lease, receiver)
            }
        };
        // Only a dial that is wanted, under way or to be hedged can change what is shown.
        let tally = core.machine.tally();
        if tally.waiting > 0 || tally.dialing > 0 {
            self.publish(&mut core);
        }
        self.unlock(core);
        asked
    }

    /// A wait was dropped: nobody waits under this name any more, and what it was granted comes back.
    pub(in crate::adapter) fn give_up(
        self: &Arc<Self>,
        lease: LeaseId,
        receiver: &mut oneshot::Receiver<Result<Granted<C>, Refusal>>,
    ) {
        let now = self.now();
        let mut core = self.lock();
        receiver.close();
        if let Ok(Ok(granted)) = receiver.try_recv() {
            self.unlock(core);
            return self.take_back(granted);
        }
        drop(core.waiter(lease));
        self.step(&mut core, now, pool::Event::GaveUp { lease });
        // Nobody may want the next dial any more.
        self.publish(&mut core);
        self.unlock(core);
    }

    /// A borrower gives a session back.
    pub(in crate::adapter) fn take_back(self: &Arc<Self>, granted: Granted<C>) {
        let Granted { lease, slot, dial, kept } = granted;
        let work = self.connect.work(&kept.client);
        let event = if self.connect.ended(&kept.client) {
            pool::Event::Ended { slot, lease, work }
        } else {
            pool::Event::Returned { slot, lease, work }
        };
        let now = self.now();
        let mut core = self.lock();
        match core.place(slot) {
            Some(place) if place.dial == Some(dial) && place.kept.is_none() => place.kept = Some(kept),
            // The session was lost while it was lent: its place is not its own any more.
            Some(_) | None => core.trash.push(kept),
        }
        self.step(&mut core, now, event);
        self.unlock(core);
    }
}
