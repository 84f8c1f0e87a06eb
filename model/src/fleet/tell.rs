//! What happens in a fleet, in words.

use super::{
    Action, Fleet, State,
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
        match action {
            Action::Tick(arrivals) if arrivals.places().is_empty() => ("time", "passes".to_owned()),
            Action::Tick(arrivals) => {
                let each: Vec<_> = arrivals.places().iter().map(u8::to_string).collect();
                ("time", format!("passes; the dials of {} arrive", each.join(", ")))
            }
            Action::Crash => ("server", "goes down".to_owned()),
            Action::Return => ("server", "comes back".to_owned()),
            Action::Lose(place) => ("server", format!("loses the session of {place}")),
            Action::Draw(outcome) => {
                let place = self.drawing(state).map_or_else(String::new, |place| format!(" of {place}"));
                ("coin", format!("outcome {outcome} for the wait{place}"))
            }
        }
    }

    fn place(&self, state: &State) -> String {
        self.tell(state)
    }
}

impl Claims for Fleet {
    fn name(&self) -> &'static str {
        "fleet"
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
