//! Each mode of the fault proxy, as a client sees it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what fails here fails the test"
)]

use std::{
    io::ErrorKind,
    net::SocketAddr,
    time::{Duration, Instant},
};

use relink_model::proxy::{Flap, Mode, Proxy};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream, UnixListener},
    task::JoinHandle,
    time::timeout,
};

/// Runs every test on a runtime of one thread and on one of two.
macro_rules! on_both_runtimes {
    ($($name:ident)*) => {
        mod on_one_thread {
            $(#[tokio::test] async fn $name() { super::$name().await })*
        }
        mod on_two_threads {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() { super::$name().await })*
        }
    };
}

on_both_runtimes! {
    passing_carries_both_ways_and_half_closes
    refusing_is_the_kernels_refusal_and_the_port_comes_back
    the_port_is_closed_and_opened_a_hundred_times
    refusing_leaves_established_connections_alone
    resetting_counts_the_dial_and_resets_it
    silence_lasts_even_when_others_pass_again
    accept_then_close_is_an_end_of_file_even_when_the_client_has_spoken
    flapping_lets_the_handshake_through_and_closes
    flapping_finds_ready_for_query_across_reads
    flapping_lets_exactly_so_many_bytes_through
    flapping_closes_after_a_time
    freezing_stops_what_is_established_and_thawing_delivers_it
    a_stranded_connection_stops_alone_and_its_bytes_arrive_when_it_is_released
    latency_is_added_in_each_direction
    a_cut_resets_and_closing_all_closes
    an_absent_server_resets_the_client
    a_unix_socket_is_a_server_too
    dials_are_counted_with_their_times
    dropping_the_proxy_ends_everything
}

/// AuthenticationOk, then ReadyForQuery (idle).
const HANDSHAKE: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
const LONG: Duration = Duration::from_secs(10);
/// Long enough to see on loopback that nothing comes.
const SHORT: Duration = Duration::from_millis(150);

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(LONG, future).await.expect("an answer within ten seconds")
}

/// A server that greets with a handshake and echoes.
struct Echo {
    addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let (mut from, mut to) = socket.split();
                    to.write_all(HANDSHAKE).await.unwrap();
                    // Ends with an error when the proxy resets it.
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        Self { addr, task }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn start() -> (Echo, Proxy) {
    let echo = Echo::start().await;
    let proxy = Proxy::start(echo.addr).await.unwrap();
    (echo, proxy)
}

async fn dial(proxy: &Proxy) -> TcpStream {
    within(TcpStream::connect(proxy.addr())).await.unwrap()
}

/// Dials and reads the whole handshake.
async fn shake(proxy: &Proxy) -> TcpStream {
    greeted(dial(proxy).await).await
}

/// As [`shake`] from a port of a client's own; 0 is any. An address from which no other test dials keeps the port
/// from being taken between two of its connections.
async fn shake_from(port: u16, proxy: &Proxy) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(([127, 0, 0, 2], port).into()).unwrap();
    greeted(within(socket.connect(proxy.addr())).await.unwrap()).await
}

async fn greeted(mut client: TcpStream) -> TcpStream {
    let mut greeting = vec![0; HANDSHAKE.len()];
    within(client.read_exact(&mut greeting)).await.unwrap();
    assert_eq!(greeting, HANDSHAKE);
    client
}

async fn echoes(client: &mut TcpStream) {
    client.write_all(b"ping").await.unwrap();
    let mut answer = [0; 4];
    within(client.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"ping");
}

async fn reads_to_end(client: &mut TcpStream) -> Result<Vec<u8>, ErrorKind> {
    let mut all = Vec::new();
    within(client.read_to_end(&mut all)).await.map(|_| all).map_err(|error| error.kind())
}

