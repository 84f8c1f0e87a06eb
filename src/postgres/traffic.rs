//! What is heard of a server on all of its sessions, and so for how long the way to it has been whole.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::wire::Peer;

/// Who was not heard for longer may have been out of reach in between. Twice the time between two looks, so that a
/// question alone shows that the way is whole.
const GAP_MS: u64 = 500;

/// As exact as is needed, or every byte on every session would write what all of them read.
const STEP_MS: u64 = 50;

/// The ways to an endpoint: a name may have several addresses, whose servers say nothing of each other.
#[derive(Debug, Default)]
pub(crate) struct Ways(Mutex<HashMap<Peer, Arc<Traffic>>>);

impl Ways {
    /// What is heard of this one. Those without a session are forgotten.
    pub(crate) fn to(&self, peer: &Peer) -> Arc<Traffic> {
        let mut ways = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ways.retain(|_, traffic| Arc::strong_count(traffic) > 1);
        Arc::clone(ways.entry(peer.clone()).or_default())
    }
}

/// The sessions on one way write to it whenever they are heard.
#[derive(Debug)]
pub(crate) struct Traffic {
    origin: Instant,
    /// When it was last heard, to a step; 0 before.
    heard_ms: AtomicU64,
    /// Since when it has been heard without a gap.
    since_ms: AtomicU64,
}

impl Default for Traffic {
    fn default() -> Self {
        Self { origin: Instant::now(), heard_ms: AtomicU64::new(0), since_ms: AtomicU64::new(0) }
    }
}

impl Traffic {
    /// Milliseconds since the way became known; at least 1.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    pub(crate) fn hear(&self, now_ms: u64) {
        let last = self.heard_ms.load(Ordering::Relaxed);
        if last != 0 && now_ms < last.saturating_add(STEP_MS) {
            return;
        }
        if last == 0 || now_ms > last.saturating_add(GAP_MS) {
            self.since_ms.store(now_ms, Ordering::Relaxed);
        }
        self.heard_ms.store(now_ms, Ordering::Release);
    }

    /// For how long the server has been heard without a gap; zero if it is not heard now.
    pub(crate) fn whole_for(&self) -> Duration {
        self.whole_at(self.now_ms())
    }

    fn whole_at(&self, now_ms: u64) -> Duration {
        let last = self.heard_ms.load(Ordering::Acquire);
        if last == 0 || now_ms > last.saturating_add(GAP_MS) {
            return Duration::ZERO;
        }
        Duration::from_millis(now_ms.saturating_sub(self.since_ms.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_shared_by_its_sessions_and_forgotten_with_the_last() {
        let ways = Ways::default();
        let [one, other] = [1, 2].map(|port| Peer::Tcp(([127, 0, 0, 1], port).into()));
        let first = ways.to(&one);
        assert!(Arc::ptr_eq(&first, &ways.to(&one)));
        assert!(!Arc::ptr_eq(&first, &ways.to(&other)));
        first.hear(7);
        drop(first);
        drop(ways.to(&other));
        assert_eq!(ways.to(&one).heard_ms.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_way_is_whole_since_the_last_gap() {
        let traffic = Traffic::default();
        let whole_at = |now| traffic.whole_at(now).as_millis();
        assert_eq!(whole_at(1_000), 0, "never heard");
        traffic.hear(1_000);
        assert_eq!(whole_at(1_000 + u64::from(u8::MAX)), u128::from(u8::MAX));
        for now in (1_000..3_000).step_by(30).chain([3_400]) {
            traffic.hear(now);
        }
        assert_eq!(whole_at(3_700), 2_700, "heard all the time");
        assert_eq!(whole_at(3_401 + GAP_MS), 0, "silent since");
        traffic.hear(3_401 + GAP_MS);
        assert_eq!(whole_at(4_001), 100, "and heard again");
    }
}
