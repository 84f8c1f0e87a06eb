//! What must hold after each step, named by the property that it belongs to.

use relink::{
    Backoff, DialId, Fault, LeaseId, Refusal, Span, Time, Work,
    link::{Command as LinkCommand, Link},
    pacer::Phase,
    pool::{ASKERS, Command, Event},
};

use super::{Borrowed, Bytes, Harness, Owed};

impl Harness {
    /// Delivers an event at `self.now`, carries out the commands on the ledger, and checks. `effective`
    /// is the time as the pool must see it.
    pub(super) fn deliver(&mut self, event: Event, bytes: &mut Bytes<'_>, effective: Time) {
        let before = self.pool.clone();
        let chance = u64::from(bytes.byte()).wrapping_mul(0x0101_0101_0101_0101);
        let most = self.pool.commands_max();
        self.out.clear();
        let wake = self.pool.step(&self.policy, self.now, event, chance, &mut self.out);
        let out = std::mem::take(&mut self.out);
        assert!(out.len() <= most.max(self.pool.commands_max()), "commands_max: {} commands at {event:?}", out.len());
        self.armed = if event == Event::Elapsed { wake } else { self.armed.min(wake) };
        self.book(event, &before, effective);
        for command in &out {
            self.carry_out(*command, event, &before, effective);
        }
        self.out = out;
        self.check(event, &before, effective);
    }

    /// S6: what names nothing that the link has changes nothing but the closing of what it brought.
    pub(super) fn step_if_stale(&mut self, event: Event, bytes: &mut Bytes<'_>) {
        if !self.is_stale(event) {
            return;
        }
        let chance = 7;
        let nothing = Event::GaveUp { lease: LeaseId(u64::MAX) };
        let mut other = self.pool.clone();
        let (mut expected, mut out) = (Vec::new(), Vec::new());
        other.step(&self.policy, self.now, nothing, chance, &mut expected);
        let mut stale = self.pool.clone();
        stale.step(&self.policy, self.now, event, chance, &mut out);
        let brought = match event {
            Event::Dialed { slot, dial } => Some(Command::Link { slot, command: LinkCommand::Close(dial) }),
            _ => None,
        };
        out.retain(|command| Some(*command) != brought);
        assert_eq!((&stale, &out), (&other, &expected), "S6: {event:?}");
        self.deliver(nothing, bytes, self.now);
    }

    fn is_stale(&self, event: Event) -> bool {
        let is = |slot: u16, dial: DialId, fits: fn(&Link) -> bool| {
            let link = self.pool.link(slot);
            link.dial() != Some(dial) || !fits(&link)
        };
        let asked = |slot: u16, by: Time| self.pool.link(slot).question() == Some(by);
        match event {
            Event::Returned { slot, lease, .. }
            | Event::Worked { slot, lease, .. }
            | Event::Ended { slot, lease, .. }
            | Event::Discarded { slot, lease } => self.pool.link(slot).lease().is_none_or(|held| held.id != lease),
            Event::Accepted { slot, dial } => is(slot, dial, |link| matches!(link, Link::Dialing { .. })),
            Event::Dialed { slot, dial } | Event::DialFailed { slot, dial, .. } => {
                is(slot, dial, |link| matches!(link, Link::Dialing { .. } | Link::Closing { opened: false, .. }))
            }
            Event::Proved { slot, dial, by } | Event::Unproved { slot, dial, by, .. } => {
                !asked(slot, by) || is(slot, dial, |link| matches!(link, Link::Probing { .. }))
            }
            Event::Unheard { slot, dial, by } => {
                !asked(slot, by) || is(slot, dial, |link| matches!(link, Link::Probing { .. }))
            }
            Event::FoundAlive { slot, dial, by }
            | Event::Undecided { slot, dial, by }
            | Event::FoundDead { slot, dial, by } => {
                !asked(slot, by) || is(slot, dial, |link| matches!(link, Link::Suspected { .. }))
            }
            Event::Lost { slot, dial, .. } => is(slot, dial, |link| link.session().is_some()),
            Event::Gone { slot, dial } => is(slot, dial, |link| matches!(link, Link::Closing { .. })),
            Event::Asked { .. } | Event::GaveUp { .. } | Event::Demoted | Event::Renewed | Event::Resized { .. } => {
                false
            }
            Event::Paused | Event::Resumed | Event::Stopped { .. } | Event::Elapsed => false,
        }
    }

