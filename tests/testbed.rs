//! The testbed itself: servers start, stop, crash, fail over, and none is left behind.
#![cfg(feature = "postgres")]

mod support;

use std::{
    error::Error,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use support::{PgBouncer, PoolMode, Postgres, Signal, Stop, processes_in, wait_until};
use tokio_postgres::{Client, NoTls};

type Outcome = Result<(), Box<dyn Error>>;

async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn value(client: &Client, sql: &str) -> Result<String, tokio_postgres::Error> {
    Ok(client.query_one(&format!("SELECT ({sql})::text"), &[]).await?.get(0))
}

#[tokio::test]
async fn a_primary_a_standby_and_a_bouncer_answer() -> Outcome {
    let primary = Postgres::builder().setting("max_connections", "8").start()?;
    let standby = primary.standby()?;
    let bouncer = PgBouncer::start(&primary, PoolMode::Transaction)?;
    let recovery = "pg_is_in_recovery()";
    assert_eq!(value(&connect(&primary.url("app")).await?, recovery).await?, "false");
    assert_eq!(value(&connect(&standby.url("app")).await?, recovery).await?, "true");
    assert_eq!(value(&connect(&bouncer.url("app")).await?, recovery).await?, "false");
    assert_eq!(primary.psql("SHOW max_connections")?, "8");
    assert!(bouncer.admin("SHOW POOLS")?.contains("transaction"));
    primary.psql("CREATE TABLE t AS SELECT 1 AS n")?;
    standby.catch_up_with(&primary)?;
    assert_eq!(standby.psql("SELECT n FROM t")?, "1");
    Ok(())
}

#[tokio::test]
async fn every_way_to_stop_is_followed_by_a_start_on_the_same_port() -> Outcome {
    let server = Postgres::start()?;
    let port = server.port();
    for how in [Stop::Smart, Stop::Fast, Stop::Immediate] {
        server.stop(how)?;
        assert_eq!((server.pid(), server.processes()), (None, vec![]), "{how:?}");
        assert!(connect(&server.url("app")).await.is_err(), "{how:?}");
        server.start_again()?;
        assert_eq!(server.port(), port);
        assert_eq!(value(&connect(&server.url("app")).await?, "current_user").await?, "app");
    }
    Ok(())
}

#[tokio::test]
async fn a_killed_postmaster_starts_again_although_a_backend_outlives_it() -> Outcome {
    let server = Postgres::start()?;
    let client = connect(&server.url("app")).await?;
    let backend = server.backends_of("app")?.first().copied().ok_or("no backend")?;
    // A stopped process does not notice its postmaster's death, and holds the shared memory.
    server.kill_backend(backend, Signal::Stop)?;
    server.kill9()?;
    assert!(server.processes().contains(&backend));
    let revived = std::thread::scope(|scope| {
        let start = scope.spawn(|| server.start_again());
        wait_until("the start fails at first", Duration::from_secs(30), || {
            Ok(server.log().contains("pre-existing shared memory block").then_some(()))
        })?;
        server.kill_backend(backend, Signal::Kill)?;
        start.join().map_err(|_| support::Trouble::new("the start panicked"))?
    });
    revived?;
    assert!(client.simple_query("SELECT 1").await.is_err());
    assert_eq!(value(&connect(&server.url("app")).await?, "1").await?, "1");
    Ok(())
}

#[tokio::test]
async fn a_promoted_standby_takes_writes_and_the_old_primary_follows_it() -> Outcome {
    let old = Postgres::start()?;
    let new = old.standby()?;
    let client = connect(&new.url("postgres")).await?;
    let refused = client.batch_execute("CREATE TABLE t ()").await.unwrap_err();
    assert_eq!(refused.code().map(|code| code.code()), Some("25006"));
    old.kill9()?;
    new.promote()?;
    client.batch_execute("CREATE TABLE t ()").await?;
    let port = old.port();
    old.follow(&new)?;
    assert_eq!(old.port(), port);
    assert_eq!(old.psql("SELECT pg_is_in_recovery(), to_regclass('t')")?, "t|t");
    Ok(())
}

#[test]
fn an_old_primary_rejoins_without_what_only_it_has_written() -> Outcome {
    let old = Postgres::builder().setting("full_page_writes", "on").start()?;
    old.psql("CREATE TABLE t (a int)")?;
    let new = old.standby()?;
    new.promote()?;
    old.psql("INSERT INTO t VALUES (1)")?;
    new.psql("INSERT INTO t VALUES (2)")?;
    old.stop(Stop::Fast)?;
    old.rejoin(&new)?;
    assert_eq!(old.psql("SELECT pg_is_in_recovery(), a FROM t")?, "t|2");
    Ok(())
}

#[tokio::test]
async fn a_bouncer_is_pointed_to_another_server_under_its_clients() -> Outcome {
    let (one, other) = (Postgres::start()?, Postgres::start()?);
    let bouncer = PgBouncer::start(&one, PoolMode::Transaction)?;
    let client = connect(&bouncer.url("app")).await?;
    assert_eq!(value(&client, "inet_server_port()").await?, one.port().to_string());
    bouncer.point_to(&other)?;
    assert_eq!(value(&client, "inet_server_port()").await?, other.port().to_string());
    Ok(())
}

#[tokio::test]
async fn a_frozen_server_is_silent_and_a_thawed_one_answers() -> Outcome {
    let server = Postgres::start()?;
    let client = connect(&server.url("app")).await?;
    server.freeze()?;
    let url = server.url("app");
    let (mut query, mut dial) = (Box::pin(value(&client, "1")), Box::pin(connect(&url)));
    let silence = Duration::from_millis(300);
    assert!(tokio::time::timeout(silence, &mut query).await.is_err());
    assert!(tokio::time::timeout(silence, &mut dial).await.is_err());
    server.thaw()?;
    assert_eq!(query.await?, "1");
    dial.await?;
    Ok(())
}

#[tokio::test]
async fn a_bouncer_comes_back_on_its_port() -> Outcome {
    let server = Postgres::start()?;
    let bouncer = PgBouncer::start_with(&server, PoolMode::Session, &[("max_client_conn", "1")])?;
    let client = connect(&bouncer.url("app")).await?;
    let full = connect(&bouncer.url("app")).await.err().ok_or("a second client got in")?;
    assert_eq!(full.code().map(|code| code.code()), Some("08P01"));
    bouncer.restart()?;
    assert!(client.simple_query("SELECT 1").await.is_err());
    assert_eq!(value(&connect(&bouncer.url("app")).await?, "1").await?, "1");
    Ok(())
}

#[tokio::test]
async fn hba_lines_are_obeyed_and_can_be_changed() -> Outcome {
    let server = Postgres::builder().hba("host all all 127.0.0.1/32 scram-sha-256").start()?;
    connect(&server.url("app")).await?;
    let wrong = connect(&server.url("app").replace(support::PASSWORD, "wrong")).await.err().ok_or("let in")?;
    assert_eq!(wrong.code().map(|code| code.code()), Some("28P01"));
    server.set_hba("host all app 127.0.0.1/32 reject")?;
    let rejected = connect(&server.url("app")).await.err().ok_or("let in")?;
    assert_eq!(rejected.code().map(|code| code.code()), Some("28000"));
    Ok(())
}

/// Verifies the server's certificate as a strict client would, by the rules of OpenSSL.
#[test]
fn a_tls_server_shows_a_certificate_that_its_authority_signed() -> Outcome {
    let server = Postgres::builder().tls().hba("hostssl all all 127.0.0.1/32 trust").start()?;
    let verify = Command::new("openssl")
        .args(["s_client", "-starttls", "postgres", "-verify_return_error", "-verify_hostname", "localhost"])
        .args(["-connect", &format!("127.0.0.1:{}", server.port()), "-CAfile"])
        .arg(server.ca())
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&verify.stdout);
    assert!(said.contains("Verify return code: 0 (ok)"), "{said}{}", String::from_utf8_lossy(&verify.stderr));
    // Its standby has the same certificate and needs nothing of the primary's directory.
    let standby = server.standby()?;
    drop(server);
    standby.stop(Stop::Fast)?;
    standby.start_again()?;
    assert_eq!(standby.psql("SHOW ssl")?, "on");
    Ok(())
}

