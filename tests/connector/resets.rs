//! What a session is doing, and how it is brought back from what a borrower dropped.

use std::time::Duration;

use bytes::Bytes;
use relink::{Fault, Work, adapter::Connect};
use tokio::time::timeout;

use crate::{
    common::{SOON, backend, connector, live, work},
    support,
};

#[tokio::test]
async fn a_reset_cancels_what_a_borrower_dropped() {
    let server = support::Postgres::start().unwrap();
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
    let server = support::Postgres::start().unwrap();
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
    let server = support::Postgres::start().unwrap();
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
    let server = support::Postgres::start().unwrap();
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
    let server = support::Postgres::start().unwrap();
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
    let server = support::Postgres::start().unwrap();
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
    // Cancelled before it has read the Sync behind its start, the server answers that one and the one behind the end,
    // which the driver takes for an error of the protocol (tokio-postgres 0.7.18): the session would be closed.
    server.wait_for_rest("postgres", 1).unwrap();
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
    let server = support::Postgres::start().unwrap();
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
