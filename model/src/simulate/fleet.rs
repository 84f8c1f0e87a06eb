//! The processes of a fleet: each feeds facts to its own production pool, and keeps the pool's one timer.

use std::slice;

use branches::prefetch_read_data;
use relink::{
    Checked, DialId, Time,
    link::{self, Link},
    pool::{Command, Event, Pool},
};

use super::{chance::Chance, contender::Contender, world::World};

/// No time of the simulator is later.
pub(super) const NEVER: u64 = u64::MAX;

const NS_PER_MS: u64 = 1_000_000;

/// The size of a line of the cache, where it matters: most of the simulator's time goes into memory that no cache holds.
const LINE: usize = 64;

/// One process: what a step reads of it lies on one page, but for the links.
#[repr(align(64))]
struct Process {
    pool: Pool,
    driver: Driver,
}

/// What the driver of one process knows beside its pool.
pub(super) struct Driver {
    chance: Chance,
    /// The pool wants [`Event::Elapsed`] then, or later if that is in doubt: what it was set for may have ended. To ask
    /// the pool is to read all its sessions.
    timer: u64,
    in_doubt: bool,
    /// The earliest timer and the earliest answer of this process that wait in the queue. With an answer to
    /// come before the timer, the timer need not be queued yet: most dials are answered before their deadline.
    timer_queued: u64,
    answer_queued: u64,
}

/// About how much memory a run takes, in bytes: most of it is the fleet.
pub fn memory(world: &World, contender: &Contender) -> u64 {
    // Beside a pool and its links, its asker among them: lists of the free, items of the queue, what the allocator adds.
    const BESIDE: usize = 128;
    let process = size_of::<Process>() + BESIDE + (usize::from(contender.slots) + 1) * size_of::<Link>();
    u64::from(world.clients / u32::from(contender.slots.max(1))) * process as u64
}

/// What a pool orders that the world has to carry out.
pub(super) enum Order {
    /// A dial begins.
    Dial { slot: u16, dial: DialId },
    /// A session ended, on whichever side.
    Closed { dial: DialId },
}

pub(super) struct Fleet<'a> {
    policy: &'a Checked,
    seed: u64,
    members: Vec<Process>,
    /// Commands not yet carried out; kept for its memory.
    commands: Vec<Command>,
}

impl<'a> Fleet<'a> {
    /// So many processes, each with all its sessions, opened at time 0 at the first endpoint.
    pub(super) fn new(policy: &'a Checked, endpoints: u8, processes: u32, seed: u64) -> Self {
        let mut commands = Vec::new();
        let mut pool = Pool::new(policy, endpoints);
        commands.reserve(pool.commands_max());
        pool.step(policy, Time::ZERO, Event::Resumed, 0, &mut commands);
        let mut next = 0;
        while let Some(&command) = commands.get(next) {
            next += 1;
            if let Command::Dial { slot, dial } = command {
                pool.step(policy, Time::ZERO, Event::Dialed { slot, dial }, 0, &mut commands);
            }
        }
        commands.clear();
        let member = |id| Process { pool: pool.clone(), driver: Driver::new(Chance::of(seed, id)) };
        Self { policy, seed, members: (0..processes).map(member).collect(), commands }
    }

    /// One more process, which has never dialed.
    pub(super) fn add(&mut self, endpoints: u8) -> u32 {
        let id = self.processes();
        let driver = Driver::new(Chance::of(self.seed, id));
        self.members.push(Process { pool: Pool::new(self.policy, endpoints), driver });
        id
    }

    /// How many processes there are, those that have ended included.
    pub(super) fn processes(&self) -> u32 {
        u32::try_from(self.members.len()).unwrap_or(u32::MAX)
    }

    /// The links of a process.
    pub(super) fn links(&self, process: u32) -> &[Link] {
        self.members.get(process as usize).map_or(&[], |member| member.pool.links())
    }

    fn link(&self, process: u32, slot: u16) -> Link {
        self.members.get(process as usize).map_or(Link::Closed, |member| member.pool.link(slot))
    }

    pub(super) fn driver(&mut self, process: u32) -> Option<&mut Driver> {
        self.members.get_mut(process as usize).map(|member| &mut member.driver)
    }

    /// Until when this dial is waited for, if nothing more is heard; `None` if it is not, or no more. Its socket is
    /// closed then.
    pub(super) fn waits_until(&self, process: u32, slot: u16, dial: DialId) -> Option<u64> {
        let link = self.members.get(process as usize)?.pool.links().get(usize::from(slot))?;
        let &Link::Dialing { dial: current, deadline, connect_by, .. } = link else { return None };
        (current == dial).then(|| nanos(deadline.min(connect_by)))
    }

