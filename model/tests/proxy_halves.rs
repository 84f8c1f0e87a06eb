//! What the fault proxy does to the server's half of a connection: its end while the client's lives on, and bytes that
//! come one by one.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::time::{Duration, Instant};

use relink_model::proxy::{Mode, Proxy};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

const LONG: Duration = Duration::from_secs(10);
const APART: Duration = Duration::from_millis(40);

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(LONG, future).await.unwrap()
}

/// A client of the proxy's and its other end at the server.
async fn pair(server: &TcpListener, proxy: &Proxy) -> [TcpStream; 2] {
    let (client, accepted) = within(async { tokio::join!(TcpStream::connect(proxy.addr()), server.accept()) }).await;
    [client.unwrap(), accepted.unwrap().0]
}

async fn start() -> (TcpListener, Proxy) {
    let server = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let proxy = Proxy::start(server.local_addr().unwrap()).await.unwrap();
    (server, proxy)
}

/// How long five bytes take.
async fn five(client: &mut TcpStream, server: &mut TcpStream) -> Duration {
    let began = Instant::now();
    server.write_all(b"bytes").await.unwrap();
    let mut read = [0; 5];
    within(client.read_exact(&mut read)).await.unwrap();
    assert_eq!(&read, b"bytes");
    began.elapsed()
}

#[tokio::test]
async fn half_a_connection_ends_and_the_other_half_carries_on() {
    let (server, proxy) = start().await;
    let [mut client, mut end] = pair(&server, &proxy).await;
    proxy.half_close();
    assert_eq!(within(client.read(&mut [0; 1])).await.unwrap(), 0);
    client.write_all(b"still here").await.unwrap();
    let mut read = [0; 10];
    within(end.read_exact(&mut read)).await.unwrap();
    assert_eq!(&read, b"still here");
    let [mut next, mut server_end] = pair(&server, &proxy).await;
    five(&mut next, &mut server_end).await;
    drop(client);
    assert_eq!(within(end.read(&mut [0; 1])).await.unwrap(), 0);
    drop(end);
    within(async {
        while proxy.connections_open() > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_trickle_is_of_the_connections_it_was_asked_for_until_they_are_released() {
    let (server, proxy) = start().await;
    let [mut slow, mut slow_end] = pair(&server, &proxy).await;
    let [mut quick, mut quick_end] = pair(&server, &proxy).await;
    proxy.trickle(&[slow.local_addr().unwrap().port()], APART);
    assert!(five(&mut slow, &mut slow_end).await >= APART * 4);
    assert!(five(&mut quick, &mut quick_end).await < APART * 4);
    // Only what the server says: what the client says goes as ever.
    slow.write_all(&[0; 1_000]).await.unwrap();
    within(slow_end.read_exact(&mut [0; 1_000])).await.unwrap();
    proxy.release();
    assert!(five(&mut slow, &mut slow_end).await < APART * 4);
}

#[tokio::test]
async fn a_dial_in_a_trickle_trickles_when_others_pass_again() {
    let (server, proxy) = start().await;
    proxy.set(Mode::Trickle(APART)).await.unwrap();
    let [mut slow, mut slow_end] = pair(&server, &proxy).await;
    proxy.set(Mode::Pass).await.unwrap();
    assert!(five(&mut slow, &mut slow_end).await >= APART * 4);
    // What has come so far is released in its middle.
    slow_end.write_all(&[1; 10_000]).await.unwrap();
    assert_eq!(within(slow.read(&mut [0; 10_000])).await.unwrap(), 1);
    proxy.release();
    within(slow.read_exact(&mut [0; 9_999])).await.unwrap();
}
