//! What the demo server writes that the driver does not show.
#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

use std::time::Duration;

use relink_model::demo::server::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test]
async fn the_status_of_the_transaction_is_reported_after_every_statement() {
    let server = Server::start().unwrap();
    let mut wire = Wire::login(&server).await;
    for (sql, status) in [
        ("SELECT 1", b'I'),
        ("BEGIN", b'T'),
        ("INSERT INTO t VALUES (1)", b'T'),
        ("ROLLBACK", b'I'),
        ("BEGIN; SELECT nonsense; COMMIT", b'E'),
        ("SELECT 1", b'E'),
        ("", b'E'),
        ("COMMIT", b'I'),
        ("SELECT nonsense", b'I'),
    ] {
        assert_eq!(wire.query(sql).await, status, "after `{sql}`");
    }
}

/// The protocol by hand, for what the driver does not show.
struct Wire(TcpStream);

impl Wire {
    async fn login(server: &Server) -> Self {
        let mut wire = Self(TcpStream::connect(server.address()).await.unwrap());
        let startup = b"\0\x03\0\0user\0demo\0database\0demo\0\0";
        wire.0.write_all(&u32::try_from(startup.len() + 4).unwrap().to_be_bytes()).await.unwrap();
        wire.0.write_all(startup).await.unwrap();
        assert_eq!(wire.read().await, (b'R', vec![0, 0, 0, 3]), "asks for the password in clear text");
        wire.send(b'p', &server.password()).await;
        assert_eq!(wire.ready().await, b'I');
        wire
    }

    async fn query(&mut self, sql: &str) -> u8 {
        self.send(b'Q', sql).await;
        self.ready().await
    }

    async fn send(&mut self, kind: u8, text: &str) {
        let length = u32::try_from(text.len() + 5).unwrap().to_be_bytes();
        self.0.write_all(&[&[kind][..], &length, text.as_bytes(), b"\0"].concat()).await.unwrap();
    }

    /// The status in the next `ReadyForQuery`.
    async fn ready(&mut self) -> u8 {
        loop {
            if let (b'Z', body) = self.read().await {
                return *body.first().unwrap();
            }
        }
    }

    async fn read(&mut self) -> (u8, Vec<u8>) {
        let message = async {
            let kind = self.0.read_u8().await.unwrap();
            let mut body = vec![0; self.0.read_u32().await.unwrap() as usize - 4];
            self.0.read_exact(&mut body).await.unwrap();
            (kind, body)
        };
        timeout(Duration::from_secs(20), message).await.unwrap()
    }
}