#[test]
fn a_setting_that_postgresql_refuses_is_an_error_with_its_words() {
    let refused =
        Postgres::builder().setting("max_connections", "many").start().err().map(|trouble| trouble.to_string());
    assert!(refused.as_deref().is_some_and(|text| text.contains("max_connections")), "{refused:?}");
}

#[test]
fn a_process_of_another_server_is_not_killed() -> Outcome {
    let server = Postgres::start()?;
    assert!(server.kill_backend(std::process::id(), Signal::Kill).is_err());
    Ok(())
}

#[test]
fn nothing_is_left_after_drop() -> Outcome {
    let server = Postgres::start()?;
    let bouncer = PgBouncer::start(&server, PoolMode::Session)?;
    let dir = server.socket_dir().to_path_buf();
    assert!(!processes_in(&dir).is_empty());
    // Not even of a server that is frozen while it is dropped.
    server.freeze()?;
    drop((server, bouncer));
    assert_eq!((processes_in(&dir).len(), dir.exists()), (0, false));
    Ok(())
}

#[test]
fn nothing_is_left_after_a_panic() -> Outcome {
    let server = Postgres::start()?;
    let dir = server.socket_dir().to_path_buf();
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _server = server;
        panic!("as a failing test does");
    }));
    assert!(panicked.is_err());
    assert_eq!((processes_in(&dir).len(), dir.exists()), (0, false));
    Ok(())
}

