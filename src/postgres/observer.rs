//! Sees every error of a session's calls: says what it means, and passes evidence of demotion on.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
};

use tokio_postgres::{Client, Statement, error::SqlState};

use super::{classifier::Classifier, error::Error, evidence::Observed, life::Seen, prepared::Prepared, role};
use crate::{Fault, Phase, Session, Work, adapter::Failure};

/// What is known of one session by all who see its errors: its calls, its transactions, its streams.
struct Witness {
    seen: Seen,
    /// What the server reports is true of it.
    direct: bool,
    classifier: Arc<Classifier>,
    endpoint: Arc<str>,
    prepared: Prepared,
    /// Tells the pool that the server seems to have lost its role; set when a pool has the session.
    demoted: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Witness {
    /// Whether a transaction that may not write was made so by its borrower. That is fixed when it begins, and a server that
    /// makes all of them so reports it with the answer to BEGIN at the latest (PostgreSQL 14).
    fn is_read_only_by_wish(&self) -> bool {
        let inside = self.direct && self.seen.watch().failed_inside();
        inside && role::reported(&self.seen).is_some_and(|role| !role.in_recovery && !role.default_read_only)
    }
}

/// Observes on behalf of a session, or of a transaction on it.
#[derive(Clone)]
pub(crate) struct Observer {
    witness: Arc<Witness>,
    /// The transaction was begun READ ONLY by its borrower.
    read_only: bool,
}

impl Observer {
    pub(crate) fn new(seen: Seen, direct: bool, classifier: Arc<Classifier>, endpoint: String) -> Self {
        let (prepared, demoted) = (Prepared::default(), OnceLock::new());
        let witness = Witness { seen, direct, classifier, endpoint: endpoint.into(), prepared, demoted };
        Self { witness: Arc::new(witness), read_only: false }
    }

    /// The same for a transaction that its borrower begins READ ONLY, or not.
    pub(crate) fn read_only(self, read_only: bool) -> Self {
        Self { read_only, ..self }
    }

    pub(crate) fn seen(&self) -> &Seen {
        &self.witness.seen
    }

    /// Whom to tell of a demotion. The first is kept.
    pub(crate) fn report_to(&self, demoted: impl Fn() + Send + Sync + 'static) {
        let _kept = self.witness.demoted.set(Box::new(demoted));
    }

    /// Something shows that a server has lost its role, to the pool that has the session.
    pub(crate) fn demoted(&self) {
        if let Some(demoted) = self.witness.demoted.get() {
            demoted();
        }
    }

    /// Carries out one call of the driver's. Dropping the future drops the call.
    pub(crate) async fn call<T>(
        &self,
        call: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        // The driver sends when it is first polled, so that a call on a session that has ended by now
        // was never sent, whatever was in flight when it ended.
        let unsent = self.seen().death().is_some();
        call.await.map_err(|error| self.tell(error, unsent))
    }

    /// The statement of this text, kept for the session's later borrowers.
    pub(crate) async fn prepared(&self, client: &Client, query: &str) -> Result<Statement, Error> {
        self.call(self.witness.prepared.get(client, self.seen(), query)).await
    }

    /// What an error of something that has been sent means.
    pub(crate) fn explain(&self, error: tokio_postgres::Error) -> Error {
        self.tell(error, false)
    }

    fn tell(&self, error: tokio_postgres::Error, unsent: bool) -> Error {
        let witness = &*self.witness;
        let death = witness.seen.death();
        let work =
            if unsent { Work::AtRest } else { death.map_or_else(|| witness.seen.watch().work(), |death| death.work) };
        let phase = match work {
            Work::Statement { durable: true } => Phase::Commit,
            Work::Statement { durable: false } | Work::AtRest | Work::InTransaction => Phase::Query,
        };
        if error.code() == Some(&SqlState::INVALID_SQL_STATEMENT_NAME) {
            witness.prepared.forget();
        }
        let observed = Observed::from(&error);
        let mut failure = match death {
            // The reason is known only where the session ended, the meaning only here.
            Some(death) if error.is_closed() => {
                let fault = if unsent { Fault::Lost } else { work.loss(death.failure.fault) };
                Failure { fault, ..death.failure.clone() }
            }
            Some(_) | None => witness.classifier.failure(observed.clone(), phase),
        };
        if failure.fault == Fault::WrongRole {
            let refused = error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION);
            if refused && (self.read_only || witness.is_read_only_by_wish()) {
                // By its borrower's own wish, whatever the server's role.
                failure.fault = Fault::Query;
            } else {
                self.demoted();
            }
        }
        let session = match death {
            Some(_) => Session::Dead,
            None => failure.fault.session(&observed.evidence(phase)),
        };
        Error::new(failure, session, Arc::clone(&witness.endpoint), error)
    }
}
