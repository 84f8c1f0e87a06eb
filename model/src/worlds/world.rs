//! A pool, everything around it, and every order in which things may happen.

use relink::{
    Checked, DialId, Fault, Frame, LeaseId, Policy, Preference, Span, Time, Validate, Work,
    fence::{Fence, Standing},
    link,
    pool::{Command, Event, Pool},
};
use stateright::{Model, Property};

use crate::{
    check::Chance,
    claim::{Claim, Claims},
    reduce,
};

use super::{
    FIFTHS, NOW,
    adversary::Moves,
    bug::Bug,
    ghost::{About, Borrower, Ghost, Line, Peer, Question, Waiter},
    law::{self, Law},
    show,
};

/// What may happen around one pool. Every list is a list of what the adversary may choose.
#[derive(Clone, Debug)]
pub struct World {
    /// The name in reports.
    pub name: &'static str,
    /// The policy by which the machines are judged.
    pub policy: Checked,
    /// The policy that they are given: the same, unless that is the bug.
    pub driven: Checked,
    /// Endpoints of the set.
    pub endpoints: u8,
    /// Most borrowers, those who wait included.
    pub borrowers: usize,
    /// How long each waits.
    pub acquire: Span,
    /// Why a dial may fail.
    pub faults: &'static [Fault],
    /// What a borrower's session may be seen doing; nothing: it is never observed.
    pub works: &'static [Work],
    /// How a session may be given back.
    pub returns: &'static [Work],
    /// The words of chance: one for each class of outcome.
    pub words: &'static [u64],
    /// A transport may come up before the dial has its answer.
    pub accepts: bool,
    /// Demotions may be observed.
    pub demotion: bool,
    /// Renewals may come.
    pub renewal: bool,
    /// The pool may be told to end.
    pub stop: bool,
    /// The pool may be paused and resumed.
    pub pause: bool,
    /// The sizes that the pool may be given; the first is its own.
    pub sizes: &'static [u16],
    /// A session may die in silence while its borrower waits for an answer, and must be noticed within this.
    pub silence: Option<Span>,
    /// Dials and closes have their answers before time passes.
    pub prompt: bool,
    /// The clock may jump this far. Then no session is lost, every answer is good, and all that came in time
    /// are told before a timer.
    pub jump: Option<Span>,
    /// One endpoint at a time is the primary, the only one of the wanted role; servers tell the truth of it.
    pub roles: bool,
    /// The first endpoint may be replaced as the primary by the second and not know it; primaries tell their timelines.
    pub fenced: bool,
    /// The first endpoint is a primary, the second a standby, which is preferred: the primary is passed over once in this time.
    pub prefers: Option<Span>,
    /// The endpoint that keeps the promise of L1 and L4, when one does.
    pub good: u8,
    /// What must happen in the end, beside what always holds.
    pub finally: &'static [Law],
    /// What is done wrong.
    pub bug: Option<Bug>,
}

/// One state of a world, seen from the frame whose present is [`NOW`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The machine under test.
    pub pool: Pool,
    /// What its driver asks of the histories of primaries, where that matters.
    pub fence: Fence,
    /// Whether its driver passes over a primary, where a standby is preferred.
    pub preference: Preference,
    /// The rest.
    pub ghost: Ghost,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A millisecond passes.
    Tick,
    /// The clock jumps.
    Jump,
    /// The borrower at this place begins something else; the pool does not know.
    Work(u16, Work),
    /// The session at this place dies in silence.
    Die(u16),
    /// A statement comes to its server, and is carried out, after its caller was told that the session is lost.
    Arrive,
    /// Another endpoint becomes the primary.
    FailOver,
    /// Another endpoint becomes the primary, and the one before does not know of it.
    Promote,
    /// The pool is told that something has happened; the word of chance comes with it.
    Tell(Event, u64),
}

impl World {
    /// The same world under a policy of a user's shape; `None` if that breaks a rule. It is held to the same laws, and a
    /// silence must be noticed as soon as in the world as it was.
    pub fn shaped(&self, of: &Policy) -> Option<Self> {
        let mut policy = reduce::shaped(of, &self.policy);
        // Whoever is never asked for its role cannot be trusted with one.
        if self.roles && of.validate == Validate::Never {
            policy.validate = Validate::Never;
        }
        let driven = self.bug.map_or_else(|| policy.clone(), |bug| bug.policy(&policy));
        // A classic backoff draws from other windows than the world's own policy.
        let words = if policy.backoff == self.policy.backoff { self.words } else { &FIFTHS };
        Some(Self { policy: policy.check().ok()?, driven: driven.check().ok()?, words, ..self.clone() })
    }

