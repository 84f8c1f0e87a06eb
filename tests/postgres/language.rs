//! A server that speaks another language: no class of fault rests on words that are translated.

use std::time::Duration;

use relink::{Fault, adapter::Failure, link::Command as Told, pool::Command};

use crate::{
    common::{Run, comes},
    scene::{backend, plain, pool_at, url},
    support::{DATABASE, PASSWORD, Postgres},
};

fn speaking(language: Option<&str>) -> Postgres {
    let builder = Postgres::builder()
        .hba("host all guest 127.0.0.1/32 scram-sha-256")
        .hba("host all app 127.0.0.1/32 trust")
        .setting("max_connections", "8");
    let builder = match language {
        Some(language) => builder.language(language),
        None => builder,
    };
    let server = builder.start().unwrap();
    server.psql("CREATE ROLE guest LOGIN PASSWORD 'x'; CREATE ROLE closed NOLOGIN; CREATE DATABASE shut").unwrap();
    server.psql("CREATE TABLE t (a int); ALTER TABLE t OWNER TO app; ALTER ROLE app CONNECTION LIMIT 4").unwrap();
    server.psql("REVOKE CONNECT ON DATABASE shut FROM PUBLIC").unwrap();
    server
}

async fn dial_fails(text: &str) -> Failure {
    let run = Run::start(text, plain(|_| {}));
    let error = run.get_within(Duration::from_secs(5)).await.expect_err("a dial that fails");
    let failure = error.cause.expect("a cause").failure;
    run.replays();
    (*failure).clone()
}

/// The failures that one server gives, in one order.
async fn faults(server: &Postgres) -> Vec<(&'static str, Failure)> {
    let mut seen = vec![
        ("password", dial_fails(&url(server, "wrong", DATABASE).replace("app:", "guest:")).await),
        ("database", dial_fails(&url(server, PASSWORD, "nowhere")).await),
        ("hba", dial_fails(&url(server, PASSWORD, DATABASE).replace("app:", "closed:")).await),
        ("connect", dial_fails(&url(server, PASSWORD, "shut")).await),
        ("option", dial_fails(&format!("{}?options=-c%20work_mem%3Dmuch", server.url("app"))).await),
    ];
    let run = pool_at(server, |policy| policy.max_size = 4);
    let lease = run.served().await;
    for (name, statement) in [
        ("syntax", "SELEKT 1"),
        ("unique", "CREATE TEMP TABLE u (a int UNIQUE); INSERT INTO u VALUES (1), (1)"),
        ("timeout", "SET statement_timeout = 10; SELECT pg_sleep(60)"),
        ("read-only", "ROLLBACK; BEGIN READ ONLY; INSERT INTO t VALUES (1)"),
        ("serialization", "ROLLBACK; DO $$ BEGIN RAISE 'x' USING ERRCODE = 'serialization_failure'; END $$"),
    ] {
        let error = lease.batch_execute(statement).await.unwrap_err();
        seen.push((name, error.cause().clone()));
    }
    let pid = backend_of(&run).await;
    server.psql(&format!("SELECT pg_terminate_backend({pid})")).unwrap();
    comes("the end of an idle session", async || (run.losses().len() == 1).then_some(())).await;
    seen.push(("terminated", run.status().borrow().cause.clone().expect("a cause").failure.as_ref().clone()));
    let others = [run.served().await, run.served().await, run.served().await];
    seen.push(("too many", dial_fails(&server.url("app")).await));
    drop((lease, others));
    run.ends(server).await;
    seen
}

/// The name of a session that is at rest afterwards.
async fn backend_of(run: &Run) -> i32 {
    let other = run.served().await;
    backend(&other).await
}

#[tokio::test]
async fn faults_are_classified_alike_in_chinese() {
    let (english, chinese) = (faults(&speaking(None)).await, faults(&speaking(Some("zh_CN"))).await);
    for ((name, plain), (_, translated)) in english.iter().zip(&chinese) {
        assert_eq!((plain.fault, &plain.code), (translated.fault, &translated.code), "{name}: {translated}");
    }
    // Some of a dial's come as question marks: the server has not yet learned what its client can read.
    let translated = english.iter().zip(&chinese).filter(|(plain, other)| plain.1.message != other.1.message).count();
    assert_eq!(
        translated, 11,
        "of 12 messages, all but the test's own, are Chinese, or the server's translations are missing: \
         reinstall the package postgresql with /usr/share/locale\n{chinese:?}"
    );
    let classes: Vec<_> = english.iter().map(|(_, failure)| failure.fault).collect();
    use Fault::{Denied, Lost, Misconfigured, Overloaded, Query, Retryable, WrongRole};
    let expected = [
        Denied,
        Misconfigured,
        Denied,
        Denied,
        Misconfigured,
        Query,
        Query,
        Query,
        WrongRole,
        Retryable,
        Lost,
        Overloaded,
    ];
    assert_eq!(classes, expected);
}

fn probes(run: &Run) -> usize {
    let commands = run.steps().into_iter().flat_map(|step| step.commands);
    commands.filter(|command| matches!(command, Command::Link { command: Told::Probe { .. }, .. })).count()
}

#[tokio::test]
async fn an_error_that_looks_like_a_standby_is_asked_about_and_costs_no_session() {
    let server = speaking(Some("zh_CN"));
    let run = pool_at(&server, |policy| policy.max_size = 2);
    let (lease, other) = (run.served().await, run.served().await);
    let (pid, others) = (backend(&lease).await, backend(&other).await);
    drop(other);
    let raise = "DO $$ BEGIN RAISE '模拟恢复模式错误' USING ERRCODE = 'feature_not_supported'; END $$";
    for _ in 0..3 {
        let before = probes(&run);
        let error = lease.batch_execute(raise).await.unwrap_err();
        let failure = error.cause();
        assert_eq!((failure.fault, failure.code.as_deref()), (Fault::WrongRole, Some("0A000")));
        assert!(failure.to_string().contains("模拟恢复模式错误"), "{failure}");
        // Neither is this session taken away from its borrower, nor is the other lent unasked.
        assert_eq!(lease.query_one("select 7", &[]).await.unwrap().get::<_, i32>(0), 7);
        assert_eq!(backend(&run.served().await).await, others);
        assert_eq!(probes(&run), before + 1);
    }
    drop(lease);
    let lent = (run.served().await, run.served().await);
    let mut pids = [backend(&lent.0).await, backend(&lent.1).await];
    pids.sort_unstable();
    let mut expected = [pid, others];
    expected.sort_unstable();
    assert_eq!((pids, run.dials(), run.losses().len()), (expected, 2, 0), "{}", run.story());
    drop(lent);
    run.ends(&server).await;
}
