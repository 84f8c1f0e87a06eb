//! The transition function of a link, state by state.

use super::{
    Command::{self, Abort, Ask, Close, Probe, Reset, Warn},
    Event::{
        self, Accepted, DialFailed, Dialed, Doubted, Elapsed, FoundAlive, FoundDead, Gone, Granted, HeldBack, Lent,
        Lost, Proved, Renewed, Retired, Returned, Stopped, Unproved, Unwanted, Wanted, Worked,
    },
    Lease,
    Link::{self, Closed, Closing, Dialing, Draining, Held, Idle, Leased, Online, Probing, Suspected, Waiting},
    Session, Work, impatient_at,
};
use crate::core::{pacer::DialId, policy::Checked, time::Time};

/// A state, and what to do on entering it.
type Next = (Link, Option<Command>);

impl Link {
    /// The transition function. An event that means nothing in a state leaves it as it is.
    #[must_use]
    #[cfg_attr(feature = "no-panic", no_panic::no_panic)]
    pub fn step(self, policy: &Checked, now: Time, event: Event) -> Next {
        match self {
            Idle | Waiting | Held { .. } | Closed => self.step_without_session(event),
            Dialing { .. } | Closing { .. } => self.step_unsettled(policy, now, event),
            Online { session, .. } => self.step_online(session, policy, now, event),
            Leased { session, lease } | Suspected { session, lease, .. } => {
                self.step_leased(session, lease, policy, now, event)
            }
            Draining { session, lease, deadline } => self.step_draining(session, lease, deadline, policy, now, event),
            Probing { session, topology, .. } => self.step_probing(session, topology, policy, now, event),
        }
    }

    fn step_without_session(self, event: Event) -> Next {
        match (self, event) {
            (Idle, Wanted) | (Held { .. }, Renewed) => (Waiting, None),
            (Waiting | Held { .. }, Unwanted | Retired) => (Idle, None),
            (Waiting, Granted { dial, deadline, topology }) => {
                (Dialing { dial, deadline, topology, accepted: false }, None)
            }
            (Waiting, HeldBack { fault }) => (Held { fault }, None),
            (Idle | Waiting | Held { .. }, Stopped { .. }) => (Closed, None),
            // A dial that was given up has answered after all: nobody owns its session, so close it.
            (_, Dialed { dial, .. }) => (self, Some(Close(dial))),
            (_, Wanted | Unwanted | Granted { .. } | HeldBack { .. } | Renewed | Stopped { .. } | Retired)
            | (
                _,
                Accepted { .. } | DialFailed { .. } | Lent { .. } | Worked { .. } | Returned { .. } | Doubted { .. },
            )
            | (_, Proved { .. } | Unproved { .. } | FoundAlive { .. } | FoundDead { .. })
            | (_, Lost { .. } | Gone { .. } | Elapsed) => (self, None),
        }
    }

    fn step_unsettled(self, policy: &Checked, now: Time, event: Event) -> Next {
        match (self, event) {
            (Dialing { dial, deadline, topology, .. }, Accepted { dial: answered }) if answered == dial => {
                (Dialing { dial, deadline, topology, accepted: true }, None)
            }
            (Dialing { dial, topology, .. }, Dialed { dial: answered, stable_at, retire_at }) if answered == dial => {
                (Online { session: Session { dial, stable_at, retire_at, topology }, since: now, proved: true }, None)
            }
            (Dialing { dial, .. }, DialFailed { dial: answered }) if answered == dial => (Waiting, None),
            (Dialing { dial, .. }, Unwanted | Retired | Stopped { .. }) => aborting(policy, now, dial),
            (Dialing { dial, deadline, .. }, Elapsed) if deadline <= now => aborting(policy, now, dial),
            (Closing { dial, .. }, Gone { dial: answered }) if answered == dial => (Idle, None),
            // The dial failed by itself while it was being aborted: there is nothing left to close.
            (Closing { dial, opened: false, .. }, DialFailed { dial: answered }) if answered == dial => (Idle, None),
            // It opened a session while it was being aborted: that session is closed, once.
            (Closing { dial, opened: false, .. }, Dialed { dial: answered, .. }) if answered == dial => {
                closing(policy, now, Close(dial), dial)
            }
            (Closing { dial, deadline, opened }, Elapsed) if deadline <= now => {
                (Closing { dial, deadline: now + policy.close_deadline, opened }, Some(Abort(dial)))
            }
            (_, Dialed { dial, .. }) if Some(dial) != self.dial() => (self, Some(Close(dial))),
            (_, Wanted | Unwanted | Granted { .. } | HeldBack { .. } | Renewed | Stopped { .. } | Retired)
            | (
                _,
                Accepted { .. } | Dialed { .. } | DialFailed { .. } | Lent { .. } | Worked { .. } | Returned { .. },
            )
            | (_, Doubted { .. } | Proved { .. } | Unproved { .. } | FoundAlive { .. } | FoundDead { .. })
            | (_, Lost { .. } | Gone { .. } | Elapsed) => (self, None),
        }
    }

