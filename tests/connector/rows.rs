//! Rows of the user's own reach every stage of a dial, and say more than the table.

use relink::{Fault, Phase, Rule, postgres::Postgres};

use crate::{
    common::{connector, live, refused},
    support,
};

fn row(message: &'static str) -> Rule {
    Rule { phase: Some(Phase::Connect), message: Some(message.into()), ..Rule::new(Fault::Denied, "the user's own") }
}

/// The failure of a dial without a row, and with one.
async fn classified(text: &str, row: Rule) -> [Fault; 2] {
    let dialed = |rows: &[Rule]| text.parse::<Postgres>().unwrap().rules(rows);
    [refused(&dialed(&[])).await.fault, refused(&dialed(&[row])).await.fault]
}

#[tokio::test]
async fn a_name_that_cannot_be_looked_up() {
    let said = "cannot look up `no-such-name.invalid`";
    assert_eq!(classified("host=no-such-name.invalid user=u", row(said)).await, [Fault::Unreachable, Fault::Denied]);
}

#[tokio::test]
async fn what_neither_a_row_nor_the_table_speaks_of_is_counted() {
    let server = support::Postgres::start().unwrap();
    let known = Rule { sqlstate: Some("ZZ998".into()), ..Rule::new(Fault::Query, "the user's own") };
    let postgres = connector(&server, "").rules(&[known]);
    let session = live(&postgres).await.session;
    for (code, fault, count) in [
        ("ZZ998", Fault::Query, 0),
        ("P0001", Fault::Query, 0),
        ("ZZ999", Fault::Query, 1),
        ("40001", Fault::Retryable, 1),
    ] {
        let raise = format!("DO $$ BEGIN RAISE 'no' USING ERRCODE = '{code}'; END $$");
        let error = session.batch_execute(&raise).await.unwrap_err();
        assert_eq!((error.fault(), postgres.unknown_errors()), (fault, count), "{code}");
    }
}

#[cfg(feature = "rustls")]
mod tls {
    use std::time::Duration;

    use relink::{Fault, Rule};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        task::JoinHandle,
    };

    use super::{classified, row};
    use crate::support::{self, DATABASE};

    /// A peer that answers each request for TLS with `answer` and closes, or resets if there is none.
    async fn peer(answer: Option<u8>) -> (String, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let text = format!("host=127.0.0.1 port={} user=u sslmode=require", listener.local_addr().unwrap().port());
        let peer = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                stream.read_exact(&mut [0; 8]).await.unwrap();
                match answer {
                    Some(byte) => stream.write_u8(byte).await.unwrap(),
                    None => socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap(),
                }
            }
        });
        (text, peer)
    }

    #[tokio::test]
    async fn a_request_for_tls_that_is_not_granted() {
        for (answer, message, fault) in [
            (b'N', "does not offer TLS", Fault::Misconfigured),
            (b'E', "answered the request for TLS with an error", Fault::Overloaded),
            (b'H', "does not speak the PostgreSQL protocol", Fault::Misconfigured),
        ] {
            let (text, peer) = peer(Some(answer)).await;
            assert_eq!(classified(&text, row(message)).await, [fault, Fault::Denied], "{message}");
            peer.abort();
        }
    }

    #[tokio::test]
    async fn a_request_for_tls_that_is_reset() {
        let (text, peer) = peer(None).await;
        let reset = Rule { errno: Some(104), message: None, ..row("") };
        assert_eq!(classified(&text, reset).await, [Fault::Refused, Fault::Denied]);
        peer.abort();
    }

    #[tokio::test]
    async fn a_certificate_that_is_not_trusted() {
        let server = support::Postgres::builder().tls().start().unwrap();
        let stranger = support::Postgres::builder().tls().start().unwrap();
        let text = format!(
            "host=localhost hostaddr=127.0.0.1 port={} user=postgres dbname={DATABASE} sslmode=verify-full sslrootcert={}",
            server.port(),
            stranger.ca().display()
        );
        let untrusted = row("invalid peer certificate");
        assert_eq!(classified(&text, untrusted).await, [Fault::Misconfigured, Fault::Denied]);
    }
}
