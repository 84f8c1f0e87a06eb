//! A session lent to a borrower, and back.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, OnceLock},
};

use scopeguard::ScopeGuard;
use tokio::sync::SetOnce;

use super::{Connect, Death, Failure, shared::Shared};
use crate::{DialId, Fault, LeaseId, core::pool};

/// Where the end of a session is told to its borrower.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// Why, once somebody knows.
    pub(super) death: OnceLock<Death>,
    /// Set when the task of the session has ended: nobody else will tell why.
    pub(super) over: SetOnce<()>,
}

/// A client on its way between the pool and borrowers, with the place where its end is told.
pub(super) struct Kept<C: Connect> {
    /// Boxed, because a client is hundreds of bytes and passes through many hands.
    pub(super) client: Box<C::Client>,
    pub(super) ending: Arc<Ending>,
}

/// What a wait was granted.
pub(super) struct Granted<C: Connect> {
    pub(super) lease: LeaseId,
    pub(super) slot: u16,
    pub(super) dial: DialId,
    pub(super) kept: Kept<C>,
}

/// What a lease holds, and the pool that it goes back to.
struct Lent<C: Connect> {
    shared: Arc<Shared<C>>,
    granted: Granted<C>,
}

impl<C: Connect> Lent<C> {
    fn give_back(self) {
        self.shared.take_back(self.granted);
    }
}

/// A session lent to you until you drop it; dereferences to the driver's own client.
///
/// Dropping it with a statement in flight or a transaction open is safe: relink cancels the
/// statement and rolls back before anybody else gets the session, or closes it.
pub struct Lease<C: Connect> {
    lent: ScopeGuard<Lent<C>, fn(Lent<C>)>,
}

impl<C: Connect> Lease<C> {
    pub(super) fn new(shared: Arc<Shared<C>>, granted: Granted<C>) -> Self {
        Self { lent: scopeguard::guard(Lent { shared, granted }, Lent::give_back) }
    }

    /// Why the session ended, once it has; `None` while it lives, and in the moment between its end
    /// and the telling, for which [`Lease::ended`] waits.
    ///
    /// The driver's own error often says only that the connection is closed; this is the reason that
    /// relink saw: a notice before the end, the server's last error, the errno of the socket.
    pub fn death(&self) -> Option<&Death> {
        self.kept().ending.death.get()
    }

    /// Waits until the session has ended, and says why.
    ///
    /// For who has the driver's word that the connection is closed: the reason follows within
    /// microseconds. While the session lives, this waits for as long as it does: bound it by a timeout,
    /// or ask only after such an error. Safe to drop.
    pub async fn ended(&self) -> &Death {
        let Kept { client, ending } = self.kept();
        ending.over.wait().await;
        // A session that relink itself cut, at the drain deadline for example, told nobody why.
        ending.death.get_or_init(|| Death {
            failure: Failure::new(Fault::Lost, "relink ended the session"),
            work: self.connector().work(client),
        })
    }

    /// The name of this lease in events and traces.
    pub fn id(&self) -> LeaseId {
        self.lent.granted.lease
    }

    /// Takes the session out of the pool for good: it is closed instead of being lent again.
    pub fn discard(self) {
        let Lent { shared, granted } = ScopeGuard::into_inner(self.lent);
        let Granted { lease, slot, kept, .. } = granted;
        shared.feed(pool::Event::Discarded { slot, lease });
        // Not before, or the session could be told to have ended by itself.
        drop(kept);
    }

    /// The connector, which knows how errors are classified.
    pub(crate) fn connector(&self) -> &C {
        &self.lent.shared.connect
    }

    fn kept(&self) -> &Kept<C> {
        &self.lent.granted.kept
    }
}

impl<C: Connect> Deref for Lease<C> {
    type Target = C::Client;

    fn deref(&self) -> &C::Client {
        &self.kept().client
    }
}

impl<C: Connect> DerefMut for Lease<C> {
    fn deref_mut(&mut self) -> &mut C::Client {
        &mut self.lent.granted.kept.client
    }
}

impl<C: Connect> fmt::Debug for Lease<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Granted { lease, slot, dial, .. } = &self.lent.granted;
        f.debug_struct("Lease").field("id", lease).field("slot", slot).field("dial", dial).finish_non_exhaustive()
    }
}
