//! One server: which set-ups it admits and when it has done them, in time that does not depend on how many wait.
//!
//! First come, first served with a fixed cost needs no queue: when a set-up will be done is known when it
//! arrives. Under equal shares it is not, but the order is: set-ups cost the same, and so do rejections, so each
//! of the two queues ends in the order in which it began, measured by the work that every one in it has received.

use std::collections::VecDeque;

use relink::DialId;

use super::world::{Kind, Overflow, Service, World};

/// Fraction bits of the work that an equal share receives: 2⁻¹⁶ ns.
const FRACTION: u32 = 16;

/// A dial as its server knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) process: u32,
    pub(super) slot: u16,
    pub(super) dial: DialId,
}

/// What becomes of a SYN.
#[derive(Clone, Copy, Debug)]
pub(super) enum Admission {
    /// It is served, or rejected, and that is done at this time.
    Until { done: u64, admitted: bool },
    /// It is served, or rejected; [`Server::done`] tells when.
    Shared,
    /// It was ignored.
    Dropped,
    /// It was answered with RST.
    Reset,
}

/// Whether a server is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Serving,
    Away(Kind),
}

/// A server, and what has befallen it.
pub(super) struct Endpoint {
    pub(super) server: Server,
    pub(super) condition: Condition,
    pub(super) primary: bool,
    /// Which life of the server this is: set-ups of an earlier one ended with it.
    pub(super) era: u8,
    /// The earliest look at a sharing server that is in the queue.
    pub(super) share_queued: u64,
}

#[derive(Clone, Debug)]
struct Job {
    caller: Caller,
    /// The work that an equal share will have received when this one is done.
    ends: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Server {
    overflow: Overflow,
    service: Service,
    queue: u64,
    max_connections: u32,
    /// What a set-up costs, and what a rejection does, in ns of the whole server.
    pub(super) setup: u64,
    pub(super) reject: u64,
    /// Sessions, and those promised to set-ups that are not done.
    claimed: u32,
    /// When the last of those admitted so far will be done.
    free_at: u64,
    /// Until when the capacity is promised to those who were told to come back.
    promised: u64,
    setups: VecDeque<Job>,
    rejects: VecDeque<Job>,
    /// The work that an equal share has received by `seen_at`.
    received: u64,
    seen_at: u64,
}

impl Server {
    pub(super) fn new(world: &World) -> Self {
        let setup = 1_000_000_000 / u64::from(world.capacity_per_s.max(1));
        Self {
            overflow: world.overflow,
            service: world.service,
            queue: u64::from(world.queue),
            max_connections: world.max_connections.unwrap_or(u32::MAX),
            setup,
            reject: setup * u64::from(world.reject_cost.as_millionths()) / 1_000_000,
            claimed: 0,
            free_at: 0,
            promised: 0,
            setups: VecDeque::new(),
            rejects: VecDeque::new(),
            received: 0,
            seen_at: 0,
        }
    }

    /// All that was under way is gone, as in a restart.
    pub(super) fn forget(&mut self, now: u64) {
        self.claimed = 0;
        self.free_at = now;
        self.promised = now;
        self.setups.clear();
        self.rejects.clear();
        self.seen_at = now;
    }

    /// A session has ended, or a set-up led to none.
    pub(super) fn release(&mut self) {
        self.claimed = self.claimed.saturating_sub(1);
    }

    pub(super) fn arrive(&mut self, now: u64, caller: Caller) -> Admission {
        let waiting = self.waiting(now);
        let admitted = if waiting < self.queue * self.setup {
            self.claimed < self.max_connections
        } else {
            match self.overflow {
                Overflow::Drop => return Admission::Dropped,
                Overflow::Rst => return Admission::Reset,
                Overflow::Reject | Overflow::Hint if waiting < 2 * self.queue * self.setup => false,
                Overflow::Reject | Overflow::Hint => return Admission::Dropped,
            }
        };
        self.claimed += u32::from(admitted);
        let cost = if admitted { self.setup } else { self.reject };
        match self.service {
            Service::Fifo => {
                self.free_at = self.free_at.max(now) + cost;
                Admission::Until { done: self.free_at, admitted }
            }
            Service::Shared => {
                self.share(now);
                let job = Job { caller, ends: self.received + (cost << FRACTION) };
                if admitted { &mut self.setups } else { &mut self.rejects }.push_back(job);
                Admission::Shared
            }
        }
    }

    /// When somebody rejected shall come back, if servers say so: what waits and what was promised comes first.
    pub(super) fn promise(&mut self, now: u64) -> Option<u64> {
        (self.overflow == Overflow::Hint).then(|| {
            self.promised = self.promised.max(now + self.waiting(now)) + self.setup;
            self.promised
        })
    }

    /// The work that waits, in ns of the whole server; the set-up that is being done does not wait.
    fn waiting(&self, now: u64) -> u64 {
        match self.service {
            Service::Fifo => self.free_at.saturating_sub(now).saturating_sub(self.setup),
            Service::Shared => self.setups.len() as u64 * self.setup + self.rejects.len() as u64 * self.reject,
        }
    }

    /// Gives every set-up its share of the time since the last look.
    fn share(&mut self, now: u64) {
        let sharers = (self.setups.len() + self.rejects.len()) as u64;
        self.received += ((now - self.seen_at) << FRACTION).checked_div(sharers).unwrap_or(0);
        self.seen_at = now;
    }

    /// When the next of those that share will be done, if none joins them.
    pub(super) fn done(&self) -> Option<u64> {
        let sharers = (self.setups.len() + self.rejects.len()) as u128;
        let ends =
            [&self.setups, &self.rejects].into_iter().filter_map(|jobs| jobs.front()).map(|job| job.ends).min()?;
        let left = u128::from(ends.saturating_sub(self.received)) * sharers;
        // Rounded up, as the share received by then is rounded down.
        let wait = u64::try_from(left >> FRACTION).unwrap_or(u64::MAX);
        Some(self.seen_at.saturating_add(wait).saturating_add(1))
    }

    /// One of those that are done by now, and whether it was admitted.
    pub(super) fn take_done(&mut self, now: u64) -> Option<(Caller, bool)> {
        self.share(now);
        let received = self.received;
        for (jobs, admitted) in [(&mut self.setups, true), (&mut self.rejects, false)] {
            if jobs.front().is_some_and(|job| job.ends <= received) {
                return jobs.pop_front().map(|job| (job.caller, admitted));
            }
        }
        None
    }
}
