//! The whole reachable graph of a model.

use std::{hash::BuildHasher, ops::Range, time::Instant};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::{
    Chance,
    table::{NONE, Table},
};

/// What an exploration may hold. Reaching it stops with an error, never with a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Bytes of states, their index and their transitions, at any moment; and of these together with what judging them takes.
    /// What the few states lead to that are being expanded is not counted.
    pub bytes: usize,
}

/// The most bytes that judging one claim takes beside the graph, for each state and each transition: tables and stacks of the
/// search for components, or the values of an expectation. A test measures both. A counterexample, which is short, is not
/// counted.
const JUDGING: [usize; 2] = [80, 5];

impl Default for Limit {
    /// 4 GiB: forty million states of a hundred bytes all in.
    fn default() -> Self {
        Self { bytes: 4 << 30 }
    }
}

/// Why an exploration ended before it had seen everything. Nothing is known of what it has not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Stopped {
    /// More memory than the limit would be needed.
    #[error("stopped at {states} states: {bytes} bytes are more than the limit of {limit}")]
    Memory {
        /// States found so far.
        states: usize,
        /// Bytes that the next state or transition, or judging them all, would have needed in all.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// States or transitions have run out of numbers, which are 32 bits wide.
    #[error("stopped at {states} states: states and transitions are numbered with 32 bits")]
    Numbers {
        /// States found so far.
        states: usize,
    },
    /// No initial state lies within the boundary: everything would hold in vain.
    #[error("the model has no initial state")]
    Empty,
}

/// The transitions of a graph: those of state `s` are numbered `off[s]..off[s + 1]`, in the order of its actions.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) off: Table<u32>,
    pub(super) dst: Table<u32>,
}

impl Shape {
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.off.0.len().saturating_sub(1)).unwrap_or(NONE)
    }

    pub(super) fn edges(&self, id: u32) -> Range<u32> {
        self.off[id]..self.off[id + 1]
    }

    pub(super) fn is_dead_end(&self, id: u32) -> bool {
        self.edges(id).is_empty()
    }
}

/// Every reachable state of a model and every transition between them.
///
/// States are compared by `Eq`, not by fingerprint, and numbered `0..states()` in the order of a breadth-first search:
/// a smaller number is never farther from the start. Transitions that [`Model::within_boundary`] cuts are no
/// transitions, and [`Graph::cut`] counts them: where it is not 0, verdicts speak of the model within its boundary.
///
/// [`Model::within_boundary`]: stateright::Model::within_boundary
#[derive(Debug)]
pub struct Graph<'m, M: Chance> {
    pub(super) model: &'m M,
    pub(super) states: Table<M::State>,
    pub(super) shape: Shape,
    /// The state from which each was first found; [`NONE`]: it is initial.
    pub(super) parent: Table<u32>,
    cut: usize,
    bytes: usize,
    kept: usize,
    seconds: f64,
}

/// Explores all of a model.
///
/// # Errors
///
/// [`Stopped`] if the model does not fit the limit, or has no initial state.
pub fn explore<M: Chance>(model: &M, limit: Limit) -> Result<Graph<'_, M>, Stopped> {
    explore_watched(model, limit, |_| {})
}

/// Explores all of a model, and says every 65,536 states how many were found so far.
///
/// # Errors
///
/// As [`explore`].
pub fn explore_watched<M: Chance>(
    model: &M,
    limit: Limit,
    mut found: impl FnMut(usize),
) -> Result<Graph<'_, M>, Stopped> {
    let started = Instant::now();
    let mut search = Search::new(model, limit);
    for state in model.init_states() {
        if model.within_boundary(&state) {
            let half = search.half_hash(&state);
            search.intern(state, NONE, half)?;
        }
    }
    let (mut next, mut actions, mut successors) = (0, Vec::new(), Vec::new());
    while next < search.next_id() {
        let batch = next..search.next_id().min(next.saturating_add(BATCH));
        next = batch.end;
        search.expand(batch.clone(), &mut actions, &mut successors)?;
        if batch.start >> 16 != batch.end >> 16 {
            found(search.states.0.len());
        }
    }
    if next == 0 {
        return Err(Stopped::Empty);
    }
    search.mark_offset()?;
    let Search { states, parent, off, dst, cut, held, .. } = search;
    let (shape, seconds) = (Shape { off, dst }, started.elapsed().as_secs_f64());
    let graph = Graph { model, states, shape, parent, cut, bytes: held.most, kept: held.bytes, seconds };
    match graph.needs() {
        bytes if bytes > limit.bytes => Err(Stopped::Memory { states: graph.states(), bytes, limit: limit.bytes }),
        _ => Ok(graph),
    }
}

