//! The seeded bugs: what a wrapper around a step can do wrong, and which law must say so.

use relink::{
    DialId, Fault, Span, Time,
    link::{self, Link},
    pacer::{Command, Event, Pacer},
};

use super::{
    Law, Machine,
    pacer_law::{Case, Moment},
};
use crate::seeded::bugs;

bugs! {
    /// A mistake in what a step gives.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Bug {
        /// A failure leaves what was settling as it is.
        GoOnSettling,
        /// What was learnt of overload outlives the outage.
        RememberOverload,
        /// The window of overload has no ceiling.
        GrowForEver,
        /// Each success allows one more dial, without an end.
        AllowMore,
        /// A failure voids dials that have not started.
        CutAhead,
        /// Refused credentials are counted and nothing follows.
        CountOnly,
        /// A second dial starts beside the first.
        DialTwice,
        /// A success makes the next dial due at once.
        PullForward,
        /// A failure is followed by no wait.
        WaitForNothing,
        /// A loss starts the outage's clock anew.
        RestartClock,
        /// A success clears the window of overload.
        ShrinkAtOnce,
        /// A success ends the outage.
        ForgetAtOnce,
        /// News of an endpoint outside the set are taken for the first one's.
        TakeStrangers,
        /// A held endpoint is dialed.
        DialHeld,
        /// A dial that was given up leaves no time for the next.
        LoseTimer,
        /// A dial may take twice as long as the policy says.
        StretchDeadline,
        /// Waits end at round times of the clock.
        RoundTimes,
        /// A late success is adopted.
        AdoptLate,
        /// A late success is left open.
        LeaveOpen,
        /// A lost session's place is free before it is closed.
        FreeEarly,
        /// An answer about the role is taken for one of the present.
        DateByAnswer,
        /// A stop ends no waiting.
        IgnoreStop,
        /// A lease is cut when its session is to be replaced.
        CutLease,
        /// A dial's deadline begins again when its transport is up.
        ExtendDial,
        /// A question has no deadline.
        AskForEver,
        /// A close ends at round times of the clock.
        RoundClose,
    }
}

impl Bug {
    /// The machine whose steps it is put around.
    pub const fn machine(self) -> Machine {
        match self {
            Self::AdoptLate | Self::LeaveOpen | Self::FreeEarly | Self::DateByAnswer | Self::IgnoreStop => {
                Machine::Link
            }
            Self::CutLease | Self::ExtendDial | Self::AskForEver | Self::RoundClose => Machine::Link,
            Self::GoOnSettling | Self::RememberOverload | Self::GrowForEver | Self::AllowMore => Machine::Pacer,
            Self::CutAhead | Self::CountOnly | Self::DialTwice | Self::PullForward => Machine::Pacer,
            Self::WaitForNothing | Self::RestartClock | Self::ShrinkAtOnce | Self::ForgetAtOnce => Machine::Pacer,
            Self::TakeStrangers | Self::DialHeld | Self::LoseTimer | Self::StretchDeadline => Machine::Pacer,
            Self::RoundTimes => Machine::Pacer,
        }
    }

    /// The law that must be found broken.
    pub const fn breaks(self) -> Law {
        match self {
            Self::GoOnSettling => Law::Settling,
            Self::RememberOverload => Law::Memory,
            Self::GrowForEver => Law::Ceilings,
            Self::AllowMore => Law::Flights,
            Self::CutAhead => Law::Names,
            Self::CountOnly => Law::Refusals,
            Self::DialTwice => Law::S1,
            Self::PullForward => Law::S3,
            Self::WaitForNothing => Law::S3Floor,
            Self::RestartClock => Law::S4a,
            Self::ShrinkAtOnce => Law::S4b,
            Self::ForgetAtOnce => Law::S4c,
            Self::TakeStrangers | Self::AdoptLate => Law::S6,
            Self::DialHeld => Law::S7,
            Self::LoseTimer | Self::AskForEver => Law::S10,
            Self::StretchDeadline | Self::ExtendDial => Law::S13,
            Self::RoundTimes | Self::RoundClose => Law::Relabel,
            Self::LeaveOpen | Self::FreeEarly => Law::S5,
            Self::DateByAnswer => Law::S8,
            Self::IgnoreStop => Law::S11,
            Self::CutLease => Law::S12,
        }
    }

