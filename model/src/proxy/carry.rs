//! What happens to one connection between its accept and its end.

use std::{future::pending, io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    sync::watch,
    time::{sleep, timeout},
};

use super::{Control, Counted, Flap, Mode, Shared, Upstream, lock};

/// The most that is read at once.
const CHUNK: usize = 16 * 1_024;

/// For how long the rest of a client's bytes is awaited after the end of ours.
const LINGER: Duration = Duration::from_secs(1);

/// `ReadyForQuery` without its last byte, the transaction status: type `Z`, length 5.
/// PostgreSQL manual, "Message Formats".
const READY: [u8; 5] = [b'Z', 0, 0, 0, 5];

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// In good order: the client reads an end of file.
    Closed,
    /// The client gets a reset.
    Reset,
}

/// Carries one connection, from this port of the client's, to its end.
pub(super) async fn connection(
    shared: Arc<Shared>,
    mut client: TcpStream,
    port: u16,
    mut control: watch::Receiver<Control>,
) {
    let birth = *control.borrow_and_update();
    let counted = Counted::new(Arc::clone(&shared), port);
    let gate = Gate { shared: &shared, client: port, birth, trickles: true, control: control.clone() };
    let end = tokio::select! {
        // An order to end comes before bytes.
        biased;
        end = ordered(control, birth) => end,
        end = carry(&mut client, gate) => end,
    };
    drop(counted);
    match end {
        // Fails only on a socket that is gone already.
        End::Reset => drop(client.set_zero_linger()),
        End::Closed => close(client).await,
    }
}

/// Waits until this connection, born under `birth`, is told to end.
async fn ordered(mut control: watch::Receiver<Control>, birth: Control) -> End {
    match control.wait_for(|now| now.cuts != birth.cuts || now.closes != birth.closes).await {
        Ok(now) if now.cuts == birth.cuts => End::Closed,
        Ok(_) => End::Reset,
        // The proxy is gone.
        Err(_) => End::Closed,
    }
}

/// Ends our side and takes what the client still sends: the kernel answers bytes that nobody has read with a reset.
async fn close(mut client: TcpStream) {
    if client.shutdown().await.is_ok() {
        let _ = timeout(LINGER, tokio::io::copy(&mut client, &mut tokio::io::sink())).await;
    }
}

async fn carry(client: &mut TcpStream, mut gate: Gate<'_>) -> End {
    let flap = match gate.birth.mode {
        // Accepted just before the port was closed: the kernel would have reset it.
        Mode::Refuse | Mode::Reset => return End::Reset,
        Mode::AcceptThenClose => return End::Closed,
        Mode::Silent => return pending().await,
        Mode::Flap(flap) => Some(flap),
        Mode::Trickle(apart) => {
            lock(&gate.shared.trickling).insert(gate.client, apart);
            None
        }
        Mode::Pass | Mode::Freeze | Mode::Latency(_) => None,
    };
    gate.opens().await;
    let dialed = match &gate.shared.upstream {
        Upstream::Tcp(addr) => match TcpStream::connect(addr).await {
            Ok(server) => {
                // Fails only on a socket that is gone already, which the first write tells.
                let _ = server.set_nodelay(true).and(client.set_nodelay(true));
                if let Ok(seen) = server.local_addr() {
                    lock(&gate.shared.behind).insert(seen.port(), gate.client);
                }
                relay(client, server, gate, flap).await
            }
            Err(error) => Err(error),
        },
        Upstream::Unix(path) => match UnixStream::connect(path).await {
            Ok(server) => relay(client, server, gate, flap).await,
            Err(error) => Err(error),
        },
    };
    match dialed {
        Ok(()) => End::Closed,
        // The other side failed or cannot be had; a reset is what a client sees of that.
        Err(_) => End::Reset,
    }
}

/// Carries both ways until the server ends or the flap is due.
async fn relay(
    client: &mut TcpStream,
    server: impl AsyncRead + AsyncWrite,
    gate: Gate<'_>,
    flap: Option<Flap>,
) -> io::Result<()> {
    let (from_client, mut to_client) = client.split();
    let (mut from_server, to_server) = tokio::io::split(server);
    let due = async {
        match flap {
            Some(Flap::After(time)) => sleep(time).await,
            Some(Flap::AfterReady | Flap::AfterBytes(_)) | None => pending().await,
        }
    };
    let mut control = gate.control.clone();
    let down = async {
        tokio::select! {
            // An order to end comes before bytes.
            biased;
            _ = control.wait_for(|now| now.halves != gate.birth.halves) => {}
            end = pump(&mut from_server, &mut to_client, gate.clone(), Passage::new(flap)) => return end,
        }
        to_client.shutdown().await?;
        // The server goes on until the client ends its half, too.
        tokio::io::copy(&mut from_server, &mut tokio::io::sink()).await.map(drop)
    };
    let up = async {
        pump(from_client, to_server, Gate { trickles: false, ..gate.clone() }, Passage::new(None)).await?;
        // A client that has ended its side may still read.
        pending().await
    };
    tokio::select! {
        end = down => end,
        end = up => end,
        () = due => Ok(()),
    }
}

