//! How a server is reached: names looked up, addresses tried, sockets tuned.

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::Pin,
    task::Poll,
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_postgres::config::Host;

use super::{
    classifier::Classifier,
    config::Transport,
    endpoints::Endpoint,
    evidence::Observed,
    names::Names,
    wire::{Peer, Wire},
};
use crate::{Fault, Phase, adapter::Failure};

/// Head start of each address of a name over the next (RFC 8305, section 5: 250 ms recommended).
const HEAD_START: Duration = Duration::from_millis(250);

/// Looks the endpoint up and connects to the first of its addresses that answers.
pub(crate) async fn reach(
    names: &Names,
    endpoint: &Endpoint,
    transport: Transport,
    classifier: &Classifier,
) -> Result<(Wire, Peer), Failure> {
    let addresses = match (&endpoint.host, endpoint.address) {
        #[cfg(unix)]
        (Host::Unix(folder), _) => {
            let peer = Peer::Unix(endpoint.socket(folder));
            return Ok((connect(&peer, transport, classifier).await?, peer));
        }
        (Host::Tcp(_), Some(address)) => vec![SocketAddr::new(address, endpoint.port)],
        (Host::Tcp(host), None) => look_up(names, host, endpoint.port, classifier).await?,
    };
    race(addresses, transport, classifier).await
}

/// Connects to one address.
pub(crate) async fn connect(peer: &Peer, transport: Transport, classifier: &Classifier) -> Result<Wire, Failure> {
    match peer {
        Peer::Tcp(address) => {
            let stream =
                TcpStream::connect(address).await.map_err(|error| failure(&error, &address.to_string(), classifier))?;
            tune(&stream, transport).map_err(|error| failure(&error, &address.to_string(), classifier))?;
            Ok(Wire::Tcp(stream))
        }
        #[cfg(unix)]
        Peer::Unix(path) => {
            let stream = tokio::net::UnixStream::connect(path).await;
            Ok(Wire::Unix(stream.map_err(|error| failure(&error, &path.display().to_string(), classifier))?))
        }
        #[cfg(not(unix))]
        Peer::Unix(path) => Err(Failure::new(
            Fault::Misconfigured,
            format!("`{}` is a unix socket, which this system has not", path.display()),
        )),
    }
}

async fn look_up(names: &Names, host: &str, port: u16, classifier: &Classifier) -> Result<Vec<SocketAddr>, Failure> {
    let name = host.to_owned();
    let system = async move {
        // With a port that is not used, for the answer is shared by all ports.
        let found = lookup_host((name, 0)).await.map_err(|error| Box::new(Observed::from(&error)))?;
        Ok(found.map(|address| address.ip()).collect())
    };
    let unknown = |why: Observed| classifier.failure(why.behind(&format!("cannot look up `{host}`")), Phase::Connect);
    let addresses = names.find(host, || system).await.map_err(|why| unknown(*why))?;
    if addresses.is_empty() {
        return Err(unknown(Observed::said("it has no address")));
    }
    Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
}

/// The next address starts when the one before has failed or has had its head start. Dropping the
/// future ends all attempts at once: none is a task, which would be gone a moment later only.
async fn race(
    addresses: Vec<SocketAddr>,
    transport: Transport,
    classifier: &Classifier,
) -> Result<(Wire, Peer), Failure> {
    let mut waiting = addresses.into_iter();
    let mut attempts = Vec::new();
    let mut last = Failure::new(Fault::Unreachable, "no address to connect to");
    loop {
        if let Some(address) = waiting.next() {
            attempts.push(Box::pin(async move {
                let peer = Peer::Tcp(address);
                connect(&peer, transport, classifier).await.map(|wire| (wire, peer))
            }));
        } else if attempts.is_empty() {
            return Err(last);
        }
        let ended = if waiting.len() > 0 {
            match timeout(HEAD_START, first(&mut attempts)).await {
                Ok(ended) => ended,
                Err(_) => continue,
            }
        } else {
            first(&mut attempts).await
        };
        match ended {
            Ok(reached) => return Ok(reached),
            Err(failure) => last = failure,
        }
    }
}

/// The outcome of the attempt that ends first, which is taken out. Safe to drop: the others go on.
async fn first<F: Future + Unpin>(attempts: &mut Vec<F>) -> F::Output {
    poll_fn(|cx| {
        let ended = attempts.iter_mut().enumerate().find_map(|(index, attempt)| match Pin::new(attempt).poll(cx) {
            Poll::Ready(outcome) => Some((index, outcome)),
            Poll::Pending => None,
        });
        match ended {
            Some((index, outcome)) => {
                drop(attempts.swap_remove(index));
                Poll::Ready(outcome)
            }
            None => Poll::Pending,
        }
    })
    .await
}

fn tune(stream: &TcpStream, transport: Transport) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let mut keepalive = TcpKeepalive::new();
    if let Some(idle) = whole_seconds(transport.keepalive_idle) {
        keepalive = keepalive.with_time(idle);
    }
    if let Some(interval) = whole_seconds(transport.keepalive_interval) {
        keepalive = keepalive.with_interval(interval);
    }
    if transport.keepalive_count > 0 {
        keepalive = keepalive.with_retries(transport.keepalive_count.into());
    }
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    if !transport.tcp_user_timeout.is_zero() {
        socket.set_tcp_user_timeout(Some(transport.tcp_user_timeout))?;
    }
    Ok(())
}

/// Rounded up, because the kernel would round a fraction of a second down to "default".
fn whole_seconds(time: Duration) -> Option<Duration> {
    let up = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
    (up > 0).then(|| Duration::from_secs(up))
}

/// Classifies what the kernel says to a connect, a TLS handshake or a cancel request.
pub(crate) fn failure(error: &io::Error, peer: &str, classifier: &Classifier) -> Failure {
    classifier.failure(Observed::from(error).behind(&format!("cannot connect to {peer}")), Phase::Connect)
}
