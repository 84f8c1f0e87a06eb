//! Transactions, and what is known of them because relink began them.

use std::{fmt, ops::Deref};

use tokio_postgres::{IsolationLevel, Portal, Row, ToStatement, types::BorrowToSql, types::ToSql};

use super::{
    error::Error,
    observer::Observer,
    session::Session,
    streams::{Observing, RowStream},
};

/// Settings of a transaction to be begun.
pub struct TransactionBuilder<'a> {
    inner: tokio_postgres::TransactionBuilder<'a>,
    observer: Observer,
}

impl<'a> TransactionBuilder<'a> {
    pub(super) fn new(session: &'a mut Session) -> Self {
        let Session { client, observer, .. } = session;
        Self { inner: client.build_transaction(), observer: observer.clone() }
    }

    /// Sets the isolation level.
    #[must_use]
    pub fn isolation_level(mut self, level: IsolationLevel) -> Self {
        self.inner = self.inner.isolation_level(level);
        self
    }

    /// Sets whether the transaction may only read. A write in one that may not is its borrower's error,
    /// [`Fault::Query`](crate::Fault::Query), and no evidence that the server has lost its role.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.observer = self.observer.read_only(read_only);
        self.inner = self.inner.read_only(read_only);
        self
    }

    /// Sets whether a serializable read-only transaction waits for a moment at which it cannot fail.
    #[must_use]
    pub fn deferrable(mut self, deferrable: bool) -> Self {
        self.inner = self.inner.deferrable(deferrable);
        self
    }

    /// Begins it. Dropping the future rolls back.
    ///
    /// # Errors
    /// The server's, and when the session has ended.
    pub async fn start(self) -> Result<Transaction<'a>, Error> {
        let Self { inner, observer } = self;
        let inner = observer.call(inner.start()).await?;
        Ok(Transaction { inner, observer })
    }
}

impl fmt::Debug for TransactionBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionBuilder").finish_non_exhaustive()
    }
}

/// An open transaction or savepoint; rolled back when dropped.
///
/// A session that ends before COMMIT was sent takes all of it along, so that its errors are
/// [`Fault::Lost`](crate::Fault::Lost) and never ambiguous until then.
///
/// Dereferences to the driver's own for what has no error; its calls take precedence where both have one.
pub struct Transaction<'a> {
    inner: tokio_postgres::Transaction<'a>,
    pub(super) observer: Observer,
}

impl Transaction<'_> {
    pub(super) fn driver(&self) -> &tokio_postgres::Client {
        self.inner.client()
    }

    /// Commits. Of a savepoint: keeps its work in the transaction around it.
    ///
    /// # Errors
    /// [`Fault::Ambiguous`](crate::Fault::Ambiguous) when the session ends after COMMIT was sent and before
    /// its answer; any other error says that nothing has become durable.
    pub async fn commit(self) -> Result<(), Error> {
        self.observer.call(self.inner.commit()).await
    }

    /// Rolls back, to the savepoint if it is one.
    ///
    /// # Errors
    /// When the session ends; its work is gone all the same.
    pub async fn rollback(self) -> Result<(), Error> {
        self.observer.call(self.inner.rollback()).await
    }

    /// A savepoint, as a transaction within this one.
    ///
    /// # Errors
    /// The server's, and when the session has ended.
    pub async fn transaction(&mut self) -> Result<Transaction<'_>, Error> {
        let inner = self.observer.call(self.inner.transaction()).await?;
        Ok(Transaction { inner, observer: self.observer.clone() })
    }

    /// The same with a name of its own, which is put into the statement as it is.
    ///
    /// # Errors
    /// As [`Transaction::transaction`].
    pub async fn savepoint(&mut self, name: impl Into<String>) -> Result<Transaction<'_>, Error> {
        let inner = self.observer.call(self.inner.savepoint(name)).await?;
        Ok(Transaction { inner, observer: self.observer.clone() })
    }

    /// Binds parameters to a statement, so that its rows can be had in portions.
    ///
    /// # Errors
    /// The server's, and when the session has ended.
    pub async fn bind<T>(&self, statement: &T, params: &[&(dyn ToSql + Sync)]) -> Result<Portal, Error>
    where
        T: ?Sized + ToStatement,
    {
        self.observer.call(self.inner.bind(statement, params)).await
    }

    /// The same for parameters of any kind.
    ///
    /// # Errors
    /// As [`Transaction::bind`].
    pub async fn bind_raw<P, T, I>(&self, statement: &T, params: I) -> Result<Portal, Error>
    where
        T: ?Sized + ToStatement,
        P: BorrowToSql,
        I: IntoIterator<Item = P>,
        I::IntoIter: ExactSizeIterator,
    {
        self.observer.call(self.inner.bind_raw(statement, params)).await
    }

    /// The next rows of a portal, at most `max_rows`; all that are left if it is 0 or less.
    ///
    /// # Errors
    /// The server's, and when the session has ended.
    pub async fn query_portal(&self, portal: &Portal, max_rows: i32) -> Result<Vec<Row>, Error> {
        self.observer.call(self.inner.query_portal(portal, max_rows)).await
    }

    /// The same as a stream.
    ///
    /// # Errors
    /// As [`Transaction::query_portal`].
    pub async fn query_portal_raw(&self, portal: &Portal, max_rows: i32) -> Result<RowStream, Error> {
        let rows = self.observer.call(self.inner.query_portal_raw(portal, max_rows)).await?;
        Ok(Observing::new(rows, self.observer.clone()))
    }
}

impl<'a> Deref for Transaction<'a> {
    type Target = tokio_postgres::Transaction<'a>;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}
