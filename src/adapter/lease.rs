//! A session lent to a borrower, and back.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, OnceLock},
};

use super::{Connect, Death, shared::Shared};
use crate::{DialId, LeaseId, core::pool};

/// A client on its way between the pool and borrowers, with the place where its end is told.
pub(super) struct Kept<C: Connect> {
    /// Boxed, because a client is hundreds of bytes and passes through many hands.
    pub(super) client: Box<C::Client>,
    pub(super) death: Arc<OnceLock<Death>>,
}

/// What a wait was granted.
pub(super) struct Granted<C: Connect> {
    pub(super) lease: LeaseId,
    pub(super) slot: u16,
    pub(super) dial: DialId,
    pub(super) kept: Kept<C>,
}

/// A session lent to you until you drop it; dereferences to the driver's own client.
///
/// Dropping it with a statement in flight or a transaction open is safe: relink cancels the
/// statement and rolls back before anybody else gets the session, or closes it.
pub struct Lease<C: Connect> {
    shared: Arc<Shared<C>>,
    /// `None` only while the lease is being dropped.
    granted: Option<Granted<C>>,
}

impl<C: Connect> Lease<C> {
    pub(super) fn new(shared: Arc<Shared<C>>, granted: Granted<C>) -> Self {
        Self { shared, granted: Some(granted) }
    }

    /// Why the session ended, once it has; `None` while it lives.
    ///
    /// The driver's own error often says only that the connection is closed; this is the reason that
    /// relink saw: a notice before the end, the server's last error, the errno of the socket.
    pub fn death(&self) -> Option<&Death> {
        self.granted().kept.death.get()
    }

    /// The name of this lease in events and traces.
    pub fn id(&self) -> LeaseId {
        self.granted().lease
    }

    /// Takes the session out of the pool for good: it is closed instead of being lent again.
    pub fn discard(mut self) {
        if let Some(granted) = self.granted.take() {
            let Granted { lease, slot, kept, .. } = granted;
            self.shared.feed(pool::Event::Discarded { slot, lease });
            // Not before, or the session could be told to have ended by itself.
            drop(kept);
        }
    }

    fn granted(&self) -> &Granted<C> {
        match &self.granted {
            Some(granted) => granted,
            None => no_session(),
        }
    }
}

#[expect(clippy::unreachable, reason = "the session is taken out only by drop and by discard, which end the lease")]
fn no_session() -> ! {
    unreachable!("a lease has its session until it ends")
}

impl<C: Connect> Deref for Lease<C> {
    type Target = C::Client;

    fn deref(&self) -> &C::Client {
        &self.granted().kept.client
    }
}

impl<C: Connect> DerefMut for Lease<C> {
    fn deref_mut(&mut self) -> &mut C::Client {
        match &mut self.granted {
            Some(granted) => &mut granted.kept.client,
            None => no_session(),
        }
    }
}

impl<C: Connect> fmt::Debug for Lease<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let granted = self.granted.as_ref().map(|granted| (granted.lease, granted.slot, granted.dial));
        f.debug_struct("Lease").field("granted", &granted).finish_non_exhaustive()
    }
}

impl<C: Connect> Drop for Lease<C> {
    fn drop(&mut self) {
        if let Some(granted) = self.granted.take() {
            self.shared.take_back(granted);
        }
    }
}
