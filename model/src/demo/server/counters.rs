//! What the demo server has counted; outlives the server.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A handle on the server's counts. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Counters(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    dials: Mutex<Vec<Instant>>,
    sockets: AtomicUsize,
    sessions: AtomicUsize,
    sessions_opened: AtomicUsize,
}

impl Counters {
    /// When each of the dials that reached the server was accepted, in order. What the kernel
    /// refused or has not yet handed over is not among them; a request to cancel is.
    pub fn dials(&self) -> Vec<Instant> {
        self.0.dials.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Accepted sockets that the server still holds.
    pub fn sockets_open(&self) -> usize {
        self.0.sockets.load(Ordering::SeqCst)
    }

    /// Sessions that have got as far as their first `ReadyForQuery` and are still held.
    pub fn sessions_open(&self) -> usize {
        self.0.sessions.load(Ordering::SeqCst)
    }

    /// All sessions that ever got as far as their first `ReadyForQuery`.
    pub fn sessions_opened(&self) -> usize {
        self.0.sessions_opened.load(Ordering::SeqCst)
    }

    pub(super) fn dialed(&self, at: Instant) {
        self.0.dials.lock().unwrap_or_else(PoisonError::into_inner).push(at);
    }

    pub(super) fn socket(&self) -> Open {
        Open::count(&self.0, |counts| &counts.sockets)
    }

    pub(super) fn session(&self) -> Open {
        self.0.sessions_opened.fetch_add(1, Ordering::SeqCst);
        Open::count(&self.0, |counts| &counts.sessions)
    }
}

/// Counts as one for as long as it lives.
pub(super) struct Open {
    counts: Arc<Counts>,
    of: fn(&Counts) -> &AtomicUsize,
}

impl Open {
    fn count(counts: &Arc<Counts>, of: fn(&Counts) -> &AtomicUsize) -> Self {
        of(counts).fetch_add(1, Ordering::SeqCst);
        Self { counts: counts.clone(), of }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        (self.of)(&self.counts).fetch_sub(1, Ordering::SeqCst);
    }
}
