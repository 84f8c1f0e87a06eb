//! A counterexample of a pool's world as the pool was driven: times that go on, names that never come twice.

use relink::{
    Frame, Policy, Preference, Span,
    adapter::{Record, Step},
    fence::Fence,
    link,
    pool::{Command, Event, Pool},
};

use super::{
    NOW,
    ghost::Ghost,
    world::{Action, State, World},
};
use crate::{
    catalogue::run::{Machine, Real, Run},
    check::Counterexample,
};

impl World {
    /// What the pool was told along the way, and what the world took for its answers.
    pub(super) fn rerun(&self, found: &Counterexample<Self>) -> Run {
        let (mut real, mut steps) = (Real::new(), Vec::new());
        // The world's first act, before its first state.
        let frame = Frame { now: NOW, origin: NOW, dials: &[], leases: &[], topology: 0 };
        let pool = Pool::new(&self.driven, self.endpoints).seen_from(&self.driven, &frame);
        let (fence, preference) = (Fence::default(), Preference::default());
        let state = State { pool, fence, preference, ghost: Ghost::default() };
        steps.push(self.step_of(&mut real, &mut state.clone(), Event::Elapsed, 0));
        let mut stem = 0;
        for (place, (state, action)) in found.stem.steps.iter().chain(&found.cycle).enumerate() {
            if place == found.stem.steps.len() {
                stem = steps.len();
            }
            match *action {
                Action::Tick => real.pass(Span::from_millis(1)),
                Action::Jump => real.pass(self.jump.unwrap_or_default()),
                // The pool is not told.
                Action::Work(..) | Action::Die(_) | Action::Arrive | Action::FailOver | Action::Promote => {}
                Action::Tell(event, chance) => {
                    let mut state = state.clone();
                    for event in self.told(&state, event).into_iter().flatten() {
                        steps.push(self.step_of(&mut real, &mut state, event, chance));
                    }
                }
            }
        }
        let record = Record { policy: Policy::clone(&self.policy), endpoints: self.endpoints, steps };
        Run {
            property: String::new(),
            world: self.name.to_owned(),
            forever_from: (!found.cycle.is_empty()).then_some(stem),
            until: real.now,
            record: Machine::Pool(record),
        }
    }

    fn step_of(&self, real: &mut Real, state: &mut State, event: Event, chance: u64) -> Step {
        let State { pool, ghost, .. } = state;
        let mut commands = Vec::new();
        ghost.observe(event, &self.policy);
        self.step(pool, ghost, event, chance, &mut commands);
        if matches!(event, Event::Asked { .. }) {
            real.asked();
        }
        let event = event_of(real, event);
        for command in &mut commands {
            *command = command_of(real, *command);
        }
        match event {
            Event::Gone { dial, .. } | Event::DialFailed { dial, .. } => real.dials.retain(|known| *known != dial),
            Event::GaveUp { lease } | Event::Returned { lease, .. } | Event::Discarded { lease, .. } => {
                real.leases.retain(|known| *known != lease);
            }
            Event::Asked { .. } | Event::Ended { .. } | Event::Worked { .. } | Event::Lost { .. } => {}
            Event::Accepted { .. } | Event::Dialed { .. } | Event::Proved { .. } | Event::Unproved { .. } => {}
            Event::Unheard { .. } | Event::FoundAlive { .. } | Event::Undecided { .. } | Event::FoundDead { .. } => {}
            Event::Demoted | Event::Renewed => {}
            Event::Resized { .. } | Event::Paused | Event::Resumed | Event::Stopped { .. } | Event::Elapsed => {}
        }
        for command in &commands {
            match *command {
                Command::Dial { dial, .. } => real.dialed(dial),
                Command::Refuse { lease, .. } | Command::Report { lease, .. } => {
                    real.leases.retain(|known| *known != lease);
                }
                Command::Link {
                    command:
                        link::Command::Probe { dial, by }
                        | link::Command::Reset { dial, by }
                        | link::Command::Inquire { dial, by }
                        | link::Command::Ask { dial, by },
                    ..
                } => real.question(dial, by),
                Command::Link { .. } | Command::Grant { .. } => {}
            }
        }
        Step { now: real.now, event, chance, commands }
    }
}

