//! The record of a run: every step that the adapter took, for replay through the pure functions.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    Time,
    core::pool::{Command, Event},
};

/// One step: what the machine was given, and what it commanded.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Step {
    /// Milliseconds since the pool was built.
    pub now: Time,
    /// What had happened.
    pub event: Event,
    /// The random word.
    pub chance: u64,
    /// What was commanded, in order.
    pub commands: Vec<Command>,
}

/// A growing record of all steps of one pool; cloning shares it.
///
/// It keeps everything in memory: for tests and for the minutes of an investigation. Names and
/// classes only: no address, no statement, no secret is in it.
#[derive(Clone, Debug, Default)]
pub struct Trace(Arc<Mutex<Vec<Step>>>);

impl Trace {
    /// An empty record.
    pub fn new() -> Self {
        Self::default()
    }

    /// All steps so far.
    pub fn steps(&self) -> Vec<Step> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn record(&self, step: Step) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(step);
    }
}