    /// What the event itself means for the ledger.
    fn book(&mut self, event: Event, before: &relink::pool::Pool, now: Time) {
        if let Event::Dialed { dial, .. } = event {
            // Also after its end was reported: a late session is as open as any other.
            self.gone.remove(&dial);
            self.opened.entry(dial).or_insert(0);
        }
        if let Event::Gone { dial, .. } = event {
            self.gone.insert(dial);
        }
        let askers = (ASKERS..).zip(before.askers());
        for (slot, link) in (0..).zip(before.links()).chain(askers) {
            let Link::Dialing { dial, .. } = *link else { continue };
            let after = self.pool.link(slot);
            if after == *link || matches!(after, Link::Dialing { dial: other, .. } if other == dial) {
                continue;
            }
            assert!(self.answered.insert(dial), "{dial:?} ended twice");
            let pace = &mut self.pace[usize::from(dial.endpoint())];
            let unit = self.policy.jitter_lo.of(self.policy.w0).as_millis();
            let answered = event == Event::Dialed { slot, dial };
            if answered {
                pace.level = pace.level.saturating_sub(unit * u64::from(self.policy.max_dials.min(2)));
            } else {
                // Failed or given up: S3, in the part that every kind of fault shares.
                pace.not_before = pace.not_before.max(now.as_millis() + unit);
            }
        }
    }

    fn carry_out(&mut self, command: Command, event: Event, before: &relink::pool::Pool, now: Time) {
        match command {
            Command::Dial { slot, dial } => {
                assert!(self.stop_deadline.is_none(), "S11: {dial:?} starts after the stop");
                assert!(!self.paused, "{dial:?} starts in a pause");
                self.owed.push((Owed::Dial, slot, dial));
                self.pace_dial(dial, event, before, now);
            }
            Command::Link { slot, command } => self.carry_out_link(slot, command, before),
            Command::Grant { lease, slot, dial } => {
                let (first, _) = self.queue.pop_front().expect("S12: granted to who does not wait");
                assert_eq!(first, lease, "S12: not in order");
                let borrowed = Borrowed { slot, dial, work: Work::AtRest, heard_at: now };
                assert!(self.leases.values().all(|other| other.dial != dial), "S12: {dial:?} has two borrowers");
                self.leases.insert(lease, borrowed);
                let session = self.pool.link(slot).session().expect("S12: lent and not there");
                assert_eq!(session.topology, self.pool.topology(), "S8, S9: {dial:?} lent on old evidence");
                assert!(!self.paused, "{lease:?} served in a pause");
            }
            Command::Refuse { lease, refusal } => {
                let place = self.queue.iter().position(|(other, _)| *other == lease);
                let (_, deadline) =
                    place.and_then(|place| self.queue.remove(place)).expect("refused who does not wait");
                assert!(refusal != Refusal::Deadline || deadline <= now, "S13: refused before the deadline");
            }
            Command::Report { lease, fault, .. } => {
                let lent = self.leases.remove(&lease).expect("S11: reported to who has nothing");
                let ends = matches!(event, Event::Lost { .. } | Event::FoundDead { .. } | Event::Elapsed);
                assert!(ends, "S11: {event:?} ended {lease:?}");
                let durable = lent.work == Work::Statement { durable: true };
                let ambiguous = fault == Fault::Ambiguous;
                let said = matches!(event, Event::Lost { fault: Fault::Ambiguous, .. });
                assert!(durable == ambiguous || said, "S14: {lent:?} reported as {fault}");
            }
        }
    }

