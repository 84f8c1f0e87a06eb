//! What an operator sees: the status, the events, and the cause in an error.

use std::{panic::Location, sync::Arc};

use tokio::time::Instant;

use super::{Core, Shared};
use crate::{
    DialId, Fault, Refusal, Time,
    adapter::{Cause, Connect, Error, Event, Failure, Kind, State},
    core::{link::Link, pacer::Pacer, pool},
};

impl<C: Connect> Shared<C> {
    fn endpoint(&self, dial: DialId) -> Arc<str> {
        self.endpoints.get(usize::from(dial.endpoint())).cloned().unwrap_or_else(|| "?".into())
    }

    pub(super) fn blame(&self, core: &mut Core<C>, dial: DialId, failure: Failure, kind: fn(Arc<Failure>) -> Kind) {
        let endpoint = self.endpoint(dial);
        let failure = Arc::new(failure);
        let kind = kind(Arc::clone(&failure));
        tracing::debug!(%endpoint, %failure, "a dial or a session has failed");
        // While dialing is stopped, what stopped it is what somebody must act on: a session that ends
        // meanwhile is told as an event, and changes nothing of that.
        if core.machine.pacer().held().is_none() || core.cause.is_none() {
            core.cause = Some(Cause { endpoint, failure, at: Instant::now() });
        }
        self.tell(Some(dial), kind);
    }

    /// Tells of what is about to be cut because its deadline has passed: nobody else can, for what is
    /// silent does not say why. Of a lease it is told when it is cut, for it may be spared.
    pub(super) fn blame_overdue(&self, core: &mut Core<C>, now: Time) {
        let silent = |link: &Link| Some((link.dial()?, link.silence()?, link.session().is_some()));
        let due = |link: &&Link| link.timeout(&self.policy) <= now;
        let unlent = |link: &&Link| link.lease().is_none();
        let links = core.machine.links().iter().chain(core.machine.askers());
        let overdue: Vec<_> = links.filter(unlent).filter(due).filter_map(silent).collect();
        for (dial, fault, opened) in overdue {
            let kind = if opened { Kind::Unproved } else { Kind::DialFailed };
            let message = if opened {
                "the session was asked and stayed silent"
            } else if fault == Fault::TimedOut {
                "accepted, then silent until the dial's deadline"
            } else {
                "no answer until the dial's deadline"
            };
            self.blame(core, dial, Failure::new(fault, message), kind);
        }
    }

    /// Tells of the pool or, by a dial, of one of its endpoints.
    pub(super) fn tell(&self, dial: Option<DialId>, kind: Kind) {
        self.send(dial, None, kind);
    }

    /// Tells of a wait or a lease, and where in the program it was asked for.
    pub(super) fn tell_of_lease(&self, acquired: Option<&'static Location<'static>>, kind: Kind) {
        self.send(None, acquired, kind);
    }

    fn send(&self, dial: Option<DialId>, acquired: Option<&'static Location<'static>>, kind: Kind) {
        if self.events.receiver_count() == 0 {
            return;
        }
        let endpoint = dial.map(|dial| self.endpoint(dial));
        // No receiver is no error: nobody wants to know.
        let _none = self.events.send(Event { at: self.origin.elapsed(), endpoint, acquired, kind });
    }

    /// Lets everybody see where the pool stands, if that has changed.
    pub(super) fn publish(&self, core: &mut Core<C>) {
        let pacer = core.machine.pacer().at(self.now());
        if pacer.outage_since().is_none() {
            core.cause = None;
        }
        let state = state(&core.machine, &pacer);
        let next_dial_at = self.instant(core.machine.next_dial_at(&self.policy));
        let (cause, dials) = (&core.cause, core.dials);
        let mut changed = false;
        self.status.send_if_modified(|status| {
            changed = status.state != state;
            let same = !changed && status.cause == *cause && status.next_dial_at == next_dial_at;
            if changed {
                status.since = Instant::now();
            }
            status.state = state;
            status.cause.clone_from(cause);
            status.next_dial_at = next_dial_at;
            status.dials = dials;
            !same
        });
        if changed {
            tracing::info!(%state, "the pool's state has changed");
            self.tell(None, Kind::State(state));
        }
    }

    /// The error of a wait that began at `asked`.
    pub(in crate::adapter) fn error(&self, refusal: Refusal, asked: Instant) -> Error {
        let core = self.lock();
        let tally = core.machine.tally();
        let now = Instant::now();
        Error {
            refusal,
            cause: core.cause.clone(),
            dials: core.dials.saturating_sub(core.dials_before),
            waited: now.duration_since(asked),
            next_dial_in: self
                .instant(core.machine.next_dial_at(&self.policy))
                .map(|at| at.saturating_duration_since(now)),
            leased: (tally.leased, core.machine.max_size()),
            waiters: core.machine.waiters(),
        }
    }
}

fn state(machine: &pool::Pool, pacer: &Pacer) -> State {
    let online = pacer.online() > 0;
    if machine.is_closed() {
        State::Closed
    } else if machine.is_stopping() {
        State::Stopping
    } else if let (Some(fault), false) = (pacer.held(), online) {
        State::Held(fault)
    } else if pacer.outage_since().is_some() {
        if online { State::Settling } else { State::Down }
    } else if online {
        State::Up
    } else if machine.tally().waiting > 0 || machine.tally().dialing > 0 {
        State::Connecting
    } else {
        State::Idle
    }
}
