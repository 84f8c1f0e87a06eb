//! What may happen to a pool: what borrowers do, what the network answers, what the clock does, and what nobody said.

use relink::{DialId, Fault, LeaseId, Span, Time, Work, link::Link, pool::Event};

use super::{Borrowed, Bytes, Harness, Owed};

impl Harness {
    pub(super) fn ask(&mut self, bytes: &mut Bytes<'_>) {
        let lease = LeaseId(self.next_lease);
        self.next_lease += 1;
        let deadline = self.now + Span::from_millis(u64::from(bytes.byte()) * 100);
        self.queue.push_back((lease, deadline));
        self.step(Event::Asked { lease, deadline }, bytes);
    }

    pub(super) fn give_up(&mut self, bytes: &mut Bytes<'_>) {
        let place = bytes.below(self.queue.len());
        let lease = self.queue.remove(place).map_or(LeaseId(0), |(lease, _)| lease);
        self.step(Event::GaveUp { lease }, bytes);
    }

    pub(super) fn give_back(&mut self, bytes: &mut Bytes<'_>) {
        let place = bytes.below(self.leases.len());
        let Some((&lease, &Borrowed { slot, .. })) = self.leases.iter().nth(place) else { return };
        self.leases.remove(&lease);
        self.step(Event::Returned { slot, lease, work: work(bytes) }, bytes);
    }

    pub(super) fn discard(&mut self, bytes: &mut Bytes<'_>) {
        let place = bytes.below(self.leases.len());
        let Some((&lease, &Borrowed { slot, .. })) = self.leases.iter().nth(place) else { return };
        self.leases.remove(&lease);
        self.step(Event::Discarded { slot, lease }, bytes);
    }

    /// Its session has ended, which may be told later, or never.
    pub(super) fn give_back_ended(&mut self, bytes: &mut Bytes<'_>) {
        let place = bytes.below(self.leases.len());
        let work = work(bytes);
        let Some((&lease, borrowed)) = self.leases.iter_mut().nth(place) else { return };
        if borrowed.work != work {
            (borrowed.work, borrowed.heard_at) = (work, self.now);
        }
        let slot = borrowed.slot;
        self.step(Event::Ended { slot, lease, work }, bytes);
        let link = self.pool.link(slot);
        let over = self.now + self.policy.close_deadline;
        assert!(matches!(link, Link::Draining { deadline, .. } if deadline <= over), "{link:?} may be lent again");
    }

    /// Answers something that is owed, in any order.
    pub(super) fn answer(&mut self, bytes: &mut Bytes<'_>) {
        let place = bytes.below(self.owed.len());
        let Some(&(owed, slot, dial)) = self.owed.get(place) else { return };
        let how = bytes.byte();
        let fault = fault(bytes);
        let event = match (owed, how % 4) {
            (Owed::Dial, 0 | 1) => Event::Dialed { slot, dial },
            (Owed::Dial, 2) => Event::DialFailed { slot, dial, fault },
            (Owed::Dial, _) => return self.step(Event::Accepted { slot, dial }, bytes),
            (Owed::End, _) => Event::Gone { slot, dial },
            (Owed::Probe(by), 2) if bytes.below(2) == 0 => return self.step(Event::Unheard { slot, dial, by }, bytes),
            (Owed::Probe(by), 0..=2) => Event::Proved { slot, dial, by },
            (Owed::Probe(by), _) => Event::Unproved { slot, dial, by, fault },
            (Owed::Question(by), 0) => Event::FoundAlive { slot, dial, by },
            (Owed::Question(by), 1) => Event::Undecided { slot, dial, by },
            (Owed::Question(by), _) => Event::FoundDead { slot, dial, by },
            (Owed::Look(lease), _) => self.seen(slot, lease, Span::from_millis(u64::from(how) * 20)),
        };
        self.owed.remove(place);
        self.step(event, bytes);
    }

    pub(super) fn lose(&mut self, bytes: &mut Bytes<'_>) {
        let place = bytes.below(self.opened.len());
        let Some(&dial) = self.opened.keys().nth(place) else { return };
        let Some(slot) = self.owner(dial) else { return };
        let fault = fault(bytes);
        self.step(Event::Lost { slot, dial, fault }, bytes);
    }

    pub(super) fn work(&mut self, bytes: &mut Bytes<'_>) {
        let place = bytes.below(self.leases.len());
        let work = work(bytes);
        let Some((&lease, borrowed)) = self.leases.iter_mut().nth(place) else { return };
        borrowed.work = work;
        let slot = borrowed.slot;
        let event = self.seen(slot, lease, Span::from_millis(u64::from(bytes.byte()) * 20));
        self.step(event, bytes);
    }

