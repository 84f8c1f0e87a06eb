//! Fleets: a few processes, each with one session, that dial one server which cannot serve them all at once.
//!
//! A fleet is a `stateright` [`Model`]. Each process runs the production [`Pacer::step`](relink::pacer::Pacer::step) and
//! nothing else of relink's decisions; what it needs of a link is written out in [`Session`]. Time is a
//! global tick of a millisecond, and all timers count down together. Processes are kept in order, as nothing tells
//! them apart: a state stands for all states that differ in who is who.
//!
//! * [`Server`]: sheds the excess, rejects at a cost, collapses, or queues with a memory.
//! * [`world`]: the reduced policies, the named fleets, and the mistakes that the claims must find.
//! * [`limit`]: the size from which a fleet's own dials keep a server busy for ever.
//!
//! The adversary picks who is served, who waits and what arrives late; it takes the server down and brings it back at
//! any moment, without limit and without fairness, and while it is down it may take any session. A loss while the
//! server is up is one during an outage of no length. A server that is down refuses whatever it would have answered;
//! its backlog outlives that. The waits are a coin's: where a process draws, every outcome of the production function
//! is one action, equally likely, one process at a time and before anything else.
//!
//! Assumed: a dial starts in the tick in which it is due and is at the server within `latency` ticks; an answer and the
//! next dial of the same process are at least a tick apart. Not covered: more than one session a process, more than one
//! endpoint, and real policies: the windows here are a few ticks.

pub mod limit;
pub mod process;
pub mod server;
pub mod table;
mod tell;
pub mod world;

use std::fmt;

use relink::{Checked, Time};
use stateright::{Model, Property};

use process::{Process, Session};
use server::{Answer, Server};
use table::{Id, Processes};

use crate::{
    check::Chance,
    claim::{Claim, Claims},
    worlds::NOW,
};

/// The most processes of a fleet.
pub const FLEET_MAX: usize = 6;

/// Processes and one server.
#[derive(Clone, Debug)]
pub struct Fleet {
    policy: Checked,
    processes: Processes,
    server: Server,
    count: usize,
    latency: u8,
    patience_max: u8,
    crashes: bool,
    coin: bool,
}

/// Where a fleet is: two bytes a process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State {
    /// In order; the places beyond the fleet's size are [`Id::NONE`].
    processes: [Id; FLEET_MAX],
    backlog: u8,
    up: bool,
}

/// What happens next. Numbers are places among the processes of the state before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A millisecond passes, and of the dials that are then under way these arrive.
    Tick(Arrivals),
    /// The server goes down.
    Crash,
    /// The server comes back.
    Return,
    /// A session dies.
    Lose(u8),
    /// The process that has to draw next gets this one of its outcomes.
    Draw(u8),
}

/// Dials in the order of their arrival.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Arrivals {
    order: [u8; FLEET_MAX],
    count: usize,
}

impl Arrivals {
    fn and(mut self, place: u8) -> Self {
        if let Some(next) = self.order.get_mut(self.count) {
            *next = place;
            self.count += 1;
        }
        self
    }

    /// Whose, as places among the processes of the state before.
    pub fn places(&self) -> &[u8] {
        self.order.get(..self.count).unwrap_or(&[])
    }
}

impl fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.places())
    }
}

/// Some of the places among the processes of a state.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Places(u8);

const _: () = assert!(FLEET_MAX <= 8, "a place is a bit");

impl Places {
    const NONE: Self = Self(0);

    fn with(self, place: u8) -> Self {
        Self(self.0 | 1 << place)
    }

    fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    fn each(self) -> impl Iterator<Item = u8> {
        (0..8).filter(move |place| self.0 >> place & 1 == 1)
    }

    /// All of its subsets, the empty one first.
    fn subsets(self) -> impl Iterator<Item = Self> {
        (0..=self.0).map(Self).filter(move |subset| subset.without(self) == Self::NONE)
    }
}

impl Fleet {
    /// So many processes under one policy, with sessions that are open and stable, and an adversary without limits.
    ///
    /// `None` if there are more than [`FLEET_MAX`] or if [`Processes::of`] cannot tell the states of one.
    pub fn new(count: usize, policy: &Checked, server: Server) -> Option<Self> {
        Self::with_latency(count, policy, server, 0)
    }

