//! A sample of the worlds' runs, executed on the adapter: its clock paused, its backend doing what the run says.
//!
//! Whatever the adapter does then, by its own trace, the world does as well, with the words of chance that the adapter
//! drew; and after every action the machine inside of the adapter has to stand where the world's stands, with nothing due
//! that the adapter has not done.
//!
//! Left out is what an executor lets nobody choose: that an aborted task lingers, that a due timer comes late, that
//! answers come after their task has ended. And suspicion, which the driver does not feed.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unforeseen has failed")]

mod backend;

use std::{collections::BTreeMap, mem, time::Duration};

use relink::{
    Checked, DialId, LeaseId, Policy, Span, Time,
    adapter::{self, Error, Lease, Step, Trace},
    pool::{Command, Event, Pool},
};
use relink_model::worlds::{
    NOW, changing_pool, one_link, pool_of_two, two_endpoints,
    world::{Action, State, World},
};
use stateright::Model;
use tokio::task::JoinHandle;

use backend::Backend;

type Granted = Result<Lease<Backend>, Error>;

/// The adapter, and those around it.
struct Real {
    policy: Checked,
    backend: Backend,
    pool: adapter::Pool<Backend>,
    trace: Trace,
    /// In the order in which they came.
    waits: Vec<JoinHandle<Granted>>,
    /// With the places in the pool.
    leases: Vec<(u16, Lease<Backend>)>,
    /// Whose session was lost before they gave it back: that changes nothing.
    lost: Vec<LeaseId>,
    /// How many steps of the trace the world has taken as well.
    steps: usize,
}

/// What can be compared of two pools whose names and clocks differ.
#[derive(Debug, PartialEq)]
struct Shape {
    /// The kind of each link, and in how many milliseconds its timer is due.
    links: Vec<(String, Option<u64>)>,
    waiters: usize,
    due_in: Option<u64>,
    next_dial_in: Option<u64>,
    pacer: String,
}

fn shape(pool: &Pool, policy: &Checked, now: Time) -> Shape {
    let within = |at: Time| (at != Time::NEVER).then(|| (at - now).as_millis());
    let kind = |link: &relink::link::Link| {
        let name = format!("{link:?}");
        name.split([' ', '{']).next().unwrap_or_default().to_owned()
    };
    let pacer = pool.pacer().at(now);
    Shape {
        links: pool.links().iter().map(|link| (kind(link), within(link.timeout(policy)))).collect(),
        waiters: pool.waiters(),
        due_in: within(pool.timeout(policy)),
        next_dial_in: within(pool.next_dial_at(policy)),
        pacer: format!(
            "{:?} held {:?} settles {:?}",
            pacer.phase(0),
            pacer.held(),
            pacer.settles_at().and_then(within)
        ),
    }
}

impl Real {
    fn new(world: &World, policy: &Checked) -> Self {
        let backend = Backend::new(world.endpoints.into());
        let trace = Trace::new();
        let policy = policy.clone();
        let pool = adapter::Pool::builder(backend.clone(), policy.clone()).trace(&trace).build().unwrap();
        Self { policy, backend, pool, trace, waits: Vec::new(), leases: Vec::new(), lost: Vec::new(), steps: 0 }
    }

    /// The machine as it stands, the present, and every dial so far.
    fn machine(&self) -> Result<(Pool, Time, Vec<DialId>), String> {
        let now = Time::from_millis(u64::try_from(self.pool.built_at().elapsed().as_millis()).unwrap());
        let mut dials = Vec::new();
        let replayed = self.trace.record().replay(|step, _| {
            dials.extend(step.commands.iter().filter_map(|command| match command {
                Command::Dial { dial, .. } => Some(*dial),
                Command::Link { .. } | Command::Grant { .. } | Command::Refuse { .. } | Command::Report { .. } => None,
            }));
        });
        Ok((replayed.map_err(|diverged| diverged.to_string())?, now, dials))
    }

    /// Which dial, in the order of their starts, a place has.
    fn dial_of(&self, slot: u16) -> usize {
        let (machine, _, dials) = self.machine().unwrap();
        let dial = machine.link(slot).dial();
        dials.iter().position(|one| Some(*one) == dial).unwrap()
    }

