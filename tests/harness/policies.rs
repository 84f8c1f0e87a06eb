//! The policies and set sizes that the harness plays with.

use relink::{Backoff, OnDown, Policy, Span, Validate, policy::Checked};

use super::Bytes;

/// A policy, and how many endpoints its set has.
pub(super) fn decode(bytes: &mut Bytes<'_>) -> (Checked, u8) {
    let mut policy = Policy::default();
    let second = Span::from_secs(1);
    policy.max_size = 1 + bytes.below(4) as u16;
    policy.max_dials = 1 + bytes.below(3) as u8;
    policy.waiters_max = 1 + bytes.below(4) as u32;
    policy.min_idle = bytes.below(2 + usize::from(policy.max_size)).min(usize::from(policy.max_size)) as u16;
    policy.max_idle = policy.max_size.max(policy.min_idle);
    policy.on_down = [OnDown::Wait, OnDown::FailFast][bytes.below(2)];
    policy.validate = [Validate::Stale, Validate::Always, Validate::Never][bytes.below(3)];
    // Longer than the longest wait of a ramp, hi·cap(elapsed_max): a lead session retired before the next
    // dial may start would leave the pool at one session for ever.
    policy.lifetime_max = [None, Some(Span::from_secs(1_000))][bytes.below(2)];
    policy.idle_max = [None, Some(Span::from_secs(600))][bytes.below(2)];
    policy.patience = [None, Some(second)][bytes.below(2)];
    policy.lease_warn = [None, Some(Span::from_secs(3))][bytes.below(2)];
    policy.backoff = match bytes.below(8) {
        0 => Backoff::Constant { wait: second },
        1 => Backoff::Exponential { base: second, cap: Span::from_secs(8) },
        2 => Backoff::FullJitter { base: second, cap: Span::from_secs(8) },
        3 => Backoff::EqualJitter { base: second, cap: Span::from_secs(8) },
        4 => Backoff::DecorrelatedJitter { base: second, cap: Span::from_secs(8) },
        5 => Backoff::Grpc,
        _ => Backoff::Relink,
    };
    let endpoints = 1 + bytes.below(3) as u8;
    (policy.check().unwrap_or_else(|_| panic!("a policy that may be had")), endpoints)
}
