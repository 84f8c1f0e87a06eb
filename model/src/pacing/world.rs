//! One process around the production pacer: what may happen, and what the pacer makes of it.

use relink::{
    Checked, DialId, Fault, Frame, Policy, Span, Time,
    pacer::{Command, Event, Next, Pacer},
};
use stateright::{Model, Property};

use super::{
    bug::Bug,
    ghost::{Dial, Ghost, Ledger, Session},
    law::{self, Law},
    tell,
};
use crate::{
    check::Chance,
    claim::{Claim, Claims},
    worlds::NOW,
};

/// What may happen around one pacer.
#[derive(Clone, Debug)]
pub struct World {
    /// The name in reports.
    pub name: &'static str,
    /// The policy by which the pacer is judged.
    pub policy: Checked,
    /// The policy that it is given: the same, unless that is the bug.
    pub driven: Checked,
    /// Endpoints of the set.
    pub endpoints: u8,
    /// Places that want a session each, always; at most the policy's `max_size`, which shares its ceilings.
    pub places: u16,
    /// Why a dial may fail, at any time.
    pub faults: &'static [Fault],
    /// The words of chance: one for each class of outcome.
    pub words: &'static [u64],
    /// Renewals may come.
    pub renewal: bool,
    /// Sessions may be closed on purpose, and dials given up.
    pub retreat: bool,
    /// The accounts of dials are kept (S2, S2b).
    pub accounts: bool,
    /// What the environment may promise (L1); nothing: it promises nothing.
    pub promise: Option<Promise>,
    /// The laws that are judged: a classic backoff is not held to those of relink's own.
    pub laws: &'static [Law],
    /// How much time passes at once.
    pub tick: Span,
    /// What is done wrong.
    pub bug: Option<Bug>,
}

/// While it is kept, one endpoint serves every dial, and no session is lost or closed. The other endpoints
/// promise nothing else: they may refuse, stay silent, or open sessions that live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// The endpoint.
    pub endpoint: u8,
    /// A dial of it has a session after this long, unless it was given up before.
    pub within: Span,
}

/// One state, seen from the frame whose present is [`NOW`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The machine under test.
    pub pacer: Pacer,
    /// The rest.
    pub ghost: Ghost,
}

/// What happens next; the word of chance comes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Time passes.
    Tick,
    /// A dial that the pacer lets start is started.
    Dial(u64),
    /// The pacer is told of a dial's answer, or of a renewal.
    Tell(Event, u64),
    /// The session at this place of the ghost's list is lost.
    Lose(usize, u64),
    /// The session at this place of the ghost's list is closed on purpose.
    Close(usize),
    /// The environment begins to keep its promise, or ends.
    Promise(bool),
}

impl State {
    /// The same without the session at this place of the list, and that session.
    fn without(&self, place: usize) -> Option<(Self, Session)> {
        let session = *self.ghost.sessions.get(place)?;
        let mut without = self.clone();
        without.ghost.sessions.remove(place);
        Some((without, session))
    }
}

impl World {
    /// The places that want a session.
    pub fn places(&self) -> usize {
        usize::from(self.places)
    }

    /// Whether every place has its session: the goal of L1.
    pub fn is_whole(&self, state: &State) -> bool {
        state.ghost.sessions.len() >= self.places()
    }

    /// Whether some place wants a session that no hold of the set denies it.
    pub fn wants(&self, state: &State) -> bool {
        !self.is_whole(state) && !self.holds_back(state)
    }

    /// Whether the promise is kept, by an endpoint that is not held.
    pub fn is_well(&self, state: &State) -> bool {
        let held = |promise: Promise| state.ghost.ledger(promise.endpoint).is_some_and(|known| known.fatal.is_some());
        state.ghost.well && state.ghost.broken.is_none() && !self.promise.is_some_and(held)
    }

    /// Whether the set is held.
    pub(super) fn holds_back(&self, state: &State) -> bool {
        if self.bug == Some(Bug::HoldTheSet) {
            return state.ghost.ledgers.iter().any(|ledger| ledger.fatal.is_some());
        }
        state.pacer.held().is_some()
    }

    /// What the pacer says is next, asked as the pool asks: for a place without a dial, or for a hedge
    /// beside the dial that has not answered.
    pub(super) fn next(&self, state: &State) -> Next {
        let beside = self.asks(state).filter(|beside| *beside || !self.holds_back(state));
        let beside = beside.filter(|_| self.bug != Some(Bug::DropTimer));
        beside.map_or(Next { at: Time::NEVER, endpoint: 0 }, |beside| state.pacer.next(beside))
    }

