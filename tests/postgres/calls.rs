//! The calls of a lease: every error says what became of the work, and nobody has to ask.

use std::{error::Error as _, pin::pin, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, TryStreamExt};
use relink::{
    Fault, Session,
    link::Command as Told,
    pool::Command,
    postgres::{Error, Lease, Pool},
};
use tokio_postgres::{Client, GenericClient, IsolationLevel, error::SqlState, types::Type};

use crate::{
    common::{Run, comes},
    scene::{self, backend, pool_at},
    support::Postgres,
};

fn server_with_a_table() -> Postgres {
    let server = Postgres::start().unwrap();
    server.psql("CREATE TABLE t (a int UNIQUE); ALTER TABLE t OWNER TO app").unwrap();
    server
}

fn rows(server: &Postgres) -> String {
    server.psql("SELECT count(*) FROM t").unwrap()
}

/// Ends a session at the server and waits until its borrower could know.
async fn cut(server: &Postgres, lease: &Lease, pid: i32) {
    server.psql(&format!("SELECT pg_terminate_backend({pid})")).unwrap();
    comes("the session ends", async || lease.death().map(drop)).await;
}

/// What an error says, its server's port left out.
fn text(server: &Postgres, error: &Error) -> String {
    error.to_string().replace(&format!(":{}", server.port()), ":PORT")
}

fn probes(run: &Run) -> usize {
    let commands = run.steps().into_iter().flat_map(|step| step.commands);
    commands.filter(|command| matches!(command, Command::Link { command: Told::Probe { .. }, .. })).count()
}

/// As it is written for deadpool-postgres, where these names come from.
async fn transfer(pool: &Pool) -> Result<i64, Box<dyn std::error::Error + Send + Sync>> {
    let mut client = pool.get().await?;
    let insert = client.prepare_cached("INSERT INTO t VALUES ($1)").await?;
    client.execute(&insert, &[&1_i32]).await?;
    let mut transaction = client.build_transaction().isolation_level(IsolationLevel::Serializable).start().await?;
    let insert = transaction.prepare_cached("INSERT INTO t VALUES ($1)").await?;
    transaction.execute(&insert, &[&2_i32]).await?;
    let savepoint = transaction.savepoint("s").await?;
    savepoint.execute_typed("INSERT INTO t VALUES ($1)", &[(&3_i32, Type::INT4)]).await?;
    savepoint.rollback().await?;
    let nested = transaction.transaction().await?;
    nested.batch_execute("INSERT INTO t VALUES (4)").await?;
    nested.commit().await?;
    let portal = transaction.bind("SELECT a FROM t ORDER BY a", &[]).await?;
    let first = transaction.query_portal(&portal, 2).await?;
    let rest: Vec<_> = transaction.query_portal_raw(&portal, 0).await?.try_collect().await?;
    assert_eq!((first.len(), rest.len()), (2, 1));
    transaction.commit().await?;
    let mut rows = pin!(client.query_raw("SELECT a FROM t", std::iter::empty::<i32>()).await?);
    let mut sum = 0;
    while let Some(row) = rows.try_next().await? {
        sum += i64::from(row.get::<_, i32>(0));
    }
    assert_eq!(rows.rows_affected(), Some(3));
    let counted: i64 = client.query_one_scalar("SELECT sum(a) FROM t", &[]).await?;
    assert_eq!(counted, sum);
    Ok(sum)
}

/// Code that knows nothing of relink, and functions that return the driver's error.
async fn foreign<C: GenericClient>(client: &C) -> Result<i32, tokio_postgres::Error> {
    Ok(client.query_one("SELECT 7", &[]).await?.get(0))
}

async fn plain(client: &Client) -> Result<i32, tokio_postgres::Error> {
    foreign(client).await
}

async fn through(lease: &Lease) -> Result<i32, tokio_postgres::Error> {
    Ok(lease.query_one("SELECT 7", &[]).await?.get(0))
}

#[tokio::test]
async fn code_written_for_the_driver_and_other_pools_goes_on_working() {
    let server = server_with_a_table();
    let run = pool_at(&server, |policy| policy.max_size = 1);
    assert_eq!(transfer(run.pool()).await.unwrap(), 7);
    let mut lease = run.served().await;
    assert_eq!((plain(&lease).await.unwrap(), through(&lease).await.unwrap()), (7, 7));
    let transaction = lease.transaction().await.unwrap();
    assert_eq!(foreign(&*transaction).await.unwrap(), 7);
    drop(transaction);
    let out: Vec<Bytes> = lease.copy_out("COPY t TO STDOUT").await.unwrap().try_collect().await.unwrap();
    assert_eq!(out.concat(), b"1\n2\n4\n");
    let messages: Vec<_> = lease.simple_query_raw("SELECT 1; SELECT 2").await.unwrap().collect().await;
    assert!(messages.len() >= 4 && messages.iter().all(Result::is_ok), "{messages:?}");
    let binary = lease.copy_in("COPY t FROM STDIN BINARY").await.unwrap().into_inner();
    let mut writer = pin!(tokio_postgres::binary_copy::BinaryCopyInWriter::new(binary, &[Type::INT4]));
    writer.as_mut().write(&[&5_i32]).await.unwrap();
    assert_eq!(writer.finish().await.unwrap(), 1);
    lease.check_connection().await.unwrap();
    drop(lease);
    run.ends(&server).await;
}

