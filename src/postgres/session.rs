//! One PostgreSQL session as borrowers hold it.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    time::Duration,
};

use tokio::sync::broadcast;
use tokio_postgres::{Client, Notification};

use super::{
    error::Error,
    life::Seen,
    observer::Observer,
    silence::Identity,
    transaction::{Transaction, TransactionBuilder},
    wire::Peer,
};
use crate::Work;

/// A session: the driver's client, its calls with errors that say what they mean ([`Error`]), and what
/// relink knows of it.
///
/// What is not a call of this type or of [`Transaction`] is the driver's own, to which both dereference,
/// and is not observed: a `&tokio_postgres::Client` taken from it, as by functions that ask for one or for a
/// [`GenericClient`](tokio_postgres::GenericClient); what `Transaction::client` gives; a stream or sink after
/// `into_inner`. Such an error is the driver's, and where it shows that the server has lost its role the pool
/// does not learn of it, until [`Session::explain`] is asked what it means. (That a session has ended,
/// and with what in flight, is seen however it is used.)
///
/// A write that is refused as read-only (25006) counts as evidence that the server has lost its role: the error is
/// [`Fault::WrongRole`](crate::Fault::WrongRole), and costs each session a question before it is lent again. It does
/// not count in a transaction that its borrower has made read-only, by [`TransactionBuilder::read_only`] or, where
/// nothing stands between this process and a server of PostgreSQL 14 or later, by `BEGIN READ ONLY` or
/// `SET TRANSACTION READ ONLY`: the error is then [`Fault::Query`](crate::Fault::Query). Nor can it be told there
/// whether `default_transaction_read_only` was set by the session or for all of them, so that it counts, and even
/// without a write when a session comes back with it to who wants to write; the question tells, and the session stays.
/// A transaction that is begun by the same text as the write counts, too.
///
/// Several calls at once share the session: when it ends, all that were in flight are told the same, which is
/// ambiguous if it is for one of them.
///
/// ```no_run
/// # async fn run(pool: relink::postgres::Pool) -> Result<(), Box<dyn std::error::Error>> {
/// let session = pool.get().await?;
/// let statement = session.prepare_cached("SELECT $1::int4 + 1").await?;
/// let row = session.query_one(&statement, &[&41_i32]).await?;
/// # Ok(())
/// # }
/// ```
pub struct Session {
    pub(crate) client: Client,
    pub(crate) observer: Observer,
    pub(crate) endpoint: usize,
    pub(crate) peer: Peer,
    /// No proxy stands between us and the server, so that what the server reports is true of it.
    pub(crate) direct: bool,
    /// Who the session is for the server, where the server can be asked about it.
    pub(crate) identity: Option<Identity>,
    /// Its server was promoted since another of the set was dialed.
    pub(crate) promoted: bool,
}

impl Session {
    /// Begins a transaction, which is rolled back unless it is committed.
    ///
    /// # Errors
    /// The server's, and when the session has ended.
    pub async fn transaction(&mut self) -> Result<Transaction<'_>, Error> {
        self.build_transaction().start().await
    }

    /// Begins a transaction with settings of its own.
    pub fn build_transaction(&mut self) -> TransactionBuilder<'_> {
        TransactionBuilder::new(self)
    }

    /// What `NOTIFY` brings to this session from now on; `LISTEN` decides on which channels.
    ///
    /// Up to 1 024 notifications wait for a receiver. One that falls further behind loses the oldest and
    /// is told how many ([`Lagged`]); one whose session has ended is told so ([`Closed`]) after the last
    /// that came. What was sent between that and the next `LISTEN` reaches nobody, so look for what you
    /// have missed after each `LISTEN`, the first one too.
    ///
    /// `LISTEN` belongs to the session: hold the lease for as long as you listen. A session that is given back
    /// goes on listening for whoever is lent it next, until `UNLISTEN` or [`Lease::discard`].
    ///
    /// ```no_run
    /// # async fn run(pool: relink::postgres::Pool) -> Result<(), Box<dyn std::error::Error>> {
    /// loop {
    ///     let session = pool.get().await?;
    ///     let mut news = session.notifications();
    ///     session.batch_execute("LISTEN news").await?;
    ///     // Here: look for what was missed. Then what comes:
    ///     while let Ok(notification) = news.recv().await {
    ///         println!("{}", notification.payload());
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// [`Lagged`]: broadcast::error::RecvError::Lagged
    /// [`Closed`]: broadcast::error::RecvError::Closed
    /// [`Lease::discard`]: crate::adapter::Lease::discard
    pub fn notifications(&self) -> broadcast::Receiver<Notification> {
        self.seen().notifications()
    }

    /// The value of a parameter that the server reports unasked, such as `server_version`,
    /// `in_hot_standby` or `default_transaction_read_only`.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.seen().parameter(name)
    }

    /// Whether nothing stands between this process and the server.
    pub fn direct(&self) -> bool {
        self.direct
    }

    /// The time since the last byte came from the server.
    pub fn silence(&self) -> Duration {
        self.seen().watch().silence()
    }

    /// Whether everything that came from the server has been read.
    pub fn parked(&self) -> bool {
        self.seen().watch().parked()
    }

    pub(crate) fn driver(&self) -> &Client {
        &self.client
    }

    pub(crate) fn seen(&self) -> &Seen {
        self.observer.seen()
    }

    /// What the session is doing. What the driver holds back because the stream takes no more cannot
    /// be looked into and counts as a statement that may become durable.
    pub(crate) fn work(&self) -> Work {
        if self.seen().settled() { self.seen().watch().work() } else { Work::Statement { durable: true } }
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("endpoint", &self.endpoint)
            .field("peer", &self.peer)
            .field("direct", &self.direct)
            .finish_non_exhaustive()
    }
}
