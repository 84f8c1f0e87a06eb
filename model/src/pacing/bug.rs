//! The seeded bugs of pacing: what a wrapper around the pacer's step can do wrong, and which law must say so.

use relink::{
    Backoff, DialId, Fault, Frame, Policy, Ratio, Span,
    pacer::{Command, Event, Pacer},
};

use super::{
    law::Law,
    world::{State, World},
};
use crate::{seeded::bugs, worlds::NOW};

bugs! {
    /// A mistake in the inputs, the outputs or the policy of the production step.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Bug {
        /// An order to dial is carried out for every place that wants a session.
        DialPerIdleLink,
        /// The waits are drawn from zero up.
        DrawFromZero,
        /// The loss of a session that never became stable is taken for that of a stable one.
        TrustTheUnstable,
        /// The least share of a window that is waited is next to nothing.
        LowerFloor,
        /// The failure of a dial that was started before the last failure is taken for a dial given up.
        IgnoreTheStale,
        /// A success pulls the next dial forward.
        HurryOnSuccess,
        /// A renewal pulls the next dial forward.
        HurryOnRenewal,
        /// Each loss starts the outage clock anew.
        RestartClock,
        /// A success takes the window of overload away.
        ForgetOverload,
        /// The outage is forgotten with the first success.
        ForgetOnSuccess,
        /// The outage is forgotten before a session was stable.
        ForgetEarly,
        /// A fatal fault is taken for a refusal.
        RetryFatal,
        /// The set is held as soon as one endpoint is.
        HoldTheSet,
        /// The timer of the next dial is dropped.
        DropTimer,
        /// The timer of the next dial is never served.
        Oversleep,
        /// The dial deadline does not grow.
        FixPatience,
    }
}

impl Bug {
    /// The law that must be found broken.
    pub const fn breaks(self) -> Law {
        match self {
            Self::DialPerIdleLink => Law::S1,
            Self::DrawFromZero => Law::S2,
            Self::TrustTheUnstable => Law::S2b,
            Self::LowerFloor | Self::IgnoreTheStale | Self::HurryOnSuccess | Self::HurryOnRenewal => Law::S3,
            Self::RestartClock => Law::S4a,
            Self::ForgetOverload => Law::S4b,
            Self::ForgetOnSuccess | Self::ForgetEarly => Law::S4c,
            Self::RetryFatal | Self::HoldTheSet => Law::S7,
            Self::DropTimer => Law::S10,
            Self::Oversleep => Law::S15,
            Self::FixPatience => Law::L1,
        }
    }

    /// The policy that the pacer is given instead of the one it is judged by.
    pub(super) fn policy(self, judged: &Policy) -> Policy {
        let mut driven = judged.clone();
        let millionth = Ratio::from_millionths(1);
        match self {
            Self::DrawFromZero => driven.backoff = Backoff::FullJitter { base: judged.w0, cap: judged.capd },
            Self::LowerFloor => driven.jitter_lo = millionth,
            Self::ForgetOverload => driven.s = millionth,
            Self::ForgetEarly => driven.stable_for = Span::from_millis(1),
            Self::FixPatience => driven.dial_deadline_max = judged.dial_deadline,
            Self::DialPerIdleLink | Self::TrustTheUnstable | Self::IgnoreTheStale | Self::HurryOnSuccess => {}
            Self::HurryOnRenewal | Self::RestartClock | Self::ForgetOnSuccess | Self::RetryFatal => {}
            Self::HoldTheSet | Self::DropTimer | Self::Oversleep => {}
        }
        driven
    }

    /// What the pacer is told instead of `event`.
    fn told(self, last: &State, event: Event) -> Event {
        match (self, event) {
            (Self::TrustTheUnstable, Event::Lost { endpoint, .. }) => Event::Lost { endpoint, unstable: false },
            (Self::IgnoreTheStale, Event::Failed { dial, .. })
                if last.ghost.dials.iter().any(|known| known.id == dial && known.stale) =>
            {
                Event::Abandoned { dial }
            }
            (Self::RetryFatal, Event::Failed { dial, .. }) => Event::Failed { dial, fault: Fault::Refused },
            // Every other bug tells what has happened.
            _ => event,
        }
    }
}

impl World {
    /// The production step, inside the seeded bug if there is one.
    pub(super) fn step(&self, last: &State, event: Event, chance: u64) -> (Pacer, Option<Command>) {
        let pacer = last.pacer;
        let Some(bug) = self.bug else {
            return pacer.step(&self.driven, NOW, event, chance);
        };
        let fresh = |told: &[Event]| {
            told.iter().fold(Pacer::new(self.endpoints), |pacer, event| pacer.step(&self.driven, NOW, *event, chance).0)
        };
        let first = [Event::Requested { endpoint: 0 }, Event::Dialed { dial: DialId::new(0, 0) }];
        match (bug, event) {
            (Bug::ForgetOnSuccess, Event::Dialed { .. }) => (fresh(&first), None),
            (Bug::RestartClock, Event::Lost { .. }) => {
                let [requested, dialed] = first;
                (fresh(&[requested, dialed, event]), None)
            }
            _ => {
                let (pacer, command) = pacer.step(&self.driven, NOW, bug.told(last, event), chance);
                let hurry = match event {
                    Event::Dialed { .. } => bug == Bug::HurryOnSuccess,
                    Event::Renewed => bug == Bug::HurryOnRenewal,
                    Event::Requested { .. } | Event::Failed { .. } | Event::Abandoned { .. } => false,
                    Event::Lost { .. } | Event::Retired { .. } => false,
                };
                (if hurry { self.hurried(last, pacer) } else { pacer }, command)
            }
        }
    }

    /// The pacer as it would be a millisecond later: every wait is that much shorter.
    fn hurried(&self, last: &State, pacer: Pacer) -> Pacer {
        let dials: Vec<DialId> = last.ghost.dials.iter().map(|dial| dial.id).collect();
        let now = NOW + Span::from_millis(1);
        pacer.seen_from(&self.driven, &Frame { now, origin: NOW, dials: &dials, leases: &[], topology: 0 })
    }
}