    /// When [`Event::Elapsed`] is due.
    pub(super) fn timeout(&self, state: &State) -> Time {
        self.timeout_of(&state.pool, &state.ghost)
    }

    pub(super) fn timeout_of(&self, pool: &Pool, ghost: &Ghost) -> Time {
        let links = pool.links().iter().chain(pool.askers()).map(|link| link.timeout(&self.driven));
        let waiters = ghost.queue.iter().map(|waiter| waiter.deadline);
        if matches!(self.bug, Some(Bug::DropTimer | Bug::Oversleep)) {
            return links.chain(waiters).min().unwrap_or(Time::NEVER);
        }
        pool.timeout(&self.driven)
    }

    /// When the next dial may start.
    pub(super) fn next_dial_at(&self, pool: &Pool) -> Time {
        if self.bug == Some(Bug::DropTimer) { Time::NEVER } else { pool.next_dial_at(&self.driven) }
    }

    fn wait(&self, state: State, span: Span) -> State {
        let mut state = self.seen_from(state, NOW + span);
        law::judge(self, &mut state);
        state
    }

    /// `before` is the pool of `state`.
    fn tell(&self, before: &Pool, mut state: State, event: Event, chance: u64) -> State {
        let mut out: Vec<Command> = Vec::new();
        state.ghost.observe(event, &self.policy);
        self.step(&mut state.pool, &state.ghost, event, chance, &mut out);
        for command in out {
            self.must_not_end_the_living(&mut state.ghost, event, command);
            state.ghost.obey(self, before, event, command);
        }
        let risen = |pool: &Pool| (pool.topology(), pool.pacer().credentials());
        let (before, after) = (risen(before), risen(&state.pool));
        state.ghost.must(before.0 <= after.0 && before.1 <= after.1, Law::S19);
        // A timer that has been served must not be due again at once, or time would stand still.
        let served = event != Event::Elapsed || self.timeout(&state) > NOW;
        state.ghost.must(served, Law::S10);
        law::judge(self, &mut state);
        state
    }

    /// Where no session dies and every answer comes in time, a timer alone declares none lost (S19).
    fn must_not_end_the_living(&self, ghost: &mut Ghost, event: Event, command: Command) {
        let ends = match command {
            Command::Link { command: link::Command::Abort(dial) | link::Command::Close(dial), .. } => {
                ghost.peer(dial).is_some_and(|peer| peer.line == Line::Open)
            }
            Command::Report { .. } => true,
            Command::Link { .. } | Command::Dial { .. } | Command::Grant { .. } | Command::Refuse { .. } => false,
        };
        ghost.must(self.jump.is_none() || event != Event::Elapsed || !ends, Law::S19);
    }

    /// The same state in the frame whose present is [`NOW`], when it is `now` in the old one.
    fn seen_from(&self, state: State, now: Time) -> State {
        let State { pool, fence, preference, mut ghost } = state;
        let dials: Vec<DialId> = ghost.peers.iter().map(|peer| peer.dial).collect();
        let mut leases: Vec<LeaseId> = ghost.queue.iter().map(|waiter| waiter.lease).collect();
        leases.extend(ghost.borrowers.iter().map(|borrower| borrower.lease));
        leases.sort_unstable();
        let frame = Frame { now, origin: NOW, dials: &dials, leases: &leases, topology: 0 };
        let pool = pool.seen_from(&self.driven, &frame);
        let preference = preference.seen_from(self.prefers.unwrap_or_default(), &frame);
        // A deadline that has passed must stay so: the laws judge it.
        let overdue = |at: Time| frame.since(at, Span::from_millis(1));
        for peer in &mut ghost.peers {
            let dialing = peer.line == Line::Dialing;
            peer.dial = frame.dial(peer.dial);
            peer.deadline = if dialing { overdue(peer.deadline) } else { NOW };
            peer.outdated &= dialing;
            peer.question = peer.question.map(|asked| {
                // That of a suspected link may be put again after its time is over.
                let by = if asked.about == About::Alive { overdue(asked.by) } else { frame.due(asked.by) };
                Question { by, ..asked }
            });
        }
        for waiter in &mut ghost.queue {
            waiter.lease = frame.lease(waiter.lease);
            waiter.deadline = overdue(waiter.deadline);
        }
        for borrower in &mut ghost.borrowers {
            borrower.lease = frame.lease(borrower.lease);
            borrower.dial = frame.dial(borrower.dial);
            borrower.noticed_by = overdue(borrower.noticed_by);
            let patience = self.policy.patience.filter(|_| matches!(borrower.work, Work::Statement { .. }));
            borrower.heard_at = frame.since(borrower.heard_at, patience.unwrap_or(Span::ZERO));
        }
        ghost.stopped = ghost.stopped.map(overdue);
        State { pool, fence, preference, ghost }
    }