impl<M: Chance> Graph<'_, M> {
    /// Distinct reachable states.
    pub fn states(&self) -> usize {
        self.states.0.len()
    }

    /// Transitions: for each state, its actions that lead to a state, those that lead to the same one included.
    pub fn transitions(&self) -> usize {
        self.shape.dst.0.len()
    }

    /// Transitions that the model's boundary has cut.
    pub fn cut(&self) -> usize {
        self.cut
    }

    /// The most bytes that the exploration held at once, growing included.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bytes that judging one of its claims takes at most, beside what is held.
    pub fn judging_bytes(&self) -> usize {
        let [state, transition] = JUDGING;
        self.states().saturating_mul(state).saturating_add(self.transitions().saturating_mul(transition))
    }

    /// The least [`Limit::bytes`] with which it is explored and judged.
    pub fn needs(&self) -> usize {
        self.bytes.max(self.kept.saturating_add(self.judging_bytes()))
    }

    /// How long the exploration took.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// The state of that number, if there is one.
    pub fn state(&self, id: u32) -> Option<&M::State> {
        self.states.0.get(id as usize)
    }

    /// Where the actions of a state lead, in their order; nothing for a number that no state has.
    pub fn successors(&self, id: u32) -> &[u32] {
        if id >= self.shape.len() {
            return &[];
        }
        let edges = self.shape.edges(id);
        self.shape.dst.0.get(edges.start as usize..edges.end as usize).unwrap_or_default()
    }

    /// The first state, in the order of distance from the start, of which that is true.
    pub fn find(&self, holds: fn(&M, &M::State) -> bool) -> Option<u32> {
        self.ids().find(|id| holds(self.model, &self.states[*id]))
    }

    pub(super) fn ids(&self) -> Range<u32> {
        0..self.shape.len()
    }
}

/// Counts what is held.
struct Held {
    bytes: usize,
    most: usize,
    limit: usize,
}

impl Held {
    fn take(&mut self, bytes: usize, states: usize) -> Result<(), Stopped> {
        self.bytes = self.bytes.saturating_add(bytes);
        self.most = self.most.max(self.bytes);
        if self.bytes > self.limit {
            return Err(Stopped::Memory { states, bytes: self.bytes, limit: self.limit });
        }
        Ok(())
    }

    /// Makes room for one more, by half as much again: both the old and the new are held for a moment.
    fn grow<T>(&mut self, vec: &mut Vec<T>, states: usize) -> Result<(), Stopped> {
        if vec.len() < vec.capacity() {
            return Ok(());
        }
        let (old, more) = (vec.capacity(), vec.capacity() / 2 + 64);
        self.take((old + more) * size_of::<T>(), states)?;
        vec.reserve_exact(more);
        self.bytes -= old * size_of::<T>();
        Ok(())
    }
}

/// A state in the index. Half of its hash stays with it, so that the index grows without hashing any state again.
#[derive(Clone, Copy)]
struct Entry {
    id: u32,
    half: u32,
}

impl Entry {
    /// What stands for the hash of a state of which this is half.
    fn hash_of(half: u32) -> u64 {
        u64::from(half) << 32 | u64::from(half)
    }

    fn hash(&self) -> u64 {
        Self::hash_of(self.half)
    }
}

/// How many states are expanded at once.
const BATCH: u32 = 32;

/// Where a transition leads.
struct Successor<S> {
    state: S,
    parent: u32,
    half: u32,
    /// Its number, where it is known to have one; else [`NONE`].
    known: u32,
}

/// An exploration under way.
struct Search<'m, M: Chance> {
    model: &'m M,
    hasher: DefaultHashBuilder,
    index: HashTable<Entry>,
    states: Table<M::State>,
    parent: Table<u32>,
    off: Table<u32>,
    dst: Table<u32>,
    cut: usize,
    held: Held,
}