    /// What a step of a pacer gives instead.
    pub(super) fn of_pacer(self, case: &Case<'_>, next: (Pacer, Option<Command>)) -> (Pacer, Option<Command>) {
        let Moment { policy, before, now, .. } = *case.moment;
        let (mut after, mut command) = (next.0.parts(), next.1);
        let own = case.endpoint.is_none_or(|endpoint| endpoint < before.endpoints);
        if own == (self == Self::TakeStrangers) {
            return next;
        }
        let at = usize::from(case.endpoint.filter(|_| own).unwrap_or(0));
        let (Some(old), Some(window)) = (before.windows.get(at), after.windows.get_mut(at)) else { return next };
        let dial = Command::Dial { dial: DialId::new(before.next, 0), deadline: now + policy.dial_deadline };
        let due = old.not_before <= now && window.in_flight < policy.max_dials;
        let failed = matches!(case.event, Event::Failed { .. });
        match (self, case.event) {
            (Self::GoOnSettling, Event::Failed { .. }) => after.settle_at = now,
            (Self::RememberOverload, _) if after.lost_at == Time::NEVER => window.over = old.over,
            (Self::GrowForEver, Event::Failed { fault: Fault::Overloaded, .. }) => {
                window.over = policy.cap(policy.elapsed_max) * 2;
            }
            (Self::AllowMore, Event::Dialed { .. }) => window.allowed = old.allowed + 1,
            (Self::CutAhead, _) if failed => window.cut = after.next + 1,
            (Self::CountOnly, _) if failed => window.held = None,
            (Self::DialTwice, Event::Requested { endpoint: 0 }) if command.is_none() && due && old.held.is_none() => {
                command = Some(dial);
            }
            (Self::PullForward, Event::Dialed { .. }) => window.not_before = now,
            (Self::WaitForNothing, _) if failed => window.not_before = old.not_before.max(now),
            (Self::RestartClock, Event::Lost { .. }) => after.lost_at = now,
            (Self::ShrinkAtOnce, Event::Dialed { .. }) => window.over = Span::ZERO,
            (Self::ForgetAtOnce, Event::Dialed { .. }) => return forgotten(next),
            (Self::TakeStrangers, Event::Retired { endpoint: 7 }) => window.not_before = now + policy.w0,
            (Self::DialHeld, Event::Requested { endpoint: 0 })
                if old.held.is_some() && due && old.in_flight < old.allowed =>
            {
                command = Some(dial);
            }
            (Self::LoseTimer, Event::Abandoned { .. }) => window.not_before = Time::NEVER,
            (Self::StretchDeadline, _) => {
                command = command.map(|Command::Dial { dial, deadline }| Command::Dial {
                    dial,
                    deadline: deadline + policy.dial_deadline_max,
                });
            }
            (Self::RoundTimes, _) if failed => {
                let round = window.not_before.as_millis().checked_next_multiple_of(1_000);
                window.not_before = round.map_or(window.not_before, Time::from_millis);
            }
            _ => return next,
        }
        (Pacer::from_parts(&after), command)
    }

    /// What a step of a link gives instead.
    pub(super) fn of_link(
        self,
        link: Link,
        now: Time,
        event: link::Event,
        next: (Link, Option<link::Command>),
    ) -> (Link, Option<link::Command>) {
        use link::Event::{Accepted, Dialed, Lost, Proved, Retired, Stopped};
        match (self, link, event, next) {
            (Self::AdoptLate, Link::Dialing { topology, .. }, Dialed { dial, stable_at, retire_at }, _) => {
                let session = link::Session { dial, stable_at, retire_at, topology };
                (Link::Online { session, since: now, proved: true }, None)
            }
            (Self::LeaveOpen, Link::Idle, Dialed { .. }, (after, _)) => (after, None),
            (Self::FreeEarly, _, Lost { .. }, (Link::Closing { .. }, command)) => (Link::Idle, command),
            (
                Self::DateByAnswer,
                Link::Probing { .. },
                Proved { .. },
                (Link::Online { session, since, proved }, command),
            ) => {
                let session = link::Session { topology: session.topology.wrapping_add(1), ..session };
                (Link::Online { session, since, proved }, command)
            }
            (Self::IgnoreStop, Link::Waiting, Stopped { .. }, _) => (link, None),
            (Self::CutLease, Link::Leased { session, .. }, Retired, _) => {
                let closing = Link::Closing { dial: session.dial, deadline: now + Span::from_secs(1), opened: true };
                (closing, Some(link::Command::Close(session.dial)))
            }
            (Self::ExtendDial, _, Accepted { .. }, (Link::Dialing { dial, topology, connect_by, .. }, _)) => {
                (Link::Dialing { dial, deadline: now + Span::from_secs(5), topology, connect_by }, None)
            }
            (Self::AskForEver, _, _, (Link::Suspected { session, lease, again, asker, .. }, command)) => {
                (Link::Suspected { session, lease, deadline: Time::NEVER, again, asker }, command)
            }
            (Self::RoundClose, before, _, (Link::Closing { dial, deadline, opened }, command))
                if !matches!(before, Link::Closing { .. }) =>
            {
                let round = deadline.as_millis() / 1_000 * 1_000;
                (Link::Closing { dial, deadline: Time::from_millis(round), opened }, command)
            }
            _ => next,
        }
    }
}

/// The outage of a step is no more on record.
fn forgotten(next: (Pacer, Option<Command>)) -> (Pacer, Option<Command>) {
    let mut after = next.0.parts();
    (after.lost_at, after.settle_at, after.dials) = (Time::NEVER, Time::NEVER, 0);
    for window in &mut after.windows {
        (window.over, window.rung, window.doublings) = (Span::ZERO, Span::ZERO, 0);
        (window.seen, window.flapped) = (false, false);
        window.failed = (window.online > 0).then_some(false);
    }
    (Pacer::from_parts(&after), next.1)
}
