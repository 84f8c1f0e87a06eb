//! The state behind a pool's handles, and the one place where events go in and commands come out.

mod carry_out;
mod observe;

use std::{
    collections::VecDeque,
    mem,
    panic::Location,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{Notify, broadcast, oneshot, watch},
    task::AbortHandle,
    time::Instant,
};

use super::{
    Cause, Connect, Death, Event, Failure, Kind, State, Status, Step, Trace,
    chance::Chance,
    lease::{Granted, Kept},
};
use crate::{
    Checked, DialId, Fault, LeaseId, Refusal, Time, Work,
    core::pool::{self, Command},
};

/// What a place in the pool holds beside its link: the things that a pure machine cannot hold.
struct Slot<C: Connect> {
    /// Whose the things are.
    dial: Option<DialId>,
    /// The client, while no borrower and no probe has it.
    kept: Option<Kept<C>>,
    /// The task of the dial and then of the session.
    task: Option<AbortHandle>,
    /// The task of a probe.
    probe: Option<AbortHandle>,
    /// The dial whose task was told to end: when it ends, that was us.
    aborted: Option<DialId>,
    /// Where the lease was acquired.
    acquired: Option<&'static Location<'static>>,
}

impl<C: Connect> Slot<C> {
    const EMPTY: Self = Self { dial: None, kept: None, task: None, probe: None, aborted: None, acquired: None };
}

/// What comes of asking for a session.
pub(super) enum Asked<C: Connect> {
    /// There was an answer at once.
    Answered(Result<Granted<C>, Refusal>),
    /// The answer comes later, under this name.
    Waits(LeaseId, oneshot::Receiver<Result<Granted<C>, Refusal>>),
}

/// Somebody who waits outside of the lock.
struct Waiter<C: Connect> {
    lease: LeaseId,
    answer: oneshot::Sender<Result<Granted<C>, Refusal>>,
    acquired: &'static Location<'static>,
}

pub(super) struct Core<C: Connect> {
    pub(super) machine: pool::Pool,
    slots: Vec<Slot<C>>,
    /// In the order of their names, which only grow.
    waiting: VecDeque<Waiter<C>>,
    leases: u64,
    chance: Chance,
    trace: Option<Trace>,
    commands: Vec<Command>,
    /// What followed from carrying commands out; fed after them.
    follow_ups: VecDeque<pool::Event>,
    /// What is to be dropped outside of the lock.
    trash: Vec<Kept<C>>,
    /// When the timer task wakes.
    armed: Time,
    /// Who is asking right now, and the answer if it came at once.
    asking: Option<(LeaseId, &'static Location<'static>)>,
    answer: Option<Result<Granted<C>, Refusal>>,
    cause: Option<Cause>,
    dials: u64,
    /// Dials made when the outage on record began.
    dials_before: u64,
    outage: Option<Time>,
    runtime_gone: bool,
}

pub(super) struct Shared<C: Connect> {
    pub(super) connect: Arc<C>,
    pub(super) policy: Checked,
    pub(super) origin: Instant,
    runtime: Handle,
    core: Mutex<Core<C>>,
    pub(super) timer: Arc<Notify>,
    pub(super) status: watch::Sender<Status>,
    pub(super) events: broadcast::Sender<Event>,
    endpoints: Vec<Arc<str>>,
}