#[tokio::test]
async fn a_call_on_a_session_that_has_ended_was_never_sent_and_is_lost_not_ambiguous() {
    let server = server_with_a_table();
    let run = pool_at(&server, |policy| policy.max_size = 1);
    let lease = run.served().await;
    let pid = backend(&lease).await;
    let insert = lease.batch_execute("INSERT INTO t SELECT 1 FROM pg_sleep(600)");
    let killing = async {
        comes("it is at work", async || {
            let event = server.psql(&format!("SELECT wait_event FROM pg_stat_activity WHERE pid = {pid}")).unwrap();
            (event == "PgSleep").then_some(())
        })
        .await;
        cut(&server, &lease, pid).await;
    };
    let (answer, ()) = tokio::join!(insert, killing);
    let error = answer.unwrap_err();
    assert_eq!((error.fault(), error.session()), (Fault::Ambiguous, Session::Dead));
    assert_eq!(error.code(), Some(&SqlState::ADMIN_SHUTDOWN));
    assert_eq!(
        text(&server, &error),
        "terminating connection due to administrator command (ambiguous, 57P01) at 127.0.0.1:PORT: \
         the session ended before the answer, and what was in flight may have become durable: look before it is run again"
    );
    let next = lease.execute("INSERT INTO t VALUES (2)", &[]).await.unwrap_err();
    assert_eq!((next.fault(), next.session()), (Fault::Lost, Session::Dead), "{next}");
    assert_eq!((next.code(), next.cause().code.as_deref()), (None, Some("57P01")), "the driver cannot say why");
    drop(lease);
    run.ends(&server).await;
}

#[tokio::test]
async fn rows_cut_in_the_middle_are_ambiguous_alone_and_lost_in_a_transaction() {
    let server = server_with_a_table();
    let run = pool_at(&server, |policy| policy.max_size = 1);
    for (in_transaction, fault) in [(false, Fault::Ambiguous), (true, Fault::Lost)] {
        let mut lease = run.served().await;
        let pid = backend(&lease).await;
        // More than the socket's buffers hold, so that the server is in the middle of it.
        let (query, none) = ("SELECT repeat('x', 1000) FROM generate_series(1, 100000)", std::iter::empty::<i32>);
        let stream = if in_transaction {
            lease.batch_execute("BEGIN").await.unwrap();
            lease.query_raw(query, none()).await.unwrap()
        } else {
            lease.query_raw(query, none()).await.unwrap()
        };
        let mut stream = pin!(stream);
        assert_eq!(stream.next().await.unwrap().unwrap().len(), 1);
        server.psql(&format!("SELECT pg_terminate_backend({pid})")).unwrap();
        let error = stream.try_for_each(|_| async { Ok(()) }).await.unwrap_err();
        comes("the session ends", async || lease.death().map(drop)).await;
        assert_eq!((error.fault(), error.session()), (fault, Session::Dead), "{error}");
        let transaction = lease.transaction().await.map(drop);
        assert_eq!(transaction.unwrap_err().fault(), Fault::Lost);
        drop(lease);
    }
    run.ends(&server).await;
}

#[tokio::test]
async fn a_copy_is_lost_before_its_end_was_sent_and_ambiguous_after() {
    let server = server_with_a_table();
    let run = pool_at(&server, |policy| policy.max_size = 1);
    let lease = run.served().await;
    let pid = backend(&lease).await;
    let mut sink = pin!(lease.copy_in::<_, Bytes>("COPY t FROM STDIN").await.unwrap());
    sink.send(Bytes::from_static(b"1\n")).await.unwrap();
    cut(&server, &lease, pid).await;
    let error = sink.as_mut().finish().await.unwrap_err();
    assert_eq!((error.fault(), error.session()), (Fault::Lost, Session::Dead), "{error}");
    drop(lease);

    let lease = run.served().await;
    let pid = backend(&lease).await;
    let mut sink = pin!(lease.copy_in::<_, Bytes>("COPY t FROM STDIN").await.unwrap());
    sink.send(Bytes::from_static(b"2\n")).await.unwrap();
    server.psql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").unwrap();
    server.reload().unwrap();
    let killing = async {
        comes("it waits for its standby", async || {
            let event = server.psql(&format!("SELECT wait_event FROM pg_stat_activity WHERE pid = {pid}")).unwrap();
            (event == "SyncRep").then_some(())
        })
        .await;
        cut(&server, &lease, pid).await;
    };
    let (answer, ()) = tokio::join!(sink.as_mut().finish(), killing);
    let error = answer.unwrap_err();
    assert_eq!((error.fault(), error.session()), (Fault::Ambiguous, Session::Dead), "{error}");
    assert_eq!(rows(&server), "1", "the second is there, the first is not");
    server.psql("SET synchronous_commit = local; ALTER SYSTEM RESET synchronous_standby_names").unwrap();
    server.reload().unwrap();
    drop(lease);
    run.ends(&server).await;
}

