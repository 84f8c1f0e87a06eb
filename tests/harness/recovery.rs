//! How it ends: a world in which all goes well from now on, or a stop.

use relink::{LeaseId, Span, Time, Work, pool::Event};

use super::{Borrowed, Bytes, Harness, Owed};

impl Harness {
    /// From now on every dial answers, every session lives and every lease comes back: S10, L1 and L4
    /// say that then everybody is served.
    pub(crate) fn recover(&mut self) {
        let bytes = &mut Bytes::new(&[]);
        if self.stop_deadline.is_some() {
            return self.drain();
        }
        self.paused = false;
        self.step(Event::Resumed, bytes);
        self.step(Event::Renewed, bytes);
        for _ in 0..3 {
            let (lease, deadline) = (LeaseId(self.next_lease), Time::NEVER);
            self.next_lease += 1;
            self.queue.push_back((lease, deadline));
            self.step(Event::Asked { lease, deadline }, bytes);
        }
        let (begin, mut steps) = (self.now, 0);
        loop {
            self.serve_all(bytes);
            if self.queue.is_empty() && self.pool.tally().online >= self.policy.min_idle.min(self.max_size) {
                break;
            }
            let due = self.pool.timeout(&self.policy);
            self.now = if due == Time::NEVER { self.now } else { self.now.max(due) };
            self.step(Event::Elapsed, bytes);
            steps += 1;
            assert!(steps < 400, "L4: still waiting since {begin:?}: {:?}", self.pool);
        }
        let windows = self.policy.capd.max(self.policy.cap(self.policy.elapsed_max)).max(Span::from_secs(120));
        let bound = self.policy.jitter_hi.of(windows) * 8 + self.policy.dial_deadline_max * 2;
        assert!(self.now - begin <= bound, "L4: took {:?} of {bound:?}: {:?}", self.now - begin, self.pool);
    }

    /// L5: after a stop, everything ends.
    fn drain(&mut self) {
        let bytes = &mut Bytes::new(&[]);
        for _ in 0..200 {
            self.serve_all(bytes);
            let due = self.pool.timeout(&self.policy);
            self.now = if due == Time::NEVER { self.now } else { self.now.max(due) };
            self.step(Event::Elapsed, bytes);
        }
        assert!(self.pool.is_closed(), "L5: {:?}", self.pool);
    }

    fn serve_all(&mut self, bytes: &mut Bytes<'_>) {
        let mut answers = 0;
        while let Some((owed, slot, dial)) = self.owed.pop() {
            answers += 1;
            assert!(answers < 500, "S15: answers without end and no time passes: {owed:?} {:?}", self.pool);
            let event = match owed {
                Owed::Dial => Event::Dialed { slot, dial },
                Owed::End => Event::Gone { slot, dial },
                Owed::Probe(by) => Event::Proved { slot, dial, by },
                Owed::Question(by) => Event::FoundAlive { slot, dial, by },
                Owed::Look(lease) => self.seen(slot, lease, Span::ZERO),
            };
            self.step(event, bytes);
        }
        while let Some((&lease, &Borrowed { slot, .. })) = self.leases.first_key_value() {
            self.leases.remove(&lease);
            self.step(Event::Returned { slot, lease, work: Work::AtRest }, bytes);
        }
    }
}
