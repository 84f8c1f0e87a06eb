//! Data copied in and out, to the true end: the server commits after the words at which the driver stops.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use futures_sink::Sink;
use pin_project_lite::pin_project;

use super::{error::Error, observer::Observer};

/// How the driver calls a message that it did not wait for (its source, error/mod.rs).
const UNEXPECTED: &str = "unexpected message from server";

/// What is still to come behind the message at which the driver takes a COPY to be over.
///
/// Outside of a transaction the server commits between its CommandComplete and its ReadyForQuery, so
/// that a deferred constraint fails, and a session dies, between the two. The driver's streams do not read that
/// far; asked again, they give an error for each such message, its own for an error of the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    NotYet,
    /// So many messages are left: ReadyForQuery, and before it perhaps CommandComplete.
    Left(u8),
    Over,
}

impl End {
    /// Takes what the driver says when it is asked for more than it knows of: one of those messages has
    /// come, or the answer is over, or it is an error after all.
    fn step(&mut self, error: tokio_postgres::Error, observer: &Observer) -> Result<(), Error> {
        let awaited = error.to_string() == UNEXPECTED;
        *self = match *self {
            Self::Left(left @ 2..) if awaited => Self::Left(left.saturating_sub(1)),
            Self::NotYet | Self::Left(_) | Self::Over => Self::Over,
        };
        // An answer is closed behind its last message, which a driver may have read by itself.
        let over = error.is_closed() && !observer.seen().ended();
        if awaited || over { Ok(()) } else { Err(observer.explain(error)) }
    }
}

pin_project! {
    /// Takes data to be copied into the server. Nothing of it becomes durable before [`CopyInSink::finish`]
    /// or `close`; dropped before that, the COPY fails at the server.
    pub struct CopyInSink<U> {
        #[pin]
        inner: tokio_postgres::CopyInSink<U>,
        observer: Observer,
        end: End,
        rows: u64,
    }
}

impl<U> CopyInSink<U> {
    pub(super) fn new(inner: tokio_postgres::CopyInSink<U>, observer: Observer) -> Self {
        Self { inner, observer, end: End::NotYet, rows: 0 }
    }

    /// The driver's own, for code that takes nothing else, such as its `binary_copy`. Its errors are the
    /// driver's from then on (see [`Session::explain`](super::Session::explain)), and outside of a transaction its
    /// `finish` does not wait for the commit.
    pub fn into_inner(self) -> tokio_postgres::CopyInSink<U> {
        self.inner
    }
}

impl<U: Buf + Send + 'static> CopyInSink<U> {
    /// Ends the COPY; returns the number of rows that it brought, when they are as durable as any
    /// statement of the session makes its work.
    ///
    /// # Errors
    /// [`Fault::Ambiguous`](crate::Fault::Ambiguous) when the session ends before the answer and no
    /// transaction was open.
    pub async fn finish(mut self: Pin<&mut Self>) -> Result<u64, Error> {
        poll_fn(|cx| self.as_mut().poll_finish(cx)).await
    }

    /// The same for who polls.
    ///
    /// # Errors
    /// As [`CopyInSink::finish`].
    pub fn poll_finish(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<u64, Error>> {
        let mut this = self.project();
        while *this.end != End::Over {
            match (ready!(this.inner.as_mut().poll_finish(cx)), *this.end) {
                (Ok(rows), _) => (*this.rows, *this.end) = (rows, End::Left(1)),
                (Err(error), End::NotYet) => return Poll::Ready(Err(this.observer.explain(error))),
                (Err(error), End::Left(_) | End::Over) => this.end.step(error, this.observer)?,
            }
        }
        Poll::Ready(Ok(*this.rows))
    }
}

impl<U: Buf + Send + 'static> Sink<U> for CopyInSink<U> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = self.project();
        this.inner.poll_ready(cx).map_err(|error| this.observer.explain(error))
    }

    fn start_send(self: Pin<&mut Self>, item: U) -> Result<(), Error> {
        let this = self.project();
        this.inner.start_send(item).map_err(|error| this.observer.explain(error))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let this = self.project();
        this.inner.poll_flush(cx).map_err(|error| this.observer.explain(error))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_finish(cx).map_ok(drop)
    }
}

impl<U> fmt::Debug for CopyInSink<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyInSink").field("end", &self.end).finish_non_exhaustive()
    }
}

pin_project! {
    /// Data copied out of the server. Its end says that the statement is over: also that of a
    /// `COPY (INSERT … RETURNING …) TO STDOUT`.
    pub struct CopyOutStream {
        #[pin]
        inner: tokio_postgres::CopyOutStream,
        observer: Observer,
        end: End,
    }
}

impl CopyOutStream {
    pub(super) fn new(inner: tokio_postgres::CopyOutStream, observer: Observer) -> Self {
        Self { inner, observer, end: End::NotYet }
    }

    /// The driver's own, for code that takes nothing else, such as its `binary_copy`. Its errors are the
    /// driver's from then on: see [`Session::explain`](super::Session::explain).
    pub fn into_inner(self) -> tokio_postgres::CopyOutStream {
        self.inner
    }
}

impl Stream for CopyOutStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        while *this.end != End::Over {
            match (ready!(this.inner.as_mut().poll_next(cx)), *this.end) {
                (None, _) => *this.end = End::Left(2),
                (Some(Ok(bytes)), _) => return Poll::Ready(Some(Ok(bytes))),
                (Some(Err(error)), End::NotYet) => return Poll::Ready(Some(Err(this.observer.explain(error)))),
                (Some(Err(error)), End::Left(_) | End::Over) => this.end.step(error, this.observer)?,
            }
        }
        Poll::Ready(None)
    }
}

impl fmt::Debug for CopyOutStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyOutStream").field("end", &self.end).finish_non_exhaustive()
    }
}