/// The driver takes the end of the data for the end of the COPY, before the server has committed.
#[tokio::test]
async fn a_copy_that_fails_in_its_commit_is_told_as_failed() {
    let server = server_with_a_table();
    server.psql("ALTER TABLE t ADD UNIQUE (a) DEFERRABLE INITIALLY DEFERRED, DROP CONSTRAINT t_a_key").unwrap();
    let run = pool_at(&server, |policy| policy.max_size = 1);
    let lease = run.served().await;
    let twice = Bytes::from_static(b"1\n1\n");
    let mut sink = pin!(lease.copy_in("COPY t FROM STDIN").await.unwrap());
    sink.send(twice.clone()).await.unwrap();
    let error = sink.as_mut().finish().await.unwrap_err();
    assert_eq!((error.code(), error.fault()), (Some(&SqlState::UNIQUE_VIOLATION), Fault::Query), "{error}");
    let mut sink = pin!(lease.copy_in("COPY t FROM STDIN").await.unwrap());
    sink.send(twice).await.unwrap();
    assert_eq!(sink.close().await.unwrap_err().code(), Some(&SqlState::UNIQUE_VIOLATION));
    let out = lease.copy_out("COPY (INSERT INTO t VALUES (1), (1) RETURNING a) TO STDOUT").await.unwrap();
    let error = out.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::UNIQUE_VIOLATION), "{error}");
    assert_eq!(rows(&server), "0");
    // The same when it succeeds, within a transaction and alone, and the session goes on.
    for (begin, end) in [("BEGIN", "COMMIT"), ("", "")] {
        lease.batch_execute(begin).await.unwrap();
        let mut sink = pin!(lease.copy_in("COPY t FROM STDIN").await.unwrap());
        sink.send(Bytes::from(format!("{}\n", begin.len()))).await.unwrap();
        assert_eq!(sink.as_mut().finish().await.unwrap(), 1);
        lease.batch_execute(end).await.unwrap();
    }
    assert_eq!(rows(&server), "2");
    drop(lease);
    run.ends(&server).await;
}

#[tokio::test]
async fn a_write_in_a_transaction_begun_read_only_is_no_demotion_but_any_other_is_asked_about() {
    let server = server_with_a_table();
    let run = pool_at(&server, |policy| policy.max_size = 2);
    let (mut lease, other) = (run.served().await, run.served().await);
    drop(other);
    let before = probes(&run);
    let mut transaction = lease.build_transaction().read_only(true).start().await.unwrap();
    let nested = transaction.transaction().await.unwrap();
    let error = nested.execute("INSERT INTO t VALUES (1)", &[]).await.unwrap_err();
    assert_eq!((error.fault(), error.session()), (Fault::Query, Session::Usable), "{error}");
    assert_eq!(error.code(), Some(&SqlState::READ_ONLY_SQL_TRANSACTION));
    drop(nested);
    drop(transaction);
    drop(run.served().await);
    assert_eq!(probes(&run), before);

    // Begun or made so by a statement: the server has reported that neither it nor its default did.
    let transaction = lease.build_transaction().read_only(true).read_only(false).start().await.unwrap();
    transaction.batch_execute("SET TRANSACTION READ ONLY").await.unwrap();
    let mut rows =
        pin!(transaction.query_raw("INSERT INTO t VALUES (1) RETURNING a", std::iter::empty::<i32>()).await.unwrap());
    let error = rows.next().await.unwrap().unwrap_err();
    assert_eq!((error.fault(), error.session()), (Fault::Query, Session::Usable), "{error}");
    drop(transaction);
    lease.batch_execute("BEGIN READ ONLY").await.unwrap();
    let unseen = Client::batch_execute(&lease, "INSERT INTO t VALUES (1)").await.unwrap_err();
    assert_eq!(lease.explain(unseen).fault(), Fault::Query);
    lease.batch_execute("ROLLBACK").await.unwrap();
    drop(run.served().await);
    assert_eq!(probes(&run), before);

    // The session's own default looks like a demotion, which costs the other a round trip.
    lease.batch_execute("SET default_transaction_read_only = on").await.unwrap();
    let error = lease.execute("INSERT INTO t VALUES (1)", &[]).await.unwrap_err();
    assert_eq!((error.fault(), error.session()), (Fault::WrongRole, Session::Usable), "{error}");
    lease.batch_execute("RESET default_transaction_read_only").await.unwrap();
    drop(run.served().await);
    assert_eq!(probes(&run), before + 1);

    // By a way that is not observed the pool learns of it when it is asked what it means; and what is begun and fails in
    // one text began with nobody having been told of the server.
    let unseen = Client::batch_execute(&lease, "BEGIN READ ONLY; INSERT INTO t VALUES (1)").await.unwrap_err();
    drop(run.served().await);
    assert_eq!(probes(&run), before + 1);
    assert_eq!(lease.explain(unseen).fault(), Fault::WrongRole);
    drop(run.served().await);
    assert_eq!(probes(&run), before + 2);
    assert_eq!((run.dials(), run.losses().len()), (2, 0));
    drop(lease);
    run.ends(&server).await;
}

