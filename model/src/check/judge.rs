//! Decides a claim on a graph.

use super::{
    Chance, Counterexample, Fair, Form, Verdict,
    component::{Must, Query},
    graph::Graph,
    path::Ways,
    table::{Bits, NONE},
};

/// How a claim can be broken for ever.
struct Snare {
    /// Where the run stays.
    region: Bits,
    /// What it sees there again and again.
    required: Vec<Must>,
    /// The ways by which it may get there; `None`: any.
    ways: Option<Ways>,
}

impl<M: Chance> Graph<'_, M> {
    /// Decides a claim.
    ///
    /// # Panics
    ///
    /// If the model, asked again, gives other steps than it gave to [`explore`](super::explore).
    pub fn judge(&self, form: &Form<M>) -> Verdict<M> {
        self.judge_fair(form, &[])
    }

    /// Decides a claim on the runs that are fair. Fairness makes no difference to [`Form::Always`], [`Form::Reaches`]
    /// and [`Form::NoCycle`].
    ///
    /// # Panics
    ///
    /// As [`Graph::judge`].
    pub fn judge_fair(&self, form: &Form<M>, fair: &[Fair<M>]) -> Verdict<M> {
        let mut snare = match *form {
            Form::Always(holds) => return self.always(holds),
            Form::Reaches(holds) => {
                return if self.find(holds).is_some() { Verdict::Holds } else { Verdict::Unreached };
            }
            Form::NoCycle { within, along, through } => return self.no_cycle(within, along, through),
            Form::Eventually { goal } => {
                let avoids = self.where_not(goal);
                let starts = self.ids().filter(|id| self.parent[*id] == NONE && avoids.has(*id)).collect();
                let ways = self.ways(starts, &avoids);
                Snare { region: ways.reached(), required: Vec::new(), ways: Some(ways) }
            }
            Form::Recurs { assume, goal } => {
                let region = self.bits(|model, state| assume(model, state) && !goal(model, state));
                Snare { region, required: Vec::new(), ways: None }
            }
            Form::Persists { assume, goal } => {
                Snare { region: self.bits(assume), required: vec![Must::See(self.where_not(goal))], ways: None }
            }
            Form::LeadsTo { assume, from, to } => {
                let (avoids, from, assume) = (self.where_not(to), self.bits(from), self.bits(assume));
                let starts = self.ids().filter(|id| from.has(*id) && avoids.has(*id)).collect();
                let ways = self.ways(starts, &avoids);
                Snare { region: ways.reached().and(&assume), required: Vec::new(), ways: Some(ways) }
            }
        };
        snare.required.extend(fair.iter().map(|fair| self.fairness(fair)));
        self.catch(&snare)
    }

    fn always(&self, holds: fn(&M, &M::State) -> bool) -> Verdict<M> {
        let broken = self.ids().find(|id| !holds(self.model, &self.states[*id]));
        broken
            .and_then(|id| self.path_to(id))
            .map_or(Verdict::Holds, |stem| Verdict::Falsified(Counterexample { stem, cycle: Vec::new(), component: 1 }))
    }

    fn no_cycle(
        &self,
        within: fn(&M, &M::State) -> bool,
        along: fn(&M, &M::State, &M::Action, &M::State) -> bool,
        through: fn(&M, &M::State, &M::Action, &M::State) -> bool,
    ) -> Verdict<M> {
        let region = self.bits(within);
        let mut taken = Bits::none(self.transitions());
        // Both in one pass: the model is asked for its steps again, which costs as much as to explore it.
        let edges = self.edges_where(&region, |edge, from, action, to| {
            let along = along(self.model, from, action, to);
            if along && through(self.model, from, action, to) {
                taken.insert(edge);
            }
            along
        });
        let query = Query {
            shape: &self.shape,
            edges: Some(&edges),
            random: &Bits::none(self.states()),
            required: &[Must::Take(taken)],
            dead_ends: false,
        };
        self.counterexample(&query, &region, None)
    }

    fn catch(&self, snare: &Snare) -> Verdict<M> {
        let random = self.bits(M::random);
        let query =
            Query { shape: &self.shape, edges: None, random: &random, required: &snare.required, dead_ends: true };
        self.counterexample(&query, &snare.region, snare.ways.as_ref())
    }

    fn fairness(&self, fair: &Fair<M>) -> Must {
        let (Fair::Weak(is) | Fair::Strong(is)) = fair;
        let everywhere = self.bits(|_, _| true);
        let taken = self.edges_where(&everywhere, |_, from, action, to| from != to && is(self.model, action));
        let enables = |id: &u32| self.shape.edges(*id).any(|edge| taken.has(edge));
        let mut enabled = Bits::none(self.states());
        self.ids().filter(enables).for_each(|id| enabled.insert(id));
        match fair {
            Fair::Weak(_) => Must::Weak { enabled, taken },
            Fair::Strong(_) => Must::Strong { enabled, taken },
        }
    }

    pub(super) fn where_not(&self, holds: fn(&M, &M::State) -> bool) -> Bits {
        self.bits(|model, state| !holds(model, state))
    }

    pub(super) fn bits(&self, holds: impl Fn(&M, &M::State) -> bool) -> Bits {
        let mut bits = Bits::none(self.states());
        self.ids().filter(|id| holds(self.model, &self.states[*id])).for_each(|id| bits.insert(id));
        bits
    }

    /// The transitions of the states of `within` of which that is true.
    fn edges_where(&self, within: &Bits, mut is: impl FnMut(u32, &M::State, &M::Action, &M::State) -> bool) -> Bits {
        let mut bits = Bits::none(self.transitions());
        for id in self.ids().filter(|id| within.has(*id)) {
            let steps = self.steps(id);
            for (edge, (action, next)) in self.shape.edges(id).zip(&steps) {
                if is(edge, &self.states[id], action, next) {
                    bits.insert(edge);
                }
            }
        }
        bits
    }
}