    fn carry_out_link(&mut self, slot: u16, command: LinkCommand, before: &relink::pool::Pool) {
        match command {
            LinkCommand::Abort(dial) | LinkCommand::Close(dial) => {
                if let (LinkCommand::Close(_), Some(closed)) = (command, self.opened.get_mut(&dial)) {
                    *closed += 1;
                    assert_eq!(*closed, 1, "S5: {dial:?} closed again");
                }
                // An aborted dial may still answer; a session that is being closed does nothing more.
                let keeps = |owed: Owed| owed == Owed::Dial && matches!(command, LinkCommand::Abort(_));
                self.owed.retain(|(owed, _, other)| *other != dial || keeps(*owed));
                self.owed.push((Owed::End, slot, dial));
            }
            LinkCommand::Probe { dial, by } | LinkCommand::Reset { dial, by } => self.owe(Owed::Probe(by), slot, dial),
            LinkCommand::Inquire { dial, by } => self.owe(Owed::Probe(by), slot, dial),
            LinkCommand::Ask { dial, by } => {
                // Put again, through another: it is the same question, and its first answer counts.
                let open = matches!(before.link(slot), Link::Suspected { deadline, .. } if deadline == by);
                if !(open && self.owed.contains(&(Owed::Question(by), slot, dial))) {
                    self.owe(Owed::Question(by), slot, dial);
                }
            }
            LinkCommand::Look(lease) => {
                let dial = self.leases.get(&lease).expect("looked at a lease that is over").dial;
                self.owed.push((Owed::Look(lease), slot, dial));
            }
            LinkCommand::Warn(lease) => assert!(self.leases.contains_key(&lease), "warned of a lease that is over"),
        }
    }

    /// A question is asked: S6 needs a name for it that no other has whose answer may still come.
    fn owe(&mut self, question: Owed, slot: u16, dial: DialId) {
        assert!(
            !self.owed.contains(&(question, slot, dial)),
            "S6: two unanswered questions are {question:?} of {dial:?}"
        );
        self.owed.push((question, slot, dial));
    }

    /// S1, S2, S3 and S7 for a dial that starts now.
    fn pace_dial(&mut self, dial: DialId, event: Event, before: &relink::pool::Pool, now: Time) {
        let endpoint = dial.endpoint();
        let at_once = self.pool.pacer().in_flight(endpoint);
        assert!(at_once <= self.policy.max_dials, "S1: {at_once} dials of endpoint {endpoint} at once");
        let held = before.pacer().phase(endpoint) == Phase::Held;
        assert!(!held || event == Event::Renewed, "S7: {dial:?} starts although the endpoint is held");
        if self.policy.backoff != Backoff::Relink {
            return;
        }
        let unit = self.policy.jitter_lo.of(self.policy.w0).as_millis();
        let pace = &mut self.pace[usize::from(endpoint)];
        let now = now.as_millis();
        assert!(now >= pace.not_before, "S3: {dial:?} starts at {now}, {} before it may", pace.not_before - now);
        pace.level = pace.level.saturating_sub(now - pace.at) + unit;
        pace.at = now;
        let most = unit * u64::from(self.policy.max_dials);
        assert!(pace.level <= most, "S2: {dial:?} at {now}: {} of {most}", pace.level);
    }

    fn check(&self, event: Event, before: &relink::pool::Pool, now: Time) {
        self.check_places(before);
        self.check_ownership();
        self.check_timers(event, now);
        let leases: Vec<_> = self.pool.links().iter().filter_map(Link::lease).map(|lease| lease.id).collect();
        let mut sorted = leases.clone();
        sorted.sort();
        assert_eq!(sorted, self.leases.keys().copied().collect::<Vec<_>>(), "S11, S12: who has a lease");
        let queue: Vec<_> = self.pool.queue().collect();
        assert_eq!(queue, self.queue.iter().map(|(lease, _)| *lease).collect::<Vec<_>>(), "S12: who waits");
        assert!(self.pool.topology() >= before.topology(), "S19");
        assert!(self.pool.pacer().credentials() >= before.pacer().credentials(), "S19");
        let (pacer, old) = (self.pool.pacer(), before.pacer());
        for endpoint in 0..self.endpoints {
            assert!(pacer.not_before(endpoint) >= old.not_before(endpoint), "S3: a wait was shortened");
        }
    }

