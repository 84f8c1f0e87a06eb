//! The seeded bugs: what a wrapper around a production step can do wrong, and which law must say so.

use relink::{
    Checked, Fault, Policy, Time, Validate, Work, link,
    pool::{ASKERS, Command, Event, Pool},
};

use super::{
    NOW,
    ghost::{Ghost, Peer},
    law::Law,
    world::World,
};
use crate::seeded::bugs;

bugs! {
    /// A mistake in the inputs, the outputs or the policy of the production step.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Bug {
        /// Two dials at once: the machines are given a policy that allows it.
        TwoDials,
        /// The order to close is dropped.
        ForgetToClose,
        /// Every answer is taken for the present dial's: a late success is adopted.
        IgnoreNames,
        /// A fatal fault is taken for a refusal.
        RetryFatal,
        /// A demotion is not told while a dial is in flight.
        DateByAnswer,
        /// A demotion is not told while a session is open.
        ForgetDemotion,
        /// The timer of the next dial is dropped.
        DropTimer,
        /// The end of the pool is taken for the end of a pause.
        IgnoreStop,
        /// A late answer about an earlier statement is taken for one about the present statement.
        AnswerOldQuestion,
        /// Of two who wait, the last is served.
        GrantOutOfOrder,
        /// A session is lent to two.
        SecondBorrower,
        /// Dials may take longer than the policy says.
        StretchDeadline,
        /// A COMMIT is taken for a read.
        UnobservedCommit,
        /// The end of a close is not told: its place is never free again.
        LosePermit,
        /// A session left in a transaction is called clean.
        SkipReset,
        /// The pool is built one place larger.
        Oversize,
        /// A timer is served before the answers that came in time.
        TimersFirst,
        /// An idle session that asks about another is called free when somebody wants one.
        LendTheAsker,
        /// Nobody who waits on a silent peer is ever asked about.
        NoPatience,
        /// The order to look what a lease's session is doing is dropped.
        NeverLook,
        /// A session that the server knows to be at work is called dead.
        SlowIsDead,
        /// The timer of the next dial is never served.
        Oversleep,
        /// A renewal is not told.
        ForgetRenewal,
        /// A session is lent without asking it for its role.
        TrustTheRole,
        /// A demotion is told before every proof, so that none is ever new enough.
        DoubtTheProof,
        /// The end of a pool that has nothing open is taken for a pause.
        PauseAtStop,
        /// A statement that its server waits for is taken for one that never comes: its caller is told that nothing was done.
        BelieveTheVerdict,
        /// Of the timelines of primaries the last is kept, not the highest.
        ServeTheReplaced,
        /// That a primary is newer than all before is not told while a session is open.
        HushThePromotion,
        /// Who would rather have a standby passes over each primary.
        PassOverForEver,
        /// Who would rather have a standby takes whatever answers first.
        NeverPassOver,
    }
}

impl Bug {
    /// The law that must be found broken, and no other.
    pub const fn breaks(self) -> Law {
        match self {
            Self::TwoDials => Law::S1,
            Self::ForgetToClose => Law::S5,
            Self::IgnoreNames | Self::AnswerOldQuestion => Law::S6,
            Self::RetryFatal => Law::S7,
            Self::DateByAnswer => Law::S8,
            Self::ForgetDemotion | Self::HushThePromotion => Law::S9,
            Self::DropTimer => Law::S10,
            Self::IgnoreStop | Self::SlowIsDead => Law::S11,
            Self::GrantOutOfOrder | Self::SecondBorrower | Self::LendTheAsker => Law::S12,
            Self::StretchDeadline => Law::S13,
            Self::UnobservedCommit | Self::BelieveTheVerdict => Law::S14,
            Self::LosePermit => Law::S16,
            Self::SkipReset => Law::S17,
            Self::Oversize => Law::S18,
            Self::TimersFirst => Law::S19,
            Self::NoPatience | Self::NeverLook => Law::L6,
            Self::Oversleep => Law::S15,
            Self::ForgetRenewal | Self::PassOverForEver => Law::L1,
            Self::TrustTheRole | Self::ServeTheReplaced | Self::NeverPassOver => Law::L3,
            Self::DoubtTheProof => Law::L4,
            Self::PauseAtStop => Law::L5,
        }
    }

    /// The policy that the machines are given instead of the one they are judged by.
    pub(super) fn policy(self, judged: &Policy) -> Policy {
        let mut driven = judged.clone();
        match self {
            Self::TwoDials => driven.max_dials = 2,
            Self::StretchDeadline => driven.dial_deadline_max = driven.dial_deadline_max * 3,
            Self::Oversize => driven.max_size += 1,
            Self::ForgetToClose | Self::IgnoreNames | Self::RetryFatal => {}
            Self::DateByAnswer | Self::ForgetDemotion | Self::DropTimer | Self::IgnoreStop => {}
            Self::AnswerOldQuestion | Self::GrantOutOfOrder | Self::SecondBorrower | Self::LendTheAsker => {}
            Self::UnobservedCommit | Self::LosePermit | Self::SkipReset | Self::NeverLook | Self::SlowIsDead => {}
            Self::NoPatience => driven.patience = None,
            Self::TrustTheRole => driven.validate = Validate::Never,
            Self::TimersFirst | Self::Oversleep | Self::ForgetRenewal => {}
            Self::DoubtTheProof | Self::PauseAtStop | Self::BelieveTheVerdict => {}
            Self::ServeTheReplaced | Self::HushThePromotion => {}
            Self::PassOverForEver | Self::NeverPassOver => {}
        }
        driven
    }