    /// [`Fleet::new`], but a dial may take up to `latency` ticks to arrive, as the adversary likes.
    pub fn with_latency(count: usize, policy: &Checked, server: Server, latency: u8) -> Option<Self> {
        let processes = Processes::of(policy, &server.answers(policy), server.silence(), latency)?.merged();
        let patience_max = u8::try_from(policy.dial_deadline_max.as_millis()).unwrap_or(u8::MAX);
        let policy = policy.clone();
        let fleet = Self { policy, processes, server, count, latency, patience_max, crashes: true, coin: true };
        (count <= FLEET_MAX).then_some(fleet)
    }

    /// The same fleet under another policy.
    pub fn under(&self, policy: &Checked) -> Option<Self> {
        let fleet = Self::with_latency(self.count, policy, self.server, self.latency)?;
        Some(Self { crashes: self.crashes, coin: self.coin, ..fleet })
    }

    /// The thundering herd: every session is lost at once, of a server that is up and stays so.
    #[must_use]
    pub fn herd(self) -> Self {
        Self { crashes: false, ..self }
    }

    /// Whether it is one.
    pub fn is_herd(&self) -> bool {
        !self.crashes
    }

    /// The same fleet where the waits are the adversary's as well.
    #[must_use]
    pub fn without_coin(self) -> Self {
        Self { coin: false, ..self }
    }

    /// The policy of each process.
    pub fn policy(&self) -> &Checked {
        &self.policy
    }

    /// Every state that one process can be in.
    pub fn processes(&self) -> &Processes {
        &self.processes
    }

    /// The server answers as its kind does, and no session dies.
    pub fn up(&self, state: &State) -> bool {
        state.up
    }

    /// Every session is open.
    pub fn all_online(&self, state: &State) -> bool {
        self.of(state).iter().all(|id| self.processes.online(*id))
    }

    /// No session is open.
    pub fn none_online(&self, state: &State) -> bool {
        !self.of(state).iter().any(|id| self.processes.online(*id))
    }

    /// The most work that the server remembers.
    pub fn backlog_max(&self) -> u8 {
        self.server.backlog_max()
    }

    /// The work that the server has left.
    pub fn backlog(&self, state: &State) -> u8 {
        state.backlog
    }

    /// Whether the next step is a coin's: a process has to draw, and nothing else happens first.
    pub fn draws(&self, state: &State) -> bool {
        self.coin && self.drawing(state).is_some()
    }

    /// What a transition costs: a tick is one, everything else happens at once.
    pub fn ticks(&self, _: &State, action: &Action) -> u32 {
        u32::from(matches!(action, Action::Tick(_)))
    }

    /// One line for people. Where nothing can tell two states of a process apart it tells of one of them.
    pub fn tell(&self, state: &State) -> String {
        let each = self.of(state).iter().filter_map(|id| self.processes.process(*id)).map(tell_process);
        let up = if state.up { "up" } else { "down" };
        format!("{up}, backlog {}; {}", state.backlog, each.collect::<Vec<_>>().join("; "))
    }

    fn of<'a>(&self, state: &'a State) -> &'a [Id] {
        state.processes.get(..self.count).unwrap_or(&[])
    }

    fn drawing(&self, state: &State) -> Option<usize> {
        self.of(state).iter().position(|id| !self.processes.drawn(*id).is_empty())
    }

    /// A tick later, before any dial has arrived, in the order of the state before.
    fn ticked(&self, state: &State) -> State {
        let mut next = *state;
        next.backlog = self.server.ticked(state.backlog);
        for id in next.processes.iter_mut().take(self.count) {
            *id = self.processes.ticked(*id, state.up);
        }
        next
    }

    /// One of `arrivals` dials arrives.
    fn arrive(&self, state: &mut State, place: u8, arrivals: usize) {
        let refused = (Answer::Fault(relink::Fault::Refused), state.backlog);
        let admit = || self.server.admit(state.backlog, arrivals, self.patience_max);
        let (answer, backlog) = if state.up { admit() } else { refused };
        if let Some(id) = state.processes.get_mut(usize::from(place)) {
            *id = self.processes.answered(*id, answer);
            state.backlog = backlog;
        }
    }

    /// Every way in which the dials under way may arrive, once each: orders between which nothing tells are one.
    fn arrivals(&self, state: &State, found: &mut impl FnMut(Arrivals)) {
        let ticked = self.ticked(state);
        let (mut knocking, mut free) = (Places::NONE, Places::NONE);
        for (place, id) in (0..).zip(self.of(&ticked)) {
            if let Some(late) = self.processes.knocking(*id) {
                knocking = knocking.with(place);
                free = if late < self.latency { free.with(place) } else { free };
            }
        }
        for late in free.subsets() {
            let arriving = knocking.without(late);
            self.order(ticked, arriving, Arrivals::default(), arriving.len(), found);
        }
    }

    fn order(&self, state: State, left: Places, so_far: Arrivals, arrivals: usize, found: &mut impl FnMut(Arrivals)) {
        if left == Places::NONE {
            found(so_far);
            return;
        }
        let choice = if state.up && self.server.chooses(state.backlog) { left.len() } else { 1 };
        let id = |place: u8| state.processes.get(usize::from(place));
        for place in left.each().take(choice) {
            let same = left.each().take_while(|other| *other < place).any(|other| id(other) == id(place));
            if same {
                continue;
            }
            let mut next = state;
            self.arrive(&mut next, place, arrivals);
            self.order(next, left.without(Places::NONE.with(place)), so_far.and(place), arrivals, found);
        }
    }

    fn sorted(mut state: State) -> State {
        state.processes.sort_unstable();
        state
    }
}

