//! Claims by their names, and a row of a report for each: what a world of this package has to say of itself.

use std::time::Instant;

use relink::Policy;
use stateright::Property;

use crate::{
    catalogue::story::{Story, Tell},
    check::{Chance, Counterexample, Form, Graph, Limit, Stopped, Verdict, explore},
};

/// One claim about a model.
#[derive(Debug)]
pub struct Claim<M: Chance> {
    /// The law's name in the catalogue, or the state that must be reachable.
    pub name: &'static str,
    /// What is claimed.
    pub form: Form<M>,
}

impl<M: Chance> Claim<M> {
    pub(crate) const fn new(name: &'static str, form: Form<M>) -> Self {
        Self { name, form }
    }

    /// A witness: some state is reachable, so that no law of it holds in vain.
    pub(crate) const fn reaches(name: &'static str, holds: fn(&M, &M::State) -> bool) -> Self {
        Self::new(name, Form::Reaches(holds))
    }

    /// The law that it judges; `None` for a witness.
    pub const fn judges(&self) -> Option<&'static str> {
        if let Form::Reaches(_) = self.form { None } else { Some(self.name) }
    }

    /// The claim as stateright knows it; it knows those of single states only.
    pub(crate) fn property(&self) -> Option<Property<M>> {
        match self.form {
            Form::Always(holds) => Some(Property::always(self.name, holds)),
            Form::Reaches(holds) => Some(Property::sometimes(self.name, holds)),
            Form::Eventually { .. } | Form::Recurs { .. } | Form::Persists { .. } => None,
            Form::LeadsTo { .. } | Form::NoCycle { .. } => None,
        }
    }
}

/// A model that makes claims about itself.
pub trait Claims: Tell {
    /// The name in reports.
    fn name(&self) -> &'static str;

    /// What its machines run.
    fn driven(&self) -> &Policy;

    /// Every law that it judges, and every witness that it must reach.
    fn claims(&self) -> Vec<Claim<Self>>;
}

/// What was found of one claim of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The model.
    pub model: &'static str,
    /// The claim.
    pub claim: &'static str,
    /// Whether it is a witness: a state that must be reachable, so that no law holds in vain.
    pub witness: bool,
    /// Distinct states of the model, all of them looked at.
    pub states: usize,
    /// Transitions between them.
    pub transitions: usize,
    /// The most bytes that exploring them held at once; 0 where nothing is kept.
    pub bytes: usize,
    /// How long it took to explore them.
    pub seconds: f64,
    /// How long it took to judge the claim.
    pub judged: f64,
    /// Whether the claim is true.
    pub holds: bool,
    /// What breaks the law, or how the state is reached.
    pub story: Option<Story>,
    /// What was computed beside the verdict.
    pub numbers: Option<String>,
}

/// Checks every claim of a model in all its reachable states.
///
/// # Errors
///
/// If the exploration stopped before it had seen everything: then nothing is known.
pub fn check<M: Claims>(model: &M, limit: Limit) -> Result<Vec<Finding>, Stopped> {
    let graph = explore(model, limit)?;
    Ok(model.claims().iter().map(|claim| judge(model, &graph, claim)).collect())
}

/// Judges one claim.
pub(crate) fn judge<M: Claims>(model: &M, graph: &Graph<'_, M>, claim: &Claim<M>) -> Finding {
    let begun = Instant::now();
    let verdict = graph.judge(&claim.form);
    let holds = verdict.holds();
    let counterexample = match (verdict, &claim.form) {
        (Verdict::Falsified(counterexample), _) => Some(counterexample),
        (Verdict::Holds, Form::Reaches(holds)) => {
            let stem = graph.find(*holds).and_then(|id| graph.path_to(id));
            stem.map(|stem| Counterexample { stem, cycle: Vec::new(), component: 1 })
        }
        (Verdict::Holds | Verdict::Unreached, _) => None,
    };
    Finding {
        model: model.name(),
        claim: claim.name,
        witness: claim.judges().is_none(),
        states: graph.states(),
        transitions: graph.transitions(),
        bytes: graph.bytes(),
        seconds: graph.seconds(),
        judged: begun.elapsed().as_secs_f64(),
        holds,
        story: counterexample.map(|counterexample| Story::of(model, &counterexample)),
        numbers: None,
    }
}
