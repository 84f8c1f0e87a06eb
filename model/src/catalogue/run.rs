//! A run that breaks a property as its machine was driven, with real times and names: what `relink replay` gives again.

use std::{
    collections::BTreeMap,
    fmt::{self, Debug},
};

use relink::{
    DialId, LeaseId, Policy, Span, Time,
    adapter::{Diverged, Record},
    pacer::{self, Pacer},
    policy::PolicyError,
    pool::Pool,
};
use serde::{Deserialize, Serialize};

use crate::worlds::NOW;

/// A counterexample in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The property that it breaks.
    pub property: String,
    /// The world in which it was found.
    pub world: String,
    /// The step from which the rest goes on for ever, counted from 0; `None`: the last step is what is wrong.
    pub forever_from: Option<usize>,
    /// When it ends: time may pass after the last step.
    pub until: Time,
    /// The steps.
    pub record: Machine,
}

/// Which machine was driven, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Machine {
    /// A pool, in the form of the adapter's own records.
    Pool(Record),
    /// A pacer alone.
    Pacer(Paced),
}

/// A run of a pacer: what it was built with, and every step that it took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paced {
    /// The policy.
    pub policy: Policy,
    /// How many endpoints the set had.
    pub endpoints: u8,
    /// In order.
    pub steps: Vec<Step>,
}

/// One step: what the pacer was given, and what it commanded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Milliseconds since the beginning.
    pub now: Time,
    /// What had happened.
    pub event: pacer::Event,
    /// The random word.
    pub chance: u64,
    /// What was commanded.
    pub command: Option<pacer::Command>,
}

/// Why a run of a pacer is not the machine's.
#[derive(Debug, thiserror::Error)]
pub enum Strayed {
    /// The recorded policy breaks a rule.
    #[error("the recorded policy cannot be used: {0}")]
    Policy(#[from] PolicyError),
    /// The machine commands something else than what was recorded.
    #[error(
        "step {place}: {:?} at {} ms commanded {}, and the machine commands {}",
        step.event, step.now.as_millis(), Shown(&step.command), Shown(replayed)
    )]
    Step {
        /// Its place in the record, from 0.
        place: usize,
        /// What the record says.
        step: Step,
        /// What the machine says.
        replayed: Option<pacer::Command>,
    },
}

struct Shown<'a>(&'a Option<pacer::Command>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(command) => write!(f, "{command:?}"),
            None => f.write_str("nothing"),
        }
    }
}

impl Paced {
    /// Gives every recorded event to the pure machine, and compares what it commands with what was commanded. `look` sees
    /// each step. Returns the machine as it stands in the end.
    ///
    /// # Errors
    /// At the first step that is not the machine's.
    pub fn replay(&self, mut look: impl FnMut(&Step)) -> Result<Pacer, Strayed> {
        let policy = self.policy.clone().check()?;
        let mut machine = Pacer::new(self.endpoints);
        for (place, step) in self.steps.iter().enumerate() {
            let (next, replayed) = machine.step(&policy, step.now, step.event, step.chance);
            if replayed != step.command {
                return Err(Strayed::Step { place, step: step.clone(), replayed });
            }
            machine = next;
            look(step);
        }
        Ok(machine)
    }
}

/// Why a run of either machine is not its own.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum NotIts {
    /// The pool's.
    Pool(#[from] Diverged),
    /// The pacer's.
    Pacer(#[from] Strayed),
}

impl Run {
    /// The same under the names that a report gives to the property and to the world.
    #[must_use]
    pub fn named(self, property: &str, world: &str) -> Self {
        Self { property: property.to_owned(), world: world.to_owned(), ..self }
    }

    /// How many steps it has.
    pub fn steps(&self) -> usize {
        match &self.record {
            Machine::Pool(record) => record.steps.len(),
            Machine::Pacer(paced) => paced.steps.len(),
        }
    }

    /// Gives it to the machine again; `look` sees each step: when, what happened, what was commanded. Returns the pacer as
    /// it stands at the end.
    ///
    /// # Errors
    /// At the first step that is not the machine's.
    pub fn replay(&self, mut look: impl FnMut(Time, &dyn Debug, &[&dyn Debug])) -> Result<Pacer, NotIts> {
        match &self.record {
            Machine::Pool(record) => {
                let ended = record.replay(|step, _: &Pool| {
                    let commands: Vec<&dyn Debug> = step.commands.iter().map(|command| command as &dyn Debug).collect();
                    look(step.now, &step.event, &commands);
                });
                Ok(*ended?.pacer())
            }
            Machine::Pacer(paced) => {
                let ended = paced.replay(|step| {
                    let commands: Vec<&dyn Debug> = step.command.iter().map(|command| command as &dyn Debug).collect();
                    look(step.now, &step.event, &commands);
                });
                Ok(ended?)
            }
        }
    }
}

/// What a world calls otherwise than its machine would outside of any frame, where time goes on and no name comes twice.
#[derive(Debug)]
pub(crate) struct Real {
    /// The real time.
    pub(crate) now: Time,
    /// Those that anybody may still speak of, in the order of the frame's names.
    pub(crate) dials: Vec<DialId>,
    pub(crate) leases: Vec<LeaseId>,
    /// By when the last question of each session must be answered, which is its name.
    asked_by: BTreeMap<DialId, Time>,
    dialed: u64,
    asked: u64,
}

impl Real {
    pub(crate) const fn new() -> Self {
        Self { now: Time::ZERO, dials: Vec::new(), leases: Vec::new(), asked_by: BTreeMap::new(), dialed: 0, asked: 0 }
    }

    pub(crate) fn pass(&mut self, span: Span) {
        self.now = self.now + span;
    }

    pub(crate) fn at(&self, at: Time) -> Time {
        if at == Time::NEVER { at } else { self.now + (at - NOW) }
    }

    /// A time of the past.
    pub(crate) fn ago(&self, at: Time) -> Time {
        Time::from_millis(self.now.as_millis().saturating_sub((NOW - at).as_millis()))
    }

    /// A question about a session, under its real name, is asked.
    pub(crate) fn question(&mut self, dial: DialId, by: Time) {
        self.asked_by.insert(dial, by);
    }

    /// The name of a question that is answered. In a frame all that are overdue have one; of a session only one is open.
    pub(crate) fn answer(&self, dial: DialId, by: Time) -> Time {
        self.asked_by.get(&dial).copied().filter(|_| by <= NOW).unwrap_or_else(|| self.at(by))
    }

    /// A dial that is known, or one that the machine names only now: it counts on.
    pub(crate) fn dial(&self, dial: DialId) -> DialId {
        let known = usize::try_from(dial.serial()).ok().and_then(|place| place.checked_sub(1));
        let fresh = |place: usize| {
            let more = u64::try_from(place - self.dials.len()).unwrap_or(u64::MAX);
            DialId::new(self.dialed.saturating_add(more), dial.endpoint())
        };
        known.map_or(dial, |place| self.dials.get(place).copied().unwrap_or_else(|| fresh(place)))
    }

    pub(crate) fn lease(&self, lease: LeaseId) -> LeaseId {
        let known = usize::try_from(lease.0).ok().and_then(|place| place.checked_sub(1));
        known.and_then(|place| self.leases.get(place)).copied().unwrap_or(lease)
    }

    /// A dial has started, under its real name.
    pub(crate) fn dialed(&mut self, dial: DialId) {
        self.dials.push(dial);
        self.dialed = self.dialed.saturating_add(1);
    }

    /// Somebody asks.
    pub(crate) fn asked(&mut self) {
        self.asked = self.asked.saturating_add(1);
        self.leases.push(LeaseId(self.asked));
    }
}
