//! Ways through a graph: how a state is reached, and how a run goes on for ever.

use super::{
    Chance, Counterexample, Path, Verdict,
    component::{Must, Query},
    graph::Graph,
    table::{Bits, NONE, Table},
};

/// The states that can be reached in a given way, nearest first, and whence each was reached.
pub(super) struct Ways {
    pub(super) order: Vec<u32>,
    parent: Table<u32>,
}

impl Ways {
    pub(super) fn reached(&self) -> Bits {
        let mut reached = Bits::none(self.parent.0.len());
        self.order.iter().for_each(|id| reached.insert(*id));
        reached
    }
}

impl<M: Chance> Graph<'_, M> {
    /// A shortest path from an initial state to a state; `None` for a number that no state has.
    ///
    /// # Panics
    ///
    /// If the model, asked again, gives other steps than it gave to [`explore`](super::explore).
    pub fn path_to(&self, id: u32) -> Option<Path<M>> {
        (id < self.shape.len()).then(|| self.path(&stem(id, &self.parent)))
    }

    /// What can be reached from `starts` without leaving `within`, in which they lie.
    pub(super) fn ways(&self, starts: Vec<u32>, within: &Bits) -> Ways {
        let mut parent = Table::of(NONE, self.states());
        let mut seen = Bits::none(self.states());
        starts.iter().for_each(|id| seen.insert(*id));
        let (mut order, mut next) = (starts, 0);
        while let Some(from) = order.get(next).copied() {
            next += 1;
            for to in self.successors(from) {
                if within.has(*to) && !seen.has(*to) {
                    seen.insert(*to);
                    parent[*to] = from;
                    order.push(*to);
                }
            }
        }
        Ways { order, parent }
    }

    /// A run into the nearest component of a region that satisfies the query, and what it sees there for ever.
    pub(super) fn counterexample(&self, query: &Query<'_>, region: &Bits, ways: Option<&Ways>) -> Verdict<M> {
        let label = query.components(region);
        let caught = |id: &u32| label[*id] != NONE;
        let entry = match ways {
            Some(ways) => ways.order.iter().copied().find(caught),
            None => self.ids().find(caught),
        };
        let Some(entry) = entry else { return Verdict::Holds };
        let mut way = ways.map_or_else(|| vec![entry], |ways| stem(entry, &ways.parent));
        let mut before = way.first().map(|first| stem(*first, &self.parent)).unwrap_or_default();
        before.pop();
        before.append(&mut way);
        let component = label.0.iter().filter(|name| **name == label[entry]).count();
        let cycle = Walk { query, label: &label, own: label[entry], walked: Vec::new() }.cycle(entry);
        let cycle = cycle.iter().map(|(from, edge)| self.step(*from, *edge)).collect();
        Verdict::Falsified(Counterexample { stem: self.path(&before), cycle, component })
    }

    /// The states of a path, and the first action that leads from each to the next.
    fn path(&self, ids: &[u32]) -> Path<M> {
        let edge = |from, to| self.shape.edges(from).find(|edge| self.shape.dst[*edge] == to);
        let steps = ids.iter().zip(ids.iter().skip(1));
        let steps = steps.filter_map(|(from, to)| Some(self.step(*from, edge(*from, *to)?))).collect();
        let last = ids.last().copied().unwrap_or_default();
        Path { steps, last: self.states[last].clone() }
    }

    /// What the model does on that transition of `from`.
    fn step(&self, from: u32, edge: u32) -> (M::State, M::Action) {
        let mut steps = self.steps(from);
        let (action, _) = steps.swap_remove((edge - self.shape.off[from]) as usize);
        (self.states[from].clone(), action)
    }

    /// The actions of a state and where they lead, asked of the model again, in the order of the transitions.
    pub(super) fn steps(&self, id: u32) -> Vec<(M::Action, M::State)> {
        let mut steps = self.model.next_steps(&self.states[id]);
        steps.retain(|(_, next)| self.model.within_boundary(next));
        assert_eq!(steps.len(), self.shape.edges(id).len(), "a model must give the same steps whenever it is asked");
        steps
    }
}

/// The ids on the way to `id`, which is the last, as `parent` tells it.
fn stem(id: u32, parent: &Table<u32>) -> Vec<u32> {
    let (mut ids, mut at) = (vec![id], id);
    while parent[at] != NONE {
        at = parent[at];
        ids.push(at);
    }
    ids.reverse();
    ids
}

/// A walk within one component.
struct Walk<'a> {
    query: &'a Query<'a>,
    label: &'a Table<u32>,
    /// The component.
    own: u32,
    /// States, and the transition taken from each.
    walked: Vec<(u32, u32)>,
}

impl Walk<'_> {
    /// From `entry` through the component and back, seeing all that the query requires; empty at a dead end.
    fn cycle(mut self, entry: u32) -> Vec<(u32, u32)> {
        let mut at = entry;
        for must in self.query.required {
            let dst = &self.query.shape.dst;
            at = match must {
                Must::See(states) if states.has(entry) => at,
                Must::See(states) => self.to(at, |edge| states.has(dst[edge])),
                Must::Take(edges) => self.to(at, |edge| edges.has(edge)),
                Must::Weak { enabled, .. } if !enabled.has(entry) => at,
                Must::Weak { enabled, taken } => self.to(at, |edge| taken.has(edge) || !enabled.has(dst[edge])),
                // If no state of the component enables it, there is nothing to find.
                Must::Strong { taken, .. } => self.to(at, |edge| taken.has(edge)),
            };
        }
        if at != entry || self.walked.is_empty() {
            let dst = &self.query.shape.dst;
            self.to(at, |edge| dst[edge] == entry);
        }
        self.walked
    }

    /// Walks on by a shortest way whose last transition is one of those looked for, and says where it ends; stays if
    /// there is none.
    fn to(&mut self, from: u32, found: impl Fn(u32) -> bool) -> u32 {
        let shape = self.query.shape;
        let mut via = Table::of((NONE, NONE), shape.len() as usize);
        let (mut order, mut next) = (vec![from], 0);
        while let Some(at) = order.get(next).copied() {
            next += 1;
            for edge in self.query.inner(at, self.own, self.label) {
                let to = shape.dst[edge];
                if found(edge) {
                    self.append(from, (at, edge), &via);
                    return to;
                }
                if to != from && via[to].0 == NONE {
                    via[to] = (at, edge);
                    order.push(to);
                }
            }
        }
        from
    }

    fn append(&mut self, from: u32, last: (u32, u32), via: &Table<(u32, u32)>) {
        let (mut steps, mut at) = (vec![last], last.0);
        while at != from {
            steps.push(via[at]);
            at = via[at].0;
        }
        self.walked.extend(steps.into_iter().rev());
    }
}
