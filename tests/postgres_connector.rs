//! The PostgreSQL connector against a real server: every dial, end, probe and reset.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use relink::{
    Fault, Target, Work,
    adapter::{Connect, Death, Failure},
    postgres::{Config, Postgres, Session},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
    time::timeout,
};
use tokio_postgres::SimpleQueryMessage;

const SOON: Duration = Duration::from_secs(20);

/// A session whose life runs in its own task.
struct Live {
    session: Session,
    life: JoinHandle<Death>,
}

async fn open(postgres: &Postgres) -> Result<(Live, relink::Role), Failure> {
    let opened = timeout(SOON, postgres.dial(0, || {})).await.expect("a dial that ends")?;
    Ok((Live { session: opened.client, life: tokio::spawn(opened.life) }, opened.role))
}

async fn live(postgres: &Postgres) -> Live {
    open(postgres).await.expect("a session").0
}

async fn refused(postgres: &Postgres) -> Failure {
    match open(postgres).await {
        Ok(_) => panic!("a session that should not be"),
        Err(failure) => failure,
    }
}

/// Waits for a state that only the server can bring about.
async fn comes<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    timeout(SOON, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .expect("the awaited state")
}

fn connector(server: &Server, more: &str) -> Postgres {
    server.url(more).parse().expect("a connector")
}

async fn backend(session: &Session) -> i32 {
    let answer = session.simple_query("select pg_backend_pid()").await.unwrap();
    let row =
        answer.iter().find_map(|message| if let SimpleQueryMessage::Row(row) = message { row.get(0) } else { None });
    row.unwrap().parse().unwrap()
}

async fn work(postgres: &Postgres, session: &Session, expected: Work) {
    comes(async || (postgres.work(session) == expected).then_some(())).await;
}

#[tokio::test]
async fn a_dial_brings_a_session_with_its_role() {
    let server = Server::start(&[]);
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
    let server = Server::start(&[]);
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
    let server = Server::start(&[]);
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
    let server = Server::start(&["scram"]);
    let postgres = connector(&server, "");
    postgres.set_password("not-the-pass");
    let failure = refused(&postgres).await;
    assert_eq!((failure.fault, failure.code.as_deref()), (Fault::Denied, Some("28P01")));
    assert!(!format!("{failure} {failure:?} {postgres:?}").contains("not-the-pass"));
    postgres.set_password(PASSWORD);
    live(&postgres).await;
    let config: Config = server.url("").parse().unwrap();
    let asked = config.clone().credentials(|| Box::pin(async { Ok(PASSWORD.into()) }));
    assert!(!format!("{asked:?}").contains(PASSWORD));
    live(&Postgres::new(asked).unwrap()).await;
    let failing = config.credentials(|| Box::pin(async { Err("the vault is closed".into()) }));
    let failing = Postgres::new(failing).unwrap();
    assert!(refused(&failing).await.to_string().contains("the vault is closed"));
}

