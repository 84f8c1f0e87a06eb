//! The transition function of a link, state by state.

use super::{
    Command::{self, Abort, Ask, Close, Inquire, Look, Probe, Reset, Warn},
    Event::{
        self, Accepted, DialFailed, Dialed, Doubted, Elapsed, Engaged, FoundAlive, FoundDead, Gone, Granted, HeldBack,
        Lent, Lost, Proved, Questioned, Renewed, Reopened, Retired, Returned, Spared, Stopped, Undecided, Unheard,
        Unproved, Unwanted, Wanted, Worked,
    },
    Lease,
    Link::{self, Closed, Closing, Dialing, Draining, Held, Idle, Leased, Online, Probing, Suspected, Waiting},
    Session, Work, impatient_at,
};
use crate::core::{pacer::DialId, policy::Checked, time::Time};

impl Link {
    /// The transition function. An event that means nothing in a state leaves it as it is.
    #[must_use]
    #[cfg_attr(feature = "no-panic", no_panic::no_panic)]
    pub fn step(self, policy: &Checked, now: Time, event: Event) -> (Self, Option<Command>) {
        let mut next = self;
        let command = next.apply(policy, now, event);
        (next, command)
    }

    /// [`Link::step`] in place, as a pool takes it: most steps write a few of a link's fields, and to copy
    /// all of them out and in costs more than the step.
    #[must_use]
    #[cfg_attr(feature = "no-panic", no_panic::no_panic)]
    pub fn apply(&mut self, policy: &Checked, now: Time, event: Event) -> Option<Command> {
        match *self {
            Idle | Waiting | Held { .. } | Closed => self.step_without_session(policy, now, event),
            Dialing { .. } | Closing { .. } => self.step_unsettled(policy, now, event),
            Online { session, .. } => self.step_online(session, policy, now, event),
            Leased { session, lease } | Suspected { session, lease, .. } => {
                self.step_leased(session, lease, policy, now, event)
            }
            Draining { session, lease, deadline } => self.step_draining(session, lease, deadline, policy, now, event),
            Probing { session, topology, .. } => self.step_probing(session, topology, policy, now, event),
        }
    }

    /// Another state, and nothing to do on entering it.
    fn rest(&mut self, next: Self) -> Option<Command> {
        *self = next;
        None
    }

    /// Another state, and what to do on entering it.
    fn go(&mut self, next: Self, command: Command) -> Option<Command> {
        *self = next;
        Some(command)
    }

    fn step_without_session(&mut self, policy: &Checked, now: Time, event: Event) -> Option<Command> {
        match (*self, event) {
            (Idle, Wanted) | (Held { .. }, Renewed) => self.rest(Waiting),
            (Waiting | Held { .. }, Unwanted | Retired) => self.rest(Idle),
            (Waiting, Granted { dial, deadline, topology }) => {
                self.rest(Dialing { dial, deadline, topology, connect_by: deadline.min(now + policy.connect_deadline) })
            }
            (Waiting, HeldBack { fault }) => self.rest(Held { fault }),
            (Idle | Waiting | Held { .. }, Stopped { .. }) => self.rest(Closed),
            // A dial that was given up has answered after all: nobody owns its session, so close it.
            (_, Dialed { dial, .. }) => Some(Close(dial)),
            (_, Wanted | Unwanted | Granted { .. } | HeldBack { .. } | Renewed | Stopped { .. } | Retired)
            | (
                _,
                Accepted { .. } | DialFailed { .. } | Lent { .. } | Worked { .. } | Returned { .. } | Doubted { .. },
            )
            | (
                _,
                Proved { .. }
                | Unproved { .. }
                | Unheard { .. }
                | Engaged { .. }
                | Questioned { .. }
                | Reopened
                | Spared
                | FoundAlive { .. }
                | Undecided { .. }
                | FoundDead { .. },
            )
            | (_, Lost { .. } | Gone { .. } | Elapsed) => None,
        }
    }

