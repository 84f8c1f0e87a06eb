//! What an error of a session means, with the driver's own beneath it.

use std::{fmt, sync::Arc};

use tokio_postgres::error::{DbError, SqlState};

use crate::{Fault, Session, adapter::Failure};

/// An error of a session, classified by what the session was doing when it came.
///
/// Its text is one line for whoever is woken by it: what happened, at which endpoint, and what follows.
/// The values of a row that the server may quote (its `DETAIL`) are in [`Error::as_db_error`] only.
///
/// ```no_run
/// # async fn pay(session: &mut relink::postgres::Session) -> Result<(), Box<dyn std::error::Error>> {
/// use relink::Fault;
/// let transaction = session.transaction().await?;
/// transaction.execute("UPDATE account SET balance = balance - 1", &[]).await?;
/// match transaction.commit().await {
///     Ok(()) => {}
///     Err(error) if error.fault() == Fault::Retryable => {} // nothing has become durable: once more, from BEGIN
///     Err(error) if error.fault() == Fault::Ambiguous => {} // it may have become durable: look first
///     Err(error) => return Err(error.into()),
/// }
/// # Ok(())
/// # }
/// ```
pub struct Error(Box<Told>);

/// Boxed, because an error passes through many hands and is hundreds of bytes.
struct Told {
    failure: Failure,
    session: Session,
    endpoint: Arc<str>,
    driver: tokio_postgres::Error,
}

impl Error {
    pub(super) fn new(failure: Failure, session: Session, endpoint: Arc<str>, driver: tokio_postgres::Error) -> Self {
        Self(Box::new(Told { failure, session, endpoint, driver }))
    }

    /// The class. [`Fault::Ambiguous`] when the session ended with a statement in flight that may have
    /// become durable, and only then: whatever else ends a session leaves nothing of what was in flight.
    pub fn fault(&self) -> Fault {
        self.0.failure.fault
    }

    /// Whether the session takes the next statement (after a ROLLBACK, if a transaction was open).
    pub fn session(&self) -> Session {
        self.0.session
    }

    /// The cause as relink saw it, with its SQLSTATE or errno: where the driver says no more than
    /// "connection closed", the server's last words or what the socket said.
    pub fn cause(&self) -> &Failure {
        &self.0.failure
    }

    /// Where the session was: `host:port` or the path of a socket.
    pub fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// The SQLSTATE, if the server answered this statement with an error; as the driver's `code`.
    pub fn code(&self) -> Option<&SqlState> {
        self.0.driver.code()
    }

    /// The server's answer in full, with detail, hint, constraint and position; as the driver's.
    pub fn as_db_error(&self) -> Option<&DbError> {
        self.0.driver.as_db_error()
    }

    /// The driver's own error.
    pub fn driver(&self) -> &tokio_postgres::Error {
        &self.0.driver
    }

    /// What follows from it.
    fn means(&self) -> &'static str {
        match self.fault() {
            Fault::Ambiguous => {
                "the session ended before the answer, and what was in flight may have become durable: look before it is run again"
            }
            Fault::Lost | Fault::Refused | Fault::Unreachable | Fault::TimedOut => {
                "the session has ended and nothing that was in flight became durable: begin again on a new one"
            }
            Fault::Starting => "the server is not ready: ask again later",
            Fault::Overloaded => "the server lacks resources: ask for less, or later",
            Fault::WrongRole => {
                "the server may have lost its role: every session is asked for it before it is lent again"
            }
            Fault::Denied | Fault::Misconfigured => "it takes a change of rights or settings to mend this",
            Fault::Retryable => "nothing of the transaction became durable: run it again from its start",
            Fault::Query => "an error of the statement, not of the connection",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A message that a function raised may have several lines.
        let failure = self.cause().to_string().replace(['\r', '\n'], " ");
        write!(f, "{failure} at {}: {}", self.endpoint(), self.means())
    }
}

impl fmt::Debug for Error {
    /// Without the driver's error, whose Debug shows the values of rows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Told { failure, session, endpoint, driver: _ } = &*self.0;
        f.debug_struct("Error")
            .field("failure", failure)
            .field("session", session)
            .field("endpoint", endpoint)
            .finish_non_exhaustive()
    }
}

impl From<Error> for tokio_postgres::Error {
    /// So that `?` goes on working where functions return the driver's error: what relink knows is lost.
    fn from(error: Error) -> Self {
        error.0.driver
    }
}

impl std::error::Error for Error {
    /// The driver's own error, for code that looks for it in a chain; its words are in the text already.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.driver())
    }
}