    fn lease_of(&mut self, slot: u16) -> Lease<Backend> {
        let place = self.leases.iter().position(|(of, _)| *of == slot).unwrap();
        self.leases.remove(place).1
    }

    /// Makes happen what the world says.
    async fn act(&mut self, before: &State, action: Action) {
        let backend = self.backend.clone();
        let Action::Tell(event, _) = action else {
            tokio::time::advance(Duration::from_millis(1)).await;
            return;
        };
        match event {
            Event::Asked { deadline, .. } => {
                // The adapter rounds every wait up by a millisecond, so that none ends early.
                let wait = Duration::from(deadline - NOW) - Duration::from_micros(500);
                let pool = self.pool.clone();
                self.waits.push(tokio::spawn(async move { pool.get_within(wait).await }));
            }
            Event::GaveUp { lease } => {
                let place = before.ghost.queue.iter().position(|waiter| waiter.lease == lease).unwrap();
                self.waits.remove(place).abort();
            }
            Event::Accepted { slot, .. } => backend.order(self.dial_of(slot), |orders| orders.accepts = true),
            Event::Dialed { slot, .. } => backend.order(self.dial_of(slot), |orders| orders.answers = Some(Ok(()))),
            Event::DialFailed { slot, fault, .. } => {
                backend.order(self.dial_of(slot), |orders| orders.answers = Some(Err(fault)));
            }
            Event::Lost { slot, fault, .. } => backend.order(self.dial_of(slot), |orders| orders.loses = Some(fault)),
            Event::Proved { slot, .. } => backend.order(self.dial_of(slot), |orders| orders.proves = Some(Ok(()))),
            Event::Unproved { slot, fault, .. } => {
                backend.order(self.dial_of(slot), |orders| orders.proves = Some(Err(fault)));
            }
            Event::Returned { slot, work, .. } => {
                backend.order(self.dial_of(slot), |orders| orders.work = Some(work));
                drop(self.lease_of(slot));
            }
            Event::Ended { slot, work, .. } => {
                backend.order(self.dial_of(slot), |orders| (orders.work, orders.ended) = (Some(work), true));
                drop(self.lease_of(slot));
            }
            Event::Discarded { slot, .. } => self.lease_of(slot).discard(),
            Event::Demoted => self.pool.demoted(),
            Event::Renewed => self.pool.renew(),
            Event::Resized { max_size } => self.pool.resize(max_size),
            Event::Paused => self.pool.pause(),
            Event::Resumed => self.pool.resume(),
            Event::Stopped { deadline } => {
                let (pool, drain) = (self.pool.clone(), deadline - NOW);
                drop(tokio::spawn(async move { pool.close_within(drain).await }));
            }
            // The adapter's own doing.
            Event::Gone { .. } | Event::Elapsed => {}
            Event::Worked { .. } | Event::Unheard { .. } => unreachable!("left out"),
            Event::FoundAlive { .. } | Event::Undecided { .. } | Event::FoundDead { .. } => unreachable!("left out"),
        }
    }

    /// Lets every task go as far as it can in this instant. The steps that were taken meanwhile.
    async fn settle(&mut self) -> Vec<Step> {
        for _ in 0..24 {
            tokio::task::yield_now().await;
        }
        let steps = self.trace.steps().split_off(self.steps);
        self.steps += steps.len();
        steps
    }

    /// Takes in what was granted, and gives back what was lost.
    async fn take_in(&mut self) {
        let (machine, ..) = self.machine().unwrap();
        let slot_of = |id| {
            let place = machine.links().iter().position(|link| link.lease().is_some_and(|lease| lease.id == id));
            place.map(|place| u16::try_from(place).unwrap())
        };
        for wait in mem::take(&mut self.waits) {
            if !wait.is_finished() {
                self.waits.push(wait);
            } else if let Ok(Ok(lease)) = wait.await {
                self.leases.push((u16::MAX, lease));
            }
        }
        for (_, lease) in mem::take(&mut self.leases) {
            match slot_of(lease.id()) {
                Some(slot) => self.leases.push((slot, lease)),
                None => self.lost.push(lease.id()),
            }
        }
    }

