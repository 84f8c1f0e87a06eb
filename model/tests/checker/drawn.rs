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