/// The same event by its real names.
fn event_of(real: &Real, event: Event) -> Event {
    match event {
        Event::Asked { lease, deadline } => Event::Asked { lease: real.lease(lease), deadline: real.at(deadline) },
        Event::GaveUp { lease } => Event::GaveUp { lease: real.lease(lease) },
        Event::Returned { slot, lease, work } => Event::Returned { slot, lease: real.lease(lease), work },
        Event::Ended { slot, lease, work } => Event::Ended { slot, lease: real.lease(lease), work },
        Event::Discarded { slot, lease } => Event::Discarded { slot, lease: real.lease(lease) },
        Event::Worked { slot, lease, work, heard_at } => {
            Event::Worked { slot, lease: real.lease(lease), work, heard_at: real.ago(heard_at) }
        }
        Event::Accepted { slot, dial } => Event::Accepted { slot, dial: real.dial(dial) },
        Event::Dialed { slot, dial } => Event::Dialed { slot, dial: real.dial(dial) },
        Event::DialFailed { slot, dial, fault } => Event::DialFailed { slot, dial: real.dial(dial), fault },
        Event::Proved { slot, dial, by } => {
            let dial = real.dial(dial);
            Event::Proved { slot, dial, by: real.answer(dial, by) }
        }
        Event::Unproved { slot, dial, by, fault } => {
            let dial = real.dial(dial);
            Event::Unproved { slot, dial, by: real.answer(dial, by), fault }
        }
        Event::FoundAlive { slot, dial, by } => {
            let dial = real.dial(dial);
            Event::FoundAlive { slot, dial, by: real.answer(dial, by) }
        }
        Event::Unheard { slot, dial, by } => {
            let dial = real.dial(dial);
            Event::Unheard { slot, dial, by: real.answer(dial, by) }
        }
        Event::Undecided { slot, dial, by } => {
            let dial = real.dial(dial);
            Event::Undecided { slot, dial, by: real.answer(dial, by) }
        }
        Event::FoundDead { slot, dial, by } => {
            let dial = real.dial(dial);
            Event::FoundDead { slot, dial, by: real.answer(dial, by) }
        }
        Event::Lost { slot, dial, fault } => Event::Lost { slot, dial: real.dial(dial), fault },
        Event::Gone { slot, dial } => Event::Gone { slot, dial: real.dial(dial) },
        Event::Stopped { deadline } => Event::Stopped { deadline: real.at(deadline) },
        Event::Demoted | Event::Renewed | Event::Resized { .. } | Event::Paused | Event::Resumed | Event::Elapsed => {
            event
        }
    }
}

/// The same command by its real names.
fn command_of(real: &Real, command: Command) -> Command {
    match command {
        Command::Dial { slot, dial } => Command::Dial { slot, dial: real.dial(dial) },
        Command::Grant { lease, slot, dial } => {
            Command::Grant { lease: real.lease(lease), slot, dial: real.dial(dial) }
        }
        Command::Refuse { lease, refusal } => Command::Refuse { lease: real.lease(lease), refusal },
        Command::Report { slot, lease, fault, cause } => {
            Command::Report { slot, lease: real.lease(lease), fault, cause }
        }
        Command::Link { slot, command } => {
            let command = match command {
                link::Command::Abort(dial) => link::Command::Abort(real.dial(dial)),
                link::Command::Close(dial) => link::Command::Close(real.dial(dial)),
                link::Command::Probe { dial, by } => link::Command::Probe { dial: real.dial(dial), by: real.at(by) },
                link::Command::Reset { dial, by } => link::Command::Reset { dial: real.dial(dial), by: real.at(by) },
                link::Command::Inquire { dial, by } => {
                    link::Command::Inquire { dial: real.dial(dial), by: real.at(by) }
                }
                link::Command::Ask { dial, by } => link::Command::Ask { dial: real.dial(dial), by: real.at(by) },
                link::Command::Look(lease) => link::Command::Look(real.lease(lease)),
                link::Command::Warn(lease) => link::Command::Warn(real.lease(lease)),
            };
            Command::Link { slot, command }
        }
    }
}