    /// Whether the pool would dial, and if so, whether beside a dial that has not answered.
    pub(super) fn asks(&self, state: &State) -> Option<bool> {
        let (open, dialing) = (state.ghost.sessions.len(), state.ghost.dials.len());
        let beside = open + dialing >= self.places();
        let asks = !self.is_whole(state) && (!beside || dialing < usize::from(self.endpoints));
        asks.then_some(beside)
    }

    fn is_due(&self, state: &State) -> bool {
        self.bug != Some(Bug::Oversleep) && self.next(state).at <= NOW
    }

    /// How an endpoint keeps its promise; `None` if it gave none, or breaks it.
    fn kept(&self, state: &State, endpoint: u8) -> Option<Promise> {
        self.promise.filter(|promise| state.ghost.well && promise.endpoint == endpoint)
    }

    fn dial(&self, last: &State, chance: u64) -> State {
        let mut state = last.clone();
        let endpoint = self.next(last).endpoint;
        let (pacer, command) = self.step(last, Event::Requested { endpoint }, chance);
        state.pacer = pacer;
        // A timer that is due and starts nothing would be due for ever.
        state.ghost.must(self, command.is_some(), Law::S10);
        if let Some(Command::Dial { dial, deadline }) = command {
            let idle = self.places().saturating_sub(last.ghost.sessions.len() + last.ghost.dials.len());
            let copies = if self.bug == Some(Bug::DialPerIdleLink) { idle.max(1) } else { 1 };
            for copy in 0..u64::try_from(copies).unwrap_or(1) {
                let serial = dial.serial().saturating_add(copy);
                let serve_by = self.promise.filter(|promise| promise.endpoint == endpoint);
                let serve_by = serve_by.map_or(Time::NEVER, |promise| NOW + promise.within);
                let dial =
                    Dial { id: DialId::new(serial, endpoint), deadline, serve_by, outdated: false, stale: false };
                state.ghost.dialed(self, dial);
            }
        }
        law::judge(self, last, &mut state, None, NOW);
        state
    }

    fn tell(&self, last: &State, event: Event, chance: u64) -> State {
        let mut state = self.told(last, event, chance);
        while let Some(dial) = self.beaten(&state).filter(|_| matches!(event, Event::Dialed { .. })) {
            state = self.told(&state, Event::Abandoned { dial }, chance);
        }
        state
    }

    /// After one event, and nothing that the pool does about it.
    pub(super) fn told(&self, last: &State, event: Event, chance: u64) -> State {
        let mut state = last.clone();
        state.pacer = self.step(last, event, chance).0;
        state.ghost.observe(self, &state.pacer, event);
        law::judge(self, last, &mut state, Some(event), NOW);
        state
    }

    /// What the pacer is told of an action, with the word of chance, and the state in which it is told: without the session
    /// that has ended. `None`: nothing.
    pub(super) fn event(&self, last: &State, action: Action) -> Option<(State, Event, u64)> {
        Some(match action {
            Action::Tick | Action::Promise(_) => return None,
            Action::Dial(chance) => (last.clone(), Event::Requested { endpoint: self.next(last).endpoint }, chance),
            Action::Tell(event, chance) => (last.clone(), event, chance),
            Action::Lose(place, chance) => {
                let (without, Session { endpoint, stable_at }) = last.without(place)?;
                (without, Event::Lost { endpoint, unstable: stable_at > NOW }, chance)
            }
            Action::Close(place) => {
                let (without, Session { endpoint, .. }) = last.without(place)?;
                (without, Event::Retired { endpoint }, 0)
            }
        })
    }

    /// The pool's rule: once a race is won, the dials that lost it are given up, the silent endpoints' first.
    pub(super) fn beaten(&self, state: &State) -> Option<DialId> {
        let open = state.ghost.sessions.len();
        let hedges = usize::from(self.endpoints) - 1;
        let may_go_on = if self.is_whole(state) { 0 } else { (self.places() + hedges).saturating_sub(open) };
        let (favourite, dials) = (state.pacer.favourite(), &state.ghost.dials);
        let silent = dials.iter().find(|dial| dial.id.endpoint() != favourite);
        silent.or(dials.first()).filter(|_| dials.len() > may_go_on).map(|dial| dial.id)
    }

    /// The same state in the frame whose present is [`NOW`], when it is `now` in the old one.
    fn seen_from(&self, state: State, now: Time) -> State {
        let State { pacer, mut ghost } = state;
        let dials: Vec<DialId> = ghost.dials.iter().map(|dial| dial.id).collect();
        let frame = Frame { now, origin: NOW, dials: &dials, leases: &[], topology: 0 };
        let pacer = pacer.seen_from(&self.driven, &frame);
        for dial in &mut ghost.dials {
            dial.id = frame.dial(dial.id);
            dial.deadline = frame.due(dial.deadline);
            dial.serve_by = frame.due(dial.serve_by);
        }
        for session in &mut ghost.sessions {
            session.stable_at = frame.due(session.stable_at);
        }
        for ledger in &mut ghost.ledgers {
            ledger.floor = frame.due(ledger.floor);
        }
        ghost.quiet_until = frame.due(ghost.quiet_until);
        ghost.sessions.sort_unstable();
        State { pacer, ghost }
    }

