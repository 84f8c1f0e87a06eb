//! The record of a run: every step that the adapter took, for replay through the pure functions.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    Checked, Policy, Time,
    core::pool::{Command, Event, Pool},
    pacer::ENDPOINTS_MAX,
    policy::PolicyError,
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

/// A run, whole: what the pool was built with, and every step that it took.
///
/// Names and classes only: no address, no statement, no secret is in it. It is what `relink replay`
/// reads, as JSON.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The policy.
    pub policy: Policy,
    /// How many endpoints the set had.
    pub endpoints: u8,
    /// In order.
    pub steps: Vec<Step>,
}

/// Why a record is not a run of the machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Diverged {
    /// The recorded policy breaks a rule.
    #[error("the recorded policy cannot be used: {0}")]
    Policy(#[from] PolicyError),
    /// A set has from 1 to [`ENDPOINTS_MAX`] endpoints.
    #[error("the record names {0} endpoints, and a set has 1 to {ENDPOINTS_MAX}")]
    Endpoints(u8),
    /// The machine commands something else than what was recorded.
    #[error(
        "step {step}: {event:?} at {} ms commanded {}, and the machine commands {}",
        now.as_millis(),
        List(recorded),
        List(replayed)
    )]
    Step {
        /// Its place in the record, from 0.
        step: usize,
        /// When it was.
        now: Time,
        /// What had happened.
        event: Event,
        /// What the record says.
        recorded: Vec<Command>,
        /// What the machine says.
        replayed: Vec<Command>,
    },
}

struct List<'a>(&'a [Command]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("nothing") } else { write!(f, "{:?}", self.0) }
    }
}

impl Record {
    /// Gives every recorded event to the pure machine, and compares what it commands with what was commanded.
    /// `look` sees each step with the machine after it. Returns the machine as it stands in the end.
    ///
    /// # Errors
    /// At the first step that is not the machine's.
    pub fn replay(&self, mut look: impl FnMut(&Step, &Pool)) -> Result<Pool, Diverged> {
        let policy = self.policy.clone().check()?;
        if !(1..=ENDPOINTS_MAX).contains(&usize::from(self.endpoints)) {
            return Err(Diverged::Endpoints(self.endpoints));
        }
        let mut machine = Pool::new(&policy, self.endpoints);
        let mut commands = Vec::new();
        for (place, step) in self.steps.iter().enumerate() {
            commands.clear();
            machine.step(&policy, step.now, step.event, step.chance, &mut commands);
            if commands != step.commands {
                return Err(Diverged::Step {
                    step: place,
                    now: step.now,
                    event: step.event,
                    recorded: step.commands.clone(),
                    replayed: commands,
                });
            }
            look(step, &machine);
        }
        Ok(machine)
    }
}

/// A growing record of all steps of one pool; cloning shares it.
///
/// It keeps everything in memory: for tests and for the minutes of an investigation.
#[derive(Clone, Debug, Default)]
pub struct Trace(Arc<Mutex<Record>>);

impl Trace {
    /// An empty record.
    pub fn new() -> Self {
        Self::default()
    }

    /// All steps so far.
    pub fn steps(&self) -> Vec<Step> {
        self.lock().steps.clone()
    }

    /// Everything so far, in a form that can be written to a file and replayed.
    pub fn record(&self) -> Record {
        self.lock().clone()
    }

    pub(super) fn begin(&self, policy: &Checked, endpoints: u8) {
        *self.lock() = Record { policy: Policy::clone(policy), endpoints, steps: Vec::new() };
    }

    pub(super) fn step(&self, step: Step) {
        self.lock().steps.push(step);
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        // A push or a clone that panics leaves a record as it was.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
