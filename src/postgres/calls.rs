//! The calls of the driver's client, on sessions and in transactions alike, with relink's errors.

use std::fmt;

use bytes::Buf;
use tokio_postgres::{
    Row, SimpleQueryMessage, Statement, ToStatement,
    types::{BorrowToSql, FromSqlOwned, ToSql, Type},
};

use super::{
    copy::{CopyInSink, CopyOutStream},
    error::Error,
    session::Session,
    streams::{Observing, RowStream, SimpleQueryStream},
    transaction::Transaction,
};

/// The same calls for each type: a session and a transaction hold the driver's client in different ways,
/// and a trait would have to be imported, or else a call would go to the driver unseen.
macro_rules! calls {
    ($($type:ty),*) => { $(
        impl $type {
            /// What an error of the driver's own means, where one of its calls was made unseen.
            ///
            /// Of what was in flight when a session ended, not of a call on a session that had ended
            /// before: that one cannot be told apart here, and counts as in flight.
            pub fn explain(&self, error: tokio_postgres::Error) -> Error {
                self.observer.explain(error)
            }

            /// Prepares a statement.
            ///
            /// # Errors
            /// The server's, the driver's, and when the session has ended.
            pub async fn prepare(&self, query: &str) -> Result<Statement, Error> {
                self.observer.call(self.driver().prepare(query)).await
            }

            /// The same with the types of its parameters; those left out are inferred.
            ///
            /// # Errors
            /// The server's, the driver's, and when the session has ended.
            pub async fn prepare_typed(&self, query: &str, types: &[Type]) -> Result<Statement, Error> {
                self.observer.call(self.driver().prepare_typed(query, types)).await
            }

            /// A prepared statement, prepared once in the life of the session and kept for later
            /// borrowers; past 256 texts it is prepared anew each time. Not for PgBouncer's transaction
            /// mode, where the next transaction may run on a server connection that has never heard of it.
            ///
            /// One that has vanished from the server (SQLSTATE 26000) fails once: then all of the session are
            /// prepared anew.
            ///
            /// # Errors
            /// The server's, and when the session has ended.
            pub async fn prepare_cached(&self, query: &str) -> Result<Statement, Error> {
                self.observer.prepared(self.driver(), query).await
            }

            /// All rows of a query.
            ///
            /// # Errors
            /// The server's, the driver's, and when the session has ended.
            pub async fn query<T>(&self, statement: &T, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error>
            where
                T: ?Sized + ToStatement,
            {
                self.observer.call(self.driver().query(statement, params)).await
            }

            /// The one value of each row of a query.
            ///
            /// # Errors
            /// The server's, the driver's, and when the session has ended.
            pub async fn query_scalar<R, T>(&self, statement: &T, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<R>, Error>
            where
                R: FromSqlOwned,
                T: ?Sized + ToStatement + fmt::Debug,
            {
                self.observer.call(self.driver().query_scalar(statement, params)).await
            }

            /// The one row of a query; any other number is an error.
            ///
            /// # Errors
            /// The server's, the driver's, and when the session has ended.
            pub async fn query_one<T>(&self, statement: &T, params: &[&(dyn ToSql + Sync)]) -> Result<Row, Error>
            where
                T: ?Sized + ToStatement,
            {
                self.observer.call(self.driver().query_one(statement, params)).await
            }

            /// The one value of the one row of a query.
            ///
            /// # Errors
            /// The server's, the driver's, and when the session has ended.
            pub async fn query_one_scalar<R, T>(&self, statement: &T, params: &[&(dyn ToSql + Sync)]) -> Result<R, Error>
            where
                R: FromSqlOwned,
                T: ?Sized + ToStatement + fmt::Debug,
            {
                self.observer.call(self.driver().query_one_scalar(statement, params)).await
            }

            /// The one row of a query, or none; more are an error.
            ///
            /// # Errors
            /// The server's, the driver's, and when the session has ended.
            pub async fn query_opt<T>(&self, statement: &T, params: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>, Error>
            where
                T: ?Sized + ToStatement,
            {
                self.observer.call(self.driver().query_opt(statement, params)).await
            }

            /// The one value of the one row of a query, or none.
            ///
            /// # Errors
            /// The server's, the driver's, and when the session has ended.
            pub async fn query_opt_scalar<R, T>(&self, statement: &T, params: &[&(dyn ToSql + Sync)]) -> Result<Option<R>, Error>
            where
                R: FromSqlOwned,
                T: ?Sized + ToStatement + fmt::Debug,
            {
                self.observer.call(self.driver().query_opt_scalar(statement, params)).await
            }

            /// The rows of a query as they come.
            ///
            /// # Errors
            /// The server's, the driver's, and when the session has ended.
            pub async fn query_raw<T, P, I>(&self, statement: &T, params: I) -> Result<RowStream, Error>
            where
                T: ?Sized + ToStatement,
                P: BorrowToSql,
                I: IntoIterator<Item = P>,
                I::IntoIter: ExactSizeIterator,
            {
                let inner = self.observer.call(self.driver().query_raw(statement, params)).await?;
                Ok(Observing::new(inner, self.observer.clone()))
            }

            /// All rows of a query that is not prepared: one round trip, for which the types are given.
            ///
            /// # Errors
            /// The server's, the driver's, and when the session has ended.
            pub async fn query_typed(&self, query: &str, params: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>, Error> {
                self.observer.call(self.driver().query_typed(query, params)).await
            }

            /// The same for one row; any other number is an error.
            ///
            /// # Errors
            /// The server's, the driver's, and when the session has ended.
            pub async fn query_typed_one(&self, query: &str, params: &[(&(dyn ToSql + Sync), Type)]) -> Result<Row, Error> {
                self.observer.call(self.driver().query_typed_one(query, params)).await
            }

            /// The same for one row or none.
            ///
            /// # Errors
            /// The server's, the driver's, and when the session has ended.
            pub async fn query_typed_opt(&self, query: &str, params: &[(&(dyn ToSql + Sync), Type)]) -> Result<Option<Row>, Error> {
                self.observer.call(self.driver().query_typed_opt(query, params)).await
            }

            /// The same with the rows as they come.
            ///
            /// # Errors
            /// The server's, the driver's, and when the session has ended.
            pub async fn query_typed_raw<P, I>(&self, query: &str, params: I) -> Result<RowStream, Error>
            where
                P: BorrowToSql,
                I: IntoIterator<Item = (P, Type)>,
            {
                let inner = self.observer.call(self.driver().query_typed_raw(query, params)).await?;
                Ok(Observing::new(inner, self.observer.clone()))
            }

            /// Runs a statement; returns how many rows it has changed.
            ///
            /// # Errors
            /// The server's, the driver's, and when the session has ended.
            pub async fn execute<T>(&self, statement: &T, params: &[&(dyn ToSql + Sync)]) -> Result<u64, Error>
            where
                T: ?Sized + ToStatement,
            {
                self.observer.call(self.driver().execute(statement, params)).await
            }

            /// The same without preparing it: one round trip, for which the types are given.
            ///
            /// # Errors
            /// The server's, the driver's, and when the session has ended.
            pub async fn execute_typed(&self, statement: &str, params: &[(&(dyn ToSql + Sync), Type)]) -> Result<u64, Error> {
                self.observer.call(self.driver().execute_typed(statement, params)).await
            }

            /// The same for parameters of any kind.
            ///
            /// # Errors
            /// The server's, the driver's, and when the session has ended.
            pub async fn execute_raw<T, P, I>(&self, statement: &T, params: I) -> Result<u64, Error>
            where
                T: ?Sized + ToStatement,
                P: BorrowToSql,
                I: IntoIterator<Item = P>,
                I::IntoIter: ExactSizeIterator,
            {
                self.observer.call(self.driver().execute_raw(statement, params)).await
            }

            /// Begins a `COPY … FROM STDIN`. It must be ended by the sink's `finish` or `close`.
            ///
            /// # Errors
            /// The server's, the driver's, and when the session has ended.
            pub async fn copy_in<T, U>(&self, statement: &T) -> Result<CopyInSink<U>, Error>
            where
                T: ?Sized + ToStatement,
                U: Buf + Send + 'static,
            {
                let inner = self.observer.call(self.driver().copy_in(statement)).await?;
                Ok(CopyInSink::new(inner, self.observer.clone()))
            }

            /// Begins a `COPY … TO STDOUT`.
            ///
            /// # Errors
            /// The server's, the driver's, and when the session has ended.
            pub async fn copy_out<T>(&self, statement: &T) -> Result<CopyOutStream, Error>
            where
                T: ?Sized + ToStatement,
            {
                let inner = self.observer.call(self.driver().copy_out(statement)).await?;
                Ok(CopyOutStream::new(inner, self.observer.clone()))
            }

            /// Runs statements separated by `;`; their rows come as text. Never put data into the text.
            ///
            /// # Errors
            /// The server's, the driver's, and when the session has ended.
            pub async fn simple_query(&self, query: &str) -> Result<Vec<SimpleQueryMessage>, Error> {
                self.observer.call(self.driver().simple_query(query)).await
            }

            /// The same with the answers as they come.
            ///
            /// # Errors
            /// The server's, the driver's, and when the session has ended.
            pub async fn simple_query_raw(&self, query: &str) -> Result<SimpleQueryStream, Error> {
                let inner = self.observer.call(self.driver().simple_query_raw(query)).await?;
                Ok(Observing::new(inner, self.observer.clone()))
            }

            /// Runs statements separated by `;` and drops their rows. Never put data into the text.
            ///
            /// # Errors
            /// The server's, the driver's, and when the session has ended.
            pub async fn batch_execute(&self, query: &str) -> Result<(), Error> {
                self.observer.call(self.driver().batch_execute(query)).await
            }

            /// A round trip that does nothing else.
            ///
            /// # Errors
            /// The server's, the driver's, and when the session has ended.
            pub async fn check_connection(&self) -> Result<(), Error> {
                self.observer.call(self.driver().check_connection()).await
            }
        }
    )* };
}

calls!(Session, Transaction<'_>);
