//! A graph drawn by hand or by chance, as a model.

use relink_model::check::Chance;
use stateright::Model;

/// States are numbers below 64. Sets of them are bits, so that predicates need no more than the model.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drawn {
    /// Where it may begin.
    pub(crate) starts: Vec<u8>,
    /// From, to, and the action's name.
    pub(crate) edges: Vec<(u8, u8, u8)>,
    /// The states in which a coin chooses.
    pub(crate) random: u64,
    /// What the environment keeps up.
    pub(crate) assume: u64,
    /// Where a run must get.
    pub(crate) goal: u64,
    /// Whence it must get there.
    pub(crate) from: u64,
}

/// A graph whose environment keeps up everything, and that has no coins.
pub(crate) fn drawn(starts: &[u8], edges: &[(u8, u8)], goal: &[u8]) -> Drawn {
    let edges = edges.iter().map(|(from, to)| (*from, *to, 0)).collect();
    let goal = goal.iter().map(|state| 1 << state).sum();
    Drawn { starts: starts.to_vec(), edges, assume: u64::MAX, goal, ..Drawn::default() }
}

impl Drawn {
    pub(crate) fn assume(&self, state: &u8) -> bool {
        self.assume >> state & 1 == 1
    }

    pub(crate) fn goal(&self, state: &u8) -> bool {
        self.goal >> state & 1 == 1
    }

    pub(crate) fn from(&self, state: &u8) -> bool {
        self.from >> state & 1 == 1
    }
}

/// The definitions, over sets of states.
impl Drawn {
    pub(crate) fn starts(&self) -> u64 {
        self.starts.iter().fold(0, |set, state| set | 1 << state)
    }

    /// What can be reached from `starts` without leaving `keep`, in which they lie.
    pub(crate) fn reached(&self, starts: u64, keep: u64) -> u64 {
        let mut reached = starts;
        loop {
            let next = self.after(reached) & keep | reached;
            if next == reached {
                return reached;
            }
            reached = next;
        }
    }

    /// Steps from a start to the nearest state of a set that can be reached.
    pub(crate) fn distance(&self, to: u64) -> usize {
        let mut reached = self.starts();
        let mut steps = 0;
        while reached & to == 0 {
            reached |= self.after(reached);
            steps += 1;
        }
        steps
    }

    /// Whether a run can stay in a set for ever, whatever the coins give, and see all of it again and again.
    pub(crate) fn is_end_component(&self, set: u64) -> bool {
        let has = |state: u8| set >> state & 1 == 1;
        let members = || (0..64).filter(|state| has(*state));
        if set.count_ones() == 1 && !self.edges.iter().any(|edge| has(edge.0)) {
            return true;
        }
        let coins_stay = self.edges.iter().all(|edge| !has(edge.0) || !self.random(&edge.0) || has(edge.1));
        coins_stay && members().all(|state| self.reached(self.after(1 << state) & set, set) == set)
    }

    /// Whether a run that takes every step within a set again and again is fair to the actions of that label.
    pub(crate) fn is_fair(&self, set: u64, label: u8, strongly: bool) -> bool {
        let has = |state: u8| set >> state & 1 == 1;
        let mut edges = (0..self.edges.len()).filter(|edge| self.edges[*edge].2 == label && self.moves(*edge));
        let taken = edges.any(|edge| has(self.edges[edge].0) && has(self.edges[edge].1));
        let mut members = (0..64).filter(|state| has(*state));
        let excused = if strongly {
            members.all(|state| !self.enables(state, label))
        } else {
            members.any(|state| !self.enables(state, label))
        };
        taken || excused
    }

    pub(crate) fn enables(&self, state: u8, label: u8) -> bool {
        (0..self.edges.len()).any(|edge| self.edges[edge].0 == state && self.edges[edge].2 == label && self.moves(edge))
    }

    /// Whether a step changes anything.
    pub(crate) fn moves(&self, edge: usize) -> bool {
        self.edges[edge].0 != self.edges[edge].1
    }

    fn after(&self, set: u64) -> u64 {
        self.edges.iter().filter(|edge| set >> edge.0 & 1 == 1).fold(0, |next, edge| next | 1 << edge.1)
    }
}

/// Numbers by chance (SplitMix64), and graphs of them.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u8) -> u8 {
        u8::try_from(self.word() % u64::from(end)).expect("it is below a u8")
    }

    /// Two to seven states, and up to two and a half times as many transitions.
    pub(crate) fn graph(&mut self) -> Drawn {
        let states = 2 + self.below(6);
        let edges = self.below(states * 5 / 2 + 1);
        let mut graph = Drawn { starts: vec![self.below(states)], ..Drawn::default() };
        if self.below(4) == 0 {
            graph.starts.push(self.below(states));
        }
        graph.edges = (0..edges).map(|_| (self.below(states), self.below(states), self.below(3))).collect();
        graph.random = self.word() & self.word();
        graph.assume = self.word() | self.word();
        graph.goal = self.word() & self.word();
        graph.from = self.word();
        graph
    }
}

impl Model for Drawn {
    type State = u8;
    /// The number of the edge.
    type Action = usize;

    fn init_states(&self) -> Vec<u8> {
        self.starts.clone()
    }

    fn actions(&self, state: &u8, actions: &mut Vec<usize>) {
        actions.extend((0..self.edges.len()).filter(|edge| self.edges[*edge].0 == *state));
    }

    fn next_state(&self, _: &u8, action: usize) -> Option<u8> {
        Some(self.edges[action].1)
    }
}

impl Chance for Drawn {
    fn random(&self, state: &u8) -> bool {
        self.random >> state & 1 == 1
    }
}
