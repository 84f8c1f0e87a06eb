//! One run: the queue of what happens next, and what each thing means for the fleet and the servers.

use std::collections::VecDeque;

use cpu_time::ThreadTime;
use relink::{DialId, Fault, Span, link::Link, pool::Event};

use super::{
    contender::Contender,
    fleet::{Fleet, Order},
    meter::{Bin, Figures, Meter},
    queue::Queue,
    script::{Turn, script},
    server::{Admission, Caller, Condition, Endpoint, Server},
    world::{FLAP, Kind, ROUND_TRIP, World},
};

/// How often progress is told.
const EVENTS_PER_WORD: u64 = 1 << 16;

/// What came of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What it comes to.
    pub figures: Figures,
    /// The record, from the beginning of the outage (or at most one bin earlier), [`BIN`](super::BIN) by bin.
    pub bins: Vec<Bin>,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Time simulated so far.
    pub elapsed: Span,
    /// Sessions now.
    pub online: u32,
    /// Events so far.
    pub events: u64,
}

/// An item of the queue, 16 bytes: there is one for every process at least.
#[derive(Clone, Copy, Debug)]
struct Item {
    dial: DialId,
    /// The process; or the endpoint whose turn it is.
    id: u32,
    slot: u16,
    what: What,
}

/// What comes next. The script stays out of the queue, whose next few items are close together in time without it.
enum Next {
    Turn(Turn),
    Item(Item),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// A pool's timeout.
    Timer,
    /// A kernel sends a SYN for the n-th time again.
    Resend(u8),
    /// RST reaches a client.
    Refused,
    /// A set-up that began in this era of its server is done, or is rejected.
    Served(u8),
    Rejected(u8),
    /// A flapping server ends a session.
    Dropped,
    /// A process has stayed away for as long as a server told it to.
    Hinted,
    /// A set-up of a sharing server may be done.
    Share,
}

struct Run<'a> {
    world: &'a World,
    script: VecDeque<(u64, Turn)>,
    /// By twice the time, see [`Run::push`].
    queue: Queue<Item>,
    fleet: Fleet<'a>,
    endpoints: Vec<Endpoint>,
    meter: Meter,
}

/// Simulates a fleet, each process driven by the production functions ([`relink::pool::Pool::step`], and so those
/// of `Link` and `Pacer`), until everybody is connected or the horizon comes.
///
/// The same world, policy and seed give the same outcome, but for [`Figures::events_per_s`].
pub fn run(world: &World, contender: &Contender, seed: u64, told: &mut dyn FnMut(Progress)) -> Outcome {
    let started = ThreadTime::now();
    let mut run = Run::new(world, contender, seed);
    let end = nanos(world.ends_after());
    while let Some((now, next)) = run.next() {
        if now > end {
            break;
        }
        run.meter.events += 1;
        match next {
            Next::Turn(turn) => run.turn(now, turn),
            Next::Item(item) => run.happen(now, item),
        }
        run.meter.look(now);
        if run.meter.all_at.is_some() {
            break;
        }
        if run.meter.events.is_multiple_of(EVENTS_PER_WORD) {
            let elapsed = Span::from_millis(now / 1_000_000);
            told(Progress { elapsed, online: run.meter.online, events: run.meter.events });
        }
    }
    let figures = run.meter.figures(world, &contender.name, seed, started.elapsed().as_secs_f64());
    Outcome { figures, bins: run.meter.bins }
}

const fn nanos(span: Span) -> u64 {
    span.as_millis().saturating_mul(1_000_000)
}

impl<'a> Run<'a> {
    fn new(world: &'a World, contender: &'a Contender, seed: u64) -> Self {
        let processes = world.clients / u32::from(contender.slots.max(1));
        let (script, returns_at) = script(world, processes);
        let mut run = Self {
            world,
            queue: Queue::new(),
            fleet: Fleet::new(&contender.policy, world.endpoints(), processes, seed),
            endpoints: Vec::new(),
            meter: Meter::new(world, returns_at),
            script: script.into(),
        };
        for endpoint in 0..world.endpoints() {
            run.endpoints.push(Endpoint {
                server: Server::new(world),
                condition: Condition::Serving,
                primary: endpoint == 0,
                era: 0,
                share_queued: u64::MAX,
            });
        }
        run.meter.online = world.clients;
        run
    }

    fn next(&mut self) -> Option<(u64, Next)> {
        let fleet = &self.fleet;
        let item = self.queue.pop(|soon| {
            let of_processes = soon.iter().filter(|(_, item)| item.what != What::Share);
            fleet.fetch(of_processes.map(|(_, item)| item.id));
        });
        match (self.script.front(), item) {
            (Some(&(at, turn)), item) if item.is_none_or(|(other, _)| at <= other >> 1) => {
                if let Some((other, item)) = item {
                    self.queue.put_back(other, item);
                }
                self.script.pop_front();
                Some((at, Next::Turn(turn)))
            }
            (_, item) => item.map(|(at, item)| (at >> 1, Next::Item(item))),
        }
    }

