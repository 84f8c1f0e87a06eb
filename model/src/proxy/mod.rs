//! A TCP proxy on loopback that behaves as badly as it is told to: the fault injector of tests, benches and the demo.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use relink_model::proxy::{Mode, Proxy};
//!
//! let proxy = Proxy::start("127.0.0.1:5432").await?;
//! // Clients connect to proxy.addr() instead of the server. Then the server goes away:
//! proxy.set(Mode::Refuse).await?;
//! proxy.cut();
//! // and comes back:
//! proxy.set(Mode::Pass).await?;
//! assert!(proxy.dials().len() < 10);
//! # Ok(())
//! # }
//! ```

mod carry;
mod port;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};

pub use port::free_port;

/// How the proxy treats a dial, and, where it says so, the connections that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Dials the server and carries bytes both ways. A server that cannot be dialed resets the client.
    Pass,
    /// The port is closed, so the kernel refuses (`ECONNREFUSED`). Such dials are seen by nobody: they are missing
    /// from [`Proxy::dials`]. Use [`Mode::Reset`] to count them. Established connections go on.
    Refuse,
    /// Accepts, then resets: `ECONNRESET`, at the client's first read or, if it is slow, from its `connect` already.
    /// Established connections go on.
    Reset,
    /// Accepts, reads nothing, answers nothing, for good: another mode does not wake a connection that was accepted
    /// in this one. Established connections go on.
    Silent,
    /// Accepts, then closes (end of file). Established connections go on.
    AcceptThenClose,
    /// Carries bytes for a while, then closes. Only connections accepted in this mode.
    Flap(Flap),
    /// Nothing moves and nothing ends, on any connection; dials are accepted. Another mode lets all move again.
    Freeze,
    /// As [`Mode::Pass`], on all connections, but each chunk of at most 16 KiB rests this long, in each direction.
    /// Chunks rest one after the other, which is right for question and answer and slow for bulk.
    Latency(Duration),
    /// Carries bytes, but those of the server's one by one, this far apart. Only connections accepted in this mode, and
    /// in any other until [`Proxy::release`].
    Trickle(Duration),
}

/// When a connection of [`Mode::Flap`] is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flap {
    /// As soon as the first PostgreSQL `ReadyForQuery` has reached the client: the handshake succeeds, and no more.
    AfterReady,
    /// As soon as the client got this many bytes from the server.
    AfterBytes(u64),
    /// This long after the server was dialed.
    After(Duration),
}

/// Where the proxy's server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// `host:port`; the name is resolved at each dial.
    Tcp(String),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl From<SocketAddr> for Upstream {
    fn from(addr: SocketAddr) -> Self {
        Self::Tcp(addr.to_string())
    }
}

impl From<&str> for Upstream {
    /// A text that begins with `/` is the path of a Unix socket.
    fn from(text: &str) -> Self {
        if text.starts_with('/') { Self::Unix(text.into()) } else { Self::Tcp(text.into()) }
    }
}

impl From<PathBuf> for Upstream {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path)
    }
}

/// What every connection watches. The counts rise; a connection ends when one differs from what it was at its birth.
#[derive(Clone, Copy, Debug)]
struct Control {
    mode: Mode,
    cuts: u64,
    closes: u64,
    halves: u64,
}

struct Shared {
    upstream: Upstream,
    control: watch::Sender<Control>,
    /// `None` when the proxy is gone, so that an acceptor in its last moment starts nothing.
    tasks: Mutex<Option<JoinSet<()>>>,
    dials: Mutex<Vec<Instant>>,
    /// The ports of the clients whose connections are stranded.
    stranded: Mutex<BTreeSet<u16>>,
    /// By the port of the client, how far apart the server's bytes reach it.
    trickling: Mutex<BTreeMap<u16, Duration>>,
    /// By the port that a TCP server sees, the client's own.
    behind: Mutex<BTreeMap<u16, u16>>,
    open: AtomicUsize,
}

