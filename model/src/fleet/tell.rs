//! What happens in a fleet, in words.

use std::fmt;

use relink::Policy;

use super::{
    Action, Fleet, State,
    table::Id,
    world::{RECOVERS, TIME_PASSES},
};
use crate::{
    catalogue::story::Tell,
    claim::{Claim, Claims},
};

impl Tell for Fleet {
    fn passes(&self, action: &Action) -> u64 {
        u64::from(matches!(action, Action::Tick(_)))
    }

    fn event(&self, state: &State, action: &Action) -> (&'static str, String) {
        let (who, what) = told(action);
        let whose = self.drawing(state).filter(|_| matches!(action, Action::Draw(_)));
        (who, whose.map_or_else(|| what.clone(), |place| format!("{what} of {place}")))
    }

    fn place(&self, state: &State) -> String {
        self.tell(state)
    }
}

impl Claims for Fleet {
    fn name(&self) -> &'static str {
        "fleet"
    }

    fn driven(&self) -> &Policy {
        &self.policy
    }

    fn claims(&self) -> Vec<Claim<Self>> {
        let none_online = |fleet: &Self, state: &State| fleet.up(state) && fleet.none_online(state);
        let busy = |fleet: &Self, state: &State| fleet.backlog(state) > 0 || fleet.backlog_max() == 0;
        vec![
            Claim::new("L2", RECOVERS),
            // Where time stood still, L2 would hold of nothing.
            Claim::new("time passes", TIME_PASSES),
            Claim::reaches("all offline while the server is up", none_online),
            Claim::reaches("a busy server", busy),
        ]
    }
}

/// Without its fleet a state is known by the numbers of its processes.
impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, backlog {}", if self.up { "up" } else { "down" }, self.backlog)?;
        self.processes.iter().filter(|id| **id != Id::NONE).try_for_each(|id| write!(f, "\n{id:?}"))
    }
}

/// Who, and what.
fn told(action: &Action) -> (&'static str, String) {
    match action {
        Action::Tick(arrivals) if arrivals.places().is_empty() => ("time", "passes".to_owned()),
        Action::Tick(arrivals) => {
            let each: Vec<_> = arrivals.places().iter().map(u8::to_string).collect();
            ("time", format!("passes; the dials of {} arrive", each.join(", ")))
        }
        Action::Crash => ("server", "goes down".to_owned()),
        Action::Return => ("server", "comes back".to_owned()),
        Action::Lose(place) => ("server", format!("loses the session of {place}")),
        Action::Draw(outcome) => ("coin", format!("outcome {outcome} for the wait")),
    }
}

/// The same in one line.
pub(super) fn action(action: &Action) -> String {
    let (who, what) = told(action);
    format!("{who} {what}")
}
