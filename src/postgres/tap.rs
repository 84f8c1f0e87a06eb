//! The stream under the protocol: passes every byte on and remembers what it has shown.

use std::{
    io, mem,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

use super::{
    framing::{Framing, Status},
    traffic::Traffic,
    wire::TakeBack,
};
use crate::Work;

const OPEN: u8 = 1;
const BUSY: u8 = 2;
const DURABLE: u8 = 4;
const LOST: u8 = 8;
/// The last write was not taken in full: the driver may hold requests back.
const BLOCKED: u8 = 16;
/// The last read found nothing: the driver has everything that came.
const PARKED: u8 = 32;
/// The client has sent all of a request and waits for the answer.
const WAITING: u8 = 64;
/// The last error came in a transaction that an earlier request had begun.
const FAILED_INSIDE: u8 = 128;

/// What the tap has seen, for whoever asks; written by the tap alone.
#[derive(Debug)]
pub(crate) struct Watch {
    /// All that is heard of the server, whose clock is ours.
    traffic: Arc<Traffic>,
    heard_ms: AtomicU64,
    /// When the client last began to wait.
    waits_ms: AtomicU64,
    flags: AtomicU8,
    /// A parameter was reported that nobody has looked at.
    turned: AtomicBool,
    answered: AtomicU64,
    /// The process id, or a number that none can be.
    key_pid: AtomicI64,
    /// The SQLSTATE of a fatal error in the low five bytes, or 0.
    fatal: AtomicU64,
}

impl Watch {
    fn new(traffic: Arc<Traffic>) -> Self {
        Self {
            heard_ms: AtomicU64::new(traffic.now_ms()),
            traffic,
            waits_ms: AtomicU64::new(0),
            flags: AtomicU8::new(0),
            turned: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            key_pid: AtomicI64::new(i64::MIN),
            fatal: AtomicU64::new(0),
        }
    }

    /// What the session is doing as far as bytes have shown. One load.
    pub(crate) fn work(&self) -> Work {
        let flags = self.flags.load(Ordering::Acquire);
        let on = |flag: u8| flags & flag != 0;
        if on(LOST) {
            Work::Statement { durable: true }
        } else if on(BUSY) {
            Work::Statement { durable: on(DURABLE) }
        } else if on(OPEN) {
            Work::InTransaction
        } else {
            Work::AtRest
        }
    }

    /// Whether the last error of the server's came in a transaction that had been open before.
    pub(crate) fn failed_inside(&self) -> bool {
        self.flags.load(Ordering::Acquire) & FAILED_INSIDE != 0
    }

    /// Whether the boundaries of messages are lost.
    pub(crate) fn lost(&self) -> bool {
        self.flags.load(Ordering::Acquire) & LOST != 0
    }

    /// The time since the last byte came from the server.
    pub(crate) fn silence(&self) -> Duration {
        self.since(self.heard_ms.load(Ordering::Acquire))
    }

    /// For how long the client has waited without a byte from the server; zero while it does not wait, has more to
    /// send, or has not taken what came.
    pub(crate) fn waited(&self) -> Duration {
        if self.flags.load(Ordering::Acquire) & (WAITING | PARKED | BLOCKED) != WAITING | PARKED {
            return Duration::ZERO;
        }
        self.since(self.heard_ms.load(Ordering::Acquire).max(self.waits_ms.load(Ordering::Acquire)))
    }

    fn since(&self, ms: u64) -> Duration {
        Duration::from_millis(self.traffic.now_ms().saturating_sub(ms))
    }

    /// For how long the server has been heard on one session or the other, without a gap.
    pub(crate) fn whole_for(&self) -> Duration {
        self.traffic.whole_for()
    }

    /// Whether the last read found nothing, so that no answer waits unread in the driver's hands.
    pub(crate) fn parked(&self) -> bool {
        self.flags.load(Ordering::Acquire) & PARKED != 0
    }

    /// Whether the last write was not taken by the stream, so that requests may wait in the driver.
    pub(crate) fn blocked(&self) -> bool {
        self.flags.load(Ordering::Acquire) & BLOCKED != 0
    }

    /// How many requests the server has answered in full.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Acquire)
    }

    /// The SQLSTATE of the error with which the server ended the session.
    pub(crate) fn fatal(&self) -> Option<String> {
        let [_, _, _, code @ ..] = self.fatal.load(Ordering::Acquire).to_be_bytes();
        (code != [0; 5]).then(|| String::from_utf8_lossy(&code).into_owned())
    }

    /// Whether a parameter was reported since this was last asked. One load while none was.
    pub(crate) fn take_turned(&self) -> bool {
        self.turned.load(Ordering::Acquire) && self.turned.swap(false, Ordering::AcqRel)
    }

    /// The process id that came with the cancel key.
    pub(crate) fn key_pid(&self) -> Option<i32> {
        i32::try_from(self.key_pid.load(Ordering::Acquire)).ok()
    }

    fn publish(&self, framing: &Framing, blocked: bool, parked: bool) {
        let flag = |on: bool, flag: u8| if on { flag } else { 0 };
        let open = match framing.status() {
            Status::Idle => false,
            Status::Open | Status::Failed => true,
        };
        let flags = flag(open, OPEN)
            | flag(framing.busy(), BUSY)
            | flag(framing.durable(), DURABLE)
            | flag(framing.lost(), LOST)
            | flag(blocked, BLOCKED)
            | flag(parked, PARKED)
            | flag(framing.waiting(), WAITING)
            | flag(framing.failed_inside(), FAILED_INSIDE);
        self.flags.store(flags, Ordering::Release);
        self.answered.store(framing.answered(), Ordering::Release);
    }
}