    fn step_unsettled(&mut self, policy: &Checked, now: Time, event: Event) -> Option<Command> {
        match (*self, event) {
            (Dialing { dial, deadline, topology, .. }, Accepted { dial: answered }) if answered == dial => {
                self.rest(Dialing { dial, deadline, topology, connect_by: Time::NEVER })
            }
            (Dialing { dial, topology, .. }, Dialed { dial: answered, stable_at, retire_at }) if answered == dial => {
                self.rest(Online {
                    session: Session { dial, stable_at, retire_at, topology },
                    since: now,
                    proved: true,
                })
            }
            (Dialing { dial, .. }, DialFailed { dial: answered }) if answered == dial => self.rest(Waiting),
            (Dialing { dial, .. }, Unwanted | Retired | Stopped { .. }) => self.aborting(policy, now, dial),
            (Dialing { dial, deadline, connect_by, .. }, Elapsed) if deadline.min(connect_by) <= now => {
                self.aborting(policy, now, dial)
            }
            (Closing { dial, .. }, Gone { dial: answered }) if answered == dial => self.rest(Idle),
            // The dial failed by itself while it was being aborted: there is nothing left to close.
            (Closing { dial, opened: false, .. }, DialFailed { dial: answered }) if answered == dial => self.rest(Idle),
            // It opened a session while it was being aborted: that session is closed, once.
            (Closing { dial, opened: false, .. }, Dialed { dial: answered, .. }) if answered == dial => {
                self.closing(policy, now, Close(dial), dial)
            }
            (Closing { dial, deadline, opened }, Elapsed) if deadline <= now => {
                self.go(Closing { dial, deadline: now + policy.close_deadline, opened }, Abort(dial))
            }
            (_, Dialed { dial, .. }) if Some(dial) != self.dial() => Some(Close(dial)),
            (_, Wanted | Unwanted | Granted { .. } | HeldBack { .. } | Renewed | Stopped { .. } | Retired)
            | (
                _,
                Accepted { .. } | Dialed { .. } | DialFailed { .. } | Lent { .. } | Worked { .. } | Returned { .. },
            )
            | (_, Doubted { .. } | Engaged { .. } | Proved { .. } | Unproved { .. } | Unheard { .. })
            | (_, Questioned { .. } | Reopened | Spared | FoundAlive { .. } | Undecided { .. } | FoundDead { .. })
            | (_, Lost { .. } | Gone { .. } | Elapsed) => None,
        }
    }

    fn step_online(&mut self, session: Session, policy: &Checked, now: Time, event: Event) -> Option<Command> {
        let dial = session.dial;
        match event {
            Lent { lease } => {
                let warn_at = policy.lease_warn.map_or(Time::NEVER, |span| now + span);
                self.rest(Leased { session, lease: Lease { id: lease, work: Work::AtRest, warn_at, heard_at: now } })
            }
            Doubted { topology } => {
                let by = now + policy.probe_deadline;
                self.go(Probing { session, deadline: by, topology }, Probe { dial, by })
            }
            Engaged { topology } => {
                let by = now + policy.question_deadline;
                self.go(Probing { session, deadline: by, topology }, Inquire { dial, by })
            }
            Lost { dial: answered } if answered == dial => self.closing(policy, now, Close(dial), dial),
            Unwanted | Retired | Stopped { .. } => self.closing(policy, now, Close(dial), dial),
            Elapsed if self.timeout(policy) <= now => self.closing(policy, now, Close(dial), dial),
            Dialed { dial: late, .. } if late != dial => Some(Close(late)),
            Wanted | Granted { .. } | HeldBack { .. } | Renewed | Accepted { .. } | Dialed { .. } => None,
            DialFailed { .. } | Worked { .. } | Returned { .. } => None,
            Proved { .. } | Unproved { .. } | Unheard { .. } => None,
            Questioned { .. } | Reopened | Spared | FoundAlive { .. } | Undecided { .. } | FoundDead { .. } => None,
            Lost { .. } | Gone { .. } | Elapsed => None,
        }
    }

