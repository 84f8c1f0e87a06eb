//! One PostgreSQL session as borrowers hold it.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    time::Duration,
};

use tokio_postgres::Client;

use super::{life::Seen, wire::Peer};
use crate::Work;

/// A session: dereferences to the driver's own client.
pub struct Session {
    pub(crate) client: Client,
    pub(crate) seen: Seen,
    pub(crate) endpoint: usize,
    pub(crate) peer: Peer,
    /// No proxy stands between us and the server, so that what the server reports is true of it.
    pub(crate) direct: bool,
}

impl Session {
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