    /// Asks for what the next steps of these processes will read, all of it at once, so that no step has to wait for its
    /// own.
    pub(super) fn fetch(&self, processes: impl Iterator<Item = u32> + Clone) {
        let members = processes.filter_map(|process| self.members.get(process as usize));
        members.clone().for_each(|member| prefetch(slice::from_ref(member)));
        for Process { pool, .. } in members {
            // The first of those that wait is the next to dial, and what is behind it is seldom read.
            let near = usize::from(pool.tally().busy()).saturating_add(1).min(pool.links().len());
            prefetch(pool.links().get(..near).unwrap_or(&[]));
            prefetch(pool.askers());
        }
    }

    /// Gives a fact to a pool. What it commands waits for [`Fleet::next`].
    pub(super) fn step(&mut self, process: u32, now: u64, event: Event) {
        let Some(Process { pool, driver }) = self.members.get_mut(process as usize) else { return };
        let wake = nanos(pool.step(self.policy, reading(now), event, driver.chance.next(), &mut self.commands));
        driver.in_doubt = event != Event::Elapsed && driver.timer <= wake;
        if !driver.in_doubt {
            driver.timer = wake;
        }
    }

    /// The next order of this process, if any. What is being closed is gone at once.
    pub(super) fn next(&mut self, process: u32, now: u64, done: &mut usize) -> Option<Order> {
        while let Some(&command) = self.commands.get(*done) {
            *done += 1;
            match command {
                Command::Dial { slot, dial } => return Some(Order::Dial { slot, dial }),
                Command::Link { slot, command: link::Command::Abort(dial) | link::Command::Close(dial) } => {
                    let link = self.link(process, slot);
                    self.step(process, now, Event::Gone { slot, dial });
                    if matches!(link, Link::Closing { opened: true, .. }) {
                        return Some(Order::Closed { dial });
                    }
                }
                // A session asked for its role has it: what loses it is ended.
                Command::Link {
                    slot,
                    command:
                        link::Command::Probe { dial, by }
                        | link::Command::Reset { dial, by }
                        | link::Command::Inquire { dial, by },
                } => {
                    self.step(process, now, Event::Proved { slot, dial, by });
                }
                // Nobody borrows a session here.
                Command::Link {
                    command: link::Command::Ask { .. } | link::Command::Look(_) | link::Command::Warn(_),
                    ..
                } => {}
                Command::Grant { .. } | Command::Refuse { .. } | Command::Report { .. } => {}
            }
        }
        self.commands.clear();
        *done = 0;
        None
    }

    /// When the timer of this process has to be put into the queue, if it must be; all its orders are carried out.
    pub(super) fn timer_to_queue(&mut self, process: u32) -> Option<u64> {
        let driver = self.driver(process)?;
        if driver.wakes_by(driver.timer) {
            return None;
        }
        let at = self.timer(process)?;
        let driver = self.driver(process)?;
        if driver.wakes_by(at) {
            return None;
        }
        driver.timer_queued = at;
        Some(at)
    }

    /// Whether this process's timeout has come.
    pub(super) fn is_due(&mut self, process: u32, now: u64) -> bool {
        let driver = self.driver(process);
        driver.is_some_and(|driver| driver.timer <= now) && self.timer(process).is_some_and(|at| at <= now)
    }

    /// When this process's timeout is.
    fn timer(&mut self, process: u32) -> Option<u64> {
        let Process { pool, driver } = self.members.get_mut(process as usize)?;
        if driver.in_doubt {
            driver.timer = nanos(pool.timeout(self.policy));
            driver.in_doubt = false;
        }
        Some(driver.timer)
    }
}

/// Asks for every line of this memory. Nothing waits for it.
fn prefetch<T>(memory: &[T]) {
    let start = memory.as_ptr();
    let before = start.addr() % LINE;
    for offset in (0..before + size_of_val(memory)).step_by(LINE) {
        prefetch_read_data::<T, 0>(start.wrapping_byte_sub(before).wrapping_byte_add(offset));
    }
}

/// What a process's clock shows: whole milliseconds, as the adapter's.
fn reading(now: u64) -> Time {
    Time::from_millis(now / NS_PER_MS)
}

fn nanos(time: Time) -> u64 {
    time.as_millis().saturating_mul(NS_PER_MS)
}

impl Driver {
    const fn new(chance: Chance) -> Self {
        Self { chance, timer: NEVER, in_doubt: false, timer_queued: NEVER, answer_queued: NEVER }
    }

    /// An answer to a dial of this process was put into the queue.
    pub(super) fn answer_queued(&mut self, at: u64) {
        self.answer_queued = self.answer_queued.min(at);
    }

    /// An item of this process was taken from the queue.
    pub(super) fn taken(&mut self, at: u64, is_timer: bool) {
        let queued = if is_timer { &mut self.timer_queued } else { &mut self.answer_queued };
        if *queued == at {
            *queued = NEVER;
        }
    }

    /// Whether an item of this process comes from the queue by then.
    fn wakes_by(&self, at: u64) -> bool {
        at >= self.timer_queued.min(self.answer_queued)
    }
}
