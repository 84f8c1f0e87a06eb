//! The state behind a pool's handles, and the one place where events go in and commands come out.

mod borrow;
mod carry_out;
mod observe;
mod question;
mod tasks;

pub(super) use borrow::Asked;
pub(super) use question::Inquiry;

use std::{
    collections::VecDeque,
    mem,
    panic::Location,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{Notify, broadcast, oneshot, watch},
    task::AbortHandle,
    time::Instant,
};

use super::{
    Cause, Connect, Event, State, Status, Step, Trace,
    chance::Chance,
    lease::{Ending, Granted, Kept},
};
use crate::{
    Checked, DialId, LeaseId, Refusal, Time,
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
    /// Where the session's last lease was acquired.
    acquired: Option<&'static Location<'static>>,
    /// What is seen of the session while a borrower has it.
    watch: Option<Arc<C::Watch>>,
    /// Where its end is told.
    ending: Option<Arc<Ending>>,
    /// The latest sign of life that was told: two who look at once may come in the other order.
    heard_at: Time,
}

impl<C: Connect> Slot<C> {
    const EMPTY: Self = Self {
        dial: None,
        kept: None,
        task: None,
        probe: None,
        aborted: None,
        acquired: None,
        watch: None,
        ending: None,
        heard_at: Time::ZERO,
    };
}

/// Somebody who waits outside of the lock.
struct Waiter<C: Connect> {
    lease: LeaseId,
    answer: oneshot::Sender<Result<Granted<C>, Refusal>>,
    acquired: &'static Location<'static>,
}

/// The end of a wait, on its way to who waited; to nobody if nobody is known by that name.
struct Answer<C: Connect> {
    to: Option<oneshot::Sender<Result<Granted<C>, Refusal>>>,
    answer: Result<Granted<C>, Refusal>,
}

pub(super) struct Core<C: Connect> {
    pub(super) machine: pool::Pool,
    slots: Vec<Slot<C>>,
    /// In the order of their names, which only grow.
    waiting: VecDeque<Waiter<C>>,
    /// How many waits there were: the name of the next.
    leases: u64,
    chance: Chance,
    trace: Option<Trace>,
    commands: Vec<Command>,
    /// The dials that are to be spawned outside of the lock.
    births: Vec<(u16, DialId)>,
    /// The leases that are to be looked at outside of the lock.
    looks: Vec<(u16, LeaseId, Arc<C::Watch>)>,
    /// The questions of the step that is being carried out, each with those that it is about.
    inquiries: Vec<Inquiry<C>>,
    /// What is to be told outside of the lock.
    answers: Vec<Answer<C>>,
    /// What is to be dropped outside of the lock.
    trash: Vec<Kept<C>>,
    /// When the timer task wakes.
    armed: Time,
    /// Who is asking right now, and the answer if it came at once.
    asking: Option<(LeaseId, &'static Location<'static>)>,
    answer: Option<Result<Granted<C>, Refusal>>,
    /// The last failure of the outage on record.
    cause: Option<Cause>,
    /// Dials made since the pool was built.
    dials: u64,
    /// Dials made when the outage on record began.
    dials_before: u64,
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
        let status = Status { state: State::Idle, since: origin, cause: None, next_dial_at: None, dials: 0 };
        let core = Core {
            slots: (0..machine.askers().len() + machine.links().len()).map(|_| Slot::EMPTY).collect(),
            waiting: VecDeque::new(),
            leases: 0,
            chance: seed.map_or_else(Chance::from_system, Chance::seeded),
            trace,
            commands: Vec::with_capacity(machine.commands_max()),
            births: Vec::new(),
            looks: Vec::new(),
            inquiries: Vec::new(),
            answers: Vec::new(),
            trash: Vec::new(),
            armed: Time::NEVER,
            asking: None,
            answer: None,
            cause: None,
            dials: 0,
            dials_before: 0,
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
        let now = self.now();
        let mut core = self.lock();
        self.step(&mut core, now, event);
        self.publish(&mut core);
        self.unlock(core);
    }

    /// Ends a turn: nobody is woken and nothing is dropped under the lock, for neither a waker nor a
    /// client's drop is relink's code; and a runtime that has ended drops a task where it is spawned.
    fn unlock(self: &Arc<Self>, mut core: MutexGuard<'_, Core<C>>) {
        // Mostly there is one answer or none: a vector that is taken away would have to be allocated anew.
        if core.answers.len() <= 1 && core.trash.is_empty() && core.births.is_empty() && core.looks.is_empty() {
            let answer = core.answers.pop();
            drop(core);
            if let Some(answer) = answer {
                self.deliver(answer);
            }
            return;
        }
        let (answers, trash) = (mem::take(&mut core.answers), mem::take(&mut core.trash));
        let (births, looks) = (mem::take(&mut core.births), mem::take(&mut core.looks));
        drop(core);
        drop(trash);
        for (slot, dial) in births {
            self.spawn_dial(slot, dial);
        }
        for (slot, lease, watch) in looks {
            self.look(slot, lease, &watch);
        }
        for answer in answers {
            self.deliver(answer);
        }
    }

    fn deliver(self: &Arc<Self>, Answer { to, answer }: Answer<C>) {
        let undelivered = match to {
            Some(waiter) => waiter.send(answer).err(),
            None => Some(answer),
        };
        // Who waited is gone: the session comes back as if it had been used.
        if let Some(Ok(granted)) = undelivered {
            self.take_back(granted);
        }
    }

    /// One step of the machine and its commands. `now` is best read before the lock is taken, for reading
    /// it takes as long as a step; a time older than another's means to the machine that none has passed.
    fn step(self: &Arc<Self>, core: &mut Core<C>, now: Time, event: pool::Event) {
        if event == pool::Event::Elapsed {
            self.blame_overdue(core, now);
        }
        let chance = core.chance.word();
        let mut commands = mem::take(&mut core.commands);
        commands.clear();
        let (dialing, outage) = (core.machine.tally().dialing, core.machine.pacer().outage_since());
        let wake = core.machine.step(&self.policy, now, event, chance, &mut commands);
        if core.machine.pacer().outage_since() != outage {
            // A dial that was in flight when the outage began is answered in it.
            core.dials_before = core.dials.saturating_sub(u64::from(dialing));
        }
        if let Some(trace) = &core.trace {
            trace.step(Step { now, event, chance, commands: commands.clone() });
        }
        for command in &commands {
            if let (pool::Event::Elapsed, Command::Report { slot, cause, .. }) = (event, *command) {
                self.condemn_overdue(core, slot, cause);
            }
        }
        for command in &commands {
            self.carry_out(core, *command);
        }
        self.inquire(core, now);
        core.commands = commands;
        // Nothing is due when an outage is forgotten, but that it is has to be published.
        let wake = core.machine.pacer().settles_at().map_or(wake, |at| wake.min(at));
        if event == pool::Event::Elapsed || wake < core.armed {
            core.armed = wake;
            self.timer.notify_one();
        }
    }
}

impl<C: Connect> Core<C> {
    /// The things of a place; those of the askers come first.
    fn place(&mut self, slot: u16) -> Option<&mut Slot<C>> {
        let askers = self.machine.askers().len();
        let index = match slot.checked_sub(pool::ASKERS) {
            Some(endpoint) => usize::from(endpoint),
            None => askers + usize::from(slot),
        };
        // A pool that was resized has more places than before.
        let most = askers + self.machine.links().len();
        if self.slots.len() < most {
            self.slots.resize_with(most, || Slot::EMPTY);
        }
        self.slots.get_mut(index)
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