/// Whether transactions may write is fixed when they begin; whoever changed it for all has had it reported by then.
#[tokio::test]
async fn a_write_refused_because_the_servers_default_has_turned_is_a_demotion_in_transactions_too() {
    let server = server_with_a_table();
    let run = Run::start(&format!("{}?target_session_attrs=read-write", server.url("app")), scene::plain(|_| {}));
    let mut lease = run.served().await;
    let default = |value: &str| {
        server.psql(&format!("ALTER SYSTEM SET default_transaction_read_only = {value}")).unwrap();
        server.reload().unwrap();
    };
    for value in ["on", "off", "on"] {
        default(value);
        comes("a transaction by the new default", async || {
            let transaction = lease.transaction().await.unwrap();
            let written = transaction.execute("INSERT INTO t VALUES (1)", &[]).await;
            match (value, written) {
                ("on", Err(error)) => {
                    assert_eq!(error.fault(), Fault::WrongRole, "{error}");
                    Some(())
                }
                ("off", Ok(_)) => Some(()),
                (_, Ok(_) | Err(_)) => None,
            }
        })
        .await;
    }
    drop(lease);
    let error = run.get_within(Duration::from_secs(2)).await.expect_err("no session may write");
    assert_eq!(error.fault(), Fault::WrongRole, "{error}");
    default("off");
    run.served().await.execute("INSERT INTO t VALUES (1)", &[]).await.unwrap();
    run.ends(&server).await;
}

#[tokio::test]
async fn an_error_is_one_line_that_names_cause_and_place_and_quotes_no_row() {
    let server = server_with_a_table();
    let run = pool_at(&server, |policy| policy.max_size = 1);
    let lease = run.served().await;
    lease.execute("INSERT INTO t VALUES (4711)", &[]).await.unwrap();
    let error = lease.execute("INSERT INTO t VALUES (4711)", &[]).await.unwrap_err();
    assert_eq!(
        text(&server, &error),
        "duplicate key value violates unique constraint \"t_a_key\" (query, 23505) at 127.0.0.1:PORT: \
         an error of the statement, not of the connection"
    );
    let detail = error.as_db_error().unwrap().detail().unwrap();
    assert!(detail.contains("4711") && !format!("{error} {error:?}").contains("4711"), "{error:?}");
    assert!(error.source().unwrap().is::<tokio_postgres::Error>());
    let boxed: Box<dyn std::error::Error + Send + Sync> = error.into();
    assert!(boxed.is::<Error>());

    let raise = "DO $$ BEGIN RAISE E'two\\nlines' USING ERRCODE = 'deadlock_detected'; END $$";
    let error = lease.batch_execute(raise).await.unwrap_err();
    assert_eq!(
        text(&server, &error),
        "two lines (retryable, 40P01) at 127.0.0.1:PORT: nothing of the transaction became durable: run it again from its start"
    );
    // What the driver itself finds wrong, while the rest of the answer is still under way.
    for (error, says) in [
        (lease.query_one("SELECT generate_series(1, 100000)", &[]).await.map(drop), "unexpected number of rows"),
        (lease.query_one("SELECT $1::int4", &[]).await.map(drop), "expected 1 parameters but got 0"),
        (lease.query_one("SELECT $1::int4", &[&"x"]).await.map(drop), "error serializing parameter 0"),
    ] {
        let error = error.unwrap_err();
        assert_eq!((error.fault(), error.session()), (Fault::Query, Session::Usable), "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    drop(lease);
    run.ends(&server).await;
}
