//! What follows from a pool's state alone: who is served, how many sessions are wanted, what is dialed.

use super::{Command, Pool, Refusal, Turn};
use crate::core::{
    link::{self, Link},
    pacer,
    policy::{Checked, OnDown, Validate},
    time::Span,
};

impl Pool {
    /// What follows from the state alone, after every event.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_>) {
        // What the size forbids goes even if somebody waits; what is merely idle goes if nobody does.
        self.retire_free(turn, usize::from(self.tally.usable().saturating_sub(self.max_size)));
        // Before a session is lent: it may be the only one that can ask.
        self.inquire(turn);
        self.serve(turn);
        self.retire_free(turn, self.free.len().saturating_sub(usize::from(turn.policy.max_idle)));
        self.refuse_hopeless(turn);
        self.want(turn);
        self.hold_back(turn);
        // A dial that starts for an asker may be due a hedge.
        while self.may_dial(turn.policy) && self.dial(turn) || self.dial_askers(turn) {}
    }

    /// Closes up to `most` of the free sessions. The one that was used longest ago goes first.
    fn retire_free(&mut self, turn: &mut Turn<'_>, most: usize) {
        for _ in 0..most {
            let Some(&oldest) = self.free.first() else { return };
            self.pass(turn, oldest, link::Event::Retired, None);
        }
    }

    /// Lends sessions to those who wait, in order.
    pub(super) fn serve(&mut self, turn: &mut Turn<'_>) {
        if self.paused {
            return;
        }
        while let Some(&waiter) = self.waiters.front() {
            let Some(&slot) = self.free.last() else { return };
            let Some(&Link::Online { session, since, proved }) = self.links.get(usize::from(slot)) else { return };
            if session.retire_at <= turn.now {
                self.pass(turn, slot, link::Event::Retired, None);
                continue;
            }
            let idle = turn.now - since;
            if self.is_stale(turn.policy, session, idle, proved) {
                if usize::from(self.tally.probing) >= self.waiters.len() {
                    return;
                }
                self.pass(turn, slot, link::Event::Doubted { topology: self.topology }, None);
                continue;
            }
            self.waiters.pop_front();
            self.pass(turn, slot, link::Event::Lent { lease: waiter.lease }, None);
            turn.out.push(Command::Grant { lease: waiter.lease, slot, dial: session.dial });
        }
    }

    /// Whether a session's evidence is too old to lend it unasked.
    fn is_stale(&self, policy: &Checked, session: link::Session, idle: Span, proved: bool) -> bool {
        // Whatever the limit, an answer of this very moment is fresh; or asking would never end.
        let answered_now = proved && idle == Span::ZERO;
        session.topology != self.topology
            || match policy.validate {
                Validate::Never => false,
                Validate::Stale => !answered_now && idle >= policy.stale_after,
                Validate::Always => !answered_now && (!proved || idle >= policy.stale_after),
            }
    }

    /// Tells those who wait when waiting cannot help, or must not be by policy.
    fn refuse_hopeless(&mut self, turn: &mut Turn<'_>) {
        let anybody = self.tally.online > 0 || self.tally.leased > 0 || self.tally.probing > 0;
        if anybody || self.waiters.is_empty() {
            return;
        }
        if let Some(fault) = self.pacer.held().filter(|_| self.tally.dialing == 0) {
            self.refuse_all(turn, Refusal::Held(fault));
        }
        if turn.policy.on_down == OnDown::FailFast && self.pacer.outage_since().is_some() {
            self.refuse_all(turn, Refusal::Down);
        }
    }

    /// Shows the fatal fault where links wait in vain.
    fn hold_back(&mut self, turn: &mut Turn<'_>) {
        if self.tally.waiting == 0 {
            return;
        }
        if let Some(fault) = self.pacer.held() {
            self.pass_to(turn, u16::MAX, |link| *link == Link::Waiting, link::Event::HeldBack { fault });
        }
    }

    pub(super) fn refuse_all(&mut self, turn: &mut Turn<'_>, refusal: Refusal) {
        for waiter in self.waiters.drain(..) {
            turn.out.push(Command::Refuse { lease: waiter.lease, refusal });
        }
    }

    /// How many more sessions are needed than there are.
    fn needed(&self, policy: &Checked) -> u16 {
        if self.stopping || self.paused {
            return 0;
        }
        let room = self.max_size.saturating_sub(self.tally.owned());
        let soon = self.tally.online.saturating_add(self.tally.probing);
        let waiting = u16::try_from(self.waiters.len()).unwrap_or(u16::MAX);
        // Who fails fast does not wait, so in an outage nobody would ask for the dial that ends it.
        let probing = policy.on_down == OnDown::FailFast && self.pacer.outage_since().is_some();
        waiting.max(policy.min_idle).max(u16::from(probing)).saturating_sub(soon).min(room)
    }

    /// Raises and lowers how many links want a session.
    fn want(&mut self, turn: &mut Turn<'_>) {
        let needed = self.needed(turn.policy);
        let have = self.tally.waiting.saturating_add(self.tally.dialing);
        if have < needed {
            self.pass_to(turn, needed - have, |link| *link == Link::Idle, link::Event::Wanted);
        } else if have > needed && self.tally.waiting > 0 {
            let wants_no_more = |link: &Link| matches!(link, Link::Waiting | Link::Held { .. });
            self.pass_to(turn, have - needed, wants_no_more, link::Event::Unwanted);
        }
        // Once a hedged dial has won, those that lost the race are given up, the silent ones first. The
        // closing of a dial that failed is no reason to give up the one that hedges it.
        let places = self.max_size.saturating_add(u16::from(self.pacer.endpoints()) - 1);
        let won = self.tally.usable() >= self.max_size;
        let hedged = if won { 0 } else { places.saturating_sub(self.tally.owned()) };
        if self.tally.dialing > hedged {
            let favourite = self.pacer.favourite();
            let lost = |link: &Link| matches!(link, Link::Dialing { dial, .. } if dial.endpoint() != favourite);
            self.pass_to(turn, self.tally.dialing - hedged, lost, link::Event::Unwanted);
        }
        if self.tally.dialing > hedged {
            let dialing = |link: &Link| matches!(link, Link::Dialing { .. });
            self.pass_to(turn, self.tally.dialing - hedged, dialing, link::Event::Unwanted);
        }
    }

    /// Starts a dial if the pacer lets it start now, or wakes for when it does. Whether one has started.
    fn dial(&mut self, turn: &mut Turn<'_>) -> bool {
        let hedge = self.tally.waiting == 0;
        let next = self.pacer.next(hedge);
        if next.at > turn.now {
            turn.wake_at(next.at);
            return false;
        }
        let from = if hedge { Link::Idle } else { Link::Waiting };
        let Some(slot) = self.find(&from) else { return false };
        if hedge {
            self.pass(turn, slot, link::Event::Wanted, None);
        }
        let Some(pacer::Command::Dial { dial, deadline }) =
            self.pace(turn, pacer::Event::Requested { endpoint: next.endpoint })
        else {
            return false;
        };
        self.pass(turn, slot, link::Event::Granted { dial, deadline, topology: self.topology }, None);
        turn.out.push(Command::Dial { slot, dial });
        true
    }

    /// Whether a dial, or a hedge of one, could be of use.
    pub(super) fn may_dial(&self, policy: &Checked) -> bool {
        let of_use = if self.tally.waiting > 0 {
            self.pacer.held().is_none()
        } else {
            // A race that is won needs no more hedges. Where one is needed, a place is free: there is one for each.
            let race = self.tally.dialing > 0 && self.tally.dialing < u16::from(self.pacer.endpoints());
            race && self.needed(policy) > 0
        };
        of_use && !self.paused && !self.stopping
    }
}