impl<'m, M: Chance> Search<'m, M> {
    fn new(model: &'m M, limit: Limit) -> Self {
        Self {
            model,
            hasher: DefaultHashBuilder::default(),
            index: HashTable::new(),
            states: Table(Vec::new()),
            parent: Table(Vec::new()),
            off: Table(Vec::new()),
            dst: Table(Vec::new()),
            cut: 0,
            held: Held { bytes: 0, most: 0, limit: limit.bytes },
        }
    }

    /// The number that the next new state will have.
    fn next_id(&self) -> u32 {
        u32::try_from(self.states.0.len()).unwrap_or(NONE)
    }

    /// Appends the transitions of a few states, of which all before were expanded.
    fn expand(
        &mut self,
        batch: Range<u32>,
        actions: &mut Vec<M::Action>,
        successors: &mut Vec<Successor<M::State>>,
    ) -> Result<(), Stopped> {
        for parent in batch.clone() {
            self.model.actions(&self.states[parent], actions);
            for action in actions.drain(..) {
                let Some(state) = self.model.next_state(&self.states[parent], action) else { continue };
                if self.model.within_boundary(&state) {
                    let half = self.half_hash(&state);
                    successors.push(Successor { state, parent, half, known: NONE });
                } else {
                    self.cut += 1;
                }
            }
        }
        // Each takes an access to the index and one to a state, both far away in memory. The processor waits for those of a
        // batch at once where they do not depend on each other.
        for Successor { half, known, .. } in &mut *successors {
            let likely = self.index.find(Entry::hash_of(*half), |entry| entry.half == *half);
            *known = likely.map_or(NONE, |entry| entry.id);
        }
        for Successor { state, known, .. } in &mut *successors {
            if *known != NONE && self.states[*known] != *state {
                *known = NONE;
            }
        }
        let mut unmarked = batch.clone();
        for Successor { state, parent, half, known } in successors.drain(..) {
            while unmarked.start <= parent {
                self.mark_offset()?;
                unmarked.start += 1;
            }
            let to = if known == NONE { self.intern(state, parent, half)? } else { known };
            self.held.grow(&mut self.dst.0, self.states.0.len())?;
            self.dst.0.push(to);
        }
        unmarked.try_for_each(|_| self.mark_offset())
    }

    fn half_hash(&self, state: &M::State) -> u32 {
        u32::try_from(self.hasher.hash_one(state) >> 32).unwrap_or_default()
    }

    fn mark_offset(&mut self) -> Result<(), Stopped> {
        let states = self.states.0.len();
        let offset = u32::try_from(self.dst.0.len()).ok().filter(|offset| *offset != NONE);
        self.held.grow(&mut self.off.0, states)?;
        self.off.0.push(offset.ok_or(Stopped::Numbers { states })?);
        Ok(())
    }

    /// The number of a state, a new one if it was never seen.
    fn intern(&mut self, state: M::State, parent: u32, half: u32) -> Result<u32, Stopped> {
        let hash = Entry::hash_of(half);
        if let Some(known) = self.index.find(hash, |entry| entry.half == half && self.states[entry.id] == state) {
            return Ok(known.id);
        }
        let states = self.states.0.len();
        let id = u32::try_from(states).ok().filter(|id| *id != NONE).ok_or(Stopped::Numbers { states })?;
        self.make_room(&state)?;
        self.index.insert_unique(hash, Entry { id, half }, Entry::hash);
        self.states.0.push(state);
        self.parent.0.push(parent);
        Ok(id)
    }

    fn make_room(&mut self, state: &M::State) -> Result<(), Stopped> {
        let states = self.states.0.len();
        self.held.take(self.model.owned_bytes(state), states)?;
        self.held.grow(&mut self.states.0, states)?;
        self.held.grow(&mut self.parent.0, states)?;
        if self.index.len() == self.index.capacity() {
            // A hash table doubles, and holds both for a moment.
            let old = self.index.allocation_size();
            self.held.take(2 * old, states)?;
            self.index.reserve(1, Entry::hash);
            self.held.bytes = self.held.bytes + self.index.allocation_size() - 3 * old;
        }
        Ok(())
    }
}