    fn step_online(self, session: Session, policy: &Checked, now: Time, event: Event) -> Next {
        let dial = session.dial;
        match event {
            Lent { lease } => {
                let warn_at = policy.lease_warn.map_or(Time::NEVER, |span| now + span);
                (Leased { session, lease: Lease { id: lease, work: Work::AtRest, warn_at, heard_at: now } }, None)
            }
            Doubted { topology } => {
                let by = now + policy.probe_deadline;
                (Probing { session, deadline: by, topology }, Some(Probe { dial, by }))
            }
            Lost { dial: answered } if answered == dial => closing(policy, now, Close(dial), dial),
            Unwanted | Retired | Stopped { .. } => closing(policy, now, Close(dial), dial),
            Elapsed if self.timeout(policy) <= now => closing(policy, now, Close(dial), dial),
            Dialed { dial: late, .. } if late != dial => (self, Some(Close(late))),
            Wanted | Granted { .. } | HeldBack { .. } | Renewed | Accepted { .. } | Dialed { .. } => (self, None),
            DialFailed { .. } | Worked { .. } | Returned { .. } | Proved { .. } | Unproved { .. } => (self, None),
            FoundAlive { .. } | FoundDead { .. } | Lost { .. } | Gone { .. } | Elapsed => (self, None),
        }
    }

    fn step_leased(self, session: Session, lease: Lease, policy: &Checked, now: Time, event: Event) -> Next {
        let dial = session.dial;
        match event {
            Returned { lease: id, work } if id == lease.id => returned(session, work, policy, now),
            Worked { lease: id, work } if id == lease.id => {
                (Leased { session, lease: Lease { work, heard_at: now, ..lease } }, None)
            }
            FoundAlive { dial: answered, by } if self.asks(answered, by) => {
                (Leased { session, lease: Lease { heard_at: now, ..lease } }, None)
            }
            FoundDead { dial: answered, by } if self.asks(answered, by) => closing(policy, now, Abort(dial), dial),
            Lost { dial: answered } if answered == dial => closing(policy, now, Close(dial), dial),
            Retired => (Draining { session, lease, deadline: Time::NEVER }, None),
            Stopped { deadline } => (Draining { session, lease, deadline }, None),
            Elapsed if self.timeout(policy) <= now => overdue(self, session, lease, policy, now),
            Dialed { dial: late, .. } if late != dial => (self, Some(Close(late))),
            Wanted | Unwanted | Granted { .. } | HeldBack { .. } | Renewed | Accepted { .. } => (self, None),
            Dialed { .. } | DialFailed { .. } | Lent { .. } | Worked { .. } | Returned { .. } => (self, None),
            Doubted { .. } | Proved { .. } | Unproved { .. } | FoundAlive { .. } | FoundDead { .. } => (self, None),
            Lost { .. } | Gone { .. } | Elapsed => (self, None),
        }
    }