/// A running proxy. Dropping it closes its port and all its connections, as soon as the runtime gets to it.
pub struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    /// `None` while the port is closed. Held across a change of mode, so that changes are made one by one.
    acceptor: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1, in [`Mode::Pass`]. The server need not be there.
    ///
    /// # Errors
    /// No port of 127.0.0.1 could be listened on.
    pub async fn start(upstream: impl Into<Upstream>) -> io::Result<Self> {
        let listener = port::listen_somewhere()?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream: upstream.into(),
            control: watch::Sender::new(Control { mode: Mode::Pass, cuts: 0, closes: 0, halves: 0 }),
            tasks: Mutex::new(Some(JoinSet::new())),
            dials: Mutex::default(),
            stranded: Mutex::default(),
            trickling: Mutex::default(),
            behind: Mutex::default(),
            open: AtomicUsize::new(0),
        });
        let acceptor = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { addr, shared, acceptor: tokio::sync::Mutex::new(Some(acceptor)) })
    }

    /// The address clients connect to; it stays the same in every mode.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The mode of now.
    pub fn mode(&self) -> Mode {
        self.shared.control.borrow().mode
    }

    /// Changes the mode. When it returns, the port is closed ([`Mode::Refuse`]) or open (any other), and the next
    /// dial is treated as asked. Connections that wait in the kernel to be accepted are reset by [`Mode::Refuse`].
    ///
    /// # Errors
    /// The port was closed, and meanwhile something else has taken it.
    pub async fn set(&self, mode: Mode) -> io::Result<()> {
        let mut acceptor = self.acceptor.lock().await;
        if mode == Mode::Refuse {
            if let Some(task) = acceptor.take() {
                task.abort();
                // The listener is closed only when the task is gone; that it was cancelled is no error.
                let _ = task.await;
            }
        } else if acceptor.is_none() {
            let listener = port::listen_again(self.addr).await?;
            // Known before the first dial is accepted, or that dial would be treated as before.
            self.shared.control.send_modify(|control| control.mode = mode);
            *acceptor = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
        }
        self.shared.control.send_modify(|control| control.mode = mode);
        Ok(())
    }

    /// Resets every connection that is there, as a host does that has lost its memory of them.
    pub fn cut(&self) {
        self.shared.control.send_modify(|control| control.cuts = control.cuts.wrapping_add(1));
    }

    /// Closes every connection that is there, in good order.
    pub fn close_all(&self) {
        self.shared.control.send_modify(|control| control.closes = control.closes.wrapping_add(1));
    }

    /// Ends the server's half of every connection that is there: its client reads an end of file, and what it still
    /// sends is carried to the server.
    pub fn half_close(&self) {
        self.shared.control.send_modify(|control| control.halves = control.halves.wrapping_add(1));
    }

    /// The server's bytes reach the clients at these ports one by one from now on, this far apart.
    pub fn trickle(&self, clients: &[u16], apart: Duration) {
        lock(&self.shared.trickling).extend(clients.iter().map(|client| (*client, apart)));
    }

    /// Nothing moves and nothing ends any more on the connections from these ports, in any mode; others go on, and
    /// new ones are treated as ever. The kernel still acknowledges what a stranded client sends.
    pub fn strand(&self, clients: &[u16]) {
        lock(&self.shared.stranded).extend(clients);
    }

    /// Lets all stranded and trickling connections move as others do, and what was held arrive.
    pub fn release(&self) {
        lock(&self.shared.stranded).clear();
        lock(&self.shared.trickling).clear();
        // Nothing of it has changed, but whoever waits looks again.
        self.shared.control.send_modify(|_| ());
    }

    /// The port of the client whose connection the server sees as coming from port `seen`; `None` when none does.
    pub fn client_of(&self, seen: u16) -> Option<u16> {
        lock(&self.shared.behind).get(&seen).copied()
    }

    /// When each dial was accepted, in order, since the start or the last [`Self::take_dials`].
    pub fn dials(&self) -> Vec<Instant> {
        lock(&self.shared.dials).clone()
    }

    /// The same, and begins to count anew.
    pub fn take_dials(&self) -> Vec<Instant> {
        std::mem::take(&mut *lock(&self.shared.dials))
    }

    /// The most dials that were accepted within any interval of this length, both ends included.
    pub fn most_dials_in(&self, interval: Duration) -> usize {
        let dials = lock(&self.shared.dials);
        let within = |first: usize, at: &Instant| {
            let burst = dials.iter().skip(first).take_while(|later| later.duration_since(*at) <= interval);
            burst.count()
        };
        dials.iter().enumerate().map(|(first, at)| within(first, at)).max().unwrap_or(0)
    }

    /// Connections of clients that are neither ended nor being ended. A silent or frozen one counts.
    pub fn connections_open(&self) -> usize {
        self.shared.open.load(Ordering::Acquire)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(task) = self.acceptor.get_mut() {
            task.abort();
        }
        // Dropping the set aborts its tasks.
        *lock(&self.shared.tasks) = None;
    }
}

/// Nothing is left half-done under these locks, so a panic elsewhere does not spoil them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((client, from)) = listener.accept().await else {
            // Out of file descriptors, most likely: others must end first.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        lock(&shared.dials).push(Instant::now());
        // Taken here and not in the task, so that a cut that follows the accept reaches the connection.
        let control = shared.control.subscribe();
        let connection = carry::connection(Arc::clone(&shared), client, from.port(), control);
        let mut tasks = lock(&shared.tasks);
        let Some(tasks) = tasks.as_mut() else { return };
        while tasks.try_join_next().is_some() {}
        tasks.spawn(connection);
    }
}

/// Counts a connection for as long as it lives.
struct Counted {
    shared: Arc<Shared>,
    /// Its client's port.
    client: u16,
}

impl Counted {
    fn new(shared: Arc<Shared>, client: u16) -> Self {
        shared.open.fetch_add(1, Ordering::AcqRel);
        Self { shared, client }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::AcqRel);
        // The next connection from this port is another one.
        lock(&self.shared.stranded).remove(&self.client);
        lock(&self.shared.trickling).remove(&self.client);
        lock(&self.shared.behind).retain(|_, client| *client != self.client);
    }
}

const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;
