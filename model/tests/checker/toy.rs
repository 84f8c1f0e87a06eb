//! A toy fleet that reconnects in ticks: its theorem, and its counts, are known from three other tools.
//!
//! Each client is connected, waits for its next attempt, or is about to draw how long it will wait. A draw is urgent: one
//! client at a time, the lowest first. On a tick all waits count down together, and those that end attempt; if the
//! server is up and the attempts are no more than its capacity all of them connect, else all of them fail.

use relink_model::check::Chance;
use stateright::{Model, Property};

/// Most clients.
const CLIENTS: usize = 4;

/// How long a client waits after its `a`-th failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Jitter {
    /// 2ᵃ ticks.
    None,
    /// Any of 1 ..= 2ᵃ.
    Full,
    /// Any of 2ᵃ⁻¹ ..= 2ᵃ.
    Equal,
}

/// A fleet of clients and their server.
#[derive(Clone, Debug)]
pub(crate) struct Toy {
    pub(crate) clients: usize,
    pub(crate) capacity: usize,
    /// The attempt beyond which the wait grows no more.
    pub(crate) attempts: u8,
    pub(crate) jitter: Jitter,
    /// The draw is a coin's, not the adversary's.
    pub(crate) coin: bool,
    /// The server sheds only what is beyond its capacity.
    pub(crate) graceful: bool,
    /// Crashes and recoveries may happen.
    pub(crate) crashes: bool,
}

/// A client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Client {
    Connected,
    Draws { attempt: u8 },
    Waits { attempt: u8, ticks: u8 },
}

/// The server and every client; those that a fleet does not have are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) up: bool,
    pub(crate) clients: [Client; CLIENTS],
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Tick,
    Crash,
    Recover,
    /// The lowest client that draws will wait so many ticks.
    Draw {
        client: u8,
        ticks: u8,
    },
}

impl Toy {
    /// Full jitter by coin, a server of one place that collapses, crashes at any time.
    pub(crate) fn full(clients: usize, attempts: u8) -> Self {
        Self { clients, capacity: 1, attempts, jitter: Jitter::Full, coin: true, graceful: false, crashes: true }
    }

    /// No jitter.
    pub(crate) fn lockstep(clients: usize, capacity: usize, attempts: u8) -> Self {
        Self { capacity, jitter: Jitter::None, coin: false, ..Self::full(clients, attempts) }
    }

    pub(crate) fn up(&self, state: &State) -> bool {
        state.up
    }

    pub(crate) fn all_connected(&self, state: &State) -> bool {
        state.clients.iter().all(|client| *client == Client::Connected)
    }

    fn tick(&self, state: &mut State) {
        let ends = |client: &&mut Client| matches!(client, Client::Waits { ticks: 1, .. });
        let attempting = state.clients.iter_mut().filter(ends).count();
        let mut room = if !state.up || (attempting > self.capacity && !self.graceful) { 0 } else { self.capacity };
        for client in &mut state.clients {
            *client = match *client {
                Client::Waits { ticks: 1, .. } if room > 0 => {
                    room -= 1;
                    Client::Connected
                }
                Client::Waits { attempt, ticks: 1 } => Client::Draws { attempt: self.attempts.min(attempt + 1) },
                Client::Waits { attempt, ticks } => Client::Waits { attempt, ticks: ticks - 1 },
                Client::Connected | Client::Draws { .. } => *client,
            };
        }
    }
}

impl Model for Toy {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut clients = [Client::Connected; CLIENTS];
        clients.iter_mut().take(self.clients).for_each(|client| *client = Client::Draws { attempt: 0 });
        vec![State { up: true, clients }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let draws = (0..).zip(&state.clients).find_map(|(client, place)| match place {
            Client::Draws { attempt } => Some((client, 1 << attempt)),
            Client::Connected | Client::Waits { .. } => None,
        });
        match (draws, self.jitter) {
            (Some((client, ticks)), Jitter::None) => actions.push(Action::Draw { client, ticks }),
            (Some((client, most)), Jitter::Full) => {
                actions.extend((1..=most).map(|ticks| Action::Draw { client, ticks }));
            }
            (Some((client, most)), Jitter::Equal) => {
                actions.extend((most.div_ceil(2)..=most).map(|ticks| Action::Draw { client, ticks }));
            }
            (None, _) => {
                actions.push(Action::Tick);
                if self.crashes {
                    actions.push(if state.up { Action::Crash } else { Action::Recover });
                }
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = *state;
        match action {
            Action::Tick => self.tick(&mut next),
            Action::Recover => next.up = true,
            Action::Crash => {
                next.up = false;
                for client in next.clients.iter_mut().take(self.clients).filter(|client| **client == Client::Connected)
                {
                    *client = Client::Draws { attempt: 0 };
                }
            }
            Action::Draw { client, ticks } => {
                let place = next.clients.get_mut(usize::from(client))?;
                let Client::Draws { attempt } = *place else { return None };
                *place = Client::Waits { attempt, ticks };
            }
        }
        Some(next)
    }

    /// stateright explores nothing without a property that is still to be broken.
    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("nothing is looked for", |_, _| true)]
    }
}

impl Chance for Toy {
    fn random(&self, state: &State) -> bool {
        self.coin && state.clients.iter().any(|client| matches!(client, Client::Draws { .. }))
    }
}
