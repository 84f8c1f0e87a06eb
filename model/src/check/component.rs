//! The end components of a region of a graph, by Tarjan's algorithm without recursion.

use super::{
    graph::Shape,
    table::{Bits, NONE, Table},
};

/// What a run that stays in a component must see there again and again.
pub(super) enum Must {
    /// One of these states.
    See(Bits),
    /// One of these transitions.
    Take(Bits),
    /// One of the transitions, or a state that enables none.
    Weak { enabled: Bits, taken: Bits },
    /// One of the transitions, or no state that enables any.
    Strong { enabled: Bits, taken: Bits },
}

/// What an end component is looked for in, and what it must contain.
pub(super) struct Query<'a> {
    pub(super) shape: &'a Shape,
    /// The transitions that count; `None`: all.
    pub(super) edges: Option<&'a Bits>,
    /// The states in which a coin chooses.
    pub(super) random: &'a Bits,
    /// What the component must contain.
    pub(super) required: &'a [Must],
    /// A dead end is a component: the run stays there.
    pub(super) dead_ends: bool,
}

impl Query<'_> {
    fn counts(&self, edge: u32) -> bool {
        self.edges.is_none_or(|edges| edges.has(edge))
    }

    /// The transitions of a state that stay in the component of that name.
    pub(super) fn inner(&self, id: u32, own: u32, label: &Table<u32>) -> impl Iterator<Item = u32> {
        self.shape.edges(id).filter(move |edge| self.counts(*edge) && label[self.shape.dst[*edge]] == own)
    }

    /// The largest end components within `region` that satisfy the query: for each state the name of its component, or
    /// [`NONE`].
    pub(super) fn components(&self, region: &Bits) -> Table<u32> {
        let len = self.shape.len();
        let members: Vec<u32> = (0..len).filter(|id| region.has(*id)).collect();
        let mut label = Table::of(NONE, len as usize);
        members.iter().for_each(|id| label[*id] = 0);
        let mut tarjan = Tarjan {
            query: self,
            label,
            names: 0,
            index: Table::of(0, len as usize),
            low: Table::of(0, len as usize),
            stack: Vec::new(),
            calls: Vec::new(),
            pending: vec![members],
        };
        while let Some(members) = tarjan.pending.pop() {
            tarjan.split(&members);
        }
        tarjan.label
    }
}

/// Splits sets of states into strongly connected components, and those again where a state must be removed.
struct Tarjan<'a> {
    query: &'a Query<'a>,
    /// The set that a state is in: one that is still to be split, or a component that was accepted.
    label: Table<u32>,
    /// The last name given.
    names: u32,
    /// When a state was first seen, from 1 on; 0: not yet.
    index: Table<u32>,
    low: Table<u32>,
    stack: Vec<u32>,
    /// States being visited, and the transition of each to follow next.
    calls: Vec<(u32, u32)>,
    pending: Vec<Vec<u32>>,
}

impl Tarjan<'_> {
    fn split(&mut self, members: &[u32]) {
        let Some(set) = members.first().map(|id| self.label[*id]) else { return };
        let mut seen = 0;
        for root in members {
            if self.label[*root] == set && self.index[*root] == 0 {
                self.visit(*root, set, &mut seen);
            }
        }
    }

    fn visit(&mut self, root: u32, set: u32, seen: &mut u32) {
        self.enter(root, seen);
        while let Some((id, next)) = self.calls.last_mut() {
            let (id, edge) = (*id, *next);
            if edge == self.query.shape.off[id + 1] {
                self.calls.pop();
                if let Some((caller, _)) = self.calls.last() {
                    self.low[*caller] = self.low[*caller].min(self.low[id]);
                }
                if self.low[id] == self.index[id] {
                    self.leave(id);
                }
                continue;
            }
            *next += 1;
            let to = self.query.shape.dst[edge];
            // What has left for a component of its own no longer carries the name of the set.
            if self.label[to] != set || !self.query.counts(edge) {
                continue;
            }
            if self.index[to] == 0 {
                self.enter(to, seen);
            } else {
                self.low[id] = self.low[id].min(self.index[to]);
            }
        }
    }

    fn enter(&mut self, id: u32, seen: &mut u32) {
        *seen += 1;
        self.index[id] = *seen;
        self.low[id] = *seen;
        self.stack.push(id);
        self.calls.push((id, self.query.shape.off[id]));
    }

    /// The stack from `root` on is a strongly connected component.
    fn leave(&mut self, root: u32) {
        if self.stack.last() == Some(&root) && !self.stays(root) {
            self.stack.pop();
            self.label[root] = NONE;
            return;
        }
        let start = self.stack.iter().rposition(|id| *id == root).unwrap_or_default();
        let members = self.stack.split_off(start);
        self.names += 1;
        for id in &members {
            self.label[*id] = self.names;
            self.index[*id] = 0;
        }
        let removed = self.removed(&members);
        removed.iter().for_each(|id| self.label[*id] = NONE);
        if !removed.is_empty() && removed.len() < members.len() {
            self.pending.push(members.into_iter().filter(|id| self.label[*id] != NONE).collect());
        }
    }

    /// The states of a strongly connected component that are in no end component of the query; none: it is one itself.
    fn removed(&self, members: &[u32]) -> Vec<u32> {
        for must in self.query.required {
            match must {
                met if self.met(met, members) => {}
                Must::Strong { enabled, .. } => return members.iter().copied().filter(|id| enabled.has(*id)).collect(),
                Must::See(_) | Must::Take(_) | Must::Weak { .. } => return members.to_vec(),
            }
        }
        members.iter().copied().filter(|id| self.escapes(*id)).collect()
    }

    fn met(&self, must: &Must, members: &[u32]) -> bool {
        let takes = |edges: &Bits| {
            members.iter().any(|id| self.query.inner(*id, self.label[*id], &self.label).any(|edge| edges.has(edge)))
        };
        match must {
            Must::See(states) => members.iter().any(|id| states.has(*id)),
            Must::Take(edges) => takes(edges),
            Must::Weak { enabled, taken } => members.iter().any(|id| !enabled.has(*id)) || takes(taken),
            Must::Strong { enabled, taken } => members.iter().all(|id| !enabled.has(*id)) || takes(taken),
        }
    }

    /// Whether a run can stay in a single state: by a transition to itself, or because there is no other.
    fn stays(&self, id: u32) -> bool {
        let Query { shape, dead_ends, .. } = *self.query;
        shape.edges(id).any(|edge| shape.dst[edge] == id && self.query.counts(edge))
            || dead_ends && shape.is_dead_end(id)
    }

    /// Whether a coin may lead out of the component of a state.
    fn escapes(&self, id: u32) -> bool {
        self.query.random.has(id)
            && self.query.shape.edges(id).any(|edge| self.label[self.query.shape.dst[edge]] != self.label[id])
    }
}
