//! The reduced policies, the servers, the claims about fleets, and the mistakes that they must find.

use relink::{Fault, Policy, Ratio, Span};

use super::{Action, Fleet, State, server::Server};
use crate::{
    check::{Counterexample, Form},
    seeded::bugs,
    worlds::reduced,
};

const fn ms(ms: u64) -> Span {
    Span::from_millis(ms)
}

/// The servers of the claims by name, each of which can set up one session at a time. The memory of the two that have
/// one is 8 ticks of work.
pub const SERVERS: [(&str, Server); 6] = [
    ("sheds", Server::sheds(1)),
    ("collapses, hanging", collapses(Fault::Unreachable)),
    ("collapses, accepting", collapses(Fault::TimedOut)),
    ("collapses, rejecting", collapses(Fault::Overloaded)),
    ("rejects at a cost", rejects(1, 1, 8)),
    ("queues", QUEUE),
];

/// A set-up takes it two ticks, as long as a dial waits before its patience has grown.
pub const QUEUE: Server = Server::Queues { setup: 2, backlog_max: 8 };

/// A server that serves one dial a tick and fails all with this fault when there are more.
pub const fn collapses(fault: Fault) -> Server {
    Server::Collapses { capacity: 1, fault }
}

/// A server that serves one dial a tick, of `setup` parts, and to which a reject is `reject` parts of work.
pub const fn rejects(setup: u8, reject: u8, backlog_max: u8) -> Server {
    Server::Rejects { capacity: setup, setup, reject, backlog_max }
}

/// relink's own pacing, reduced: `w0` is one tick, and the ceiling of 2 ticks grows to half of `elapsed_max` ticks.
pub fn growing(elapsed_max: u64) -> Policy {
    let half = Ratio::from_millionths(500_000);
    let mut policy = reduced(1);
    policy.w0 = ms(1);
    policy.kd = half;
    policy.capd = ms(2);
    policy.ka = half;
    policy.cap0 = ms(2);
    policy.kcap = half;
    policy.elapsed_max = ms(elapsed_max);
    policy.stable_for = ms(2);
    policy.replace_jitter = ms(0);
    policy.dial_deadline = ms(2);
    policy.dial_deadline_max = ms(4);
    policy
}

/// The same with a ceiling that never grows, and no window of absence above `w0`.
pub fn hard(ceiling: u64) -> Policy {
    let mut policy = growing(8);
    policy.capd = ms(1);
    policy.cap0 = ms(ceiling);
    policy.kcap = Ratio::default();
    policy
}

/// The policy without jitter: the wait is the window.
#[must_use]
pub fn without_jitter(mut policy: Policy) -> Policy {
    policy.jitter_lo = Ratio::ONE;
    policy.jitter_hi = Ratio::ONE;
    policy
}

/// The policy whose dials wait no longer the next time.
#[must_use]
pub fn with_fixed_patience(mut policy: Policy) -> Policy {
    policy.dial_deadline_max = policy.dial_deadline;
    policy
}

/// L2: if the server is up from some moment on, all sessions are open from some moment on, almost surely.
pub const RECOVERS: Form<Fleet> = Form::Persists { assume: Fleet::up, goal: Fleet::all_online };

/// Without which L2 would say little: while the server is up, nothing happens for ever at one instant.
pub const TIME_PASSES: Form<Fleet> = Form::NoCycle {
    within: Fleet::up,
    along: |fleet, state, action, _| fleet.ticks(state, action) == 0,
    through: |_, _, _, _| true,
};

bugs! {
    /// A mistake that L2 must find.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Bug {
        /// Waits are not jittered, and the server collapses: those who collide do so for ever.
        NoJitter,
        /// The ceiling does not grow, and rejects cost more than the longest wait leaves room for.
        HardCeiling,
        /// Neither patience nor the ceiling grows, and the queue is longer than either.
        FixedPatience,
    }
}

impl Bug {
    /// Where it shows: how many processes, the policy, and the server.
    pub fn shows(self) -> (usize, Policy, Server) {
        match self {
            Self::NoJitter => (2, without_jitter(growing(8)), collapses(Fault::Overloaded)),
            Self::HardCeiling => {
                let mut policy = growing(8);
                policy.kcap = Ratio::default();
                (3, policy, rejects(1, 1, 8))
            }
            Self::FixedPatience => (3, with_fixed_patience(hard(1)), QUEUE),
        }
    }
}

/// How a claim was broken, a line a step: what was, and what happened then.
pub fn story(fleet: &Fleet, broken: &Counterexample<Fleet>) -> Vec<String> {
    let line = |(state, action): &(State, Action)| format!("{}  -> {action:?}", fleet.tell(state));
    let stem = broken.stem.steps.iter().map(line);
    let turn = format!("from here for ever, among {} states:", broken.component);
    stem.chain([turn]).chain(broken.cycle.iter().map(line)).collect()
}
