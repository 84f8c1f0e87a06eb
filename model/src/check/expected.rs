//! What it costs to get somewhere, in expectation: value iteration between two bounds.
//!
//! The lower bound rises from nothing, by Gauss-Seidel sweeps. A guess a little above it is an upper bound as soon as
//! sweeps have made it nowhere larger than it was (optimistic value iteration, Hartmanns and Kaminski, CAV 2020).

use super::{
    Chance,
    component::Query,
    graph::{Graph, Shape},
    path::Ways,
    table::{Bits, NONE, Table},
};

/// Sweeps after which value iteration gives up.
pub const SWEEPS_MAX: u32 = 100_000;

/// Sweeps that a guess has to prove that it is an upper bound.
const PROOF_SWEEPS: u32 = 64;

/// What the adversary wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// The highest cost.
    Worst,
    /// The lowest.
    Best,
}

/// The expected cost of the way from an initial state to a goal. The truth lies in `lower ..= upper`, but for the
/// rounding of `f64`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// No more than the truth. Infinite: the goal is not reached almost surely.
    pub lower: f64,
    /// No less than the truth; infinite if none was found.
    pub upper: f64,
    /// Sweeps over the states.
    pub sweeps: u32,
    /// Whether the bounds are as close to each other as was asked for.
    pub converged: bool,
}

impl Expected {
    const INFINITE: Self = Self { lower: f64::INFINITY, upper: f64::INFINITY, sweeps: 0, converged: true };
}

/// The equations to be solved, for the states on ways that avoid the goal. The goal's values are and stay 0.
struct Equations<'a> {
    shape: &'a Shape,
    case: Case,
    random: &'a Bits,
    cost: Table<u32>,
    /// The states of finite value, in the order in which they are swept.
    order: Vec<u32>,
}

impl<M: Chance> Graph<'_, M> {
    /// The expected sum of the costs of all actions until `goal` first holds, from the worst initial state or the best:
    /// adversary's choices serve `case`, coins give each action that leads to a state with the same probability. The
    /// bounds differ by no more than `precision` times the lower one (say 10⁻⁶).
    ///
    /// It needs some 40 bytes a state and 4 a transition. In the best case, a cycle that costs nothing leaves it without
    /// an upper bound.
    ///
    /// # Panics
    ///
    /// As [`Graph::judge`].
    pub fn expected(
        &self,
        goal: fn(&M, &M::State) -> bool,
        cost: fn(&M, &M::State, &M::Action) -> u32,
        case: Case,
        precision: f64,
    ) -> Expected {
        let avoids = self.where_not(goal);
        let starts: Vec<u32> = self.ids().filter(|id| self.parent[*id] == NONE).collect();
        let ways = self.ways(starts.iter().copied().filter(|id| avoids.has(*id)).collect(), &avoids);
        let random = self.bits(M::random);
        let finite = match case {
            Case::Worst if self.can_stay(&ways, &random) => return Expected::INFINITE,
            Case::Worst => ways.reached(),
            Case::Best => self.can_arrive(&ways, &avoids, &random),
        };
        let mut values = Table::of(0.0, self.states());
        ways.order.iter().filter(|id| !finite.has(**id)).for_each(|id| values[*id] = f64::INFINITY);
        let cost = self.costs(&ways, cost);
        // The last found are the nearest to the goal, more or less.
        let order = ways.order.iter().copied().rev().filter(|id| finite.has(*id)).collect();
        let equations = Equations { shape: &self.shape, case, random: &random, cost, order };
        let of_starts = |values: &Table<f64>| equations.choose(starts.iter().map(|id| values[*id]));
        if of_starts(&values).is_infinite() {
            return Expected::INFINITE;
        }
        let provable = case == Case::Worst || !equations.can_idle();
        let (upper, sweeps) = equations.solve(&mut values, precision, provable);
        let lower = of_starts(&values);
        let upper = upper.map_or(f64::INFINITY, |upper| of_starts(&upper));
        Expected { lower, upper, sweeps, converged: upper.is_finite() }
    }

    /// Whether the adversary can keep away from the goal for ever.
    fn can_stay(&self, ways: &Ways, random: &Bits) -> bool {
        let query = Query { shape: &self.shape, edges: None, random, required: &[], dead_ends: true };
        query.components(&ways.reached()).0.iter().any(|name| *name != NONE)
    }

    /// The states on the ways from which the adversary can get to the goal almost surely.
    fn can_arrive(&self, ways: &Ways, avoids: &Bits, random: &Bits) -> Bits {
        let mut able = ways.reached();
        loop {
            let mut arrives = Bits::none(self.states());
            let at = |id: u32, set: &Bits| !avoids.has(id) || set.has(id);
            loop {
                let next = |id: &u32| {
                    let to = self.successors(*id);
                    to.iter().any(|to| at(*to, &arrives)) && (!random.has(*id) || to.iter().all(|to| at(*to, &able)))
                };
                let new = ways.order.iter().filter(|id| able.has(**id) && !arrives.has(**id) && next(id));
                let new: Vec<u32> = new.copied().collect();
                if new.is_empty() {
                    break;
                }
                new.iter().for_each(|id| arrives.insert(*id));
            }
            if ways.order.iter().all(|id| able.has(*id) == arrives.has(*id)) {
                return able;
            }
            able = arrives;
        }
    }

    fn costs(&self, ways: &Ways, cost: fn(&M, &M::State, &M::Action) -> u32) -> Table<u32> {
        let mut costs = Table::of(0, self.transitions());
        for id in &ways.order {
            for (edge, (action, _)) in self.shape.edges(*id).zip(self.steps(*id)) {
                costs[edge] = cost(self.model, &self.states[*id], &action);
            }
        }
        costs
    }
}

