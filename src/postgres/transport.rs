//! How a server is reached: names looked up, addresses tried, sockets tuned.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpStream, lookup_host},
    task::JoinSet,
    time::timeout,
};
use tokio_postgres::config::Host;

use super::{
    config::{Endpoint, Transport},
    evidence::io_failure,
    wire::{Peer, Wire},
};
use crate::{Fault, Phase, Rule, adapter::Failure};

/// Head start of each address of a name over the next (RFC 8305, section 5: 250 ms recommended).
const HEAD_START: Duration = Duration::from_millis(250);

/// Looks the endpoint up and connects to the first of its addresses that answers.
pub(crate) async fn reach(
    endpoint: &Endpoint,
    transport: Transport,
    rules: &Arc<[Rule]>,
) -> Result<(Wire, Peer), Failure> {
    let addresses = match (&endpoint.host, endpoint.address) {
        #[cfg(unix)]
        (Host::Unix(folder), _) => {
            let peer = Peer::Unix(endpoint.socket(folder));
            return Ok((connect(&peer, transport, rules).await?, peer));
        }
        (Host::Tcp(_), Some(address)) => vec![SocketAddr::new(address, endpoint.port)],
        (Host::Tcp(host), None) => look_up(host, endpoint.port).await?,
    };
    race(addresses, transport, rules).await
}

/// Connects to one address.
pub(crate) async fn connect(peer: &Peer, transport: Transport, rules: &[Rule]) -> Result<Wire, Failure> {
    match peer {
        Peer::Tcp(address) => {
            let stream =
                TcpStream::connect(address).await.map_err(|error| failure(&error, &address.to_string(), rules))?;
            tune(&stream, transport).map_err(|error| failure(&error, &address.to_string(), rules))?;
            Ok(Wire::Tcp(stream))
        }
        #[cfg(unix)]
        Peer::Unix(path) => {
            let stream = tokio::net::UnixStream::connect(path).await;
            Ok(Wire::Unix(stream.map_err(|error| failure(&error, &path.display().to_string(), rules))?))
        }
        #[cfg(not(unix))]
        Peer::Unix(path) => Err(Failure::new(
            Fault::Misconfigured,
            format!("`{}` is a unix socket, which this system has not", path.display()),
        )),
    }
}

async fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    // Whatever the name service answers may be otherwise in a moment: where names follow running
    // instances, an unknown name is an instance that has not started yet.
    let unknown = |why: String| Failure::new(Fault::Unreachable, format!("cannot look up `{host}`: {why}"));
    let addresses: Vec<_> = lookup_host((host, port)).await.map_err(|error| unknown(error.to_string()))?.collect();
    if addresses.is_empty() { Err(unknown("it has no address".into())) } else { Ok(addresses) }
}

/// The next address starts when the one before has failed or has had its head start. Dropping the
/// future ends all attempts.
async fn race(addresses: Vec<SocketAddr>, transport: Transport, rules: &Arc<[Rule]>) -> Result<(Wire, Peer), Failure> {
    let mut waiting = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut last = Failure::new(Fault::Unreachable, "no address to connect to");
    loop {
        let more = match waiting.next() {
            Some(address) => {
                let rules = Arc::clone(rules);
                attempts.spawn(async move {
                    let peer = Peer::Tcp(address);
                    (connect(&peer, transport, &rules).await, peer)
                });
                waiting.len() > 0
            }
            None => false,
        };
        let ended = if more {
            match timeout(HEAD_START, attempts.join_next()).await {
                Ok(ended) => ended,
                Err(_) => continue,
            }
        } else {
            attempts.join_next().await
        };
        match ended {
            Some(Ok((Ok(wire), peer))) => return Ok((wire, peer)),
            Some(Ok((Err(failure), _))) => last = failure,
            Some(Err(broken)) => last = Failure::new(Fault::Unreachable, broken.to_string()),
            None => return Err(last),
        }
    }
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
pub(crate) fn failure(error: &io::Error, peer: &str, rules: &[Rule]) -> Failure {
    let mut failure = io_failure(error, Phase::Connect, rules);
    failure.message = format!("cannot connect to {peer}: {}", failure.message);
    failure
}