    /// What a lease's session is seen doing, silent for so long.
    pub(super) fn seen(&mut self, slot: u16, lease: LeaseId, silence: Span) -> Event {
        let now = self.now;
        let heard_at = Time::from_millis(now.as_millis().saturating_sub(silence.as_millis()));
        let Some(borrowed) = self.leases.get_mut(&lease) else {
            return Event::Worked { slot, lease, work: Work::AtRest, heard_at };
        };
        let (work, heard_at) = (borrowed.work, borrowed.heard_at.max(heard_at));
        borrowed.heard_at = if matches!(work, Work::Statement { .. }) { heard_at } else { now };
        Event::Worked { slot, lease, work, heard_at }
    }

    pub(super) fn demote_or_renew(&mut self, bytes: &mut Bytes<'_>) {
        let event = if bytes.below(2) == 0 { Event::Demoted } else { Event::Renewed };
        self.step(event, bytes);
    }

    pub(super) fn resize(&mut self, bytes: &mut Bytes<'_>) {
        let max_size = bytes.byte() as u16 % 5;
        if self.stop_deadline.is_none() {
            self.max_size = max_size.max(1);
        }
        self.step(Event::Resized { max_size }, bytes);
    }

    pub(super) fn pause(&mut self, bytes: &mut Bytes<'_>) {
        self.paused = bytes.below(3) == 0;
        self.step(if self.paused { Event::Paused } else { Event::Resumed }, bytes);
    }

    /// Rare: what follows is a drain.
    pub(super) fn stop(&mut self, bytes: &mut Bytes<'_>) {
        if bytes.byte() < 200 {
            return;
        }
        let deadline = self.now + Span::from_millis(u64::from(bytes.byte()) * 100);
        self.stop_deadline = Some(self.stop_deadline.map_or(deadline, |sooner| sooner.min(deadline)));
        self.step(Event::Stopped { deadline }, bytes);
    }

    pub(super) fn wait(&mut self, bytes: &mut Bytes<'_>) {
        let due = self.pool.timeout(&self.policy);
        let (how, much) = (bytes.below(4), u64::from(bytes.byte()));
        self.now = match how {
            // A month, of which the client slept most.
            0 if much > 250 => self.now + Span::from_secs(30 * 86_400),
            0 => self.now + Span::from_millis(much),
            1 => self.now + Span::from_millis(much * 100),
            _ if due == Time::NEVER => self.now,
            _ => self.now.max(due),
        };
        self.elapse(bytes);
    }

    pub(super) fn elapse(&mut self, bytes: &mut Bytes<'_>) {
        self.step(Event::Elapsed, bytes);
    }

    pub(super) fn turn_the_clock_back(&mut self, bytes: &mut Bytes<'_>) {
        let now = self.now;
        self.now = Time::from_millis(now.as_millis() / 2);
        let event = Event::GaveUp { lease: LeaseId(u64::MAX) };
        self.deliver(event, bytes, now);
        self.now = now;
    }

    /// Something that has been reported already is reported again.
    pub(super) fn repeat(&mut self, bytes: &mut Bytes<'_>) {
        let place = bytes.below(self.past.len());
        let Some(&event) = self.past.get(place) else { return };
        self.step_if_stale(event, bytes);
    }

    /// Something is reported that never was.
    pub(super) fn make_up(&mut self, bytes: &mut Bytes<'_>) {
        let slot = bytes.below(8) as u16;
        // Often a dial that is, or was, there: then only the rest of the name makes it stale.
        let made_up = DialId::new(bytes.byte().into(), bytes.byte());
        let dial = self.pool.link(slot).dial().filter(|_| bytes.below(2) == 0).unwrap_or(made_up);
        let lease = LeaseId(u64::MAX - u64::from(bytes.byte()));
        let by = self.now + Span::from_millis(u64::from(bytes.byte()) * 10);
        let (work, fault) = (work(bytes), fault(bytes));
        let event = match bytes.below(14) {
            10 => Event::Ended { slot, lease, work },
            0 => Event::Returned { slot, lease, work },
            1 => Event::Accepted { slot, dial },
            2 => Event::DialFailed { slot, dial, fault },
            3 => Event::Proved { slot, dial, by },
            4 => Event::Unproved { slot, dial, by, fault },
            5 => Event::Worked { slot, lease, work, heard_at: self.now },
            6 => Event::FoundAlive { slot, dial, by },
            7 => Event::FoundDead { slot, dial, by },
            8 => Event::Lost { slot, dial, fault },
            9 => Event::Discarded { slot, lease },
            11 => Event::Undecided { slot, dial, by },
            12 => Event::Unheard { slot, dial, by },
            _ => Event::Gone { slot, dial },
        };
        self.step_if_stale(event, bytes);
    }
}

fn work(bytes: &mut Bytes<'_>) -> Work {
    match bytes.below(4) {
        0 => Work::AtRest,
        1 => Work::InTransaction,
        2 => Work::Statement { durable: false },
        _ => Work::Statement { durable: true },
    }
}

fn fault(bytes: &mut Bytes<'_>) -> Fault {
    // Fatal ones are rare, or every run would end held.
    match bytes.byte() {
        255 => Fault::Misconfigured,
        other => Fault::ALL[usize::from(other) % 8],
    }
}