/// Passes bytes between the driver and a stream, above TLS where there is any.
///
/// Dropped in the middle of a request it takes back what the kernel has not yet sent, or a path that heals minutes later
/// would bring the server a statement that its caller was told is lost.
#[derive(Debug)]
pub(crate) struct Tap<S: TakeBack> {
    stream: S,
    framing: Framing,
    blocked: bool,
    parked: bool,
    watch: Arc<Watch>,
}

impl<S: TakeBack> Tap<S> {
    pub(crate) fn new(stream: S, traffic: Arc<Traffic>) -> Self {
        Self { stream, framing: Framing::new(), blocked: false, parked: false, watch: Arc::new(Watch::new(traffic)) }
    }

    pub(crate) fn watch(&self) -> Arc<Watch> {
        self.watch.clone()
    }

    fn publish(&self) {
        self.watch.publish(&self.framing, self.blocked, self.parked);
    }
}

impl<S: TakeBack> Drop for Tap<S> {
    fn drop(&mut self) {
        if self.framing.busy() {
            self.stream.take_back();
        }
    }
}

impl<S: AsyncRead + TakeBack + Unpin> AsyncRead for Tap<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let tap = &mut *self;
        let before = buf.filled().len();
        let polled = Pin::new(&mut tap.stream).poll_read(cx, buf);
        let was_parked = mem::replace(&mut tap.parked, polled.is_pending());
        let new = buf.filled().get(before..).unwrap_or_default();
        if !new.is_empty() {
            tap.framing.incoming(new);
            let now_ms = tap.watch.traffic.now_ms();
            tap.watch.heard_ms.store(now_ms, Ordering::Release);
            tap.watch.traffic.hear(now_ms);
            if let Some(pid) = tap.framing.key_pid() {
                tap.watch.key_pid.store(i64::from(pid), Ordering::Release);
            }
            if tap.framing.take_turned() {
                tap.watch.turned.store(true, Ordering::Release);
            }
            let [a, b, c, d, e] = tap.framing.fatal().unwrap_or_default();
            tap.watch.fatal.store(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]), Ordering::Release);
        }
        if !new.is_empty() || tap.parked != was_parked {
            tap.publish();
        }
        polled
    }
}

impl<S: AsyncWrite + TakeBack + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let tap = &mut *self;
        let polled = Pin::new(&mut tap.stream).poll_write(cx, buf);
        tap.blocked = polled.is_pending();
        let waited = tap.framing.waiting();
        if let Poll::Ready(Ok(taken)) = &polled {
            tap.framing.outgoing(buf.get(..*taken).unwrap_or_default());
        }
        if !waited && tap.framing.waiting() {
            tap.watch.waits_ms.store(tap.watch.traffic.now_ms(), Ordering::Release);
        }
        tap.publish();
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: TlsStream + TakeBack + Unpin> TlsStream for Tap<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}
