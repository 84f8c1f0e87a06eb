//! A policy that has passed every rule, the windows that the machines compute from it, and what it allows but should say aloud.

use core::fmt;

use alloc::{format, string::String, vec::Vec};

use super::value::Value;
use super::{Backoff, Policy, Ratio};
use crate::core::time::Span;

/// A policy that has passed every rule: the only form that the machines take.
///
/// Its numbers are the policy's own, read by `Deref`; only `max_idle` is lowered to `max_size` where it was above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    policy: Policy,
    /// `cap0 / √max_size`, rounded up: the ceiling is shared by the slots of one process.
    cap0_shared: Span,
    /// `kcap / √max_size`, rounded up.
    kcap_shared: Ratio,
}

impl core::ops::Deref for Checked {
    type Target = Policy;
    fn deref(&self) -> &Policy {
        &self.policy
    }
}

impl From<Checked> for Policy {
    /// The policy again, to be changed and checked once more.
    fn from(checked: Checked) -> Self {
        checked.policy
    }
}

impl Checked {
    /// Takes a policy that has passed every rule.
    pub(super) fn new(mut policy: Policy) -> Self {
        policy.max_idle = policy.max_idle.min(policy.max_size);
        let cap0 = divided_by_root(policy.cap0.as_millis(), policy.max_size);
        let kcap = divided_by_root(u64::from(policy.kcap.as_millionths()), policy.max_size);
        Self {
            cap0_shared: Span::from_millis(cap0),
            kcap_shared: Ratio::from_millionths(u32::try_from(kcap).unwrap_or(u32::MAX)),
            policy,
        }
    }

    /// The ceiling of the overload window when the outage is `age` old:
    /// `max(cap0, kcap·age) / √max_size`, `age` counted up to `elapsed_max`.
    ///
    /// With many slots it may lie below `w0`; no wait does.
    #[inline]
    pub fn cap(&self, age: Span) -> Span {
        self.kcap_shared.of(age.min(self.elapsed_max)).max(self.cap0_shared)
    }

    /// The window of an absent server when the outage is `age` old: `kd·age` within `[w0, capd]`.
    #[inline]
    pub fn down_window(&self, age: Span) -> Span {
        self.window(self.kd, age)
    }

    /// The window while silence cannot be told from overload: `ka·age` within `[w0, capd]`.
    #[inline]
    pub fn ambiguous_window(&self, age: Span) -> Span {
        self.window(self.ka, age)
    }

    #[inline]
    fn window(&self, share: Ratio, age: Span) -> Span {
        share.of(age.min(self.elapsed_max)).max(self.w0).min(self.capd)
    }

    /// The deadline of a dial after so many doublings: `dial_deadline·2ⁿ`, at most `dial_deadline_max`.
    #[inline]
    pub fn dial_deadline_at(&self, doublings: u8) -> Span {
        let factor = 1_u64.checked_shl(u32::from(doublings)).unwrap_or(u64::MAX);
        (self.dial_deadline * factor).min(self.dial_deadline_max)
    }

    /// One wait of relink's pacing, from one random word: uniform over the whole milliseconds from `⌈jitter_lo·window⌉` to
    /// `⌈jitter_hi·window⌉`, both included. A greater `chance` gives no shorter wait, nor does a greater window.
    ///
    /// ```
    /// use relink::{Policy, Span};
    /// let policy = Policy::default().check()?;
    /// let window = policy.down_window(Span::from_secs(100)); // of an outage that began 100 s ago
    /// assert_eq!(window, Span::from_millis(8_500));
    /// assert_eq!(policy.jitter(window, 0), Span::from_millis(4_250));
    /// assert_eq!(policy.jitter(window, u64::MAX), Span::from_millis(11_900));
    /// # Ok::<(), relink::policy::PolicyError>(())
    /// ```
    #[inline]
    pub fn jitter(&self, window: Span, chance: u64) -> Span {
        let least = self.jitter_lo.of(window);
        let most = self.jitter_hi.of(window);
        least + (most - least).draw(chance)
    }

