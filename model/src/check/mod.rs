//! A small sound model checker: everything a [`Model`] can do, and whether a claim about it is true.
//!
//! [`explore`] interns every reachable state exactly and keeps the graph; [`Graph::judge`] decides a [`Form`] on it.
//! No depth, no timeout, no sample: an exploration that does not fit its [`Limit`] is an error, never a pass.
//!
//! A *run* begins in an initial state and goes on for ever; where no action leads to a state, it stays where it is for
//! ever. What happens next is an adversary's choice, but in the states that [`Chance::random`] names it is a coin's, and
//! a coin gives every outcome again and again. A claim is falsified if the adversary can bring about, with a probability
//! above nothing, a run that breaks it; the probabilities themselves do not matter, only what can happen.
//!
//! So a claim of what must happen in the end is false exactly if an *end component* that breaks it can be reached: a set
//! of states in which the adversary can stay for ever whatever the coins give, and see all of it again and again (de
//! Alfaro, *Formal Verification of Probabilistic Systems*, 1997).

mod component;
mod expected;
mod graph;
mod judge;
mod path;
mod table;

use std::{fmt::Debug, hash::Hash};

use stateright::Model;

pub use expected::{Case, Expected, SWEEPS_MAX};
pub use graph::{Graph, Limit, Stopped, explore, explore_watched};

/// A model, and what the checker must know of it beside its transitions.
pub trait Chance: Model<State: Clone + Debug + Eq + Hash, Action: Clone + Debug> {
    /// Whether a coin, not an adversary, chooses what happens next in a state. The coin chooses among the actions that
    /// lead to a state.
    fn random(&self, _state: &Self::State) -> bool {
        false
    }

    /// The bytes that a state owns beyond its own size, counted against [`Limit::bytes`].
    fn owned_bytes(&self, _state: &Self::State) -> usize {
        0
    }
}

/// One claim about a model. The predicates are plain functions: what they depend on lies in the model.
#[derive(Debug)]
pub enum Form<M: Chance> {
    /// □p: in every reachable state.
    Always(fn(&M, &M::State) -> bool),
    /// In some reachable state: a witness that others do not hold in vain.
    Reaches(fn(&M, &M::State) -> bool),
    /// ◇goal: every run gets there, almost surely where there are coins.
    Eventually {
        /// Where every run must get.
        goal: fn(&M, &M::State) -> bool,
    },
    /// ◇□assume ⇒ □◇goal: whatever run satisfies `assume` from some moment on, gets to the goal again and again.
    Recurs {
        /// What the environment keeps up from some moment on.
        assume: fn(&M, &M::State) -> bool,
        /// Where such a run gets again and again.
        goal: fn(&M, &M::State) -> bool,
    },
    /// ◇□assume ⇒ ◇□goal: whatever run satisfies `assume` from some moment on, gets to the goal and stays.
    Persists {
        /// What the environment keeps up from some moment on.
        assume: fn(&M, &M::State) -> bool,
        /// Where such a run stays in the end.
        goal: fn(&M, &M::State) -> bool,
    },
    /// ◇□assume ⇒ □(from ⇒ ◇to): whatever run satisfies `assume` from some moment on, has been at `to` in or after
    /// every state in which `from` holds, also one before that moment.
    LeadsTo {
        /// What the environment keeps up from some moment on.
        assume: fn(&M, &M::State) -> bool,
        /// Whence a run must get there.
        from: fn(&M, &M::State) -> bool,
        /// Where it must get.
        to: fn(&M, &M::State) -> bool,
    },
    /// No cycle lies `within`, takes only transitions `along` which it may go, and takes one of them that leads
    /// `through`. Coins are no help: they may give what closes the cycle. A dead end is no cycle.
    NoCycle {
        /// The states of the cycle.
        within: fn(&M, &M::State) -> bool,
        /// The transitions that it may take.
        along: fn(&M, &M::State, &M::Action, &M::State) -> bool,
        /// Those of which it takes at least one.
        through: fn(&M, &M::State, &M::Action, &M::State) -> bool,
    },
}

/// What the adversary may not do for ever, in the claims of what must happen in the end. An assumption says more, is
/// cheaper to check, and has no traps: weak fairness is void for an action that other steps keep interrupting, and strong
/// fairness of every outcome of a draw is still weaker than a coin. A step that changes nothing neither counts as the
/// action nor enables it.
#[derive(Debug)]
pub enum Fair<M: Chance> {
    /// An action that is possible from some moment on is taken again and again.
    Weak(fn(&M, &M::Action) -> bool),
    /// An action that is possible again and again is taken again and again.
    Strong(fn(&M, &M::Action) -> bool),
}

/// What was found of a claim.
#[derive(Clone, Debug)]
pub enum Verdict<M: Chance> {
    /// It is true.
    Holds,
    /// It is false, and this is how.
    Falsified(Counterexample<M>),
    /// No reachable state is the one that [`Form::Reaches`] asks for. All of them were looked at.
    Unreached,
}

impl<M: Chance> Verdict<M> {
    /// Whether the claim is true.
    pub fn holds(&self) -> bool {
        matches!(self, Self::Holds)
    }
}

/// A path: each state with the action that was taken in it, and where it ends.
#[derive(Clone, Debug)]
pub struct Path<M: Chance> {
    /// The states before the last, with the action taken in each.
    pub steps: Vec<(M::State, M::Action)>,
    /// The state in which the path ends.
    pub last: M::State,
}

/// A run that breaks a claim: a stem, and what happens for ever after.
#[derive(Clone, Debug)]
pub struct Counterexample<M: Chance> {
    /// From an initial state to the broken state, the dead end, or the first state of the cycle.
    pub stem: Path<M>,
    /// From the last state of the stem back to it, with all that the run must see again and again. Empty if the stem
    /// ends in a broken state or in a dead end.
    pub cycle: Vec<(M::State, M::Action)>,
    /// The states among which the adversary can keep the run for ever, whatever the coins give; 1 at a broken state or
    /// a dead end. Without coins the cycle itself is such a run.
    pub component: usize,
}
