//! The state behind a pool's handles, and the one place where events go in and commands come out.

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
    Cause, Connect, Death, Error, Event, Failure, Kind, State, Status, Step, Trace,
    chance::Chance,
    lease::{Granted, Kept},
    session,
};
use crate::{
    Checked, DialId, Fault, LeaseId, Link, Refusal, Time, Work,
    core::{
        link,
        pool::{self, Command},
    },
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
    pub(super) fn ask(
        self: &Arc<Self>,
        now: Time,
        deadline: Time,
        acquired: &'static Location<'static>,
    ) -> Result<Result<Granted<C>, Refusal>, (LeaseId, oneshot::Receiver<Result<Granted<C>, Refusal>>)> {
        let mut core = self.lock();
        let lease = LeaseId(core.leases);
        core.leases += 1;
        core.asking = Some((lease, acquired));
        self.step_at(&mut core, now, pool::Event::Asked { lease, deadline });
        core.asking = None;
        let answer = core.answer.take();
        let result = answer.ok_or_else(|| {
            let (sender, receiver) = oneshot::channel();
            core.waiting.push_back(Waiter { lease, answer: sender, acquired });
            (lease, receiver)
        });
        // Only a dial that is wanted, under way or to be hedged can change what is shown.
        let tally = core.machine.tally();
        if tally.waiting > 0 || tally.dialing > 0 {
            self.publish(&mut core);
        }
        self.unlock(core);
        result
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
    pub(super) fn adopt(self: &Arc<Self>, slot: u16, dial: DialId, client: C::Client, death: Arc<OnceLock<Death>>) {
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
            let wake = core.machine.step(&self.policy, now, event, chance, &mut commands);
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

    fn carry_out(self: &Arc<Self>, core: &mut Core<C>, command: Command) {
        match command {
            Command::Dial { slot, dial } => self.start_dial(core, slot, dial),
            Command::Link { slot, command } => self.carry_out_link(core, slot, command),
            Command::Grant { lease, slot, dial } => self.grant(core, lease, slot, dial),
            Command::Refuse { lease, refusal } => self.refuse(core, lease, refusal),
            Command::Report { lease, fault } => self.tell(None, Kind::LeaseLost(lease, fault)),
        }
    }

    fn start_dial(self: &Arc<Self>, core: &mut Core<C>, slot: u16, dial: DialId) {
        core.dials += 1;
        let index = usize::from(slot);
        while core.slots.len() <= index {
            core.slots.push(Slot::EMPTY);
        }
        self.tell(Some(dial), Kind::Dialing);
        let task = self.runtime.spawn(session::run(Arc::downgrade(self), Arc::clone(&self.connect), slot, dial));
        if let Some(place) = core.slots.get_mut(index) {
            *place = Slot { dial: Some(dial), task: Some(task.abort_handle()), ..Slot::EMPTY };
        }
    }

    fn carry_out_link(self: &Arc<Self>, core: &mut Core<C>, slot: u16, command: link::Command) {
        let Some(place) = core.slots.get_mut(usize::from(slot)) else { return };
        match command {
            link::Command::Abort(dial) if place.dial == Some(dial) => {
                place.aborted = Some(dial);
                core.trash.extend(place.kept.take());
                for task in [place.probe.take(), place.task.take()].into_iter().flatten() {
                    task.abort();
                }
            }
            // Dropping the client ends the session gracefully; its task tells when it has ended.
            link::Command::Close(dial) if place.dial == Some(dial) => core.trash.extend(place.kept.take()),
            link::Command::Probe { dial, by } | link::Command::Reset { dial, by } if place.dial == Some(dial) => {
                let Some(kept) = place.kept.take() else { return };
                let clean = matches!(command, link::Command::Reset { .. });
                let shared = Arc::downgrade(self);
                let connect = Arc::clone(&self.connect);
                let task = self.runtime.spawn(session::probe(shared, connect, slot, dial, by, kept, clean));
                place.probe = Some(task.abort_handle());
            }
            link::Command::Warn(lease) => {
                let Some(acquired) = place.acquired else { return };
                tracing::warn!(lease = lease.0, %acquired, "a lease has been held for long");
                self.tell(None, Kind::LeaseLong(lease, acquired));
            }
            // The driver tells the machine of a statement only when its session ends or comes back, so
            // no link is ever suspected, and there is nothing to ask.
            link::Command::Ask { .. } => {}
            link::Command::Abort(_) | link::Command::Close(_) => {}
            link::Command::Probe { .. } | link::Command::Reset { .. } => {}
        }
    }

    fn grant(self: &Arc<Self>, core: &mut Core<C>, lease: LeaseId, slot: u16, dial: DialId) {
        let asking = core.asking.filter(|(asking, _)| *asking == lease);
        let waiter = match asking {
            Some(_) => None,
            None => core.waiting.binary_search_by_key(&lease, |waiter| waiter.lease).ok(),
        };
        let waiter = waiter.and_then(|place| core.waiting.remove(place));
        let Some(place) = core.slots.get_mut(usize::from(slot)) else { return };
        let Some(kept) = place.kept.take_if(|_| place.dial == Some(dial)) else { return };
        let granted = Granted { lease, slot, dial, kept };
        if let Some((_, acquired)) = asking {
            place.acquired = Some(acquired);
            core.answer = Some(Ok(granted));
            return;
        }
        let unwanted = match waiter {
            Some(waiter) => {
                place.acquired = Some(waiter.acquired);
                waiter.answer.send(Ok(granted)).err().and_then(Result::ok)
            }
            None => Some(granted),
        };
        // Who waited is gone without a word: the session comes back as if it had been used.
        if let Some(granted) = unwanted {
            place.kept = Some(granted.kept);
            core.follow_ups.push_back(pool::Event::Returned { slot, lease, work: Work::AtRest });
        }
    }

    fn refuse(self: &Arc<Self>, core: &mut Core<C>, lease: LeaseId, refusal: Refusal) {
        self.tell(None, Kind::Refused(lease, refusal));
        if core.asking.is_some_and(|(asking, _)| asking == lease) {
            core.answer = Some(Err(refusal));
        } else if let Ok(place) = core.waiting.binary_search_by_key(&lease, |waiter| waiter.lease) {
            if let Some(waiter) = core.waiting.remove(place) {
                // Who waited may be gone: then nobody needs to know.
                let _gone = waiter.answer.send(Err(refusal));
            }
        }
    }

    fn endpoint(&self, dial: DialId) -> Arc<str> {
        self.endpoints.get(usize::from(dial.endpoint())).cloned().unwrap_or_else(|| "?".into())
    }

    fn blame(&self, core: &mut Core<C>, dial: DialId, failure: Failure, kind: fn(Arc<Failure>) -> Kind) {
        let endpoint = self.endpoint(dial);
        let failure = Arc::new(failure);
        let kind = kind(Arc::clone(&failure));
        if core.machine.pacer().at(self.now()).outage_since().is_none() {
            // A dial that fails first belongs to the outage that it begins.
            let own = u64::from(matches!(kind, Kind::DialFailed(_)));
            core.dials_before = core.dials.saturating_sub(own);
        }
        tracing::debug!(%endpoint, %failure, "relink");
        // While dialing is stopped, what stopped it is what somebody must act on: a session that ends
        // meanwhile is told as an event, and changes nothing of that.
        if core.machine.pacer().held().is_none() || core.cause.is_none() {
            core.cause = Some(Cause { endpoint, failure, at: Instant::now() });
        }
        self.tell(Some(dial), kind);
    }

    /// Tells of what is about to be cut because its deadline has passed: nobody else can, for what is
    /// silent does not say why.
    fn blame_overdue(&self, core: &mut Core<C>, now: Time) {
        let silent = |link: &Link| match *link {
            Link::Dialing { dial, deadline, accepted, .. } if deadline <= now => {
                let failure = if accepted {
                    Failure::new(Fault::TimedOut, "accepted, then silent until the dial's deadline")
                } else {
                    Failure::new(Fault::Unreachable, "no answer until the dial's deadline")
                };
                Some((dial, failure, Kind::DialFailed as fn(_) -> _))
            }
            Link::Probing { session, deadline, .. } if deadline <= now => {
                let failure = Failure::new(Fault::TimedOut, "the session was asked and stayed silent");
                Some((session.dial, failure, Kind::Unproved as fn(_) -> _))
            }
            Link::Dialing { .. } | Link::Probing { .. } => None,
            Link::Idle | Link::Waiting | Link::Held { .. } | Link::Closing { .. } | Link::Closed => None,
            Link::Online { .. } | Link::Leased { .. } | Link::Suspected { .. } | Link::Draining { .. } => None,
        };
        let overdue: Vec<_> = core.machine.links().iter().filter_map(silent).collect();
        for (dial, failure, kind) in overdue {
            self.blame(core, dial, failure, kind);
        }
    }

    fn tell(&self, dial: Option<DialId>, kind: Kind) {
        if self.events.receiver_count() == 0 {
            return;
        }
        let event = Event { at: self.origin.elapsed(), endpoint: dial.map(|dial| self.endpoint(dial)), kind };
        // No receiver is no error: nobody wants to know.
        let _none = self.events.send(event);
    }

    /// Lets everybody see where the pool stands, if that has changed.
    pub(super) fn publish(&self, core: &mut Core<C>) {
        let pacer = core.machine.pacer().at(self.now());
        let outage = pacer.outage_since();
        if outage.is_none() {
            core.cause = None;
        }
        let state = state(&core.machine, &pacer);
        let next_dial_at = self.instant(core.machine.next_dial_at(&self.policy));
        let (cause, dials) = (&core.cause, core.dials);
        let mut changed = false;
        self.status.send_if_modified(|status| {
            changed = status.state != state;
            let same = !changed && status.cause == *cause && status.next_dial_at == next_dial_at;
            if changed {
                status.since = Instant::now();
            }
            status.state = state;
            status.cause.clone_from(cause);
            status.next_dial_at = next_dial_at;
            status.dials = dials;
            !same
        });
        if changed {
            tracing::info!(%state, "relink");
            self.tell(None, Kind::State(state));
        }
    }

    /// The error of a wait that began at `asked`.
    pub(super) fn error(&self, refusal: Refusal, asked: Instant) -> Error {
        let core = self.lock();
        let tally = core.machine.tally();
        let now = Instant::now();
        Error {
            refusal,
            cause: core.cause.clone(),
            dials: core.dials.saturating_sub(core.dials_before),
            waited: now.duration_since(asked),
            next_dial_in: self
                .instant(core.machine.next_dial_at(&self.policy))
                .map(|at| at.saturating_duration_since(now)),
            leased: (tally.leased, self.policy.max_size),
            waiters: core.machine.waiters(),
        }
    }
}

fn state(machine: &pool::Pool, pacer: &crate::Pacer) -> State {
    let online = pacer.online() > 0;
    if machine.is_closed() {
        State::Closed
    } else if machine.is_stopping() {
        State::Stopping
    } else if let (Some(fault), false) = (pacer.held(), online) {
        State::Held(fault)
    } else if pacer.outage_since().is_some() {
        if online { State::Settling } else { State::Down }
    } else if online {
        State::Up
    } else {
        State::Connecting
    }
}

impl<C: Connect> Drop for Shared<C> {
    fn drop(&mut self) {
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
