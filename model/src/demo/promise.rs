//! What is promised about each fault: which bound, how much, and what it means in plain words.

use std::time::Duration;

use relink::{Checked, Fault, Span};

use super::{
    ledger::Measured,
    server::Weather,
    table::{Bound, Unit},
};
use crate::bounds;

/// The bound on one fault, before anything was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Promise {
    /// Which promise, as in the catalogue of properties and bounds.
    pub id: &'static str,
    /// What is counted.
    pub unit: Unit,
    /// The most that it may be.
    pub limit: f64,
    /// What that means.
    pub means: String,
}

impl Promise {
    /// What `policy` promises about a fault that lasted for `outage`; nothing about fair weather.
    pub fn of(weather: Weather, policy: &Checked, outage: Duration) -> Option<Self> {
        let outage = span(outage);
        Some(match weather {
            Weather::Fair => return None,
            Weather::Refuse | Weather::Reset => dials(policy, outage),
            Weather::Starting | Weather::ReadOnly => first(
                bounds::recovery_max(policy, outage),
                policy.dial_deadline,
                "from its return: the longest pause that such an absence can teach",
            ),
            Weather::Full => first(
                bounds::recovery_max_rejected(policy, outage),
                policy.dial_deadline,
                "from its return: the longest pause that rejections can teach",
            ),
            Weather::Silent => first(
                bounds::recovery_max_overloaded(policy, outage),
                policy.dial_deadline_max,
                "from its return: a dial still unanswered and the next pause",
            ),
            Weather::Terminate => Self {
                id: "S3",
                ..first(
                    policy.w0,
                    policy.dial_deadline,
                    "it was never away, and its sessions were stable: one shortest pause",
                )
            },
            Weather::Flap => flapping(policy, outage),
            Weather::WrongPassword => Self {
                id: "S7",
                unit: Unit::Dials,
                limit: f64::from(policy.refusals_max),
                means: "the same password is tried so often, then nothing is dialed until it is renewed".to_owned(),
            },
        })
    }

    /// Holds the promise against what was measured.
    pub fn judge(self, measured: &Measured) -> Bound {
        let value = match self.unit {
            Unit::Dials => Some(count(measured.dials_outage)),
            Unit::Seconds => measured.first_success_s,
        };
        Bound { means: self.means, ..Bound::new(self.id, self.unit, self.limit, value) }
    }
}

fn dials(policy: &Checked, outage: Span) -> Promise {
    let means = "in an outage of this length, whatever the jitter: all workers share one dial at a time".to_owned();
    // relink's own pacing never waits for nothing, so there is a most.
    let limit = bounds::dials_max(policy, outage, Fault::Refused).map_or(f64::INFINITY, f64::from);
    Promise { id: "B2", unit: Unit::Dials, limit, means }
}

/// The first worker is served at the latest after this pause and one dial.
fn first(pause: Span, dial: Span, why: &str) -> Promise {
    let means = format!("{why}, {}; and one dial, {}", seconds(pause), seconds(dial));
    Promise { id: "B1", unit: Unit::Seconds, limit: Duration::from(pause + dial).as_secs_f64(), means }
}

fn flapping(policy: &Checked, outage: Span) -> Promise {
    let slots = policy.max_size;
    let pause = policy.jitter_lo.of(policy.w0);
    let means = format!("although no session ever becomes stable: one dial in {pause} for each of {slots} slots");
    #[expect(clippy::cast_precision_loss, reason = "a number of dials for people; exact far beyond any run")]
    let limit = bounds::flapping_max(policy, outage) as f64;
    Promise { id: "S2b", unit: Unit::Dials, limit, means }
}

/// Up to the next whole millisecond, as the machines count.
fn span(time: Duration) -> Span {
    Span::from_millis(u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}

fn seconds(span: Span) -> String {
    format!("{:.2} s", Duration::from(span).as_secs_f64())
}

fn count(dials: usize) -> f64 {
    u32::try_from(dials).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{policy, scene::Scene};

    #[test]
    fn every_fault_of_the_day_has_its_promise_and_fair_weather_none() {
        let policy = policy::shortened().unwrap();
        let of = |weather| Promise::of(weather, &policy, Duration::from_secs(2));
        let ids: Vec<_> = Scene::DAY.iter().map(|weather| of(*weather).unwrap().id).collect();
        assert_eq!(ids, ["B2", "B2", "B1", "B1", "B1", "B1", "S3", "S2b", "S7"]);
        assert_eq!(of(Weather::Fair), None);
        for promise in Scene::DAY.iter().filter_map(|weather| of(*weather)) {
            assert!(promise.limit > 0.0 && promise.means.chars().count() <= 98, "{promise:?}");
        }
    }

    #[test]
    fn a_promise_without_a_success_is_broken_and_one_about_dials_needs_none() {
        let policy = policy::shortened().unwrap();
        let of = |weather| Promise::of(weather, &policy, Duration::from_secs(2)).unwrap();
        let measured = Measured { dials_outage: 3, never: 64, ..Measured::default() };
        assert!(!of(Weather::Starting).judge(&measured).held);
        assert!(of(Weather::WrongPassword).judge(&measured).held);
        assert!(!of(Weather::WrongPassword).judge(&Measured { dials_outage: 4, ..measured }).held);
    }
}
