//! The rules that make a policy safe for the machines, beyond the range of each single value.

use alloc::{format, string::String, vec::Vec};

use super::value::{Ranged, Value};
use super::{Backoff, Broken, Checked, Policy, PolicyError, Ratio, SESSIONS_MAX};
use crate::core::time::Span;

impl Policy {
    /// Holds the policy against every rule.
    ///
    /// # Errors
    /// Every broken rule, each with the value, the rule and the fix.
    pub fn check(self) -> Result<Checked, PolicyError> {
        let mut rules = Rules::default();
        self.ranges(&mut rules);
        self.pacing(&mut rules);
        self.classic(&mut rules);
        self.pool(&mut rules);
        self.silence_and_transport(&mut rules);
        self.assumptions(&mut rules);
        PolicyError::unless_empty(rules.broken)?;
        Ok(Checked::new(self))
    }

    fn pacing(&self, rules: &mut Rules) {
        if self.backoff == Backoff::Relink {
            rules.must(
                self.jitter_lo > Ratio::default(),
                ("jitter_lo", &self.jitter_lo),
                "must be above 0, or a failed dial may be followed at once by the next",
                "write jitter_lo = 0.5, the default",
            );
        }
        rules.at_least(("jitter_hi", &self.jitter_hi), ("jitter_lo", &self.jitter_lo));
        rules.at_least(("capd", &self.capd), ("w0", &self.w0));
        rules.at_least(("cap0", &self.cap0), ("w0", &self.w0));
        rules.at_least(("elapsed_max", &self.elapsed_max), ("w0", &self.w0));
        rules.at_least(("dial_deadline_max", &self.dial_deadline_max), ("dial_deadline", &self.dial_deadline));
    }

    /// The classic policies' own numbers.
    fn classic(&self, rules: &mut Rules) {
        match self.backoff {
            Backoff::Relink | Backoff::Grpc => {}
            Backoff::Constant { wait } => rules.classic_span("backoff.wait", wait, "1s"),
            Backoff::Exponential { base, cap }
            | Backoff::FullJitter { base, cap }
            | Backoff::EqualJitter { base, cap }
            | Backoff::DecorrelatedJitter { base, cap } => {
                rules.classic_span("backoff.base", base, "100ms");
                rules.classic_span("backoff.cap", cap, "30s");
                rules.at_least(("backoff.cap", &cap), ("backoff.base", &base));
            }
        }
    }

    fn pool(&self, rules: &mut Rules) {
        rules.at_least(("max_size", &self.max_size), ("min_idle", &self.min_idle));
        rules.at_least(("max_idle", &self.max_idle), ("min_idle", &self.min_idle));
        if let Some(longest) = self.lifetime_max {
            let shortest =
                Span::from_millis(longest.as_millis().saturating_sub(self.lifetime_jitter.of(longest).as_millis()));
            rules.must(
                shortest > self.stable_for,
                ("lifetime_max", &longest),
                &format!(
                    "less lifetime_jitter it is {shortest}, which must be longer than stable_for, {}, or no session \
                     ever lives to end an outage",
                    self.stable_for
                ),
                "raise lifetime_max, lower stable_for, or write lifetime_max = \"never\"",
            );
        }
        if let Some(longest) = self.idle_max {
            rules.must(
                longest > self.stable_for,
                ("idle_max", &longest),
                &format!(
                    "must be longer than stable_for, {}, or sessions that nobody uses never live to end an outage",
                    self.stable_for
                ),
                "raise idle_max, lower stable_for, or write idle_max = \"never\"",
            );
        }
    }

    fn silence_and_transport(&self, rules: &mut Rules) {
        if let Some(patience) = self.patience {
            rules.at_least(("patience", &patience), ("grace", &self.grace));
        }
        for (field, span) in [("keepalive_idle", self.keepalive_idle), ("keepalive_interval", self.keepalive_interval)]
        {
            let up = Span::from_secs(span.as_millis().div_ceil(1_000));
            rules.must(
                span == up,
                (field, &span),
                "must be whole seconds, as the kernel counts",
                &format!("write {field} = \"{up}\""),
            );
        }
    }

    fn assumptions(&self, rules: &mut Rules) {
        const ZERO: Ratio = Ratio::from_millionths(0);
        const TEN: Ratio = Ratio::from_millionths(10_000_000);
        let assume = &self.assume;
        rules.given("assume.clients", assume.clients, 1, 1_000_000_000);
        rules.given("assume.slots", assume.slots, 1, SESSIONS_MAX);
        rules.given("assume.capacity_per_s", assume.capacity_per_s, 1, 1_000_000_000);
        rules.given("assume.reject_cost", assume.reject_cost, ZERO, TEN);
        if let (Some(clients), Some(slots)) = (assume.clients, assume.slots) {
            rules.at_least(("assume.clients", &clients), ("assume.slots", &u32::from(slots)));
        }
    }
}

/// Collects what is broken: a user should not have to mend a policy one error at a time.
#[derive(Default)]
pub(super) struct Rules {
    broken: Vec<Broken>,
}

impl Rules {
    /// The value, unless switched off, lies in its range, both ends included.
    pub(super) fn range<V: Ranged>(&mut self, field: &str, value: &V, lo: &V::Bound, hi: &V::Bound, default: &V) {
        self.within(field, value.ranged(), lo, hi, &format!("write {field} = {}, the default", default.literal()));
    }

    fn classic_span(&mut self, field: &str, span: Span, usual: &str) {
        const LEAST: Span = Span::from_millis(1);
        const MOST: Span = Span::from_secs(24 * 3_600);
        self.within(field, Some(&span), &LEAST, &MOST, &format!("write {field} = \"{usual}\""));
    }

    /// The fact, if given, lies in its range, both ends included.
    fn given<V: Value + PartialOrd>(&mut self, field: &str, value: Option<V>, lo: V, hi: V) {
        self.within(field, value.as_ref(), &lo, &hi, &format!("correct {field} or leave it out"));
    }

    fn within<V: Value + PartialOrd>(&mut self, field: &str, value: Option<&V>, lo: &V, hi: &V, fix: &str) {
        if let Some(value) = value {
            let rule = format!("must be from {} to {}", lo.literal(), hi.literal());
            self.must(lo <= value && value <= hi, (field, value), &rule, fix);
        }
    }

    /// The first is not below the second.
    fn at_least<V: Value + PartialOrd>(&mut self, (field, value): (&str, &V), (floor_field, floor): (&str, &V)) {
        let (written, least) = (value.literal(), floor.literal());
        self.must(
            value >= floor,
            (field, value),
            &format!("must be at least {floor_field}, which is {least}"),
            &format!("raise {field} to {least} or lower {floor_field} to {written}"),
        );
    }

    fn must(&mut self, holds: bool, (field, value): (&str, &impl Value), rule: &str, fix: &str) {
        if !holds {
            let value = value.literal();
            self.broken.push(Broken {
                field: field.into(),
                value,
                rule: rule.into(),
                fix: String::from(fix),
                line: None,
            });
        }
    }
}