    fn step_draining(
        self,
        session: Session,
        lease: Lease,
        deadline: Time,
        policy: &Checked,
        now: Time,
        event: Event,
    ) -> Next {
        let dial = session.dial;
        match event {
            Returned { lease: id, .. } if id == lease.id => closing(policy, now, Close(dial), dial),
            Worked { lease: id, work } if id == lease.id => {
                (Draining { session, lease: Lease { work, heard_at: now, ..lease }, deadline }, None)
            }
            Lost { dial: answered } if answered == dial => closing(policy, now, Close(dial), dial),
            Stopped { deadline: sooner } => (Draining { session, lease, deadline: deadline.min(sooner) }, None),
            Elapsed if deadline <= now => closing(policy, now, Abort(dial), dial),
            Dialed { dial: late, .. } if late != dial => (self, Some(Close(late))),
            Wanted | Unwanted | Granted { .. } | HeldBack { .. } | Renewed | Accepted { .. } => (self, None),
            Dialed { .. } | DialFailed { .. } | Lent { .. } | Worked { .. } | Returned { .. } => (self, None),
            Doubted { .. } | Proved { .. } | Unproved { .. } | FoundAlive { .. } | FoundDead { .. } => (self, None),
            Lost { .. } | Gone { .. } | Retired | Elapsed => (self, None),
        }
    }

    fn step_probing(self, session: Session, topology: u32, policy: &Checked, now: Time, event: Event) -> Next {
        let dial = session.dial;
        match event {
            Proved { dial: answered, by } if self.asks(answered, by) => {
                (Online { session: Session { topology, ..session }, since: now, proved: true }, None)
            }
            Unproved { dial: answered, by } if self.asks(answered, by) => closing(policy, now, Close(dial), dial),
            Lost { dial: answered } if answered == dial => closing(policy, now, Close(dial), dial),
            Unwanted | Retired | Stopped { .. } => closing(policy, now, Close(dial), dial),
            Elapsed if self.timeout(policy) <= now => closing(policy, now, Abort(dial), dial),
            Dialed { dial: late, .. } if late != dial => (self, Some(Close(late))),
            Wanted | Granted { .. } | HeldBack { .. } | Renewed | Accepted { .. } | Dialed { .. } => (self, None),
            DialFailed { .. } | Lent { .. } | Worked { .. } | Returned { .. } | Doubted { .. } => (self, None),
            Proved { .. } | Unproved { .. } | FoundAlive { .. } | FoundDead { .. } => (self, None),
            Lost { .. } | Gone { .. } | Elapsed => (self, None),
        }
    }
}

/// A session is being closed.
fn closing(policy: &Checked, now: Time, how: Command, dial: DialId) -> Next {
    (Closing { dial, deadline: now + policy.close_deadline, opened: true }, Some(how))
}

/// A dial is being aborted.
fn aborting(policy: &Checked, now: Time, dial: DialId) -> Next {
    (Closing { dial, deadline: now + policy.close_deadline, opened: false }, Some(Abort(dial)))
}

/// A session that comes back at rest may be lent again; any other is brought to a clean state first.
fn returned(session: Session, work: Work, policy: &Checked, now: Time) -> Next {
    let dial = session.dial;
    match work {
        Work::AtRest if session.retire_at <= now => closing(policy, now, Close(dial), dial),
        Work::AtRest => (Online { session, since: now, proved: false }, None),
        Work::InTransaction | Work::Statement { .. } => {
            let by = now + policy.reset_deadline;
            (Probing { session, deadline: by, topology: session.topology }, Some(Reset { dial, by }))
        }
    }
}

/// The timeout of a lease: a statement is asked about, twice before it is given up; a long lease is reported.
fn overdue(link: Link, session: Session, lease: Lease, policy: &Checked, now: Time) -> Next {
    let dial = session.dial;
    let by = now + policy.question_deadline;
    let suspected = |again| (Suspected { session, lease, deadline: by, again }, Some(Ask { dial, by }));
    match link {
        Suspected { again: true, .. } => closing(policy, now, Abort(dial), dial),
        Suspected { again: false, .. } => suspected(true),
        Leased { .. } if impatient_at(lease, policy) <= now => suspected(false),
        Leased { .. } => (Leased { session, lease: Lease { warn_at: Time::NEVER, ..lease } }, Some(Warn(lease.id))),
        Idle | Waiting | Held { .. } | Dialing { .. } | Online { .. } => (link, None),
        Draining { .. } | Probing { .. } | Closing { .. } | Closed => (link, None),
    }
}