impl Model for Fleet {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut processes = [Id::NONE; FLEET_MAX];
        let settled = self.processes.settled();
        let first = if self.crashes { settled } else { self.processes.lost(settled) };
        processes.iter_mut().take(self.count).for_each(|id| *id = first);
        vec![State { processes, backlog: 0, up: true }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if let Some(at) = self.drawing(state) {
            let outcomes = state.processes.get(at).map_or(0, |id| self.processes.drawn(*id).len());
            actions.extend((0..).take(outcomes).map(Action::Draw));
            return;
        }
        self.arrivals(state, &mut |arrivals| actions.push(Action::Tick(arrivals)));
        if !self.crashes {
            return;
        }
        actions.push(if state.up { Action::Crash } else { Action::Return });
        if !state.up {
            let mut last = Id::NONE;
            for (place, id) in (0..).zip(self.of(state)) {
                if self.processes.online(*id) && *id != last {
                    actions.push(Action::Lose(place));
                }
                last = *id;
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = *last;
        match action {
            Action::Tick(arrivals) => {
                state = self.ticked(last);
                for place in arrivals.places() {
                    self.arrive(&mut state, *place, arrivals.count);
                }
            }
            Action::Crash => state.up = false,
            Action::Return => state.up = true,
            Action::Lose(place) => {
                let id = state.processes.get_mut(usize::from(place))?;
                *id = self.processes.lost(*id);
            }
            Action::Draw(outcome) => {
                let id = state.processes.get_mut(self.drawing(last)?)?;
                *id = *self.processes.drawn(*id).get(usize::from(outcome))?;
            }
        }
        Some(Self::sorted(state))
    }

    fn format_action(&self, action: &Action) -> String {
        tell::action(action)
    }

    /// Only the fleet knows what the numbers in a state stand for.
    fn format_step(&self, last: &State, action: Action) -> Option<String> {
        self.next_state(last, action).map(|next| self.tell(&next).replace("; ", "\n"))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let known = Property::always("every state is one of the fleet", |fleet: &Self, state| {
            let known = |id: &Id| fleet.processes.process(*id).is_some();
            fleet.of(state).iter().all(known) && state.backlog <= fleet.server.backlog_max()
        });
        let claims = self.claims();
        [known].into_iter().chain(claims.iter().filter_map(Claim::property)).collect()
    }
}

impl Chance for Fleet {
    fn random(&self, state: &State) -> bool {
        self.draws(state)
    }
}

fn tell_process(process: &Process) -> String {
    let until = |at: Time| at - NOW;
    let pacer = &process.pacer;
    let what = match process.session {
        Session::Wanted if process.drawing.is_some() => "draws".into(),
        Session::Wanted => format!("waits {}", until(pacer.not_before(0))),
        Session::Knocking { late, .. } => format!("dials since {late} ticks"),
        Session::Hanging { deadline } => format!("hangs {}", until(deadline)),
        Session::Queued { at } => format!("queues {}", until(at)),
        Session::Online { .. } => "online".into(),
    };
    format!("{what} ({:?})", pacer.phase(0))
}