    /// S16 and S18.
    fn check_places(&self, before: &relink::pool::Pool) {
        let tally = self.pool.tally();
        let count = |is: fn(&Link) -> bool| self.pool.links().iter().filter(|link| is(link)).count() as u16;
        let lent = |link: &Link| link.lease().is_some();
        let recount = [
            count(|link| *link == Link::Idle),
            count(|link| matches!(link, Link::Waiting | Link::Held { .. })),
            count(|link| matches!(link, Link::Dialing { .. })),
            count(|link| matches!(link, Link::Online { .. })),
            count(lent),
            count(|link| matches!(link, Link::Probing { .. })),
            count(|link| matches!(link, Link::Closing { .. })),
            count(|link| *link == Link::Closed),
        ];
        let told = [tally.idle, tally.waiting, tally.dialing, tally.online, tally.leased, tally.probing];
        assert_eq!(recount[..6], told, "S16: {tally:?}");
        assert_eq!(recount[6..], [tally.closing, tally.closed], "S16: {tally:?}");
        let used = |pool: &relink::pool::Pool, endpoint| {
            let dials = pool.links().iter().filter_map(Link::dial);
            dials.filter(|dial| endpoint == u8::MAX || dial.endpoint() == endpoint).count()
        };
        let size = usize::from(self.max_size);
        for endpoint in 0..self.endpoints {
            let (now, was) = (used(&self.pool, endpoint), used(before, endpoint));
            assert!(now <= size.max(was), "S18: {now} at endpoint {endpoint} of {size}: {:?}", self.pool.links());
            let at = |link: &&Link| link.dial().is_some_and(|dial| dial.endpoint() == endpoint);
            let links = || self.pool.links().iter().chain(self.pool.askers()).filter(at);
            let online = links().filter(|link| link.session().is_some()).count();
            let dialing = links().filter(|link| matches!(link, Link::Dialing { .. })).count();
            let pacer = self.pool.pacer();
            let told = (usize::from(pacer.online_at(endpoint)), usize::from(pacer.in_flight(endpoint)));
            assert_eq!(told, (online, dialing), "the pacer has lost count of endpoint {endpoint}");
        }
        let hedges = usize::from(self.endpoints) - 1;
        let (now, was) = (used(&self.pool, u8::MAX), used(before, u8::MAX));
        assert!(now <= (size + hedges).max(was), "S18: {now} in all of {size} and {hedges}");
    }

    /// S5: whatever is open has one owner, or is being closed.
    fn check_ownership(&self) {
        let links = self.pool.links().iter().chain(self.pool.askers());
        let mut dials: Vec<_> = links.filter_map(Link::dial).collect();
        dials.sort();
        let all = dials.len();
        dials.dedup();
        assert_eq!(dials.len(), all, "S5: two owners: {:?}", self.pool.links());
        for dial in self.opened.keys() {
            let ending = self.owed.contains(&(Owed::End, self.owner(*dial).unwrap_or(0), *dial));
            if self.gone.contains(dial) {
                continue;
            }
            let owned = self.owner(*dial).is_some();
            let closed = self.opened.get(dial).is_some_and(|closed| *closed > 0);
            assert!(owned || ending || closed, "S5: nobody owns {dial:?}");
        }
    }

    /// S10, S11, S13, and that no timer is always due.
    fn check_timers(&self, event: Event, now: Time) {
        let due = self.pool.timeout(&self.policy);
        assert!(self.armed <= due, "the driver sleeps until {:?} and {due:?} is due: {:?}", self.armed, self.pool);
        let links = self.pool.links();
        let dialing = links.iter().chain(self.pool.askers()).any(|link| matches!(link, Link::Dialing { .. }));
        if links.contains(&Link::Waiting) && !dialing {
            assert_ne!(self.pool.next_dial_at(&self.policy), Time::NEVER, "S10: nothing will wake {:?}", self.pool);
        }
        let tally = self.pool.tally();
        let nobody = tally.waiting + tally.dialing + tally.probing + tally.leased + tally.closing == 0;
        let wants = !self.queue.is_empty() && !self.paused;
        assert!(!(wants && nobody), "S10: somebody waits and nothing is under way: {:?}", self.pool);
        if event != Event::Elapsed {
            return;
        }
        assert!(due > now, "a timer is always due: {due:?} at {now:?}: {:?}", self.pool);
        assert!(self.queue.iter().all(|(_, deadline)| *deadline > now), "S13: waits past the deadline");
        let late = |link: &Link| matches!(link, Link::Dialing { deadline, .. } if *deadline <= now);
        assert!(!links.iter().any(late), "S13: a dial outlives its deadline");
        let cut = self.stop_deadline.is_some_and(|deadline| deadline <= now);
        assert!(!cut || self.leases.is_empty(), "S11: lent past the drain deadline");
        let longest = self.policy.dial_deadline_max + Span::ZERO;
        assert!(links.iter().all(|link| !matches!(link, Link::Dialing { deadline, .. } if *deadline - now > longest)));
    }
}