    /// What the network and the server may answer: anything, at any time, or nothing until the deadline.
    fn answer(&self, state: &State, dial: Dial, tell: &mut Tell<'_>) {
        let Dial { id, deadline, serve_by, .. } = dial;
        tell.drawn(Event::Dialed { dial: id });
        if self.kept(state, id.endpoint()).is_some() {
            // It has accepted, and is slower than the deadline.
            if deadline <= NOW && serve_by > NOW {
                tell.drawn(Event::Failed { dial: id, fault: Fault::TimedOut });
            }
            return;
        }
        for fault in self.faults {
            tell.drawn(Event::Failed { dial: id, fault: *fault });
        }
        if self.retreat && !state.ghost.well {
            tell.drawn(Event::Abandoned { dial: id });
        }
    }

    pub(super) fn may_tick(&self, state: &State) -> bool {
        let silent = |dial: &Dial| {
            let by = if self.kept(state, dial.id.endpoint()).is_some() { dial.serve_by } else { Time::NEVER };
            dial.deadline.min(by) > NOW
        };
        !self.is_due(state) && state.ghost.dials.iter().all(silent)
    }
}

/// Collects what may happen.
struct Tell<'a> {
    words: &'static [u64],
    actions: &'a mut Vec<Action>,
}

impl Tell<'_> {
    /// An event that a wait may follow: with every class of chance.
    fn drawn(&mut self, event: Event) {
        self.actions.extend(self.words.iter().map(|word| Action::Tell(event, *word)));
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let ledgers = vec![Ledger::NEW; usize::from(self.endpoints)];
        let state = State { pacer: Pacer::new(self.endpoints), ghost: Ghost::new(ledgers) };
        let mut state = self.seen_from(state, NOW);
        law::judge(self, &state.clone(), &mut state, None, NOW);
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.ghost.broken.is_some() {
            return;
        }
        let mut tell = Tell { words: self.words, actions };
        if self.may_tick(state) {
            tell.actions.push(Action::Tick);
        }
        if self.is_due(state) {
            tell.actions.extend(self.words.iter().map(|word| Action::Dial(*word)));
        }
        for dial in &state.ghost.dials {
            self.answer(state, *dial, &mut tell);
        }
        let mut told = None;
        for (place, session) in state.ghost.sessions.iter().enumerate().filter(|_| !state.ghost.well) {
            // Two that are alike are lost alike.
            if told.replace(*session) != Some(*session) {
                tell.actions.extend(self.words.iter().map(|word| Action::Lose(place, *word)));
                tell.actions.extend(self.retreat.then_some(Action::Close(place)));
            }
        }
        if self.renewal {
            tell.actions.push(Action::Tell(Event::Renewed, 0));
        }
        if self.promise.is_some() {
            tell.actions.push(Action::Promise(!state.ghost.well));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let next = match action {
            Action::Tick => {
                let mut state = self.seen_from(last.clone(), NOW + self.tick);
                state.ghost.waited(self, &state.pacer, &last.ghost);
                law::judge(self, last, &mut state, None, NOW + self.tick);
                state
            }
            Action::Dial(chance) => self.seen_from(self.dial(last, chance), NOW),
            Action::Tell(event, chance) => self.seen_from(self.tell(last, event, chance), NOW),
            Action::Lose(..) | Action::Close(_) => {
                let (last, event, chance) = self.event(last, action)?;
                self.seen_from(self.tell(&last, event, chance), NOW)
            }
            Action::Promise(well) => State { ghost: Ghost { well, ..last.ghost.clone() }, ..last.clone() },
        };
        // That time can pass for ever while nothing changes is what S15 looks for.
        (action == Action::Tick || next != *last).then_some(next)
    }

    fn format_action(&self, action: &Action) -> String {
        tell::action(action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        self.claims().iter().filter_map(Claim::property).collect()
    }
}

/// The coin is an adversary's too: everything holds surely.
impl Chance for World {}

impl Claims for World {
    fn name(&self) -> &'static str {
        self.name
    }

    fn driven(&self) -> &Policy {
        &self.driven
    }

    fn claims(&self) -> Vec<Claim<Self>> {
        law::claims(self)
    }
}