impl Equations<'_> {
    /// Raises `values` towards the truth until an upper bound proves them close to it. `None`: none was found.
    fn solve(&self, values: &mut Table<f64>, precision: f64, provable: bool) -> (Option<Table<f64>>, u32) {
        let (mut sweeps, mut tolerance) = (0, precision / 2.0);
        while sweeps < SWEEPS_MAX {
            sweeps += 1;
            if self.sweep(values) > tolerance {
                continue;
            }
            if !provable {
                return (None, sweeps);
            }
            let mut guess = values.clone();
            guess.0.iter_mut().for_each(|value| *value *= 1.0 + precision);
            let first = guess.clone();
            for _ in 0..PROOF_SWEEPS {
                sweeps += 1;
                self.sweep(&mut guess);
                if self.order.iter().all(|id| guess[*id] <= first[*id]) {
                    return (Some(guess), sweeps);
                }
            }
            tolerance /= 8.0;
        }
        (None, sweeps)
    }

    /// Sets every value to what the others say, and tells the greatest change, as a part of the new value.
    fn sweep(&self, values: &mut Table<f64>) -> f64 {
        let mut change: f64 = 0.0;
        for id in &self.order {
            let (old, new) = (values[*id], self.value(*id, values));
            if new != old {
                change = change.max((new - old).abs() / new);
                values[*id] = new;
            }
        }
        change
    }

    fn value(&self, id: u32, values: &Table<f64>) -> f64 {
        let edges = self.shape.edges(id);
        let outcomes = f64::from(edges.end - edges.start);
        let costs = edges.map(|edge| f64::from(self.cost[edge]) + values[self.shape.dst[edge]]);
        if self.random.has(id) { costs.sum::<f64>() / outcomes } else { self.choose(costs) }
    }

    fn choose(&self, costs: impl Iterator<Item = f64>) -> f64 {
        match self.case {
            Case::Worst => costs.fold(0.0, f64::max),
            Case::Best => costs.fold(f64::INFINITY, f64::min),
        }
    }

    /// Whether the adversary can go on for ever at no cost, so that a value may look lower than it is.
    fn can_idle(&self) -> bool {
        let mut edges = Bits::none(self.shape.dst.0.len());
        let mut region = Bits::none(self.shape.len() as usize);
        for id in &self.order {
            let free: Vec<u32> = self.shape.edges(*id).filter(|edge| self.cost[*edge] == 0).collect();
            if !self.random.has(*id) || free.len() == self.shape.edges(*id).len() {
                region.insert(*id);
                free.iter().for_each(|edge| edges.insert(*edge));
            }
        }
        let query =
            Query { shape: self.shape, edges: Some(&edges), random: self.random, required: &[], dead_ends: false };
        query.components(&region).0.iter().any(|name| *name != NONE)
    }
}