impl<C: Connect> Shared<C> {
    pub(super) fn new(connect: C, policy: Checked, runtime: Handle, trace: Option<Trace>, seed: Option<u64>) -> Self {
        let count = u8::try_from(connect.endpoints()).unwrap_or(u8::MAX);
        let machine = pool::Pool::new(&policy, count);
        let origin = Instant::now();
        let status = Status { state: State::Connecting, since: origin, cause: None, next_dial_at: None, dials: 0 };
        let core = Core {
            slots: machine.links().iter().map(|_| Slot::EMPTY).collect(),
            waiting: VecDeque::new(),
            leases: 0,
            chance: seed.map_or_else(Chance::from_system, Chance::seeded),
            trace,
            commands: Vec::with_capacity(machine.commands_max()),
            follow_ups: VecDeque::new(),
            trash: Vec::new(),
            armed: Time::NEVER,
            asking: None,
            answer: None,
            cause: None,
            dials: 0,
            dials_before: 0,
            outage: None,
            runtime_gone: false,
            machine,
        };
        Self {
            endpoints: (0..connect.endpoints()).map(|index| connect.endpoint(index).into()).collect(),
            connect: Arc::new(connect),
            origin,
            runtime,
            core: Mutex::new(core),
            timer: Arc::new(Notify::new()),
            status: watch::Sender::new(status),
            events: broadcast::Sender::new(usize::try_from(policy.events_max).unwrap_or(usize::MAX)),
            policy,
        }
    }

    /// Milliseconds since the pool was built.
    pub(super) fn now(&self) -> Time {
        self.time(Instant::now())
    }

    /// An instant as the machines count it.
    pub(super) fn time(&self, at: Instant) -> Time {
        let since = at.saturating_duration_since(self.origin);
        // Cheaper than the whole in 128 bits, and the same.
        Time::from_millis(since.as_secs().saturating_mul(1_000).saturating_add(u64::from(since.subsec_millis())))
    }