    /// What the machines are told instead of `event`; `None`: nothing.
    fn told(self, pool: &Pool, event: Event) -> Option<Event> {
        Some(match (self, event) {
            (Self::IgnoreNames, Event::Dialed { slot, dial }) => {
                Event::Dialed { slot, dial: pool.link(slot).dial().unwrap_or(dial) }
            }
            (Self::IgnoreNames, Event::DialFailed { slot, dial, fault }) => {
                Event::DialFailed { slot, dial: pool.link(slot).dial().unwrap_or(dial), fault }
            }
            (Self::RetryFatal, Event::DialFailed { slot, dial, .. }) => {
                Event::DialFailed { slot, dial, fault: Fault::Refused }
            }
            (Self::DateByAnswer, Event::Demoted) if pool.links().iter().all(|link| link.session().is_none()) => {
                return None;
            }
            (Self::ForgetDemotion | Self::HushThePromotion, Event::Demoted)
                if pool.links().iter().any(|link| link.session().is_some()) =>
            {
                return None;
            }
            (Self::IgnoreStop, Event::Stopped { .. }) => Event::Resumed,
            (Self::AnswerOldQuestion, Event::FoundDead { slot, dial, by }) => {
                Event::FoundDead { slot, dial, by: pool.link(slot).question().unwrap_or(by) }
            }
            (Self::SlowIsDead, Event::FoundAlive { slot, dial, by }) => Event::FoundDead { slot, dial, by },
            (Self::UnobservedCommit, Event::Worked { slot, lease, work: Work::Statement { .. }, heard_at }) => {
                Event::Worked { slot, lease, work: Work::Statement { durable: false }, heard_at }
            }
            (Self::LosePermit, Event::Gone { .. }) | (Self::ForgetRenewal, Event::Renewed) => return None,
            (Self::PauseAtStop, Event::Stopped { .. }) if pool.links().iter().all(|link| link.dial().is_none()) => {
                Event::Paused
            }
            (Self::SkipReset, Event::Returned { slot, lease, .. }) => {
                Event::Returned { slot, lease, work: Work::AtRest }
            }
            // Every other bug tells of every other event what has happened.
            _ => event,
        })
    }

    /// What becomes of the commands.
    fn carried_out(self, ghost: &Ghost, out: &mut Vec<Command>) {
        if self == Self::ForgetToClose {
            out.retain(|command| !matches!(command, Command::Link { command: link::Command::Close(_), .. }));
        }
        if self == Self::NeverLook {
            out.retain(|command| !matches!(command, Command::Link { command: link::Command::Look(_), .. }));
        }
        let (Some(last), Some(grant)) =
            (ghost.queue.last(), out.iter().rposition(|c| matches!(c, Command::Grant { .. })))
        else {
            return;
        };
        if let Some(Command::Grant { lease, slot, dial }) = out.get_mut(grant) {
            let (slot, dial) = (*slot, *dial);
            if self == Self::GrantOutOfOrder {
                *lease = last.lease;
            } else if self == Self::SecondBorrower && *lease != last.lease {
                out.push(Command::Grant { lease: last.lease, slot, dial });
            }
        }
    }
}

impl World {
    /// The production step, inside the seeded bug if there is one.
    pub(super) fn step(&self, pool: &mut Pool, ghost: &Ghost, event: Event, chance: u64, out: &mut Vec<Command>) {
        let policy: &Checked = &self.driven;
        let Some(bug) = self.bug else {
            pool.step(policy, NOW, event, chance, out);
            return;
        };
        let asks = |peer: &&Peer| peer.slot < ASKERS && peer.is_asked_for_role();
        if let (Bug::LendTheAsker, Event::Asked { .. }, Some(asker)) = (bug, event, ghost.peers.iter().find(asks)) {
            let (slot, dial) = (asker.slot, asker.dial);
            let by = pool.link(slot).question().unwrap_or(NOW);
            pool.step(policy, NOW, Event::Proved { slot, dial, by }, chance, out);
        }
        if let (Bug::DoubtTheProof, Event::Proved { slot, dial, by }) = (bug, event) {
            let link = pool.link(slot);
            if (link.dial(), link.question()) == (Some(dial), Some(by)) {
                pool.step(policy, NOW, Event::Demoted, chance, out);
            }
        }
        if let (Bug::BelieveTheVerdict, Event::FoundDead { slot, dial, by }) = (bug, event) {
            let link = pool.link(slot);
            let lease = link.lease().filter(|_| (link.dial(), link.question()) == (Some(dial), Some(by)));
            if let Some(lease) = lease {
                // As silent as it is: it stays suspected.
                let patience = policy.patience.unwrap_or_default();
                let heard_at = Time::from_millis(NOW.as_millis() - patience.as_millis());
                let work = Work::Statement { durable: false };
                pool.step(policy, NOW, Event::Worked { slot, lease: lease.id, work, heard_at }, chance, out);
            }
        }
        if let Some(told) = bug.told(pool, event) {
            pool.step(policy, NOW, told, chance, out);
            bug.carried_out(ghost, out);
        }
    }
}
