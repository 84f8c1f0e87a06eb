//! How long to wait after a failure: what each fault teaches, and the arithmetic of every backoff.

use super::{Answer, WINDOW, Window};
use crate::core::{
    fault::Fault,
    policy::{Backoff, Checked},
    time::{Span, Time},
};

/// The waits between the dials of one endpoint that keeps failing, apart from everything else that a
/// pacer knows: for comparing policies, and for loops that are not connections.
///
/// ```
/// # use relink::{Policy, Span, pacer::Delays};
/// let policy = Policy::default().check()?;
/// let mut delays = Delays::new();
/// let wait = delays.next(&policy, Span::from_secs(10), 0x8000_0000_0000_0000);
/// assert_eq!(wait, Span::from_millis(808)); // kd · 10 s = 850 ms; the jitter's middle is 0.95 of it
/// # Ok::<(), relink::policy::PolicyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Delays(Window);

impl Delays {
    /// No failure yet.
    pub const fn new() -> Self {
        Self(WINDOW)
    }

    /// The wait after one more refusal, when the outage is `age` old, drawn by one random word.
    #[inline]
    pub fn next(&mut self, policy: &Checked, age: Span, chance: u64) -> Span {
        failure_wait(policy, &mut self.0, policy.down_window(age), chance)
    }
}

impl Default for Delays {
    fn default() -> Self {
        Self::new()
    }
}

/// What a failure teaches about how long the endpoint will be away; overload is remembered apart.
pub(super) fn lesson(policy: &Checked, window: &mut Window, fault: Fault, age: Span) -> Span {
    let down = policy.down_window(age);
    match fault {
        // No answer at all, from a server never seen: away, or drowning, and nothing tells which.
        Fault::Unreachable if !window.seen => policy.ambiguous_window(age),
        Fault::Unreachable | Fault::TimedOut | Fault::Overloaded => {
            window.seen = true;
            if policy.backoff == Backoff::Relink {
                window.over = policy.g.of(window.over).max(down).min(policy.cap(age));
            }
            let longer = policy.dial_deadline_at(window.doublings) < policy.dial_deadline_max;
            if fault == Fault::TimedOut && longer {
                window.doublings = window.doublings.saturating_add(1);
            }
            down
        }
        Fault::Refused
        | Fault::Starting
        | Fault::Lost
        | Fault::WrongRole
        | Fault::Denied
        | Fault::Misconfigured
        | Fault::Ambiguous
        | Fault::Retryable
        | Fault::Query => {
            window.seen = true;
            down
        }
    }
}

/// A failed dial or an unstable loss: one dial at a time again, and not before the wait is over.
#[inline]
pub(super) fn fault_answered(policy: &Checked, window: &mut Window, now: Time, down: Span, chance: u64) {
    window.last = Answer::Fault;
    window.allowed = 1;
    let wait = failure_wait(policy, window, down, chance);
    window.not_before = window.not_before.max(now + wait);
}

/// The wait after a failure. relink's own never goes below `lo·w0`, whatever was learnt.
#[inline(always)] // The call would cost as much as relink's own wait.
pub(super) fn failure_wait(policy: &Checked, window: &mut Window, down: Span, chance: u64) -> Span {
    let rung = window.rung;
    let climb = |base: Span, cap: Span| if rung == Span::ZERO { base } else { rung * 2 }.min(cap);
    match policy.backoff {
        Backoff::Relink => policy.jitter(policy.w0.max(down).max(window.over), chance),
        Backoff::Constant { wait } => wait,
        Backoff::Exponential { base, cap } => {
            window.rung = climb(base, cap);
            window.rung
        }
        Backoff::FullJitter { base, cap } => {
            window.rung = climb(base, cap);
            window.rung.draw(chance)
        }
        Backoff::EqualJitter { base, cap } => {
            window.rung = climb(base, cap);
            let half = Span::from_millis(window.rung.as_millis() / 2);
            half + (window.rung - half).draw(chance)
        }
        Backoff::DecorrelatedJitter { base, cap } => {
            // The jitter ends at the cap instead of being cut by it: two processes differ there too.
            let most = (rung.max(base) * 3).min(cap);
            window.rung = base + (most - base).draw(chance);
            window.rung
        }
        Backoff::Grpc => {
            // 100 s, because 100 s + 20 % are the 120 s that the specification allows.
            let grown = Span::from_millis(rung.as_millis().saturating_mul(8).div_ceil(5));
            window.rung = grown.max(Span::from_secs(1)).min(Span::from_secs(100));
            let fifth = Span::from_millis(window.rung.as_millis() / 5);
            window.rung - fifth + (fifth * 2).draw(chance)
        }
    }
}