/// A reset may come so early that the dial itself reports it.
async fn is_reset(proxy: &Proxy) -> bool {
    match within(TcpStream::connect(proxy.addr())).await {
        Ok(mut client) => reads_to_end(&mut client).await == Err(ErrorKind::ConnectionReset),
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

async fn is_silent(client: &mut TcpStream) -> bool {
    timeout(SHORT, client.read_u8()).await.is_err()
}

async fn until_open_is(proxy: &Proxy, count: usize) {
    within(async {
        while proxy.connections_open() != count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn passing_carries_both_ways_and_half_closes() {
    let (_echo, proxy) = start().await;
    let mut client = shake(&proxy).await;
    assert_eq!(proxy.connections_open(), 1);
    let big = vec![7; 1_000_000];
    let (mut from, mut to) = client.split();
    let send = async {
        to.write_all(&big).await.unwrap();
        to.shutdown().await.unwrap();
    };
    let mut back = Vec::new();
    let (_, read) = within(async { tokio::join!(send, from.read_to_end(&mut back)) }).await;
    read.unwrap();
    assert_eq!(back, big);
    until_open_is(&proxy, 0).await;
}

async fn refusing_is_the_kernels_refusal_and_the_port_comes_back() {
    let (_echo, proxy) = start().await;
    let addr = proxy.addr();
    proxy.set(Mode::Refuse).await.unwrap();
    let refused = within(TcpStream::connect(addr)).await.unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(111));
    proxy.set(Mode::Pass).await.unwrap();
    assert_eq!(proxy.addr(), addr);
    echoes(&mut shake(&proxy).await).await;
    assert_eq!(proxy.dials().len(), 1, "a dial that the kernel refused cannot be counted");
}

async fn the_port_is_closed_and_opened_a_hundred_times() {
    let (_echo, proxy) = start().await;
    for _ in 0..100 {
        // Connections of each generation stay, and must not keep the port from being opened again.
        let _kept = shake(&proxy).await;
        proxy.set(Mode::Refuse).await.unwrap();
        assert_eq!(within(TcpStream::connect(proxy.addr())).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        proxy.set(Mode::Pass).await.unwrap();
    }
}

async fn refusing_leaves_established_connections_alone() {
    let (_echo, proxy) = start().await;
    let mut client = shake(&proxy).await;
    proxy.set(Mode::Refuse).await.unwrap();
    echoes(&mut client).await;
}

async fn resetting_counts_the_dial_and_resets_it() {
    let (_echo, proxy) = start().await;
    let mut before = shake(&proxy).await;
    proxy.set(Mode::Reset).await.unwrap();
    assert!(is_reset(&proxy).await);
    assert_eq!(proxy.dials().len(), 2);
    echoes(&mut before).await;
}

async fn silence_lasts_even_when_others_pass_again() {
    let (_echo, proxy) = start().await;
    proxy.set(Mode::Silent).await.unwrap();
    let mut silent = dial(&proxy).await;
    silent.write_all(b"anybody there").await.unwrap();
    assert!(is_silent(&mut silent).await);
    proxy.set(Mode::Pass).await.unwrap();
    echoes(&mut shake(&proxy).await).await;
    assert!(is_silent(&mut silent).await);
    assert_eq!(proxy.mode(), Mode::Pass);
    proxy.cut();
    assert_eq!(reads_to_end(&mut silent).await, Err(ErrorKind::ConnectionReset));
}

async fn accept_then_close_is_an_end_of_file_even_when_the_client_has_spoken() {
    let (_echo, proxy) = start().await;
    proxy.set(Mode::AcceptThenClose).await.unwrap();
    for _ in 0..20 {
        let mut client = dial(&proxy).await;
        client.write_all(b"hello").await.unwrap();
        assert_eq!(reads_to_end(&mut client).await, Ok(vec![]));
    }
    until_open_is(&proxy, 0).await;
}

async fn flapping_lets_the_handshake_through_and_closes() {
    let (_echo, proxy) = start().await;
    proxy.set(Mode::Flap(Flap::AfterReady)).await.unwrap();
    let mut client = dial(&proxy).await;
    assert_eq!(reads_to_end(&mut client).await.as_deref(), Ok(HANDSHAKE));
    until_open_is(&proxy, 0).await;
}

async fn flapping_finds_ready_for_query_across_reads() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await.unwrap();
    proxy.set(Mode::Flap(Flap::AfterReady)).await.unwrap();
    let mut client = dial(&proxy).await;
    let (mut server, _) = within(listener.accept()).await.unwrap();
    server.set_nodelay(true).unwrap();
    // A false start (`ZZ`), then one byte after the other, each read before the next is sent.
    for byte in *b"ZZ\0\0\0\x05I" {
        server.write_u8(byte).await.unwrap();
        assert_eq!(within(client.read_u8()).await.unwrap(), byte);
    }
    assert_eq!(reads_to_end(&mut client).await, Ok(vec![]));
}

async fn flapping_lets_exactly_so_many_bytes_through() {
    let (_echo, proxy) = start().await;
    proxy.set(Mode::Flap(Flap::AfterBytes(11))).await.unwrap();
    let mut client = dial(&proxy).await;
    assert_eq!(reads_to_end(&mut client).await.as_deref(), Ok(&HANDSHAKE[..11]));
}

async fn flapping_closes_after_a_time() {
    let (_echo, proxy) = start().await;
    proxy.set(Mode::Flap(Flap::After(Duration::from_millis(100)))).await.unwrap();
    let begin = Instant::now();
    let mut client = shake(&proxy).await;
    assert_eq!(reads_to_end(&mut client).await, Ok(vec![]));
    assert!(begin.elapsed() >= Duration::from_millis(100), "{:?}", begin.elapsed());
}

async fn freezing_stops_what_is_established_and_thawing_delivers_it() {
    let (_echo, proxy) = start().await;
    let mut old = shake(&proxy).await;
    proxy.set(Mode::Freeze).await.unwrap();
    old.write_all(b"ping").await.unwrap();
    let mut new = dial(&proxy).await;
    assert!(is_silent(&mut old).await);
    assert!(is_silent(&mut new).await);
    assert_eq!(proxy.connections_open(), 2);
    proxy.set(Mode::Pass).await.unwrap();
    let mut late = [0; 4];
    within(old.read_exact(&mut late)).await.unwrap();
    assert_eq!(&late, b"ping");
    let mut greeting = vec![0; HANDSHAKE.len()];
    within(new.read_exact(&mut greeting)).await.unwrap();
    assert_eq!(greeting, HANDSHAKE);
}

async fn a_stranded_connection_stops_alone_and_its_bytes_arrive_when_it_is_released() {
    let (_echo, proxy) = start().await;
    let (mut stranded, mut other) = (shake_from(0, &proxy).await, shake(&proxy).await);
    let port = stranded.local_addr().unwrap().port();
    proxy.strand(&[port]);
    stranded.write_all(b"ping").await.unwrap();
    assert!(is_silent(&mut stranded).await);
    echoes(&mut other).await;
    echoes(&mut shake(&proxy).await).await;
    proxy.release();
    let mut late = [0; 4];
    within(stranded.read_exact(&mut late)).await.unwrap();
    assert_eq!(&late, b"ping");
    // An order to end comes through, and the port's next connection is another one.
    proxy.strand(&[port]);
    proxy.cut();
    assert_eq!(reads_to_end(&mut stranded).await, Err(ErrorKind::ConnectionReset));
    drop(stranded);
    until_open_is(&proxy, 0).await;
    echoes(&mut shake_from(port, &proxy).await).await;
}

async fn latency_is_added_in_each_direction() {
    let (_echo, proxy) = start().await;
    let mut client = shake(&proxy).await;
    proxy.set(Mode::Latency(Duration::from_millis(40))).await.unwrap();
    let begin = Instant::now();
    echoes(&mut client).await;
    assert!(begin.elapsed() >= Duration::from_millis(80), "{:?}", begin.elapsed());
}

async fn a_cut_resets_and_closing_all_closes() {
    let (_echo, proxy) = start().await;
    let (mut first, mut second) = (shake(&proxy).await, shake(&proxy).await);
    proxy.cut();
    assert_eq!(reads_to_end(&mut first).await, Err(ErrorKind::ConnectionReset));
    assert_eq!(reads_to_end(&mut second).await, Err(ErrorKind::ConnectionReset));
    let mut third = shake(&proxy).await;
    echoes(&mut third).await;
    proxy.close_all();
    assert_eq!(reads_to_end(&mut third).await, Ok(vec![]));
    until_open_is(&proxy, 0).await;
}

async fn an_absent_server_resets_the_client() {
    // Bound and not listening: the kernel refuses, and nobody else gets the port.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let proxy = Proxy::start(taken.local_addr().unwrap()).await.unwrap();
    assert!(is_reset(&proxy).await);
    assert_eq!(proxy.dials().len(), 1);
}

async fn a_unix_socket_is_a_server_too() {
    let name = format!("relink-proxy-{}-{:?}", std::process::id(), std::thread::current().id());
    let path = std::env::temp_dir().join(name);
    let listener = UnixListener::bind(&path).unwrap();
    let proxy = Proxy::start(path.clone()).await.unwrap();
    let mut client = dial(&proxy).await;
    let (mut server, _) = within(listener.accept()).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    server.write_all(b"hello").await.unwrap();
    drop(server);
    assert_eq!(reads_to_end(&mut client).await.as_deref(), Ok(&b"hello"[..]));
}

async fn dials_are_counted_with_their_times() {
    let (_echo, proxy) = start().await;
    let begin = Instant::now();
    let (_first, _second) = (shake(&proxy).await, shake(&proxy).await);
    let _third = shake(&proxy).await;
    let dials = proxy.take_dials();
    assert_eq!(dials.len(), 3);
    assert!(dials.is_sorted() && dials.iter().all(|at| *at >= begin));
    assert!(proxy.dials().is_empty());
    let _fourth = shake(&proxy).await;
    assert_eq!(proxy.most_dials_in(Duration::ZERO), 1);
    let _fifth = shake(&proxy).await;
    assert_eq!(proxy.most_dials_in(LONG), 2);
}

async fn dropping_the_proxy_ends_everything() {
    let (_echo, proxy) = start().await;
    let addr = proxy.addr();
    let mut passing = shake(&proxy).await;
    proxy.set(Mode::Silent).await.unwrap();
    let mut silent = dial(&proxy).await;
    proxy.set(Mode::Freeze).await.unwrap();
    until_open_is(&proxy, 2).await;
    drop(proxy);
    // Whether by a reset or an end of file is the kernel's affair.
    let _ = reads_to_end(&mut passing).await;
    let _ = reads_to_end(&mut silent).await;
    within(async {
        while TcpStream::connect(addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