    fn happen(&mut self, now: u64, item: Item) {
        let Item { dial, id, slot, what } = item;
        let caller = Caller { process: id, slot, dial };
        match what {
            What::Share => return self.share(now, id),
            What::Timer => {
                let Some(driver) = self.fleet.driver(id) else { return };
                driver.taken(now, true);
                if self.fleet.is_due(id, now) {
                    self.fleet.step(id, now, Event::Elapsed);
                }
            }
            What::Resend(_) | What::Refused | What::Served(_) | What::Rejected(_) | What::Dropped | What::Hinted => {
                let Some(driver) = self.fleet.driver(id) else { return };
                driver.taken(now, false);
                let waited_for = self.fleet.waits_until(id, slot, dial).is_some();
                self.answer(now, caller, what, waited_for);
            }
        }
        self.carry_out(id, now);
    }

    fn answer(&mut self, now: u64, caller: Caller, what: What, waited_for: bool) {
        match what {
            What::Resend(times) if waited_for => self.syn(now, caller, times),
            What::Refused if waited_for => self.fail(now, caller, Fault::Refused),
            What::Served(era) => self.served(now, caller, era, waited_for),
            What::Rejected(era) => self.rejected(now, caller, era, waited_for),
            What::Dropped => {
                let Caller { process, slot, dial } = caller;
                if self.endpoint(dial).is_some_and(|endpoint| endpoint.condition != Condition::Serving) {
                    self.fleet.step(process, now, Event::Lost { slot, dial, fault: Fault::Lost });
                }
            }
            What::Hinted => self.fleet.step(caller.process, now, Event::Resumed),
            What::Resend(_) | What::Refused | What::Timer | What::Share => {}
        }
    }

    /// Does what a process's pool has ordered, and sets its timer.
    fn carry_out(&mut self, process: u32, now: u64) {
        let mut done = 0;
        while let Some(order) = self.fleet.next(process, now, &mut done) {
            match order {
                Order::Dial { slot, dial } => {
                    self.meter.dial(now);
                    self.syn(now, Caller { process, slot, dial }, 0);
                }
                Order::Closed { dial } => {
                    self.meter.online(now, false);
                    if let Some(endpoint) = self.endpoint(dial) {
                        endpoint.server.release();
                    }
                }
            }
        }
        if let Some(at) = self.fleet.timer_to_queue(process) {
            self.push(at.max(now), Item { dial: DialId::new(0, 0), id: process, slot: 0, what: What::Timer });
        }
    }

    fn endpoint(&mut self, dial: DialId) -> Option<&mut Endpoint> {
        self.endpoints.get_mut(usize::from(dial.endpoint()))
    }

    /// A SYN reaches the endpoint, or what is left of it.
    fn syn(&mut self, now: u64, caller: Caller, times: u8) {
        self.meter.syn(now);
        let Some(endpoint) = self.endpoint(caller.dial) else { return };
        let admission = match endpoint.condition {
            Condition::Serving | Condition::Away(Kind::Flap) => endpoint.server.arrive(now, caller),
            Condition::Away(Kind::Refuse) => Admission::Reset,
            Condition::Away(Kind::Silence) => Admission::Dropped,
        };
        let era = endpoint.era;
        match admission {
            Admission::Reset => self.push_answer(now + nanos(ROUND_TRIP), caller, What::Refused),
            Admission::Dropped => {
                // Until the dial is given up and its socket closed.
                let Caller { process, slot, dial } = caller;
                let again = self.world.resends.wait(times).map(|wait| now + nanos(wait));
                let deadline = self.fleet.waits_until(process, slot, dial);
                if let Some((again, _)) = again.zip(deadline).filter(|(again, deadline)| again < deadline) {
                    self.push_answer(again, caller, What::Resend(times + 1));
                }
            }
            Admission::Until { done, admitted } => {
                self.accepted(now, caller);
                let what = if admitted { What::Served(era) } else { What::Rejected(era) };
                self.push_answer(done + nanos(ROUND_TRIP), caller, what);
            }
            Admission::Shared => {
                self.accepted(now, caller);
                self.watch(caller.dial.endpoint().into());
            }
        }
    }

    /// The kernel has answered for the server: silence means something else from now on.
    fn accepted(&mut self, now: u64, Caller { process, slot, dial }: Caller) {
        self.fleet.step(process, now, Event::Accepted { slot, dial });
    }

    fn fail(&mut self, now: u64, Caller { process, slot, dial }: Caller, fault: Fault) {
        self.fleet.step(process, now, Event::DialFailed { slot, dial, fault });
    }