    /// Whether anybody could do it: not what the executor does by itself, and no borrower gives back twice.
    fn can(&self, action: &Action) -> bool {
        // What a borrower does is seen when its lease is looked at, which is left out here.
        let Action::Tell(event, _) = *action else { return !matches!(action, Action::Work(..)) };
        match event {
            Event::Worked { .. } | Event::Unheard { .. } => false,
            Event::FoundAlive { .. } | Event::Undecided { .. } | Event::FoundDead { .. } => false,
            Event::Gone { .. } | Event::Elapsed => false,
            Event::Returned { slot, .. } | Event::Ended { slot, .. } | Event::Discarded { slot, .. } => {
                self.leases.iter().any(|(of, _)| *of == slot)
            }
            Event::Asked { .. } | Event::GaveUp { .. } | Event::Accepted { .. } | Event::Dialed { .. } => true,
            Event::DialFailed { .. } | Event::Lost { .. } | Event::Proved { .. } | Event::Unproved { .. } => true,
            Event::Demoted | Event::Renewed | Event::Resized { .. } | Event::Paused | Event::Resumed => true,
            Event::Stopped { .. } => true,
        }
    }

    fn stands_like(&self, world: &World, state: &State) -> Result<(), String> {
        let (machine, now, _) = self.machine()?;
        let (real, model) = (shape(&machine, &self.policy, now), shape(&state.pool, &world.policy, NOW));
        if real == model { Ok(()) } else { Err(format!("the adapter stands at\n{real:#?}\nthe world at\n{model:#?}")) }
    }
}

/// What happened, and to which place, whatever the names are.
fn kind(event: Event) -> (mem::Discriminant<Event>, Option<u16>) {
    let slot = match event {
        Event::Accepted { slot, .. } | Event::Dialed { slot, .. } | Event::DialFailed { slot, .. } => Some(slot),
        Event::Lost { slot, .. } | Event::Gone { slot, .. } | Event::Worked { slot, .. } => Some(slot),
        Event::Proved { slot, .. } | Event::Unproved { slot, .. } | Event::Unheard { slot, .. } => Some(slot),
        Event::FoundAlive { slot, .. } | Event::Undecided { slot, .. } | Event::FoundDead { slot, .. } => Some(slot),
        Event::Returned { slot, .. } | Event::Ended { slot, .. } | Event::Discarded { slot, .. } => Some(slot),
        Event::Asked { .. } | Event::GaveUp { .. } | Event::Demoted | Event::Renewed => None,
        Event::Resized { .. } | Event::Paused | Event::Resumed | Event::Stopped { .. } | Event::Elapsed => None,
    };
    (mem::discriminant(&event), slot)
}

/// What happens; that time passes counts as the event that it brings.
fn what(action: Action) -> Event {
    if let Action::Tell(event, _) = action { event } else { Event::Elapsed }
}

/// The world's action that a step of the adapter's is; `None` for what the world leaves out because it changes nothing.
fn counterpart(world: &World, state: &State, chosen: Action, step: &Step, lost: &[LeaseId]) -> Option<Action> {
    let of_a_lost_lease = matches!(step.event, Event::Returned { lease, .. } if lost.contains(&lease));
    let mut actions = Vec::new();
    world.actions(state, &mut actions);
    let same = |action: &&Action| matches!(action, Action::Tell(event, _) if kind(*event) == kind(step.event));
    let told = [chosen].iter().find(same).or_else(|| actions.iter().find(same)).copied();
    let Action::Tell(event, _) = told.filter(|_| !of_a_lost_lease)? else { return None };
    Some(Action::Tell(event, step.chance))
}

/// The executor leaves nothing undone that is due.
fn owes_nothing(world: &World, state: &State) -> Result<(), String> {
    let mut actions = Vec::new();
    world.actions(state, &mut actions);
    let due = |action: &&Action| matches!(action, Action::Tell(Event::Gone { .. } | Event::Elapsed, _));
    actions.iter().find(due).map_or(Ok(()), |due| Err(format!("the adapter has not done {due:?}")))
}