/// Carries one way until the end of file or of the passage.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut gate: Gate<'_>,
    mut passage: Passage,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = from.read(&mut buffer).await;
        // What was read while the connection froze waits here: neither bytes nor ends pass.
        let latency = gate.opens().await;
        let length = read?;
        if length == 0 {
            return to.shutdown().await;
        }
        if !latency.is_zero() {
            sleep(latency).await;
            gate.opens().await;
        }
        let chunk = buffer.get(..length).unwrap_or_default();
        let (mut chunk, last) = passage.admit(chunk);
        while let (Some(apart), [byte, rest @ ..]) = (gate.apart(), chunk) {
            to.write_all(&[*byte]).await?;
            chunk = rest;
            gate.rests(apart).await;
        }
        to.write_all(chunk).await?;
        if last {
            return Ok(());
        }
    }
}

/// What one connection waits for before it moves anything.
#[derive(Clone)]
struct Gate<'a> {
    shared: &'a Shared,
    client: u16,
    birth: Control,
    /// Whether this way is the one that can be a trickle.
    trickles: bool,
    control: watch::Receiver<Control>,
}

impl Gate<'_> {
    /// How far apart bytes have to be; `None` when they need not.
    fn apart(&self) -> Option<Duration> {
        lock(&self.shared.trickling).get(&self.client).filter(|_| self.trickles).copied()
    }

    /// Lets the next byte wait for its time, or until the connection is released.
    async fn rests(&mut self, apart: Duration) {
        let Self { shared, client, control, .. } = self;
        let released = control.wait_for(|_| !lock(&shared.trickling).contains_key(client));
        // Either is what was waited for.
        let _ = timeout(apart, released).await;
        self.opens().await;
    }

    /// Waits while the mode is [`Mode::Freeze`] or the connection is stranded; returns how long a chunk has to rest.
    async fn opens(&mut self) -> Duration {
        let Self { shared, client, control, .. } = self;
        let open = |now: &Control| now.mode != Mode::Freeze && !lock(&shared.stranded).contains(client);
        match control.wait_for(open).await.map(|now| now.mode) {
            Ok(Mode::Latency(latency)) => latency,
            Ok(
                Mode::Pass
                | Mode::Refuse
                | Mode::Reset
                | Mode::Silent
                | Mode::AcceptThenClose
                | Mode::Flap(_)
                | Mode::Trickle(_)
                | Mode::Freeze,
            ) => Duration::ZERO,
            // The proxy is gone, and this task with it.
            Err(_) => pending().await,
        }
    }
}

/// How much may still pass from the server to the client.
struct Passage {
    flap: Option<Flap>,
    passed: u64,
    /// How many bytes of [`READY`] the last bytes were; all of them means that the status is next.
    matched: usize,
}

impl Passage {
    const fn new(flap: Option<Flap>) -> Self {
        Self { flap, passed: 0, matched: 0 }
    }

    /// The part of the chunk that passes, and whether it is the last.
    fn admit<'a>(&mut self, chunk: &'a [u8]) -> (&'a [u8], bool) {
        let end = match self.flap {
            None | Some(Flap::After(_)) => None,
            Some(Flap::AfterBytes(limit)) => {
                let rest = usize::try_from(limit.saturating_sub(self.passed)).unwrap_or(usize::MAX);
                (chunk.len() >= rest).then_some(rest)
            }
            Some(Flap::AfterReady) => self.ready(chunk),
        };
        self.passed = self.passed.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        match end {
            Some(end) => (chunk.get(..end).unwrap_or(chunk), true),
            None => (chunk, false),
        }
    }

    /// Where the first `ReadyForQuery` ends in this chunk. The same bytes inside another message would be taken for
    /// it; none that a server sends before it has them but by a chance of about 1 in 2^32.
    fn ready(&mut self, chunk: &[u8]) -> Option<usize> {
        for (at, byte) in chunk.iter().enumerate() {
            match READY.get(self.matched) {
                None => return Some(at.saturating_add(1)),
                Some(wanted) if wanted == byte => self.matched += 1,
                Some(_) => self.matched = usize::from(READY.first() == Some(byte)),
            }
        }
        None
    }
}
