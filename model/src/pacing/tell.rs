//! What happens in a world of pacing, in words.

use relink::{Time, pacer::Event};

use super::world::{Action, State, World};
use crate::{
    catalogue::{run::Run, story::Tell},
    check::Counterexample,
    show,
    worlds::NOW,
};

impl Tell for World {
    fn passes(&self, action: &Action) -> u64 {
        if *action == Action::Tick { self.tick.as_millis() } else { 0 }
    }

    fn event(&self, state: &State, action: &Action) -> (&'static str, String) {
        match *action {
            Action::Dial(_) => ("process", format!("dials endpoint {}", self.next(state).endpoint)),
            Action::Tick | Action::Tell(..) | Action::Lose(..) | Action::Close(_) | Action::Promise(_) => told(action),
        }
    }

    fn run(&self, found: &Counterexample<Self>) -> Option<Run> {
        Some(self.rerun(found))
    }

    fn place(&self, state: &State) -> String {
        let each = (0..self.endpoints).map(|endpoint| {
            let at = state.pacer.not_before(endpoint);
            let wait = if at > NOW && at < Time::NEVER { format!(" for {}", at - NOW) } else { String::new() };
            format!("{:?}{wait}", state.pacer.phase(endpoint)).to_lowercase()
        });
        let broken = state.ghost.broken.map_or_else(String::new, |law| format!("; {} is broken", law.name()));
        let (open, dialing) = (state.ghost.sessions.len(), state.ghost.dials.len());
        format!("{}; {open} online, {dialing} dialing{broken}", each.collect::<Vec<_>>().join(", "))
    }
}

/// Who, and what.
fn told(action: &Action) -> (&'static str, String) {
    match *action {
        Action::Tick => ("time", "passes".to_owned()),
        Action::Dial(_) => ("process", "dials what is due".to_owned()),
        Action::Lose(..) => ("server", "loses a session".to_owned()),
        Action::Close(_) => ("process", "closes a session on purpose".to_owned()),
        Action::Promise(true) => ("server", "is well from here on".to_owned()),
        Action::Promise(false) => ("server", "is well no more".to_owned()),
        Action::Tell(event, _) => match event {
            Event::Dialed { dial } => ("server", format!("endpoint {} opens a session", dial.endpoint())),
            Event::Failed { dial, fault } => ("server", format!("endpoint {}: {fault}", dial.endpoint())),
            Event::Abandoned { dial } => ("process", format!("gives up its dial of endpoint {}", dial.endpoint())),
            Event::Renewed => ("operator", "renews the credentials".to_owned()),
            Event::Requested { endpoint } => ("process", format!("asks to dial endpoint {endpoint}")),
            Event::Lost { endpoint, .. } => ("server", format!("endpoint {endpoint} loses a session")),
            Event::Retired { endpoint } => ("process", format!("retires a session of endpoint {endpoint}")),
        },
    }
}

/// The same in one line, with which of them and which chance.
pub(super) fn action(action: &Action) -> String {
    let (who, what) = told(action);
    let which = match *action {
        Action::Lose(place, _) | Action::Close(place) => format!(": number {place}"),
        Action::Tell(Event::Dialed { dial } | Event::Failed { dial, .. } | Event::Abandoned { dial }, _) => {
            format!(", dial {}", dial.serial())
        }
        Action::Tick | Action::Dial(_) | Action::Tell(..) | Action::Promise(_) => String::new(),
    };
    let word = match *action {
        Action::Dial(word) | Action::Tell(_, word) | Action::Lose(_, word) => word,
        Action::Tick | Action::Close(_) | Action::Promise(_) => 0,
    };
    format!("{who} {what}{which}{}", show::chance(word))
}
