//! Worlds, properties and demonstrations of the relink state machines.
//!
//! For a policy of your own, in your own CI, there is [`check()`]: it explores the worlds and says which
//! properties hold, and what goes wrong where one does not.

pub mod bounds;
pub mod catalogue;
pub mod check;
pub mod claim;
pub mod columns;
pub mod demo;
pub mod diagram;
pub mod export;
pub mod fleet;
pub mod named;
pub mod pacing;
pub mod proxy;
pub mod reduce;
mod seeded;
mod show;
pub mod simulate;
pub mod sweep;
pub mod worlds;

use catalogue::{Options, report::Report};
use relink::{Policy, policy::PolicyError};

/// Checks a policy against every property of the catalogue, at the quick level: well within a minute on two cores if
/// this crate is built with optimisation.
///
/// The default policy holds them all. A policy without jitter does not, for its fleet may run in lockstep for ever:
///
/// ```
/// use relink::Policy;
/// use relink_model::catalogue::{self, Options, report::Overall};
///
/// let mut policy = Policy::default();
/// policy.jitter_lo = policy.jitter_hi;
/// // One property keeps this example short; `relink_model::check(&policy)` is all of them.
/// let options = Options { only: vec!["L2"], ..Options::default() };
/// let report = catalogue::check(&policy, &options, &|_| ())?;
/// assert_eq!(report.verdict, Overall::Falsified);
/// assert!(report.text().contains("and from here for ever"), "a lasso is told as a story");
/// # Ok::<(), relink::policy::PolicyError>(())
/// ```
///
/// In a test: `assert_eq!(report.verdict, Overall::Holds, "{}", report.text())`.
///
/// # Errors
/// When the policy breaks a rule.
pub fn check(policy: &Policy) -> Result<Report, PolicyError> {
    catalogue::check(policy, &Options::default(), &|_| ())
}