    /// What the pool is told when this has happened: the driver asks the fence about whoever says that it is the primary, or
    /// passes over who is none of those that it prefers.
    pub fn told(&self, state: &State, event: Event) -> [Option<Event>; 2] {
        let asks = self.fenced || self.prefers.is_some();
        if asks { self.heard(&mut state.clone(), event) } else { [Some(event), None] }
    }

    fn heard(&self, state: &mut State, event: Event) -> [Option<Event>; 2] {
        if let (Event::Dialed { slot, dial }, Some(window)) = (event, self.prefers)
            && dial.endpoint() == state.ghost.primary
        {
            if self.passes_over(&mut state.preference, window) {
                return [Some(Event::DialFailed { slot, dial, fault: Fault::WrongRole }), None];
            }
            state.ghost.misled = state.ghost.peer(dial).is_some_and(|peer| peer.line == Line::Dialing);
        }
        let primary = if self.fenced { state.ghost.says_it_is_primary(event) } else { None };
        let Some((dial, refused)) = primary else { return [Some(event), None] };
        match self.admit(state, dial.endpoint()) {
            Standing::Known => [Some(event), None],
            Standing::Newer => [Some(Event::Demoted), Some(event)],
            Standing::Replaced { .. } => [Some(refused), None],
        }
    }

    /// Whether a primary is passed over by who would rather have a standby.
    fn passes_over(&self, preference: &mut Preference, window: Span) -> bool {
        match self.bug {
            Some(Bug::PassOverForEver) => true,
            Some(Bug::NeverPassOver) => false,
            Some(_) | None => preference.passes_over(NOW, window),
        }
    }

    /// What the fence says of an endpoint that was the primary when it answered.
    fn admit(&self, State { fence, ghost, .. }: &mut State, endpoint: u8) -> Standing {
        ghost.met |= ghost.split && endpoint == ghost.primary;
        let history = Ghost::history(endpoint);
        let standing = fence.admit(history);
        if self.bug == Some(Bug::ServeTheReplaced) && matches!(standing, Standing::Replaced { .. }) {
            fence.forget();
            return fence.admit(history);
        }
        standing
    }

    /// The endpoint that a failover would make the primary.
    pub(super) fn next_primary(&self, state: &State) -> u8 {
        (state.ghost.primary + 1) % self.endpoints
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let pool = Pool::new(&self.driven, self.endpoints);
        let state = State { pool, fence: Fence::default(), preference: Preference::default(), ghost: Ghost::default() };
        // A driver's first act is to let the new pool want what the policy says.
        let state = self.seen_from(state, NOW);
        let started = self.tell(&state.pool.clone(), state, Event::Elapsed, 0);
        vec![self.seen_from(started, NOW)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.ghost.broken.is_none() {
            Moves { world: self, state, actions }.all();
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        (state.ghost.misled, state.ghost.appeared) = (false, false);
        let next = match action {
            Action::Tick => self.wait(state, Span::from_millis(1)),
            Action::Jump => self.wait(state, self.jump?),
            Action::Work(slot, work) => {
                state.ghost.work(slot, work);
                state
            }
            Action::Die(slot) => {
                state.ghost.die(slot, NOW + self.silence?);
                state
            }
            Action::Arrive => {
                state.ghost.arrive();
                state
            }
            Action::FailOver => {
                state.ghost.fail_over(self.next_primary(last));
                state
            }
            Action::Promote => {
                state.ghost.promote(self.next_primary(last));
                state
            }
            Action::Tell(event, chance) => {
                let told = self.heard(&mut state, event).into_iter().flatten();
                let tell = |state: State, event| self.tell(&state.pool.clone(), state, event, chance);
                self.seen_from(told.fold(state, tell), NOW)
            }
        };
        // That time can pass for ever while nothing changes is what some laws look for.
        let passes = matches!(action, Action::Tick | Action::Jump);
        (passes || next != *last).then_some(next)
    }

    fn format_action(&self, action: &Action) -> String {
        show::action(action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        self.claims().iter().filter_map(Claim::property).collect()
    }
}

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

impl Chance for World {
    /// Chance is an adversary's, too: what is judged here must hold whatever is drawn.
    fn random(&self, _: &State) -> bool {
        false
    }

    fn owned_bytes(&self, state: &State) -> usize {
        let State { pool, ghost, .. } = state;
        size_of_val(pool.links())
            + size_of_val(pool.askers())
            + pool.links().len() * size_of::<u16>()
            + pool.waiters() * size_of::<(LeaseId, Time)>()
            + ghost.peers.capacity() * size_of::<Peer>()
            + ghost.queue.capacity() * size_of::<Waiter>()
            + ghost.borrowers.capacity() * size_of::<Borrower>()
    }
}
