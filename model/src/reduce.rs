//! A user's policy made small enough for every state of a world to be visited, and what that keeps of it.
//!
//! Kept is the policy's shape: which backoff, whether there is jitter, whether ceilings and patience grow, how many dials at
//! once, how many refusals, whether silence is asked about. Replaced is the size of its numbers: each world has its own small
//! ones, of a few milliseconds, so that every class of outcome is there and every order of events can be played.

use relink::{Backoff, Policy, Ratio, Span};

/// A world's own small policy in the shape of a user's. The default policy's shape changes nothing.
pub fn shaped(of: &Policy, small: &Policy) -> Policy {
    const NONE: Ratio = Ratio::from_millionths(0);
    let mut policy = small.clone();
    policy.backoff = backoff(of.backoff, small);
    if of.jitter_lo == of.jitter_hi {
        (policy.jitter_lo, policy.jitter_hi) = (Ratio::ONE, Ratio::ONE);
    }
    for (of, small) in [(of.kd, &mut policy.kd), (of.ka, &mut policy.ka)] {
        *small = if of == NONE { NONE } else { *small };
    }
    for (of, small) in [(of.g, &mut policy.g), (of.s, &mut policy.s)] {
        *small = if of == Ratio::ONE { of } else { *small };
    }
    for (of, floor, small) in [(of.capd, of.w0, &mut policy.capd), (of.cap0, of.w0, &mut policy.cap0)] {
        *small = if of == floor { policy.w0 } else { *small };
    }
    if has_hard_ceiling(of) {
        policy.kcap = NONE;
    }
    if of.max_dials > 1 {
        policy.max_dials = policy.max_dials.max(2);
    }
    if of.replace_jitter == Span::ZERO {
        policy.replace_jitter = Span::ZERO;
    }
    if of.dial_deadline_max == of.dial_deadline {
        policy.dial_deadline_max = policy.dial_deadline;
    }
    policy.refusals_max = policy.refusals_max.min(of.refusals_max);
    policy.min_idle = policy.min_idle.min(of.min_idle);
    policy.on_down = of.on_down;
    if of.patience.is_none() {
        policy.patience = None;
    }
    policy
}

/// Whether the ceiling of the overload window does not grow in any outage.
pub fn has_hard_ceiling(of: &Policy) -> bool {
    of.kcap.of(of.elapsed_max) <= of.cap0
}

/// What [`shaped`] keeps and what it does not, in plain words.
pub fn told(of: &Policy) -> Vec<String> {
    let shape = |yes: bool, one: &'static str, other: &'static str| if yes { one } else { other };
    let mut lines = vec![format!(
        "worlds of states run a small policy of the same shape ({}; {}; {}; {}; {}), windows of 1 to 8 ms, every outcome of \
         every draw: what they show is what this shape can do, not how long it takes; --report and --json tell each number",
        backoff_name(of.backoff),
        shape(of.jitter_lo == of.jitter_hi, "no jitter", "jitter"),
        shape(has_hard_ceiling(of), "a hard ceiling", "a growing ceiling"),
        shape(of.max_dials > 1, "several dials at once", "one dial at a time"),
        shape(of.dial_deadline == of.dial_deadline_max, "a fixed patience", "a growing patience"),
    )];
    if of.backoff == Backoff::Grpc {
        lines.push(
            "gRPC's windows are seconds by its specification: equal jitter of the worlds' windows stands for it".into(),
        );
    }
    if of.give_up_dials.is_some() || of.give_up_after.is_some() {
        lines.push(
            "giving up: an endpoint that is given up is held, and of one that is held nothing is promised".into(),
        );
    }
    lines
}

/// The name as in a policy file.
pub const fn backoff_name(backoff: Backoff) -> &'static str {
    match backoff {
        Backoff::Relink => "relink",
        Backoff::Constant { .. } => "constant",
        Backoff::Exponential { .. } => "exponential",
        Backoff::FullJitter { .. } => "full_jitter",
        Backoff::EqualJitter { .. } => "equal_jitter",
        Backoff::DecorrelatedJitter { .. } => "decorrelated_jitter",
        Backoff::Grpc => "grpc",
    }
}

/// The same backoff between the world's shortest window and its longest.
fn backoff(of: Backoff, small: &Policy) -> Backoff {
    let base = small.w0;
    let cap_of = |from: Span, to: Span| if from == to { base } else { small.capd };
    match of {
        Backoff::Relink => small.backoff,
        Backoff::Constant { .. } => Backoff::Constant { wait: base },
        Backoff::Exponential { base: from, cap } => Backoff::Exponential { base, cap: cap_of(from, cap) },
        Backoff::FullJitter { base: from, cap } => Backoff::FullJitter { base, cap: cap_of(from, cap) },
        Backoff::EqualJitter { base: from, cap } => Backoff::EqualJitter { base, cap: cap_of(from, cap) },
        Backoff::DecorrelatedJitter { base: from, cap } => Backoff::DecorrelatedJitter { base, cap: cap_of(from, cap) },
        Backoff::Grpc => Backoff::EqualJitter { base, cap: small.capd },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worlds::reduced;

    #[test]
    fn the_shape_of_the_default_changes_nothing() {
        assert_eq!(shaped(&Policy::default(), &reduced(2)), reduced(2));
    }

    #[test]
    fn what_makes_a_policy_what_it_is_survives() {
        let mut policy = Policy::default();
        policy.jitter_hi = policy.jitter_lo;
        policy.kcap = Ratio::default();
        policy.max_dials = 4;
        policy.dial_deadline_max = policy.dial_deadline;
        policy.patience = None;
        let small = shaped(&policy, &reduced(1));
        assert_eq!(small.jitter_lo, small.jitter_hi);
        assert!(has_hard_ceiling(&small));
        assert_eq!((small.max_dials, small.patience), (2, None));
        assert_eq!(small.dial_deadline, small.dial_deadline_max);
        assert!(small.check().is_ok());
    }

    #[test]
    fn every_backoff_has_a_small_form_that_keeps_every_rule() {
        let (base, cap) = (Span::from_millis(100), Span::from_secs(30));
        for backoff in [
            Backoff::Relink,
            Backoff::Constant { wait: base },
            Backoff::Exponential { base, cap },
            Backoff::FullJitter { base, cap },
            Backoff::EqualJitter { base, cap: base },
            Backoff::DecorrelatedJitter { base, cap },
            Backoff::Grpc,
        ] {
            let mut policy = Policy::default();
            policy.backoff = backoff;
            let small = shaped(&policy, &reduced(2));
            assert_eq!(backoff_name(small.backoff) == "relink", backoff == Backoff::Relink);
            assert!(small.check().is_ok(), "{backoff:?}");
        }
    }
}
