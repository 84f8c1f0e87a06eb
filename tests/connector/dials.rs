//! The connector's dials: to what they lead, what they refuse, and how servers are reached.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use relink::{
    Fault, Work,
    adapter::Connect,
    postgres::{Config, Postgres},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::{
    common::{SOON, comes, connector, live, open, refused, work},
    support::{self, DATABASE, PASSWORD},
};

#[tokio::test]
async fn a_dial_brings_a_session_with_its_role() {
    let server = support::Postgres::start().unwrap();
    let postgres = connector(&server, "");
    for round in 0..2 {
        let accepted = Arc::new(AtomicBool::new(false));
        let told = accepted.clone();
        let opened = postgres.dial(0, move || told.store(true, Ordering::SeqCst)).await.unwrap();
        assert!(accepted.load(Ordering::SeqCst));
        assert!(!opened.role.in_recovery && !opened.role.default_read_only, "{round}");
        assert!(opened.client.direct());
        assert!(opened.client.parameter("server_version").unwrap().starts_with(char::is_numeric));
        let life = tokio::spawn(opened.life);
        assert_eq!(opened.client.query_one("select 7", &[]).await.unwrap().get::<_, i32>(0), 7);
        drop(opened.client);
        let death = timeout(SOON, life).await.unwrap().unwrap();
        assert_eq!((death.failure.fault, death.work), (Fault::Lost, Work::AtRest));
    }
}

#[tokio::test]
async fn a_role_that_is_not_wanted_is_refused_and_its_session_ended() {
    let server = support::Postgres::start().unwrap();
    for (word, fits) in
        [("standby", false), ("read-only", false), ("primary", true), ("read-write", true), ("any", true)]
    {
        let postgres = connector(&server, &format!("?target_session_attrs={word}&application_name=role"));
        match open(&postgres).await {
            Ok((live, _)) => {
                assert!(fits, "{word}");
                drop(live.session);
                live.life.await.unwrap();
            }
            Err(failure) => {
                assert!(!fits, "{word}: {failure}");
                assert_eq!(failure.fault, Fault::WrongRole);
            }
        }
    }
    let control = live(&connector(&server, "")).await;
    let left = "select 1 from pg_stat_activity where application_name = 'role'";
    comes(async || control.session.query(left, &[]).await.unwrap().is_empty().then_some(())).await;
}

#[tokio::test]
async fn transactions_that_are_read_only_by_default_are_seen_by_dial_and_probe() {
    let server = support::Postgres::start().unwrap();
    let mut writer = live(&connector(&server, "?target_session_attrs=read-write")).await;
    let postgres = connector(&server, "?target_session_attrs=read-write");
    // A borrower's own SET is not the server's role.
    writer.session.batch_execute("SET default_transaction_read_only = on").await.unwrap();
    assert!(!postgres.probe(&mut writer.session).await.unwrap().default_read_only);
    writer.session.batch_execute("RESET default_transaction_read_only").await.unwrap();
    writer.session.batch_execute("ALTER SYSTEM SET default_transaction_read_only = on").await.unwrap();
    writer.session.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    comes(async || {
        let role = postgres.probe(&mut writer.session).await.unwrap();
        role.default_read_only.then_some(())
    })
    .await;
    assert_eq!(refused(&postgres).await.fault, Fault::WrongRole);
}

#[tokio::test]
async fn a_refused_password_is_denied_until_a_new_one_is_set() {
    let server = support::Postgres::builder().hba("host all all 127.0.0.1/32 scram-sha-256").start().unwrap();
    let postgres = connector(&server, "");
    postgres.set_password("not-the-pass");
    let failure = refused(&postgres).await;
    assert_eq!((failure.fault, failure.code.as_deref()), (Fault::Denied, Some("28P01")));
    assert!(!format!("{failure} {failure:?} {postgres:?}").contains("not-the-pass"));
    postgres.set_password(PASSWORD);
    live(&postgres).await;
    let config: Config = server.url("postgres").parse().unwrap();
    let asked = config.clone().credentials(|| Box::pin(async { Ok(PASSWORD.into()) }));
    assert!(!format!("{asked:?}").contains(PASSWORD));
    live(&Postgres::new(asked).unwrap()).await;
    let failing = config.credentials(|| Box::pin(async { Err("the vault is closed".into()) }));
    let failing = Postgres::new(failing).unwrap();
    assert!(refused(&failing).await.to_string().contains("the vault is closed"));
}

