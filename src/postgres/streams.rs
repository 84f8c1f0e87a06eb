//! Rows as they come, with relink's errors in place of the driver's.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::{error::Error, observer::Observer};

pin_project! {
    /// A stream of the driver's whose errors are relink's. It may outlive the lease that it came from: then
    /// it ends with an error, because what is left unread is cancelled.
    pub struct Observing<S> {
        #[pin]
        inner: S,
        observer: Observer,
    }
}

/// The rows of a query, as they come.
pub type RowStream = Observing<tokio_postgres::RowStream>;

/// The answers to several statements, as they come.
pub type SimpleQueryStream = Observing<tokio_postgres::SimpleQueryStream>;

impl<S> Observing<S> {
    pub(super) fn new(inner: S, observer: Observer) -> Self {
        Self { inner, observer }
    }

    /// The driver's own, for code that takes nothing else. Its errors are the driver's from then on: see
    /// [`Session::explain`](super::Session::explain).
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl RowStream {
    /// How many rows the query has returned or changed; `None` until the stream has come to its end.
    pub fn rows_affected(&self) -> Option<u64> {
        self.inner.rows_affected()
    }
}

impl<S, T> Stream for Observing<S>
where
    S: Stream<Item = Result<T, tokio_postgres::Error>>,
{
    type Item = Result<T, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        this.inner.poll_next(cx).map_err(|error| this.observer.explain(error))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}

impl<S> fmt::Debug for Observing<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observing").finish_non_exhaustive()
    }
}
