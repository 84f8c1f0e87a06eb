//! One PostgreSQL session as borrowers hold it.

use std::{
    collections::HashMap,
    fmt,
    ops::{Deref, DerefMut},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio_postgres::{Client, Error, Statement};

use super::{life::Seen, wire::Peer};
use crate::Work;

/// The most statements that one session keeps prepared: the server holds memory for each.
const STATEMENTS_MAX: usize = 256;

/// A session: dereferences to the driver's own client.
pub struct Session {
    pub(crate) client: Client,
    pub(crate) seen: Seen,
    pub(crate) endpoint: usize,
    pub(crate) peer: Peer,
    /// No proxy stands between us and the server, so that what the server reports is true of it.
    pub(crate) direct: bool,
    /// By their text.
    pub(crate) statements: Mutex<HashMap<String, Statement>>,
}

impl Session {
    /// A prepared statement, prepared once in the life of the session and kept for later borrowers; past
    /// 256 texts it is prepared anew each time. Not for PgBouncer's transaction mode, where the next
    /// transaction may run on a server connection that has never heard of it.
    ///
    /// ```no_run
    /// # async fn run(pool: relink::postgres::Pool) -> Result<(), Box<dyn std::error::Error>> {
    /// let session = pool.get().await?;
    /// let statement = session.prepare_cached("SELECT $1::int4 + 1").await?;
    /// let row = session.query_one(&statement, &[&41_i32]).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The driver's, when the statement cannot be prepared.
    pub async fn prepare_cached(&self, query: &str) -> Result<Statement, Error> {
        let known = self.statements.lock().unwrap_or_else(PoisonError::into_inner).get(query).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(query).await?;
        let mut statements = self.statements.lock().unwrap_or_else(PoisonError::into_inner);
        if statements.len() < STATEMENTS_MAX {
            statements.insert(query.to_owned(), statement.clone());
        }
        Ok(statement)
    }

    /// The value of a parameter that the server reports unasked, such as `server_version`,
    /// `in_hot_standby` or `default_transaction_read_only`.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.seen.parameter(name)
    }

    /// Whether nothing stands between this process and the server.
    pub fn direct(&self) -> bool {
        self.direct
    }

    /// The time since the last byte came from the server.
    pub fn silence(&self) -> Duration {
        self.seen.watch().silence()
    }

    /// Whether everything that came from the server has been read.
    pub fn parked(&self) -> bool {
        self.seen.watch().parked()
    }

    /// What the session is doing. What the driver holds back because the stream takes no more cannot
    /// be looked into and counts as a statement that may become durable.
    pub(crate) fn work(&self) -> Work {
        if self.seen.settled() { self.seen.watch().work() } else { Work::Statement { durable: true } }
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