    fn step_leased(
        &mut self,
        session: Session,
        lease: Lease,
        policy: &Checked,
        now: Time,
        event: Event,
    ) -> Option<Command> {
        let dial = session.dial;
        match event {
            Returned { lease: id, work } if id == lease.id => self.returned(session, work, policy, now),
            Worked { lease: id, work, heard_at } if id == lease.id => {
                self.observed(session, Lease { work, heard_at, ..lease }, policy, now)
            }
            Questioned { asker } => self.questioned(asker, policy, now, dial),
            Reopened => self.reopened(),
            FoundAlive { dial: answered, by } if self.asks(answered, by) => self.cleared(session, lease, now),
            Undecided { dial: answered, by } if self.asks(answered, by) => self.suspecting(session, lease, policy, now),
            Spared => self.cleared(session, lease, now),
            FoundDead { dial: answered, by } if self.asks(answered, by) => self.closing(policy, now, Abort(dial), dial),
            Lost { dial: answered } if answered == dial => self.closing(policy, now, Close(dial), dial),
            Retired => self.rest(Draining { session, lease, deadline: Time::NEVER }),
            Stopped { deadline } => self.rest(Draining { session, lease, deadline }),
            Elapsed if self.timeout(policy) <= now => self.overdue(session, lease, policy, now),
            Dialed { dial: late, .. } if late != dial => Some(Close(late)),
            Wanted | Unwanted | Granted { .. } | HeldBack { .. } | Renewed | Accepted { .. } => None,
            Dialed { .. } | DialFailed { .. } | Lent { .. } | Worked { .. } | Returned { .. } => None,
            Doubted { .. } | Engaged { .. } | Proved { .. } | Unproved { .. } | Unheard { .. } => None,
            FoundAlive { .. } | Undecided { .. } | FoundDead { .. } => None,
            Lost { .. } | Gone { .. } | Elapsed => None,
        }
    }

    fn step_draining(
        &mut self,
        session: Session,
        lease: Lease,
        deadline: Time,
        policy: &Checked,
        now: Time,
        event: Event,
    ) -> Option<Command> {
        let dial = session.dial;
        match event {
            Returned { lease: id, .. } if id == lease.id => self.closing(policy, now, Close(dial), dial),
            Worked { lease: id, work, heard_at } if id == lease.id => {
                self.rest(Draining { session, lease: Lease { work, heard_at: heard_at.min(now), ..lease }, deadline })
            }
            Lost { dial: answered } if answered == dial => self.closing(policy, now, Close(dial), dial),
            Stopped { deadline: sooner } => self.rest(Draining { session, lease, deadline: deadline.min(sooner) }),
            Elapsed if deadline <= now => self.closing(policy, now, Abort(dial), dial),
            Dialed { dial: late, .. } if late != dial => Some(Close(late)),
            Wanted | Unwanted | Granted { .. } | HeldBack { .. } | Renewed | Accepted { .. } => None,
            Dialed { .. } | DialFailed { .. } | Lent { .. } | Worked { .. } | Returned { .. } => None,
            Doubted { .. } | Engaged { .. } | Proved { .. } | Unproved { .. } | Unheard { .. } => None,
            Questioned { .. } | Reopened | Spared | FoundAlive { .. } | Undecided { .. } | FoundDead { .. } => None,
            Lost { .. } | Gone { .. } | Retired | Elapsed => None,
        }
    }

    fn step_probing(
        &mut self,
        session: Session,
        topology: u32,
        policy: &Checked,
        now: Time,
        event: Event,
    ) -> Option<Command> {
        let dial = session.dial;
        match event {
            Proved { dial: answered, by } if self.asks(answered, by) => {
                self.rest(Online { session: Session { topology, ..session }, since: now, proved: true })
            }
            Unproved { dial: answered, by } if self.asks(answered, by) => self.closing(policy, now, Close(dial), dial),
            Unheard { dial: answered, by } if self.asks(answered, by) => self.closing(policy, now, Abort(dial), dial),
            Lost { dial: answered } if answered == dial => self.closing(policy, now, Close(dial), dial),
            Unwanted | Retired | Stopped { .. } => self.closing(policy, now, Close(dial), dial),
            Elapsed if self.timeout(policy) <= now => self.closing(policy, now, Abort(dial), dial),
            Dialed { dial: late, .. } if late != dial => Some(Close(late)),
            Wanted | Granted { .. } | HeldBack { .. } | Renewed | Accepted { .. } | Dialed { .. } => None,
            DialFailed { .. } | Lent { .. } | Worked { .. } | Returned { .. } | Doubted { .. } => None,
            Proved { .. }
            | Unproved { .. }
            | Unheard { .. }
            | Engaged { .. }
            | Questioned { .. }
            | Reopened
            | Spared
            | FoundAlive { .. }
            | Undecided { .. }
            | FoundDead { .. } => None,
            Lost { .. } | Gone { .. } | Elapsed => None,
        }
    }

