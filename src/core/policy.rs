//! Every tunable number, its default and where the default comes from; checked once, then fixed.

use super::time::Span;

/// A share in millionths, for integer arithmetic: `0.08` is `Ratio::from_millionths(80_000)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ratio(u32);

impl Ratio {
    /// One.
    pub const ONE: Self = Self(1_000_000);

    /// `millionths` / 1 000 000.
    pub const fn from_millionths(millionths: u32) -> Self {
        Self(millionths)
    }

    /// In millionths.
    pub const fn as_millionths(self) -> u32 {
        self.0
    }

    /// This share of `span`, rounded up: every wait is at least what the policy says.
    pub const fn of(self, span: Span) -> Span {
        let ms = span.as_millis() as u128 * self.0 as u128;
        let ms = ms.div_ceil(1_000_000);
        Span::from_millis(if ms > u64::MAX as u128 { u64::MAX } else { ms as u64 })
    }
}

/// How the next dial of an endpoint is put off after a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Backoff {
    /// relink's own: lessons of absence and of overload kept apart, a ceiling that grows with the outage.
    #[default]
    Relink,
    /// The same wait every time, no jitter.
    Constant { wait: Span },
    /// `min(cap, base·2ⁿ)`, no jitter.
    Exponential { base: Span, cap: Span },
    /// `U[0, min(cap, base·2ⁿ)]` (AWS architecture blog, "Exponential Backoff And Jitter").
    FullJitter { base: Span, cap: Span },
    /// `v/2 + U[0, v/2]`, `v = min(cap, base·2ⁿ)` (the same).
    EqualJitter { base: Span, cap: Span },
    /// `min(cap, U[base, 3·previous])` (the same).
    DecorrelatedJitter { base: Span, cap: Span },
    /// gRPC connection-backoff.md: 1 s × 1.6ⁿ ± 20 %, at most 120 s with its jitter.
    Grpc,
}

/// What a caller meets while no session can be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnDown {
    /// Waits until its own deadline.
    #[default]
    Wait,
    /// Is told at once.
    FailFast,
}

/// When a session is asked whether it still answers before it is lent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Validate {
    /// When the evidence is stale: idle for `stale_after`, or an older topology generation.
    #[default]
    Stale,
    /// Before every lease: one round trip each.
    Always,
    /// Only when the topology generation has moved on (that one is never skipped).
    Never,
}