#[tokio::test]
async fn a_port_where_nobody_listens_and_a_missing_socket_are_refused() {
    let port = free_port();
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
async fn an_idle_session_that_is_terminated_dies_with_the_reason() {
    let server = Server::start(&[]);
    let postgres = connector(&server, "");
    let (victim, control) = (live(&postgres).await, live(&postgres).await);
    let pid = backend(&victim.session).await;
    control.session.execute("select pg_terminate_backend($1)", &[&pid]).await.unwrap();
    let death = timeout(SOON, victim.life).await.unwrap().unwrap();
    assert_eq!((death.failure.fault, death.failure.code.as_deref()), (Fault::Lost, Some("57P01")), "{death:?}");
    assert_eq!(death.work, Work::AtRest);
}

#[tokio::test]
async fn an_immediate_shutdown_leaves_its_notice_as_the_reason() {
    let server = Server::start(&[]);
    let postgres = connector(&server, "");
    let victim = live(&postgres).await;
    victim.session.batch_execute("BEGIN").await.unwrap();
    server.stop("immediate");
    let death = timeout(SOON, victim.life).await.unwrap().unwrap();
    assert_eq!((death.failure.fault, death.failure.code.as_deref()), (Fault::Lost, Some("57P01")), "{death:?}");
    assert_eq!(death.work, Work::InTransaction);
}

#[tokio::test]
async fn a_death_under_a_statement_says_whether_it_may_be_durable() {
    let server = Server::start(&[]);
    let postgres = connector(&server, "");
    let control = live(&postgres).await;
    for (begin, durable, fault) in [("BEGIN", false, Fault::Lost), ("", true, Fault::Ambiguous)] {
        let victim = live(&postgres).await;
        let pid = backend(&victim.session).await;
        victim.session.batch_execute(begin).await.unwrap();
        let running = victim.session.batch_execute("select pg_sleep(60)");
        let ending = async {
            work(&postgres, &victim.session, Work::Statement { durable }).await;
            control.session.execute("select pg_terminate_backend($1)", &[&pid]).await.unwrap();
        };
        let (answer, ()) = tokio::join!(running, ending);
        assert_eq!(answer.unwrap_err().code().unwrap().code(), "57P01");
        let death = timeout(SOON, victim.life).await.unwrap().unwrap();
        assert_eq!(death.work, Work::Statement { durable });
        assert_eq!((death.failure.fault, death.failure.code.as_deref()), (fault, Some("57P01")), "{death:?}");
    }
}

#[tokio::test]
async fn dropping_a_life_closes_the_session_at_the_server() {
    let server = Server::start(&[]);
    let postgres = connector(&server, "");
    let (victim, control) = (live(&postgres).await, live(&postgres).await);
    let pid = backend(&victim.session).await;
    victim.life.abort();
    let here = "select 1 from pg_stat_activity where pid = $1";
    comes(async || control.session.query(here, &[&pid]).await.unwrap().is_empty().then_some(())).await;
    assert!(victim.session.query_one("select 1", &[]).await.unwrap_err().driver().is_closed());
}

#[tokio::test]
async fn a_reset_cancels_what_a_borrower_dropped() {
    let server = Server::start(&[]);
    let postgres = connector(&server, "");
    let (mut dropped, control) = (live(&postgres).await, live(&postgres).await);
    let pid = backend(&dropped.session).await;
    for begin in ["", "BEGIN"] {
        dropped.session.batch_execute(begin).await.unwrap();
        // Two of them: the second begins when the first has been cancelled.
        for _ in 0..2 {
            let query = dropped.session.batch_execute("select pg_sleep(60)");
            assert!(timeout(Duration::from_millis(50), query).await.is_err());
        }
        assert_ne!(postgres.work(&dropped.session), Work::AtRest);
        let role = timeout(SOON, postgres.reset(&mut dropped.session)).await.unwrap().unwrap();
        assert!(!role.in_recovery);
        work(&postgres, &dropped.session, Work::AtRest).await;
        let row =
            control.session.query_one("select state from pg_stat_activity where pid = $1", &[&pid]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), "idle");
        assert_eq!(backend(&dropped.session).await, pid, "the same session goes on");
    }
}

