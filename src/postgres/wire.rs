//! The stream to a server, whatever it runs over, and the hand-over of an already secured one to the driver.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    io,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

/// Where a stream goes, so that a cancel request can follow it to the same server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    Tcp(SocketAddr),
    #[cfg_attr(not(unix), expect(dead_code, reason = "unix sockets exist on unix only"))]
    Unix(PathBuf),
}

/// A connected stream.
#[derive(Debug)]
pub(crate) enum Wire {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
    #[cfg(feature = "rustls")]
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

/// A stream whose end may lose what was not sent.
pub(crate) trait TakeBack {
    /// When the stream is dropped, what has been written and not yet been acknowledged is not sent any more.
    fn take_back(&self);
}

impl TakeBack for Wire {
    fn take_back(&self) {
        let tcp = match self {
            Self::Tcp(stream) => stream,
            // The kernel has given the other side all that was written.
            #[cfg(unix)]
            Self::Unix(_) => return,
            #[cfg(feature = "rustls")]
            Self::Tls(stream) => stream.get_ref().0,
        };
        // A socket that has ended has nothing left to send.
        let _ended = SockRef::from(tcp).set_linger(Some(Duration::ZERO));
    }
}

/// Calls the same method of whichever stream it is.
macro_rules! each {
    ($wire:expr, $stream:ident => $call:expr) => {
        match $wire {
            Wire::Tcp($stream) => $call,
            #[cfg(unix)]
            Wire::Unix($stream) => $call,
            #[cfg(feature = "rustls")]
            Wire::Tls($stream) => $call,
        }
    };
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(&mut *self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(&mut *self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut *self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut *self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

impl TlsStream for Wire {
    fn channel_binding(&self) -> ChannelBinding {
        match self {
            Self::Tcp(_) => ChannelBinding::none(),
            #[cfg(unix)]
            Self::Unix(_) => ChannelBinding::none(),
            #[cfg(feature = "rustls")]
            Self::Tls(stream) => super::tls::channel_binding(stream),
        }
    }
}

impl TlsStream for &mut Wire {
    fn channel_binding(&self) -> ChannelBinding {
        TlsStream::channel_binding(&**self)
    }
}

/// Tells the driver that the stream it holds is all that it needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AsItIs;

impl<S: TlsStream + Unpin> TlsConnect<S> for AsItIs {
    type Stream = S;
    type Error = Infallible;
    type Future = Ready<Result<S, Infallible>>;

    fn connect(self, stream: S) -> Self::Future {
        ready(Ok(stream))
    }
}