/// One run of a world, on the adapter as well. Which events came, and how often.
async fn walk(world: &World, policy: &Checked, seed: u64, seen: &mut BTreeMap<String, u32>) -> Result<(), String> {
    let mut word = seed;
    let mut draw = move |below: usize| {
        // SplitMix64.
        word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % below as u64).unwrap()
    };
    let mut real = Real::new(world, policy);
    let mut state = world.init_states().pop().unwrap();
    real.settle().await;
    let mut story = Vec::new();
    for _ in 0..60 {
        let mut actions = Vec::new();
        world.actions(&state, &mut actions);
        actions.retain(|action| real.can(action));
        // Each kind of thing is as likely as the others, but for the end, or runs would be short.
        let stays = draw(16) > 0;
        actions.retain(|action| !(stays && matches!(action, Action::Tell(Event::Stopped { .. }, _))));
        let alike: Vec<&[Action]> =
            actions.chunk_by(|one, next| mem::discriminant(&what(*one)) == mem::discriminant(&what(*next))).collect();
        let Some(action) = alike.get(draw(alike.len().max(1))).map(|alike| alike[draw(alike.len())]) else { break };
        story.push(format!("{action:?}"));
        real.act(&state, action).await;
        if action == Action::Tick {
            state = world.next_state(&state, action).unwrap_or(state);
        }
        for step in real.settle().await {
            let told = counterpart(world, &state, action, &step, &real.lost);
            story.push(format!("  {:?} is {told:?}", step.event));
            state = told.and_then(|told| world.next_state(&state, told)).unwrap_or(state);
        }
        real.take_in().await;
        let stands = real.stands_like(world, &state).and_then(|()| owes_nothing(world, &state));
        stands.map_err(|wrong| format!("seed {seed}\n{}\n{wrong}", story.join("\n")))?;
    }
    for step in real.trace.steps() {
        let name = format!("{:?}", step.event);
        *seen.entry(name.split([' ', '{']).next().unwrap_or_default().to_owned()).or_default() += 1;
    }
    Ok(())
}

/// The world without suspicion.
fn unsuspecting(world: Option<World>) -> World {
    let mut world = world.unwrap();
    let mut policy = Policy::from(world.policy.clone());
    policy.patience = None;
    world.policy = policy.check().unwrap();
    world.driven = world.policy.clone();
    world
}

#[tokio::test(start_paused = true)]
async fn runs_of_the_worlds_are_runs_of_the_adapter() {
    let mut seen = BTreeMap::new();
    for world in [one_link(None), pool_of_two(None), changing_pool(None), two_endpoints(None)] {
        let world = unsuspecting(world);
        for seed in 0..150 {
            walk(&world, &world.policy, seed, &mut seen)
                .await
                .unwrap_or_else(|wrong| panic!("{}: {wrong}", world.name));
        }
    }
    for event in [
        "Asked",
        "GaveUp",
        "Accepted",
        "Dialed",
        "DialFailed",
        "Lost",
        "Gone",
        "Proved",
        "Unproved",
        "Returned",
        "Ended",
        "Discarded",
        "Demoted",
        "Renewed",
        "Resized",
        "Paused",
        "Resumed",
        "Stopped",
        "Elapsed",
    ] {
        assert!(seen.get(event).is_some_and(|count| *count >= 20), "{event}: {seen:?}");
    }
}

/// The comparison can fail: an adapter with another window is found out.
#[tokio::test(start_paused = true)]
async fn an_adapter_that_waits_longer_is_told_from_the_world() {
    let world = unsuspecting(one_link(None));
    let mut longer = Policy::from(world.policy.clone());
    (longer.w0, longer.capd) = (longer.w0 + Span::from_millis(1), longer.capd + Span::from_millis(1));
    let longer = longer.check().unwrap();
    let mut wrong = Vec::new();
    for seed in 0..20 {
        wrong.extend(walk(&world, &longer, seed, &mut BTreeMap::new()).await.err());
    }
    assert!(wrong.iter().any(|wrong| wrong.contains("Waiting")), "{wrong:?}");
}