#[tokio::test]
async fn a_reset_rolls_back_and_leaves_no_trace() {
    let server = Server::start(&[]);
    let postgres = connector(&server, "");
    let mut dropped = live(&postgres).await;
    dropped.session.batch_execute("CREATE TABLE t (a int)").await.unwrap();
    for end in ["insert into t values (1)", "insert into nowhere values (1)"] {
        dropped.session.batch_execute("BEGIN").await.unwrap();
        let _ = dropped.session.batch_execute(end).await;
        work(&postgres, &dropped.session, Work::InTransaction).await;
        postgres.reset(&mut dropped.session).await.unwrap();
        work(&postgres, &dropped.session, Work::AtRest).await;
        let rows: i64 = dropped.session.query_one("select count(*) from t", &[]).await.unwrap().get(0);
        assert_eq!(rows, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_never_hits_the_next_borrower() {
    let server = Server::start(&[]);
    let postgres = connector(&server, "");
    let mut one = live(&postgres).await;
    for round in 0..200_u64 {
        let text = format!("select pg_sleep({})", (round % 5) as f64 / 1000.0);
        let _ = timeout(Duration::from_micros(round * 17 % 2500), one.session.batch_execute(&text)).await;
        timeout(SOON, postgres.reset(&mut one.session)).await.unwrap().unwrap();
        let next = one.session.batch_execute("select pg_sleep(0.002)").await;
        assert!(next.is_ok(), "round {round}: {next:?}");
    }
}

#[tokio::test]
async fn a_request_that_only_the_driver_has_seen_is_not_rest() {
    let server = Server::start(&[]);
    let postgres = connector(&server, "");
    let mut one = live(&postgres).await;
    one.session.batch_execute("CREATE TABLE t (a int)").await.unwrap();
    work(&postgres, &one.session, Work::AtRest).await;
    {
        let mut insert = Box::pin(one.session.batch_execute("insert into t select 1 from pg_sleep(60)"));
        // Polled once, on a runtime of one thread: the driver has it, the stream has not.
        assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(insert.as_mut().poll(cx).is_pending())).await);
    }
    assert_eq!(postgres.work(&one.session), Work::Statement { durable: true });
    timeout(SOON, postgres.reset(&mut one.session)).await.unwrap().unwrap();
    let rows: i64 = one.session.query_one("select count(*) from t", &[]).await.unwrap().get(0);
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn work_is_told_through_transactions_prepared_statements_and_copy() {
    let server = Server::start(&[]);
    let postgres = connector(&server, "");
    let mut one = live(&postgres).await;
    let rest = Work::AtRest;
    work(&postgres, &one.session, rest).await;
    one.session.batch_execute("CREATE TABLE t (a int)").await.unwrap();
    work(&postgres, &one.session, rest).await;
    one.session.batch_execute("BEGIN").await.unwrap();
    work(&postgres, &one.session, Work::InTransaction).await;
    assert!(one.session.batch_execute("select 1/0").await.is_err());
    work(&postgres, &one.session, Work::InTransaction).await;
    one.session.batch_execute("COMMIT").await.unwrap();
    work(&postgres, &one.session, rest).await;
    let insert = one.session.prepare("insert into t values ($1)").await.unwrap();
    work(&postgres, &one.session, rest).await;
    one.session.execute(&insert, &[&1]).await.unwrap();
    work(&postgres, &one.session, rest).await;
    let transaction = one.session.transaction().await.unwrap();
    transaction.execute(&insert, &[&2]).await.unwrap();
    drop(transaction);
    work(&postgres, &one.session, rest).await;
    // At once, although the driver has the statement's Close still to send.
    one.session.query_one("select 1", &[]).await.unwrap();
    assert_eq!(postgres.work(&one.session), rest);
    let rows: i64 = one.session.query_one("select count(*) from t", &[]).await.unwrap().get(0);
    assert_eq!(rows, 1);
}

#[tokio::test]
async fn a_copy_is_durable_only_when_it_is_finished() {
    use futures_util::SinkExt;
    let server = Server::start(&[]);
    let postgres = connector(&server, "");
    let mut one = live(&postgres).await;
    one.session.batch_execute("CREATE TABLE t (a int)").await.unwrap();
    let sink = one.session.copy_in::<_, Bytes>("COPY t FROM STDIN").await.unwrap();
    let mut sink = Box::pin(sink);
    sink.send(Bytes::from_static(b"1\n")).await.unwrap();
    work(&postgres, &one.session, Work::Statement { durable: false }).await;
    assert_eq!(sink.as_mut().finish().await.unwrap(), 1);
    drop(sink);
    work(&postgres, &one.session, Work::AtRest).await;

    let mut dropped = Box::pin(one.session.copy_in::<_, Bytes>("COPY t FROM STDIN").await.unwrap());
    dropped.send(Bytes::from_static(b"2\n")).await.unwrap();
    drop(dropped);
    timeout(SOON, postgres.reset(&mut one.session)).await.unwrap().unwrap();
    work(&postgres, &one.session, Work::AtRest).await;
    let rows: i64 = one.session.query_one("select count(*) from t", &[]).await.unwrap().get(0);
    assert_eq!(rows, 1);
}

/// The driver ends such a COPY with a message that the server answers once more, and takes that
/// answer for an error of the protocol (tokio-postgres 0.7.18).
#[tokio::test]
async fn a_copy_refused_before_it_began_never_leaves_a_session_to_be_lent() {
    let server = Server::start(&[]);
    let postgres = connector(&server, "");
    let mut one = live(&postgres).await;
    assert!(one.session.copy_in::<_, Bytes>("COPY nowhere FROM STDIN").await.is_err());
    // At rest only if the second answer has come already and ended it.
    let work = postgres.work(&one.session);
    assert!(matches!(work, Work::Statement { .. }) || one.session.is_closed(), "{work:?}");
    let reset = timeout(SOON, postgres.reset(&mut one.session)).await.unwrap();
    assert_eq!(reset.unwrap_err().fault, Fault::Lost);
    assert_eq!(timeout(SOON, one.life).await.unwrap().unwrap().failure.fault, Fault::Lost);
}

#[tokio::test]
async fn a_name_with_several_addresses_is_tried_to_the_one_that_answers() {
    let server = Server::start(&[]);
    // Mostly `::1` first, where this server does not listen.
    let postgres: Postgres = format!("host=localhost port={} user=postgres", server.port).parse().unwrap();
    live(&postgres).await;
}

#[tokio::test]
async fn behind_a_proxy_the_role_is_asked_for() {
    let server = Server::start(&[]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let behind = server.port;
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
        format!("postgresql://postgres@127.0.0.1:{port}/postgres?target_session_attrs=read-write&sslmode=disable");
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
    let server = Server::start(&[]);
    let folder = server.folder.path.display();
    let postgres: Postgres = format!("host={folder} port={} user=postgres sslmode=require", server.port)
        .parse()
        .or_else(|_| format!("host={folder} port={} user=postgres", server.port).parse())
        .unwrap();
    let mut one = live(&postgres).await;
    assert!(timeout(Duration::from_millis(30), one.session.batch_execute("select pg_sleep(60)")).await.is_err());
    timeout(SOON, postgres.reset(&mut one.session)).await.unwrap().unwrap();
}

#[test]
fn connection_strings_are_understood_in_both_forms() {
    let url = "postgresql://u:p%40ss@h1:1,[::1]:2,h3/db?target_session_attrs=primary&sslmode=verify-full&sslrootcert=%2Ftmp%2Fr.pem";
    let pairs = "host=h1,::1,h3 port=1,2,5432 user=u password='p@ss' dbname=db target_session_attrs = primary sslmode=verify-full sslrootcert='/tmp/r.pem'";
    let (url, pairs): (Config, Config) = (url.parse().unwrap(), pairs.parse().unwrap());
    assert_eq!(format!("{url:?}"), format!("{pairs:?}"));
    let text = format!("{url:?}");
    assert!(text.contains("Primary") && text.contains("VerifyFull") && text.contains("/tmp/r.pem"), "{text}");
    assert!(!text.contains("p@ss"));
    let database: Postgres = "postgresql://u@h1,[::1]:2/db?target_session_attrs=standby".parse().unwrap();
    assert_eq!(database.endpoints(), 2);
    assert_eq!((database.endpoint(0), database.endpoint(1)), ("h1:5432".into(), "[::1]:2".into()));
    assert_eq!(database.target(), Target::Standby);
}

#[test]
fn a_string_that_cannot_be_used_says_why_without_the_password() {
    for (text, says) in [
        ("host=a,b,c,d,e,f,g,h,i", "9 hosts are more than the 8"),
        ("postgresql://u:s3cret@h/d?target_session_attrs=leader", "read-write"),
        ("postgresql://u:s3cret@h/d?sslmode=always", "verify-full"),
        ("postgresql://u:s3@cret@h/d", "%40"),
        ("postgresql://u:s3cret@h:x/d", "port"),
        ("postgresql://u:s3cret@h/d?s3cret", "no `=`"),
        ("postgresql://u:s3cret@h/d?password=x&s3cret=1", "parameter 2"),
        ("host=h password=a s3cret", "single quotes"),
        ("host=h password=a s3cret=b", "parameter 3"),
        ("host=h password='s3cret", "closing quote"),
        ("user=u password=s3cret", "no host"),
        ("host=h load_balance_hosts=sometimes", "use disable or random"),
        ("host=h sslcert=x", "client certificates"),
        ("host=a,b port=1,2,3", "3 values of port for 2 hosts"),
    ] {
        let error = text.parse::<Config>().unwrap_err();
        let (shown, debugged) = (error.to_string(), format!("{error:?}"));
        assert!(shown.contains(says), "{text}: {shown}");
        assert!(!shown.contains("s3") && !debugged.contains("s3"), "{shown}");
    }
}

#[cfg(not(feature = "rustls"))]
#[test]
fn tls_without_the_feature_names_the_feature() {
    for mode in ["require", "verify-ca", "verify-full"] {
        let error = format!("host=h sslmode={mode}").parse::<Postgres>().unwrap_err();
        assert!(error.to_string().contains("feature `rustls`"), "{error}");
    }
}

#[cfg(feature = "rustls")]
mod tls {
    use super::*;

    async fn outcome(server: &Server, host: &str, more: &str) -> Result<bool, Failure> {
        let text = format!("host={host} hostaddr=127.0.0.1 port={} user=postgres {more}", server.port);
        let postgres: Postgres = text.parse().unwrap();
        let (mut live, _) = open(&postgres).await?;
        let query = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
        let encrypted = live.session.query_one(query, &[]).await.unwrap().get(0);
        assert!(timeout(Duration::from_millis(30), live.session.batch_execute("select pg_sleep(60)")).await.is_err());
        timeout(SOON, postgres.reset(&mut live.session)).await.unwrap().unwrap();
        Ok(encrypted)
    }

    #[tokio::test]
    async fn each_mode_checks_as_much_as_it_says() {
        let server = Server::start(&["ssl"]);
        let root = format!("sslrootcert={}/root.crt", server.folder.path.display());
        let other = format!("sslrootcert={}/other.crt", server.folder.path.display());
        assert!(!outcome(&server, "db.test", "sslmode=disable").await.unwrap());
        for (host, mode, root, fits) in [
            ("db.test", "prefer", "", true),
            ("db.test", "require", "", true),
            ("wrong.test", "require", "", true),
            ("wrong.test", "require", &*other, false),
            ("wrong.test", "verify-ca", &*root, true),
            ("db.test", "verify-ca", &*other, false),
            ("db.test", "verify-full", &*root, true),
            ("wrong.test", "verify-full", &*root, false),
            ("db.test", "verify-full", &*other, false),
        ] {
            match outcome(&server, host, &format!("sslmode={mode} {root}")).await {
                Ok(encrypted) => assert!(fits && encrypted, "{host} {mode} {root}"),
                Err(failure) => {
                    assert!(!fits, "{host} {mode} {root}: {failure}");
                    assert_eq!(failure.fault, Fault::Misconfigured);
                }
            }
        }
    }

    #[tokio::test]
    async fn a_server_without_tls_is_used_in_plaintext_only_if_preferred() {
        let server = Server::start(&[]);
        assert!(!outcome(&server, "db.test", "sslmode=prefer").await.unwrap());
        let failure = outcome(&server, "db.test", "sslmode=require").await.unwrap_err();
        assert_eq!(failure.fault, Fault::Misconfigured);
        assert!(failure.message.contains("does not offer TLS"), "{failure}");
    }
}

use server::{PASSWORD, Server, free_port};

/// A PostgreSQL of one's own, on a free port, gone when dropped.
mod server {
    use std::{
        fs,
        net::TcpListener,
        path::{Path, PathBuf},
        process::{Command, Stdio},
    };

    pub(super) const PASSWORD: &str = "correct horse";

    pub(super) struct Folder {
        pub(super) path: PathBuf,
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.path);
        }
    }

    pub(super) struct Server {
        pub(super) folder: Folder,
        pub(super) port: u16,
    }

    pub(super) fn free_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    /// The newest installed server's programs.
    fn programs() -> PathBuf {
        let mut found: Vec<_> =
            fs::read_dir("/usr/lib/postgresql").expect("an installed PostgreSQL").flatten().collect();
        found.sort_by_key(|entry| entry.file_name().to_string_lossy().parse::<u32>().unwrap_or(0));
        found.pop().expect("an installed PostgreSQL").path().join("bin")
    }

    /// PostgreSQL refuses to run as root; everything runs as its own user then.
    fn run(program: &Path, arguments: &[&str]) {
        let root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
        let mut command = if root {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", "postgres", "--regid", "postgres", "--init-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let status = command.args(arguments).current_dir("/").stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(status.unwrap().success(), "{} {arguments:?}", program.display());
    }

    impl Server {
        /// `scram`: passwords are asked for. `ssl`: TLS for `db.test`, signed by `root.crt`.
        pub(super) fn start(wishes: &[&str]) -> Self {
            let port = free_port();
            let folder = Folder { path: std::env::temp_dir().join(format!("relink-{}-{port}", std::process::id())) };
            let at = |name: &str| folder.path.join(name).display().to_string();
            run(Path::new("mkdir"), &["-p", &at("")]);
            run(Path::new("sh"), &["-c", &format!("echo '{PASSWORD}' > {}", at("pw"))]);
            let auth = if wishes.contains(&"scram") { "-Ascram-sha-256" } else { "-Atrust" };
            let pw = format!("--pwfile={}", at("pw"));
            run(&programs().join("initdb"), &["-D", &at("data"), "-U", "postgres", auth, &pw, "--no-sync", "-EUTF8"]);
            let mut options = format!("-p {port} -k {} -c fsync=off -c listen_addresses=127.0.0.1", at(""));
            if wishes.contains(&"ssl") {
                run(Path::new("sh"), &["-c", &format!("cd {} && {CERTIFICATES}", at(""))]);
                options += &format!(" -c ssl=on -c ssl_cert_file={} -c ssl_key_file={}", at("db.crt"), at("db.key"));
            }
            let server = Self { folder, port };
            let data = server.folder.path.join("data").display().to_string();
            let log = server.folder.path.join("log").display().to_string();
            run(&programs().join("pg_ctl"), &["start", "-w", "-D", &data, "-l", &log, "-o", &options]);
            server
        }

        pub(super) fn url(&self, more: &str) -> String {
            format!("postgresql://postgres@127.0.0.1:{}/postgres{more}", self.port)
        }

        pub(super) fn stop(&self, mode: &str) {
            let data = self.folder.path.join("data").display().to_string();
            run(&programs().join("pg_ctl"), &["stop", "-w", "-D", &data, "-m", mode]);
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            if self.folder.path.join("data/postmaster.pid").exists() {
                self.stop("immediate");
            }
        }
    }

    const CERTIFICATES: &str = "set -e; new='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30'
        for ca in root other; do openssl req -x509 $new -keyout $ca.key -out $ca.crt -subj /CN=$ca; done
        openssl req $new -keyout db.key -out db.csr -subj /CN=db.test
        echo subjectAltName=DNS:db.test > san
        openssl x509 -req -in db.csr -CA root.crt -CAkey root.key -CAcreateserial -days 30 -extfile san -out db.crt
        chmod 600 *.key";
}