#[tokio::test]
async fn a_port_where_nobody_listens_and_a_missing_socket_are_refused() {
    // Bound and not listening: the kernel refuses, and nobody else gets the port.
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let port = taken.local_addr().unwrap().port();
    let absent: Postgres = format!("postgresql://u@127.0.0.1:{port}/d").parse().unwrap();
    let failure = refused(&absent).await;
    assert_eq!((failure.fault, failure.code.as_deref()), (Fault::Refused, Some("errno 111")), "{failure}");
    let folder: Postgres = "host=/nowhere user=u".parse().unwrap();
    assert_eq!(refused(&folder).await.fault, Fault::Refused);
    let unknown: Postgres = "host=no-such-name.invalid user=u".parse().unwrap();
    assert_eq!(refused(&unknown).await.fault, Fault::Unreachable);
}

#[tokio::test]
async fn a_peer_that_closes_is_refused_and_a_silent_one_keeps_the_dial_open() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let postgres: Postgres = format!("postgresql://u@127.0.0.1:{port}/d?sslmode=disable").parse().unwrap();
    let closing = async {
        let (stream, _) = listener.accept().await.unwrap();
        drop(stream);
    };
    let (failure, ()) = tokio::join!(refused(&postgres), closing);
    assert_eq!(failure.fault, Fault::Refused, "{failure}");

    let accepted = AtomicBool::new(false);
    let dial = postgres.dial(0, || accepted.store(true, Ordering::SeqCst));
    let ended = timeout(Duration::from_millis(300), dial).await;
    assert!(ended.is_err(), "silence must not end a dial");
    assert!(accepted.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_name_with_several_addresses_is_tried_to_the_one_that_answers() {
    let server = support::Postgres::start().unwrap();
    // Mostly `::1` first, where this server does not listen.
    let postgres: Postgres =
        format!("host=localhost port={} user=postgres dbname={DATABASE}", server.port()).parse().unwrap();
    live(&postgres).await;
}

#[tokio::test]
async fn behind_a_proxy_the_role_is_asked_for() {
    let server = support::Postgres::start().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let behind = server.port();
    let proxy = tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut far = tokio::net::TcpStream::connect(("127.0.0.1", behind)).await.unwrap();
                let (mut read, mut write) = near.split();
                let (mut from, mut to) = far.split();
                tokio::join!(tokio::io::copy(&mut read, &mut to), with_another_key(&mut from, &mut write))
            });
        }
    });
    let text =
        format!("postgresql://postgres@127.0.0.1:{port}/{DATABASE}?target_session_attrs=read-write&sslmode=disable");
    let postgres: Postgres = text.parse().unwrap();
    for _ in 0..2 {
        let mut one = live(&postgres).await;
        assert!(!one.session.direct());
        assert!(!postgres.probe(&mut one.session).await.unwrap().in_recovery);
        one.session.batch_execute("BEGIN").await.unwrap();
        postgres.reset(&mut one.session).await.unwrap();
        work(&postgres, &one.session, Work::AtRest).await;
    }
    proxy.abort();
}

/// Passes a server's bytes on with a process id of its own invention, as pooling proxies do.
async fn with_another_key(
    from: &mut (impl tokio::io::AsyncRead + Unpin),
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
) {
    let mut piece = vec![0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        let bytes = &mut piece[..read];
        if let Some(at) = bytes.windows(5).position(|five| five == b"K\0\0\0\x0c") {
            bytes[at + 5] |= 0x40;
        }
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_unix_socket_is_dialed_and_its_statements_cancelled() {
    let server = support::Postgres::start().unwrap();
    let folder = server.socket_dir().display();
    // TLS is not for such sockets, whatever the word for it.
    let tls = if cfg!(feature = "rustls") { "sslmode=require" } else { "" };
    let text = format!("host={folder} port={} user=postgres dbname={DATABASE} {tls}", server.port());
    let postgres: Postgres = text.parse().unwrap();
    let mut one = live(&postgres).await;
    assert!(timeout(Duration::from_millis(30), one.session.batch_execute("select pg_sleep(60)")).await.is_err());
    timeout(SOON, postgres.reset(&mut one.session)).await.unwrap().unwrap();
}