    fn served(&mut self, now: u64, caller: Caller, era: u8, waited_for: bool) {
        let Some(endpoint) = self.endpoint(caller.dial) else { return };
        let (condition, primary, setup) = (endpoint.condition, endpoint.primary, endpoint.server.setup);
        if endpoint.era != era {
            return self.died(now, caller, condition, waited_for);
        }
        let usable = waited_for && primary;
        if !usable {
            endpoint.server.release();
        }
        self.meter.work(setup, !usable);
        let Caller { process, slot, dial } = caller;
        if usable {
            self.meter.online(now, true);
            self.fleet.step(process, now, Event::Dialed { slot, dial });
            if condition == Condition::Away(Kind::Flap) {
                self.push_answer(now + nanos(FLAP), caller, What::Dropped);
            }
        } else if waited_for {
            self.fail(now, caller, Fault::WrongRole);
        }
    }

    fn rejected(&mut self, now: u64, caller: Caller, era: u8, waited_for: bool) {
        let Some(endpoint) = self.endpoint(caller.dial) else { return };
        let (condition, reject) = (endpoint.condition, endpoint.server.reject);
        if endpoint.era != era {
            return self.died(now, caller, condition, waited_for);
        }
        let hint = if waited_for { endpoint.server.promise(now) } else { None };
        self.meter.work(reject, true);
        if waited_for {
            self.fail(now, caller, Fault::Overloaded);
        }
        if let Some(at) = hint {
            self.fleet.step(caller.process, now, Event::Paused);
            self.push_answer(at, caller, What::Hinted);
        }
    }

    /// The server died under a set-up. Its kernel says so, unless nothing of it is heard any more.
    fn died(&mut self, now: u64, caller: Caller, condition: Condition, waited_for: bool) {
        if waited_for && condition != Condition::Away(Kind::Silence) {
            self.fail(now, caller, Fault::Refused);
        }
    }

    fn push_answer(&mut self, at: u64, Caller { process, slot, dial }: Caller, what: What) {
        if let Some(driver) = self.fleet.driver(process) {
            driver.answer_queued(at);
        }
        self.push(at, Item { dial, id: process, slot, what });
    }

    /// Of what happens at one instant timers come last: an answer at its deadline is in time.
    fn push(&mut self, at: u64, item: Item) {
        let last = u64::from(item.what == What::Timer);
        self.queue.push(at << 1 | last, item);
    }

    /// Queues the next look at a sharing server, unless an earlier one is queued.
    fn watch(&mut self, place: u32) {
        let Some(endpoint) = self.endpoints.get_mut(place as usize) else { return };
        let Some(at) = endpoint.server.done().filter(|at| *at < endpoint.share_queued) else { return };
        endpoint.share_queued = at;
        self.push(at, Item { dial: DialId::new(0, 0), id: place, slot: 0, what: What::Share });
    }

    fn share(&mut self, now: u64, place: u32) {
        let index = place as usize;
        if let Some(endpoint) = self.endpoints.get_mut(index).filter(|endpoint| endpoint.share_queued == now) {
            endpoint.share_queued = u64::MAX;
        }
        while let Some(endpoint) = self.endpoints.get_mut(index) {
            let era = endpoint.era;
            let Some((caller, admitted)) = endpoint.server.take_done(now) else { break };
            let what = if admitted { What::Served(era) } else { What::Rejected(era) };
            self.push_answer(now + nanos(ROUND_TRIP), caller, what);
        }
        self.watch(place);
    }

    fn turn(&mut self, now: u64, turn: Turn) {
        match turn {
            Turn::Away(place) => {
                if let Some(endpoint) = self.endpoints.get_mut(usize::from(place)) {
                    endpoint.condition = Condition::Away(self.world.kind);
                    endpoint.era = endpoint.era.wrapping_add(1);
                    endpoint.server.forget(now);
                }
                self.lose_all(now, place);
            }
            Turn::Back { place, primary } => {
                if let Some(endpoint) = self.endpoints.get_mut(usize::from(place)) {
                    endpoint.condition = Condition::Serving;
                    endpoint.primary = primary;
                }
            }
            Turn::Replace(process) => {
                self.fleet.step(process, now, Event::Stopped { deadline: relink::Time::ZERO });
                self.carry_out(process, now);
                let next = self.fleet.add(self.world.endpoints());
                self.fleet.step(next, now, Event::Resumed);
                self.carry_out(next, now);
            }
        }
    }

    /// Every session of an endpoint ends.
    fn lose_all(&mut self, now: u64, place: u8) {
        for process in 0..self.fleet.processes() {
            for slot in (0..).take(self.fleet.links(process).len()) {
                let link = self.fleet.links(process).get(usize::from(slot));
                let session = link.and_then(Link::session).map(|session| session.dial);
                if let Some(dial) = session.filter(|dial| dial.endpoint() == place) {
                    self.fleet.step(process, now, Event::Lost { slot, dial, fault: Fault::Lost });
                }
            }
            self.carry_out(process, now);
        }
    }
}
