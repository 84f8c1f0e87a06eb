//! What a policy allows at most: how many dials, how late a recovery, how long a silence, how large a fleet.
//!
//! Numbers of the user's own policy on the lattice of the machines, 1 ms, by driving the production machines through the
//! run that is worst, beside closed forms that no run exceeds. Adversarial chance is a greedy choice: waits grow
//! with the outage's age and with chance. Tests search every jitter and every answer's delay of short outages and find
//! no more. A bound that does not exist for a policy is `None`.

mod dials;
mod fleet;
mod outage;
mod recovery;
mod scripted;
mod silence;

use relink::{Checked, Span};
use serde::Serialize;

pub use dials::{dials_max, flapping_max, outage_dials_closed, outage_dials_max, rate_max};
pub use fleet::{fleet_max, spread};
pub use recovery::{Class, Dial, Run};
pub use scripted::{recovery_max, recovery_max_overloaded, recovery_max_rejected};
pub use silence::{silence_max, silence_max_overloaded};

/// Every bound of a policy, as `relink bounds --json` prints it; lengths of time in seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bounds {
    /// The lattice on which they hold: the machines' own.
    pub tick_s: f64,
    /// How late a recovery can be.
    #[serde(rename = "B1")]
    pub recovery: Vec<Recovery>,
    /// How many dials an outage can cost one process, for each of its endpoints.
    #[serde(rename = "B2")]
    pub dials: Vec<Dials>,
    /// How long a peer that a caller waits on can be silent until it is noticed.
    #[serde(rename = "B3_s")]
    pub silence_s: Option<f64>,
    /// The same while the endpoint shows overload.
    #[serde(rename = "B3_overload_s")]
    pub silence_overload_s: Option<f64>,
    /// The most dials of an endpoint in any second.
    #[serde(rename = "B4_per_s")]
    pub rate_per_s: Option<u64>,
    /// The connections of a fleet from which it can fail to recover, at the capacity and the reject cost assumed.
    #[serde(rename = "B5_clients")]
    pub clients: Option<u64>,
}

/// How late the recovery from an outage can be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recovery {
    /// The outage's length.
    pub outage_s: f64,
    /// How the endpoint failed.
    pub class: Class,
    /// What a run comes to.
    pub recovery_s: Option<f64>,
    /// What no run exceeds.
    pub closed_form_s: Option<f64>,
}

/// How many dials an outage can cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dials {
    /// The outage's length.
    pub outage_s: f64,
    /// What a run comes to: the most.
    pub dials: Option<u32>,
    /// What no run exceeds.
    pub closed_form: Option<f64>,
}

impl Bounds {
    /// The bounds of `policy`, with B1 and B2 for each of the `outages`.
    pub fn of(policy: &Checked, outages: &[Span]) -> Self {
        let rows = outages.iter().flat_map(|outage| Class::ALL.map(|class| (class, *outage)));
        let recovery = |(class, outage): (Class, Span)| Recovery {
            outage_s: seconds(outage),
            class,
            recovery_s: class.worst_run(policy, outage).map(|run| seconds(run.lag)),
            closed_form_s: class.closed_form(policy, outage).map(seconds),
        };
        let dials = |outage: &Span| Dials {
            outage_s: seconds(*outage),
            dials: outage_dials_max(policy, *outage),
            closed_form: outage_dials_closed(policy, *outage),
        };
        Self {
            tick_s: 0.001,
            recovery: rows.map(recovery).collect(),
            dials: outages.iter().map(dials).collect(),
            silence_s: silence_max(policy).map(seconds),
            silence_overload_s: silence_max_overloaded(policy).map(seconds),
            rate_per_s: rate_max(policy),
            clients: fleet_max(policy),
        }
    }
}

fn seconds(span: Span) -> f64 {
    std::time::Duration::from(span).as_secs_f64()
}
