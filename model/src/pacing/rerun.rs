//! A counterexample of a process as its pacer was driven: times that go on, names that never come twice.

use relink::{
    Policy,
    pacer::{Command, Event},
};

use super::world::{Action, State, World};
use crate::{
    catalogue::run::{Machine, Paced, Real, Run, Step},
    check::Counterexample,
};

impl World {
    /// What the pacer was told along the way, and what the world took for its answers.
    pub(super) fn rerun(&self, found: &Counterexample<Self>) -> Run {
        let (mut real, mut steps) = (Real::new(), Vec::new());
        let mut stem = 0;
        for (place, (state, action)) in found.stem.steps.iter().chain(&found.cycle).enumerate() {
            if place == found.stem.steps.len() {
                stem = steps.len();
            }
            self.retrace(&mut real, &mut steps, state, *action);
        }
        let record = Paced { policy: Policy::clone(&self.policy), endpoints: self.endpoints, steps };
        Run {
            property: String::new(),
            world: self.name.to_owned(),
            forever_from: (!found.cycle.is_empty()).then_some(stem),
            until: real.now,
            record: Machine::Pacer(record),
        }
    }

    fn retrace(&self, real: &mut Real, steps: &mut Vec<Step>, state: &State, action: Action) {
        if action == Action::Tick {
            real.pass(self.tick);
        }
        let Some((mut state, mut event, chance)) = self.event(state, action) else { return };
        let first = steps.len();
        loop {
            steps.push(self.step_of(real, &state, event, chance));
            state = self.told(&state, event, chance);
            // As the world does: once a race is won, it gives up the dials that lost it.
            let won = matches!(action, Action::Tell(Event::Dialed { .. }, _));
            match self.beaten(&state).filter(|_| won) {
                Some(dial) => event = Event::Abandoned { dial },
                None => break,
            }
        }
        // The world renames when all of it has happened.
        for step in steps.iter().skip(first) {
            if let Event::Dialed { dial } | Event::Failed { dial, .. } | Event::Abandoned { dial } = step.event {
                real.dials.retain(|known| *known != dial);
            }
            if let Some(Command::Dial { dial, .. }) = step.command {
                real.dialed(dial);
            }
        }
    }

    fn step_of(&self, real: &Real, state: &State, event: Event, chance: u64) -> Step {
        let (_, command) = self.step(state, event, chance);
        let named = match event {
            Event::Dialed { dial } => Event::Dialed { dial: real.dial(dial) },
            Event::Failed { dial, fault } => Event::Failed { dial: real.dial(dial), fault },
            Event::Abandoned { dial } => Event::Abandoned { dial: real.dial(dial) },
            Event::Requested { .. } | Event::Lost { .. } | Event::Retired { .. } | Event::Renewed => event,
        };
        let command = command.map(|Command::Dial { dial, deadline }| Command::Dial {
            dial: real.dial(dial),
            deadline: real.at(deadline),
        });
        Step { now: real.now, event: named, chance, command }
    }
}
