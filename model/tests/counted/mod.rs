//! A second opinion on how many states a model has: that of stateright's breadth-first search.

use std::hash::Hash;

use stateright::{Checker, Model, Property};

/// The distinct states that stateright finds.
pub(crate) fn by_stateright<M>(model: M) -> usize
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + PartialEq + Hash + Send + Sync + 'static,
    M::Action: Clone + PartialEq,
{
    Counted(model).checker().threads(1).spawn_bfs().join().unique_state_count()
}

/// Stateright stops when nothing is left to be judged, so one claim that is always true makes it see everything.
struct Counted<M>(M);

impl<M: Model> Model for Counted<M> {
    type State = M::State;
    type Action = M::Action;

    fn init_states(&self) -> Vec<M::State> {
        self.0.init_states()
    }

    fn actions(&self, state: &M::State, actions: &mut Vec<M::Action>) {
        self.0.actions(state, actions);
    }

    fn next_state(&self, last: &M::State, action: M::Action) -> Option<M::State> {
        self.0.next_state(last, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("true", |_, _| true)]
    }
}