#[test]
fn a_killed_postmaster_leaves_no_shared_memory_after_drop() -> Outcome {
    let server = Postgres::start()?;
    let dir = server.socket_dir().to_path_buf();
    let lock = fs::read_to_string(dir.join("data/postmaster.pid"))?;
    let segment = lock.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)).ok_or("no segment")?;
    let exists = || {
        fs::read_to_string("/proc/sysvipc/shm")
            .map(|table| table.lines().any(|line| line.split_whitespace().nth(1) == Some(segment)))
    };
    assert!(exists()?);
    server.kill9()?;
    drop(server);
    assert!(!exists()?);
    Ok(())
}

/// Where the test below, run in a child process, writes the directory of its server.
const TELL: &str = "RELINK_TESTBED_TELL";

#[test]
#[ignore = "run by nothing_is_left_when_the_test_process_is_killed, which kills it"]
fn a_server_runs_until_this_process_is_killed() -> Outcome {
    let server = Postgres::start()?;
    let bouncer = PgBouncer::start(&server, PoolMode::Session)?;
    // Renamed into place, so that whoever sees it sees all of it.
    let tell = PathBuf::from(std::env::var(TELL)?);
    fs::write(tell.with_extension("part"), server.socket_dir().to_string_lossy().as_bytes())?;
    fs::rename(tell.with_extension("part"), &tell)?;
    std::thread::sleep(Duration::from_secs(60));
    drop((server, bouncer));
    Ok(())
}

#[test]
fn nothing_is_left_when_the_test_process_is_killed() -> Outcome {
    let tell = std::env::temp_dir().join(format!("relink-tell-{}", std::process::id()));
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "--ignored", "a_server_runs_until_this_process_is_killed"])
        .env(TELL, &tell)
        .stdout(Stdio::null())
        .spawn()?;
    let told = wait_until("the child has a server", Duration::from_secs(60), || Ok(fs::read_to_string(&tell).ok()));
    child.kill()?;
    child.wait()?;
    let server = PathBuf::from(told?);
    fs::remove_file(&tell)?;
    let run = server.parent().map(Path::to_path_buf).ok_or("a server has a directory of its own")?;
    let killed = Instant::now();
    wait_until("the guardian has cleaned up", Duration::from_secs(20), || {
        Ok((processes_in(&run).is_empty() && !run.exists()).then_some(()))
    })?;
    println!("cleaned up in {:?}", killed.elapsed());
    Ok(())
}