    /// A session is being closed.
    fn closing(&mut self, policy: &Checked, now: Time, how: Command, dial: DialId) -> Option<Command> {
        self.go(Closing { dial, deadline: now + policy.close_deadline, opened: true }, how)
    }

    /// A dial is being aborted.
    fn aborting(&mut self, policy: &Checked, now: Time, dial: DialId) -> Option<Command> {
        self.go(Closing { dial, deadline: now + policy.close_deadline, opened: false }, Abort(dial))
    }

    /// A session that comes back at rest may be lent again; any other is brought to a clean state first.
    fn returned(&mut self, session: Session, work: Work, policy: &Checked, now: Time) -> Option<Command> {
        let dial = session.dial;
        match work {
            Work::AtRest if session.retire_at <= now => self.closing(policy, now, Close(dial), dial),
            Work::AtRest => self.rest(Online { session, since: now, proved: false }),
            Work::InTransaction | Work::Statement { .. } => {
                let by = now + policy.reset_deadline;
                self.go(Probing { session, deadline: by, topology: session.topology }, Reset { dial, by })
            }
        }
    }

    /// What a lease's session is doing: a statement that has been silent for as long as the patience is to be asked about.
    fn observed(&mut self, session: Session, seen: Lease, policy: &Checked, now: Time) -> Option<Command> {
        let busy = matches!(seen.work, Work::Statement { .. });
        let lease = Lease { heard_at: if busy { seen.heard_at.min(now) } else { now }, ..seen };
        if !busy || impatient_at(lease, policy) > now {
            return self.rest(Leased { session, lease });
        }
        match *self {
            Suspected { deadline, again, asker, .. } => self.rest(Suspected { session, lease, deadline, again, asker }),
            Idle
            | Waiting
            | Held { .. }
            | Dialing { .. }
            | Online { .. }
            | Leased { .. }
            | Draining { .. }
            | Probing { .. }
            | Closing { .. }
            | Closed => self.suspecting(session, lease, policy, now),
        }
    }

    /// A suspicion begins: the first of two questions is to be put.
    fn suspecting(&mut self, session: Session, lease: Lease, policy: &Checked, now: Time) -> Option<Command> {
        let deadline = now + policy.question_deadline;
        self.rest(Suspected { session, lease, deadline, again: false, asker: None })
    }

    /// The question about a suspected session is put. One whose time is over already, because the clock has jumped, has all
    /// of it anew.
    fn questioned(&mut self, place: u16, policy: &Checked, now: Time, dial: DialId) -> Option<Command> {
        let Suspected { asker: asker @ None, deadline: by, .. } = self else { return None };
        *asker = Some(place);
        if *by < now {
            *by = now + policy.question_deadline;
        }
        Some(Ask { dial, by: *by })
    }

    /// The question is open again, and the time for its answer goes on.
    fn reopened(&mut self) -> Option<Command> {
        if let Suspected { asker, .. } = self {
            *asker = None;
        }
        None
    }

    /// The suspicion is over; the patience begins anew.
    fn cleared(&mut self, session: Session, lease: Lease, now: Time) -> Option<Command> {
        if matches!(self, Suspected { .. }) {
            self.rest(Leased { session, lease: Lease { heard_at: now, ..lease } })
        } else {
            None
        }
    }

    /// The timeout of a lease: it is looked at, and a suspected session asked about twice before it is given up; a
    /// long lease is reported.
    fn overdue(&mut self, session: Session, lease: Lease, policy: &Checked, now: Time) -> Option<Command> {
        let dial = session.dial;
        match *self {
            Suspected { again: true, .. } => self.closing(policy, now, Abort(dial), dial),
            Suspected { again: false, .. } => {
                let deadline = now + policy.question_deadline;
                self.rest(Suspected { session, lease, deadline, again: true, asker: None })
            }
            Leased { .. } if impatient_at(lease, policy) <= now => {
                self.go(Leased { session, lease: Lease { heard_at: now, ..lease } }, Look(lease.id))
            }
            Leased { .. } => {
                self.go(Leased { session, lease: Lease { warn_at: Time::NEVER, ..lease } }, Warn(lease.id))
            }
            Idle | Waiting | Held { .. } | Dialing { .. } | Online { .. } => None,
            Draining { .. } | Probing { .. } | Closing { .. } | Closed => None,
        }
    }
}
