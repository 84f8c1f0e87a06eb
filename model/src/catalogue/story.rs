//! A counterexample as a person reads it: when, who, what happened, and what changed.

use serde::Serialize;

use super::run::Run;
use crate::check::{Chance, Counterexample};

/// A world whose runs can be told.
pub trait Tell: Chance {
    /// The milliseconds (or ticks, where a world has no other unit) that pass with this action.
    fn passes(&self, action: &Self::Action) -> u64;

    /// Who acts, in a word, and what happens.
    fn event(&self, state: &Self::State, action: &Self::Action) -> (&'static str, String);

    /// What matters of a state, in a few words.
    fn place(&self, state: &Self::State) -> String;

    /// The same run as the machine was driven, for replay; `None` where there is more than one machine.
    fn run(&self, _: &Counterexample<Self>) -> Option<Run> {
        None
    }
}

/// One step of a story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// The time since the beginning, in the world's ticks.
    pub at: u64,
    /// Who acts.
    pub who: &'static str,
    /// What happens.
    pub event: String,
    /// The state before.
    pub before: String,
    /// The state after.
    pub after: String,
}

/// A run that breaks a claim.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Story {
    /// From the beginning to what is wrong, or to where it begins to go in a circle.
    pub stem: Vec<Moment>,
    /// What goes on for ever after that; empty if the stem ends in what is wrong.
    pub cycle: Vec<Moment>,
    /// The run as the machine was driven, if it is one machine's.
    #[serde(skip)]
    pub run: Option<Run>,
}

impl Story {
    /// The story of a counterexample. Steps in which only time passes are told as one.
    pub fn of<M: Tell>(model: &M, counterexample: &Counterexample<M>) -> Self {
        let mut at = 0;
        let Counterexample { stem, cycle, .. } = counterexample;
        let ends = cycle.first().map_or(&stem.last, |(state, _)| state);
        let stem = moments(model, &stem.steps, ends, &mut at);
        Self { stem, cycle: moments(model, cycle, ends, &mut at), run: model.run(counterexample) }
    }

    /// Under the names that a report gives to the property and to the world.
    pub(super) fn named(self, property: &str, world: &str) -> Self {
        Self { run: self.run.map(|run| run.named(property, world)), ..self }
    }

    /// How many steps are told.
    pub fn steps(&self) -> usize {
        self.stem.len() + self.cycle.len()
    }

    /// As lines: time, who, what, and the change.
    pub fn text(&self) -> String {
        let wide = |of: fn(&Moment) -> &str| {
            self.stem.iter().chain(&self.cycle).map(|moment| of(moment).chars().count()).max().unwrap_or(0)
        };
        let (who, event) = (wide(|moment| moment.who), wide(|moment| &moment.event));
        let line = |moment: &Moment| {
            let Moment { at, who: name, event: what, before, after } = moment;
            let change = if before == after { after.clone() } else { format!("{before} → {after}") };
            format!("{at:>7}  {name:<who$}  {what:<event$}  {change}\n")
        };
        let mut text: String = self.stem.iter().map(line).collect();
        if !self.cycle.is_empty() {
            text.push_str("         and from here for ever:\n");
            text.extend(self.cycle.iter().map(line));
        }
        text
    }

    /// As a Mermaid sequence diagram: who acts upon relink, and how it stands after.
    pub fn mermaid(&self) -> String {
        let message = |Moment { at, who, event, before, after }: &Moment| {
            let note =
                if before == after { String::new() } else { format!("    Note over relink: {}\n", plain(after)) };
            format!("    {who}->>relink: {at}: {}\n{note}", plain(event))
        };
        let stem: String = self.stem.iter().map(message).collect();
        let cycle: String = self.cycle.iter().map(message).collect();
        let cycle = if cycle.is_empty() { cycle } else { format!("    loop for ever\n{cycle}    end\n") };
        format!("sequenceDiagram\n{stem}{cycle}")
    }
}

/// Mermaid takes `;` and `#` for its own.
fn plain(words: &str) -> String {
    words.replace([';', '#'], ",")
}

fn moments<M: Tell>(model: &M, steps: &[(M::State, M::Action)], last: &M::State, at: &mut u64) -> Vec<Moment> {
    let mut moments: Vec<Moment> = Vec::new();
    for (place, (state, action)) in steps.iter().enumerate() {
        *at += model.passes(action);
        let next = steps.get(place + 1).map_or(last, |(next, _)| next);
        let (who, event) = model.event(state, action);
        let (before, after) = (model.place(state), model.place(next));
        match moments.last_mut() {
            // Only time passes, and nothing to see of it.
            Some(before) if before.who == who && before.event == event && model.passes(action) > 0 => {
                (before.at, before.after) = (*at, after);
            }
            Some(_) | None => moments.push(Moment { at: *at, who, event, before, after }),
        }
    }
    moments
}
