//! Who asks the server about a session that has been silent for too long: an idle session of the same endpoint, or an asker
//! that is dialed for it.

use super::{ASKERS, Command, Pool, Turn};
use crate::core::{
    fault::Fault,
    link::{self, Link},
    pacer::{self, DialId, Phase},
    policy::Checked,
    time::Time,
};

impl Pool {
    pub(super) fn asker_slots(&self) -> impl Iterator<Item = u16> + use<> {
        (ASKERS..).take(self.askers.len())
    }

    /// Puts the questions for which somebody can be found, and wants an asker for the others.
    pub(super) fn inquire(&mut self, turn: &mut Turn<'_>) {
        if self.unasked == 0 && self.askers_waiting == 0 {
            return;
        }
        for (slot, endpoint) in self.asker_slots().zip(0..) {
            let open = self.links.iter().any(|link| is_unasked(link, endpoint));
            let asker = if open { self.who_can_ask(turn.now, slot, endpoint) } else { None };
            if let Some(asker) = asker {
                self.pass(turn, asker, link::Event::Engaged { topology: self.topology }, None);
                self.pass_to(turn, u16::MAX, |link| is_unasked(link, endpoint), link::Event::Questioned { asker });
            } else if open && !self.stopping && self.pacer.phase(endpoint) != Phase::Held {
                self.pass(turn, slot, link::Event::Wanted, None);
                continue;
            }
            if self.link(slot) == Link::Waiting {
                self.pass(turn, slot, link::Event::Unwanted, None);
            }
        }
    }

    /// The endpoint's asker, or else the idle session that was used last.
    fn who_can_ask(&self, now: Time, asker: u16, endpoint: u8) -> Option<u16> {
        let is_ready = |slot: &u16| {
            matches!(self.link(*slot), Link::Online { session, .. }
                if session.dial.endpoint() == endpoint && session.retire_at > now)
        };
        core::iter::once(asker).chain(self.free.iter().rev().copied()).find(is_ready)
    }

    /// The link at this place asks the server no more: whoever else can may ask what it was to.
    pub(super) fn reopen(&mut self, turn: &mut Turn<'_>, place: u16) {
        if self.suspected > self.unasked {
            let asked = |link: &Link| matches!(link, Link::Suspected { asker: Some(asker), .. } if *asker == place);
            self.pass_to(turn, u16::MAX, asked, link::Event::Reopened);
        }
    }

    /// A session that asks has not been heard for so long that others may ask as well. One that is there for nothing else is given
    /// up, for it would be in the way of the next.
    pub(super) fn unheard(&mut self, turn: &mut Turn<'_>, slot: u16, dial: DialId, by: Time) {
        let asks = matches!(self.link(slot), Link::Probing { session, deadline, .. } if session.dial == dial && deadline == by);
        if slot >= ASKERS {
            self.pass(turn, slot, link::Event::Unheard { dial, by }, Some(Fault::TimedOut));
        } else if asks {
            self.reopen(turn, slot);
        }
    }

    /// Starts the dials of askers that the pacer lets start now, and wakes for those that it lets start later. Whether
    /// one has started.
    pub(super) fn dial_askers(&mut self, turn: &mut Turn<'_>) -> bool {
        if self.askers_waiting == 0 {
            return false;
        }
        let mut started = false;
        for (slot, endpoint) in self.asker_slots().zip(0..) {
            let at = self.asker_at(endpoint);
            if at > turn.now {
                turn.wake_at(at);
                continue;
            }
            let Some(pacer::Command::Dial { dial, deadline }) = self.pace(turn, pacer::Event::Requested { endpoint })
            else {
                continue;
            };
            self.pass(turn, slot, link::Event::Granted { dial, deadline, topology: self.topology }, None);
            turn.out.push(Command::Dial { slot, dial });
            started = true;
        }
        started
    }

    /// When an asker may be dialed next.
    pub(super) fn next_asker_at(&self) -> Time {
        if self.askers_waiting == 0 {
            return Time::NEVER;
        }
        (0..self.pacer.endpoints()).map(|endpoint| self.asker_at(endpoint)).min().unwrap_or(Time::NEVER)
    }

    fn asker_at(&self, endpoint: u8) -> Time {
        let waits = self.askers.get(usize::from(endpoint)).is_some_and(|asker| *asker == Link::Waiting);
        if waits && !self.paused { self.pacer.may_at(endpoint) } else { Time::NEVER }
    }

    /// Whether it says nothing of an endpoint's sessions that nobody could ask about them: it refuses dials, so it is
    /// not silent, or nothing may be dialed.
    pub(super) fn is_excused(&self, endpoint: u8) -> bool {
        self.paused || self.pacer.phase(endpoint) == Phase::Held || self.refusing & 1 << endpoint != 0
    }

    /// Remembers whether an endpoint's last dial was refused, which is an answer; none of the silent ones is.
    pub(super) fn note_refusal(&mut self, policy: &Checked, event: pacer::Event) {
        let (endpoint, refused) = match event {
            pacer::Event::Failed { dial, fault } => {
                (dial.endpoint(), !matches!(fault, Fault::TimedOut | Fault::Unreachable))
            }
            pacer::Event::Dialed { dial } => (dial.endpoint(), false),
            pacer::Event::Requested { .. } | pacer::Event::Abandoned { .. } | pacer::Event::Lost { .. } => return,
            pacer::Event::Retired { .. } | pacer::Event::Renewed => return,
        };
        if policy.patience.is_some() {
            self.refusing = self.refusing & !(1 << endpoint) | u8::from(refused) << endpoint;
        }
    }
}

const fn is_unasked(link: &Link, endpoint: u8) -> bool {
    matches!(link, Link::Suspected { session, asker: None, .. } if session.dial.endpoint() == endpoint)
}