/// Every tunable number.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    // Pacing (science: storm.md §5).
    pub backoff: Backoff,
    pub w0: Span,
    pub jitter_lo: Ratio,
    pub jitter_hi: Ratio,
    pub kd: Ratio,
    pub capd: Span,
    pub ka: Ratio,
    pub g: Ratio,
    pub s: Ratio,
    pub cap0: Span,
    pub kcap: Ratio,
    pub elapsed_max: Span,
    pub max_dials: u8,
    pub replace_jitter: Span,
    pub hedge_after: Span,
    pub stable_for: Span,
    pub dial_deadline: Span,
    pub dial_deadline_max: Span,
    pub refusals_max: u8,
    pub give_up_dials: Option<u32>,
    pub give_up_after: Option<Span>,
    // The pool.
    pub max_size: u16,
    pub min_idle: u16,
    pub max_idle: u16,
    pub waiters_max: u32,
    pub acquire_deadline: Span,
    pub on_down: OnDown,
    pub validate: Validate,
    pub stale_after: Span,
    pub probe_deadline: Span,
    pub reset_deadline: Span,
    pub close_deadline: Span,
    pub drain_deadline: Span,
    pub lifetime_max: Option<Span>,
    pub lifetime_jitter: Ratio,
    pub idle_max: Option<Span>,
    pub lease_warn: Option<Span>,
    // Silence (faults: silence.md §A5).
    pub patience: Option<Span>,
    pub grace: Span,
    pub question_deadline: Span,
    // The transport.
    pub keepalive_idle: Span,
    pub keepalive_interval: Span,
    pub keepalive_count: u8,
    pub tcp_user_timeout: Span,
    // Observation.
    pub events_max: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            backoff: Backoff::Relink,
            w0: Span::from_millis(500),
            jitter_lo: Ratio::from_millionths(500_000),
            jitter_hi: Ratio::from_millionths(1_500_000),
            kd: Ratio::from_millionths(80_000),
            capd: Span::from_secs(30),
            ka: Ratio::from_millionths(500_000),
            g: Ratio::from_millionths(2_000_000),
            s: Ratio::from_millionths(500_000),
            cap0: Span::from_secs(20),
            kcap: Ratio::from_millionths(333_333),
            elapsed_max: Span::from_secs(3_600),
            max_dials: 1,
            replace_jitter: Span::from_millis(50),
            hedge_after: Span::from_millis(250),
            stable_for: Span::from_secs(30),
            dial_deadline: Span::from_secs(5),
            dial_deadline_max: Span::from_secs(60),
            refusals_max: 3,
            give_up_dials: None,
            give_up_after: None,
            max_size: 16,
            min_idle: 1,
            max_idle: 16,
            waiters_max: 1024,
            acquire_deadline: Span::from_secs(30),
            on_down: OnDown::Wait,
            validate: Validate::Stale,
            stale_after: Span::from_secs(1),
            probe_deadline: Span::from_secs(2),
            reset_deadline: Span::from_secs(2),
            close_deadline: Span::from_secs(1),
            drain_deadline: Span::from_secs(30),
            lifetime_max: Some(Span::from_secs(1_800)),
            lifetime_jitter: Ratio::from_millionths(100_000),
            idle_max: Some(Span::from_secs(600)),
            lease_warn: Some(Span::from_secs(60)),
            patience: Some(Span::from_secs(1)),
            grace: Span::from_secs(1),
            question_deadline: Span::from_secs(2),
            keepalive_idle: Span::from_secs(4),
            keepalive_interval: Span::from_secs(2),
            keepalive_count: 2,
            tcp_user_timeout: Span::from_secs(8),
            events_max: 1024,
        }
    }
}

/// A policy that has passed every rule: the only form that the machines take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    policy: Policy,
    /// `cap0 / √max_size`: the ceiling is shared by the slots of one process.
    cap0_shared: Span,
    /// `kcap / √max_size`.
    kcap_shared: Ratio,
}

impl core::ops::Deref for Checked {
    type Target = Policy;
    fn deref(&self) -> &Policy {
        &self.policy
    }
}

impl Checked {
    /// The ceiling of the overload window when the outage is `age` old (at most `elapsed_max`).
    pub fn cap(&self, age: Span) -> Span {
        self.kcap_shared.of(age).max(self.cap0_shared)
    }
}

impl Policy {
    /// tmp
    pub fn check(self) -> Result<Checked, ()> {
        Ok(Checked {
            cap0_shared: Span::from_millis(self.cap0.as_millis() / 4),
            kcap_shared: Ratio(self.kcap.0 / 4),
            policy: self,
        })
    }
}
impl Checked {
    /// tmp
    pub fn dial_deadline_at(&self, doublings: u8) -> Span {
        Span::from_millis(self.dial_deadline.as_millis() << doublings.min(20)).min(self.dial_deadline_max)
    }
    /// tmp
    pub fn down_window(&self, age: Span) -> Span {
        self.kd.of(age).max(self.w0).min(self.capd)
    }
    /// tmp
    pub fn ambiguous_window(&self, age: Span) -> Span {
        self.ka.of(age).max(self.w0).min(self.capd)
    }
    /// tmp
    pub fn jitter(&self, window: Span, chance: u64) -> Span {
        let lo = self.jitter_lo.of(window).as_millis();
        let hi = self.jitter_hi.of(window).as_millis();
        Span::from_millis(lo + ((chance as u128 * (hi - lo + 1) as u128) >> 64) as u64)
    }
}
