//! The fault table behind a user's own rows, and how many errors neither of them speaks of.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{TABLE, evidence::Observed};
use crate::{Phase, Rule, Verdict, adapter::Failure, classify};

/// Classifies the errors of one database.
#[derive(Default)]
pub(crate) struct Classifier {
    /// The user's own rows, which come before the table.
    rules: Vec<Rule>,
    /// Errors that a stated default decided.
    unknown: AtomicU64,
}

impl Classifier {
    pub(crate) fn new(rules: &[Rule]) -> Self {
        Self { rules: rules.to_vec(), unknown: AtomicU64::new(0) }
    }

    /// What an error means in `phase`.
    pub(crate) fn failure(&self, error: impl Into<Observed>, phase: Phase) -> Failure {
        let observed = error.into();
        let Verdict { fault, known, source } = classify(&self.rules, TABLE, &observed.evidence(phase));
        let failure = observed.told_as(fault, phase);
        if !known {
            let count = self.unknown.fetch_add(1, Ordering::Relaxed) + 1;
            // A program may raise codes of its own without end: the log grows by their logarithm.
            if count.is_power_of_two() {
                // Without the message, which may hold the values of a row.
                let code = failure.code.as_deref();
                tracing::warn!(code, %phase, %fault, count, "no row of the fault table speaks of an error: {source}");
            }
        }
        failure
    }

    /// How many errors a stated default has decided.
    pub(crate) fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }
}
