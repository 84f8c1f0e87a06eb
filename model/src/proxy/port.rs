//! Which loopback ports are safe to close and open again while somebody keeps dialing them.

use std::{
    fs,
    hash::{BuildHasher, Hasher, RandomState},
    io,
    net::SocketAddr,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::net::{TcpListener, TcpSocket};

use super::LOOPBACK;

/// Where the search begins. Below are the ports that well-known services have.
const FIRST: u16 = 10_240;

/// How many ports are tried before it is given up. Loopback ports are rarely taken.
const TRIES: u64 = 512;

/// The next port to look at, counted from [`FIRST`] and around. A process hands each out once, so that a server that
/// is slow to start, or stopped for a while, keeps its own. Processes that run side by side begin apart.
static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(RandomState::new().build_hasher().finish()));

/// Waiting connections that the kernel keeps for the acceptor; it drops more, and their clients would try again only
/// after a second, which is not a fault that anybody asked for. Linux cuts it to `net.core.somaxconn` (4096).
const BACKLOG: u32 = 4_096;

/// A port of 127.0.0.1 on which nobody listens now, and which this process has not been given before.
///
/// It lies below the range from which the kernel takes the source ports of outgoing connections, if that leaves 512
/// ports from 10 240 on. Inside it, a client that keeps dialing a closed port is sooner or later connected to itself
/// (TCP's simultaneous open), and any outgoing connection may take the port while its server is down.
///
/// # Errors
/// All ports that were tried are taken.
pub fn free_port() -> io::Result<u16> {
    find(|addr| std::net::TcpListener::bind(addr).map(|_| addr.port()))
}

pub(super) fn listen_somewhere() -> io::Result<TcpListener> {
    find(listen)
}

/// Opens a port again. Whatever holds it may be on its way out, so this tries for two seconds.
pub(super) async fn listen_again(addr: SocketAddr) -> io::Result<TcpListener> {
    let mut tries = 0;
    loop {
        match listen(addr) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < 200 => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            other => return other,
        }
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // Connections of the earlier listener may still use the port.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

fn find<T>(mut taken_by: impl FnMut(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    let width = width_below(first_of_kernel());
    for _ in 0..TRIES {
        // Below `width`, so it fits.
        let offset = u16::try_from(NEXT.fetch_add(1, Relaxed) % u64::from(width)).unwrap_or(0);
        match taken_by((LOOPBACK, FIRST.saturating_add(offset)).into()) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            other => return other,
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, format!("{TRIES} ports of 127.0.0.1 in a row are taken: close some")))
}

/// How many ports from [`FIRST`] on are looked at. Where the kernel takes almost all for itself, as on servers that are
/// tuned for many connections, its own must do.
fn width_below(first_of_kernel: u16) -> u16 {
    let below = first_of_kernel.saturating_sub(FIRST);
    if u64::from(below) < TRIES { u16::MAX - FIRST } else { below }
}

/// The lowest source port of outgoing connections; Linux's default where it cannot be read.
fn first_of_kernel() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(32_768)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_not_given_a_port_twice() {
        let ports: std::collections::BTreeSet<u16> = (0..1_000).map(|_| free_port().expect("a port")).collect();
        assert_eq!(ports.len(), 1_000);
    }

    #[test]
    fn ports_lie_below_those_of_the_kernel_if_it_leaves_enough() {
        assert_eq!(width_below(32_768), 22_528);
        assert_eq!(width_below(FIRST + 512), 512);
        for first in [1_024, FIRST, FIRST + 511] {
            assert_eq!(FIRST + width_below(first), u16::MAX, "with {first} there are too few");
        }
    }
}
