//! Real tokio-postgres errors, from peers on the loopback that answer a dial as real ones were seen to.

use std::{io, time::Duration};

use relink::{
    Fault, Phase,
    adapter::Failure,
    postgres::{failure, io_failure},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_postgres::{Config, NoTls};

/// Dials a peer that reads the start-up packet, sends `answer` and closes.
async fn dial_a_peer_that_says(answer: Vec<u8>) -> Failure {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut startup = [0; 256];
        assert!(stream.read(&mut startup).await.unwrap() > 0);
        stream.write_all(&answer).await.unwrap();
    });
    let failure = dial(Config::new().host("127.0.0.1").port(port).user("app").password("hunter2")).await;
    peer.await.unwrap();
    failure
}

async fn dial(config: &Config) -> Failure {
    let Err(error) = config.connect(NoTls).await else { panic!("connected") };
    failure(&error, Phase::Connect, &[])
}

/// An ErrorResponse (PostgreSQL manual, "Message Formats").
fn error_response(fields: &[(u8, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, text) in fields {
        body.push(*kind);
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    body.push(0);
    let mut message = vec![b'E'];
    message.extend_from_slice(&(u32::try_from(body.len()).unwrap() + 4).to_be_bytes());
    message.extend_from_slice(&body);
    message
}

#[tokio::test]
async fn the_severity_that_is_not_localised_decides() {
    let answer = [(b'S', "致命错误"), (b'V', "FATAL"), (b'C', "57P03"), (b'M', "数据库系统启动中")];
    let failure = dial_a_peer_that_says(error_response(&answer)).await;
    assert_eq!((failure.fault, failure.code.as_deref()), (Fault::Starting, Some("57P03")));
    assert_eq!(failure.message, "数据库系统启动中");
}

#[tokio::test]
async fn a_pooler_without_that_field_is_understood_by_its_text() {
    let answer = [(b'S', "FATAL"), (b'C', "08P01"), (b'M', "no more connections allowed (max_client_conn)")];
    let failure = dial_a_peer_that_says(error_response(&answer)).await;
    assert_eq!((failure.fault, failure.code.as_deref()), (Fault::Overloaded, Some("08P01")));
    assert_eq!(failure.to_string(), "no more connections allowed (max_client_conn) (overloaded, 08P01)");
}

#[tokio::test]
async fn the_detail_of_a_refused_dial_is_shown() {
    let answer = [
        (b'S', "FATAL"),
        (b'V', "FATAL"),
        (b'C', "57P03"),
        (b'M', "the database system is not accepting connections"),
        (b'D', "Hot standby mode is disabled."),
    ];
    let failure = dial_a_peer_that_says(error_response(&answer)).await;
    assert_eq!(failure.message, "the database system is not accepting connections: Hot standby mode is disabled");
}

#[tokio::test]
async fn a_peer_that_closes_has_refused() {
    let failure = dial_a_peer_that_says(Vec::new()).await;
    // End of stream or a reset, by a race of the kernel's.
    assert_eq!(failure.fault, Fault::Refused, "{failure}");
}

#[tokio::test]
async fn a_peer_that_speaks_another_protocol_is_a_misconfiguration() {
    let failure = dial_a_peer_that_says(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()).await;
    assert_eq!(failure.fault, Fault::Misconfigured, "{failure}");
}

#[tokio::test]
async fn an_absent_server_has_refused_and_its_number_is_shown_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let failure = dial(Config::new().host("127.0.0.1").port(port).user("app")).await;
    assert_eq!(failure.fault, Fault::Refused);
    assert_eq!(failure.message.matches("Connection refused").count(), 1, "{failure}");
    assert!(failure.message.starts_with("error connecting to server: "), "{failure}");
    assert!(failure.code.is_some_and(|code| code.starts_with("errno ")));
}

#[tokio::test]
async fn a_missing_password_is_a_misconfiguration() {
    let md5 = [b"R\0\0\0\x0c\0\0\0\x05".as_slice(), b"salt"].concat();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&md5).await.unwrap();
        // Held open until the client hangs up, so that the client cannot see an end of stream first.
        let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut Vec::new())).await;
    });
    let failure = dial(Config::new().host("127.0.0.1").port(port).user("app")).await;
    peer.await.unwrap();
    assert_eq!(failure.fault, Fault::Misconfigured);
    assert_eq!(failure.message, "invalid configuration: password missing");
}

#[test]
fn a_misplaced_password_does_not_reach_the_message() {
    let Err(error) = "host=localhost password=correct horse=battery".parse::<Config>() else { panic!("parsed") };
    let shown = failure(&error, Phase::Connect, &[]);
    assert_eq!((shown.fault, shown.message.as_str()), (Fault::Misconfigured, "invalid connection string"));
    assert!(!format!("{shown:?}{shown}").contains("horse"));
}

#[test]
fn an_error_of_relinks_own_stream_is_classified_by_the_same_table() {
    let reset = io::Error::from(io::ErrorKind::ConnectionReset);
    assert_eq!(io_failure(&reset, Phase::Connect, &[]).fault, Fault::Refused);
    assert_eq!(io_failure(&reset, Phase::Idle, &[]).fault, Fault::Lost);
    assert_eq!(io_failure(&reset, Phase::Commit, &[]).fault, Fault::Ambiguous);
    let name = io::Error::other("failed to lookup address information: Name or service not known");
    assert_eq!(io_failure(&name, Phase::Connect, &[]).fault, Fault::Unreachable);
}
