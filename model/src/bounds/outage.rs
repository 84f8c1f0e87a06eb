//! An outage of one endpoint on the production pacer, dial by dial: chance and answers are the caller's to choose.

use relink::{
    Checked, DialId, Fault, Frame, Span, Time,
    pacer::{Command, Event, Pacer},
};

/// An outage that began at zero, when every session was lost, each of them stable.
#[derive(Clone)]
pub(super) struct Outage<'a> {
    policy: &'a Checked,
    pacer: Pacer,
    /// Dials without an answer, and the deadline that the last of them has.
    flying: Vec<DialId>,
    deadline: Time,
}

/// When an answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comes {
    /// As soon as the dial has started.
    AtOnce,
    /// When the dial's deadline is reached.
    AtDeadline,
}

impl<'a> Outage<'a> {
    /// The outage, its first probe spread by `chance`.
    pub(super) fn begin(policy: &'a Checked, chance: u64) -> Self {
        // As many as let the pacer allow all that it ever allows at once; and two, so that one has another beside it.
        let sessions = u16::from(policy.max_dials).max(2).min(policy.max_size);
        let mut pacer = Pacer::new(1);
        for serial in 0..sessions {
            let dial = DialId::new(u64::from(serial), 0);
            (pacer, _) = pacer.step(policy, Time::ZERO, Event::Dialed { dial }, 0);
        }
        for _ in 0..sessions {
            (pacer, _) = pacer.step(policy, Time::ZERO, Event::Lost { endpoint: 0, unstable: false }, chance);
        }
        Self { policy, pacer, flying: Vec::new(), deadline: Time::NEVER }
    }

    /// When the next dial may start; `NEVER` once the policy has given up.
    pub(super) fn next(&self) -> Time {
        self.pacer.next(false).at
    }

    /// Starts a dial at `at`, if it may start then and there is a place for it.
    pub(super) fn start(&mut self, at: Time) -> bool {
        if self.flying.len() >= usize::from(self.policy.max_size) {
            return false;
        }
        let (pacer, command) = self.pacer.step(self.policy, at, Event::Requested { endpoint: 0 }, 0);
        self.pacer = pacer;
        let Some(Command::Dial { dial, deadline }) = command else { return false };
        self.flying.push(dial);
        self.deadline = deadline;
        true
    }

    /// When the last dial, started at `started`, fails with `fault`.
    pub(super) fn when(&self, started: Time, fault: Fault, comes: Comes) -> Time {
        match (comes, fault) {
            (Comes::AtOnce, _) => started,
            // Nothing has accepted.
            (Comes::AtDeadline, Fault::Unreachable) => self.deadline.min(started + self.policy.connect_deadline),
            (Comes::AtDeadline, _) => self.deadline,
        }
    }

    /// All dials in flight fail at `at`; the wait after that is drawn by `chance`. Returns when the next may start.
    pub(super) fn fail(&mut self, at: Time, fault: Fault, chance: u64) -> Time {
        for dial in self.flying.drain(..) {
            (self.pacer, _) = self.pacer.step(self.policy, at, Event::Failed { dial, fault }, chance);
        }
        self.next()
    }

    /// What decides all that will happen from `now` on.
    pub(super) fn shape(&self, now: Time) -> Pacer {
        let origin = Time::ZERO + self.policy.elapsed_max;
        self.pacer.seen_from(self.policy, &Frame { now, origin, dials: &[], leases: &[], topology: 0 })
    }
}

/// A word of chance that draws `wanted` where the least and the greatest word draw `least` and `most`: every
/// wait is uniform over the whole milliseconds in between.
pub(super) fn chance_of(least: Time, most: Time, wanted: Time) -> u64 {
    let choices = u128::from((most - least).as_millis()) + 1;
    let offset = u128::from((wanted - least).as_millis()).min(choices - 1);
    u64::try_from((offset << 64).div_ceil(choices)).unwrap_or(u64::MAX)
}

/// The longest that the first probe of an outage is put off.
pub(super) fn first_probe_max(policy: &Checked) -> Span {
    Outage::begin(policy, u64::MAX).next() - Time::ZERO
}
