//! The statements that a session keeps prepared for whoever borrows it next.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio_postgres::{Client, Error, Statement, error::SqlState};

use super::life::Seen;
use crate::Work;

/// The most statements that one session keeps prepared: the server holds memory for each.
const KEPT_MAX: usize = 256;

/// Names in a row that may be taken: behind a proxy those who had the server's session before us have left theirs.
const NAMES_MAX: usize = 16;

/// Prepared statements by their text.
#[derive(Default)]
pub(crate) struct Prepared(Mutex<HashMap<String, Statement>>);

impl Prepared {
    /// The statement of this text; prepared if it is not known.
    pub(crate) async fn get(&self, client: &Client, seen: &Seen, query: &str) -> Result<Statement, Error> {
        let known = self.kept().get(query).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        // In a transaction the first error ends that, too. Asked before, as the server is not ready yet when an error is told.
        let tries = if seen.watch().work() == Work::AtRest { NAMES_MAX } else { 0 };
        let mut more = 0..tries;
        let statement = loop {
            match client.prepare(query).await {
                Err(error) if is_taken(&error) && more.next().is_some() => {}
                prepared => break prepared?,
            }
        };
        let mut kept = self.kept();
        if kept.len() < KEPT_MAX {
            kept.insert(query.to_owned(), statement.clone());
        }
        Ok(statement)
    }

    /// One of them has vanished from the server (`DEALLOCATE ALL`, `DISCARD ALL`, another session behind a proxy), so all
    /// may have.
    pub(crate) fn forget(&self) {
        self.kept().clear();
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<String, Statement>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The driver counts its names up, so that the next one is another.
fn is_taken(error: &Error) -> bool {
    error.code() == Some(&SqlState::DUPLICATE_PSTATEMENT)
}