    /// What the three keepalive numbers add up to: an idle connection to a vanished peer is dead
    /// after `keepalive_idle + keepalive_interval·keepalive_count`.
    pub fn keepalive_sum(&self) -> Span {
        self.keepalive_idle + self.keepalive_interval * u64::from(self.keepalive_count)
    }

    /// Connections of one process that the bounds assume: `assume.slots`, or else `max_size`.
    pub fn slots(&self) -> u16 {
        self.assume.slots.unwrap_or(self.max_size)
    }

    /// What is allowed but dangerous, to be logged at start.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        self.warn_of_storms(&mut warnings);
        if self.max_idle < self.max_size {
            warnings.push(Warning::new(
                ("max_idle", &self.max_idle),
                format!(
                    "of up to {} sessions all but these are closed when they come back, and dialed anew",
                    self.max_size
                ),
                format!("write max_idle = {}", self.max_size),
            ));
        }
        if self.patience.is_none() {
            warnings.push(Warning::new(
                ("patience", &self.patience),
                "a peer whose kernel answers while its process does not is waited for without end".into(),
                "write patience = \"1s\"".into(),
            ));
        } else if self.grace < Span::from_millis(100) {
            warnings.push(Warning::new(
                ("grace", &self.grace),
                "below 100ms a busy server's slow answers were seen taken for dead sessions".into(),
                "write grace = \"1s\"".into(),
            ));
        }
        if self.tcp_user_timeout > self.keepalive_sum() {
            warnings.push(Warning::new(
                ("tcp_user_timeout", &self.tcp_user_timeout),
                format!(
                    "on Linux it overrules keepalives, which alone would notice a dead peer in {}",
                    self.keepalive_sum()
                ),
                format!("write tcp_user_timeout = \"{}\"", self.keepalive_sum()),
            ));
        }
        warnings
    }

    /// Whatever may keep a large fleet from recovering.
    fn warn_of_storms(&self, warnings: &mut Vec<Warning>) {
        const HARD: &str = "a ceiling that never grows has a fleet size at which the fleet never recovers";
        if self.backoff != Backoff::Relink {
            warnings.push(Warning::new(("backoff", &self.backoff), HARD.into(), "write backoff = \"relink\"".into()));
            return;
        }
        // Hard it is also where the growing ceiling never gets above the initial one, or above `w0`.
        let most = self.elapsed_max;
        if self.kcap.of(most) <= self.cap0 || self.cap(most) <= self.w0 {
            warnings.push(Warning::new(("kcap", &self.kcap), HARD.into(), "raise kcap or elapsed_max".into()));
        }
        if self.jitter_lo == self.jitter_hi {
            warnings.push(Warning::new(
                ("jitter_hi", &self.jitter_hi),
                "without jitter processes that failed together dial together for ever".into(),
                "write jitter_lo = 0.5 and jitter_hi = 1.4".into(),
            ));
        }
    }
}

/// Something that a policy may say, but should not without knowing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// The setting, as in a policy file.
    pub field: &'static str,
    /// Its value as it would be written there.
    pub value: String,
    /// What may come of it.
    pub risk: String,
    /// What to write instead.
    pub fix: String,
}

impl Warning {
    fn new((field, value): (&'static str, &impl Value), risk: String, fix: String) -> Self {
        Self { field, value: value.literal(), risk, fix }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: {}; {}", self.field, self.value, self.risk, self.fix)
    }
}

/// The least whole number that is at least `n / √slots`.
fn divided_by_root(n: u64, slots: u16) -> u64 {
    // x ≥ n / √slots  ⇔  x² ≥ n² / slots  ⇔  x² ≥ ⌈n² / slots⌉, as x² is whole.
    let square = u128::from(n).pow(2).div_ceil(u128::from(slots.max(1)));
    let root = square.isqrt();
    let up = if root * root < square { root + 1 } else { root };
    u64::try_from(up).unwrap_or(u64::MAX)
}