    /// The instant of a machine's time; `None` for one that does not come.
    pub(super) fn instant(&self, at: Time) -> Option<Instant> {
        if at == Time::NEVER {
            return None;
        }
        self.origin.checked_add(Duration::from_millis(at.as_millis()))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Core<C>> {
        // A panic while the lock is held can only come from a connector; the machines stay consistent.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives one event to the machine and carries out what it commands.
    pub(super) fn feed(self: &Arc<Self>, event: pool::Event) {
        let mut core = self.lock();
        self.step(&mut core, event);
        self.publish(&mut core);
        self.unlock(core);
    }

    /// What was thrown away is dropped only after the lock: a client's drop is not relink's code.
    fn unlock(&self, mut core: MutexGuard<'_, Core<C>>) {
        if core.trash.is_empty() {
            return;
        }
        let trash = mem::take(&mut core.trash);
        drop(core);
        drop(trash);
    }

    /// Asks for a session: at once, or by the answer that comes later.
    pub(super) fn ask(self: &Arc<Self>, now: Time, deadline: Time, acquired: &'static Location<'static>) -> Asked<C> {
        let mut core = self.lock();
        let lease = LeaseId(core.leases);
        core.leases += 1;
        core.asking = Some((lease, acquired));
        self.step_at(&mut core, now, pool::Event::Asked { lease, deadline });
        core.asking = None;
        let answer = core.answer.take();
        let asked = match answer {
            Some(answer) => Asked::Answered(answer),
            None => {
                let (sender, receiver) = oneshot::channel();
                core.waiting.push_back(Waiter { lease, answer: sender, acquired });
                Asked::Waits(lease, receiver)
            }
        };
        // Only a dial that is wanted, under way or to be hedged can change what is shown.
        let tally = core.machine.tally();
        if tally.waiting > 0 || tally.dialing > 0 {
            self.publish(&mut core);
        }
        self.unlock(core);
        asked
    }

    /// A wait was dropped: nobody waits under this name any more, and what it was granted comes back.
    pub(super) fn give_up(
        self: &Arc<Self>,
        lease: LeaseId,
        receiver: &mut oneshot::Receiver<Result<Granted<C>, Refusal>>,
    ) {
        let mut core = self.lock();
        receiver.close();
        if let Ok(Ok(granted)) = receiver.try_recv() {
            self.unlock(core);
            return self.take_back(granted);
        }
        if let Ok(place) = core.waiting.binary_search_by_key(&lease, |waiter| waiter.lease) {
            core.waiting.remove(place);
        }
        self.step(&mut core, pool::Event::GaveUp { lease });
        self.unlock(core);
    }

    /// A borrower gives a session back.
    pub(super) fn take_back(self: &Arc<Self>, granted: Granted<C>) {
        let Granted { lease, slot, dial, kept } = granted;
        let work = self.connect.work(&kept.client);
        if self.connect.ended(&kept.client) {
            // The link stays lent until the life has told why it ended: given back now, it would be
            // lent to the next in line, and to the next, for as long as the life's task is not run.
            return;
        }
        let mut core = self.lock();
        self.take_back_locked(&mut core, lease, slot, dial, kept, work);
        self.unlock(core);
    }

    fn take_back_locked(
        self: &Arc<Self>,
        core: &mut Core<C>,
        lease: LeaseId,
        slot: u16,
        dial: DialId,
        kept: Kept<C>,
        work: Work,
    ) {
        match core.slots.get_mut(usize::from(slot)) {
            Some(place) if place.dial == Some(dial) && place.kept.is_none() => place.kept = Some(kept),
            // The session was lost while it was lent: its place is not its own any more.
            Some(_) | None => core.trash.push(kept),
        }
        self.step(core, pool::Event::Returned { slot, lease, work });
    }

    /// A dial opened a session.
    pub(super) fn adopt(self: &Arc<Self>, slot: u16, dial: DialId, mut client: C::Client, death: Arc<OnceLock<Death>>) {
        let pool = Arc::downgrade(self);
        self.connect.adopted(&mut client, move || {
            if let Some(pool) = pool.upgrade() {
                pool.feed(pool::Event::Demoted);
            }
        });
        let mut core = self.lock();
        let kept = Kept { client: Box::new(client), death };
        match core.slots.get_mut(usize::from(slot)) {
            Some(place) if place.dial == Some(dial) => place.kept = Some(kept),
            Some(_) | None => core.trash.push(kept),
        }
        self.tell(Some(dial), Kind::Online);
        self.step(&mut core, pool::Event::Dialed { slot, dial });
        self.publish(&mut core);
        self.unlock(core);
    }

    /// A dial failed.
    pub(super) fn dial_failed(self: &Arc<Self>, slot: u16, dial: DialId, failure: Failure) {
        let mut core = self.lock();
        let fault = failure.fault;
        self.blame(&mut core, dial, failure, Kind::DialFailed);
        self.step(&mut core, pool::Event::DialFailed { slot, dial, fault });
        self.publish(&mut core);
        self.unlock(core);
    }

    /// A session ended. What it was doing is told first: the loss means something else then.
    pub(super) fn bury(self: &Arc<Self>, slot: u16, dial: DialId, death: Death) {
        let mut core = self.lock();
        let Death { failure, work } = death;
        let fault = failure.fault;
        let link = core.machine.link(slot);
        if link.session().is_some_and(|session| session.dial == dial) {
            self.blame(&mut core, dial, failure, Kind::Lost);
            if let Some(lease) = link.lease() {
                self.step(&mut core, pool::Event::Worked { slot, lease: lease.id, work });
            }
        }
        self.step(&mut core, pool::Event::Lost { slot, dial, fault });
        self.publish(&mut core);
        self.unlock(core);
    }

    /// A probe or a reset has an answer, and the client comes back.
    pub(super) fn probed(
        self: &Arc<Self>,
        slot: u16,
        dial: DialId,
        by: Time,
        kept: Kept<C>,
        answer: Result<(), Failure>,
    ) {
        let mut core = self.lock();
        match core.slots.get_mut(usize::from(slot)) {
            Some(place) if place.dial == Some(dial) && place.kept.is_none() => {
                place.kept = Some(kept);
                place.probe = None;
            }
            Some(_) | None => core.trash.push(kept),
        }
        let event = match answer {
            Ok(()) => pool::Event::Proved { slot, dial, by },
            Err(failure) => {
                let fault = failure.fault;
                self.blame(&mut core, dial, failure, Kind::Unproved);
                pool::Event::Unproved { slot, dial, by, fault }
            }
        };
        self.step(&mut core, event);
        self.publish(&mut core);
        self.unlock(core);
    }

    /// The task of a dial or session has ended: nothing of it is left.
    pub(super) fn gone(self: &Arc<Self>, slot: u16, dial: DialId, finished: bool) {
        let mut core = self.lock();
        let ours = core.slots.get(usize::from(slot)).is_some_and(|place| place.aborted == Some(dial));
        if !finished && !ours {
            if std::thread::panicking() {
                let failure = Failure::new(Fault::Misconfigured, "the connector panicked");
                self.blame(&mut core, dial, failure, Kind::DialFailed);
                let fault = Fault::Misconfigured;
                self.step(&mut core, pool::Event::DialFailed { slot, dial, fault });
            } else if !core.runtime_gone {
                // Nobody told the task to end, so its runtime has: nothing can be dialed any more.
                core.runtime_gone = true;
                let deadline = self.now();
                self.step(&mut core, pool::Event::Stopped { deadline });
            }
            self.step(&mut core, pool::Event::Lost { slot, dial, fault: Fault::Lost });
        }
        if let Some(place) = core.slots.get_mut(usize::from(slot)).filter(|place| place.dial == Some(dial)) {
            let place = mem::replace(place, Slot::EMPTY);
            core.trash.extend(place.kept);
            if let Some(probe) = place.probe {
                probe.abort();
            }
        }
        self.step(&mut core, pool::Event::Gone { slot, dial });
        self.publish(&mut core);
        self.unlock(core);
    }

    /// One step of the machine, its commands, and whatever followed from carrying them out.
    pub(super) fn step(self: &Arc<Self>, core: &mut Core<C>, event: pool::Event) {
        self.step_at(core, self.now(), event);
    }

    /// The same for who has just read the clock.
    fn step_at(self: &Arc<Self>, core: &mut Core<C>, now: Time, event: pool::Event) {
        let mut next = Some(event);
        while let Some(event) = next {
            if event == pool::Event::Elapsed {
                self.blame_overdue(core, now);
            }
            let chance = core.chance.word();
            let mut commands = mem::take(&mut core.commands);
            commands.clear();
            let dialing = core.machine.tally().dialing;
            let wake = core.machine.step(&self.policy, now, event, chance, &mut commands);
            let outage = core.machine.pacer().outage_since();
            if outage != core.outage {
                core.outage = outage;
                // A dial that was in flight when the outage began is answered in it.
                core.dials_before = core.dials.saturating_sub(u64::from(dialing));
            }
            if let Some(trace) = &core.trace {
                trace.record(Step { now, event, chance, commands: commands.clone() });
            }
            for command in &commands {
                self.carry_out(core, *command);
            }
            core.commands = commands;
            // Nothing is due when an outage is forgotten, but that it is has to be published.
            let wake = core.machine.pacer().settles_at().map_or(wake, |at| wake.min(at));
            if event == pool::Event::Elapsed || wake < core.armed {
                core.armed = wake;
                self.timer.notify_one();
            }
            next = core.follow_ups.pop_front();
        }
    }
}

impl<C: Connect> Drop for Shared<C> {
    fn drop(&mut self) {
        // The timer may sleep until a time that no longer matters, or for ever.
        self.timer.notify_one();
        let core = self.core.get_mut().unwrap_or_else(PoisonError::into_inner);
        for place in &mut core.slots {
            for task in [place.probe.take(), place.task.take()].into_iter().flatten() {
                task.abort();
            }
        }
    }
}

/// When the timer is due, for the timer task.
pub(super) fn armed<C: Connect>(shared: &Shared<C>) -> Option<Instant> {
    let armed = shared.lock().armed;
    shared.instant(armed)
}
