//! What borrowers leave behind: statements, transactions, COPYs and waits that are dropped half-way.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, TryStreamExt, future::poll_immediate};
use relink::{
    Fault,
    adapter::{Connect, Kind},
    link::Command as Told,
    pool::Command,
    postgres::{Lease, Pool},
};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    common::{Run, SOON, comes, sockets_to},
    scene::{backend, pool_at},
    support::Postgres,
};

/// A pool of one, so that the next borrower gets what the last one left.
fn pool_of_one(server: &Postgres) -> Run {
    server.psql("CREATE TABLE IF NOT EXISTS t (a int); ALTER TABLE t OWNER TO app").unwrap();
    pool_at(server, |policy| policy.max_size = 1)
}

/// The next borrower has a clean session, and nothing of the last one's goes on.
async fn next_is_clean(run: &Run, server: &Postgres, dropped: i32) {
    let next = run.served().await;
    let pid = backend(&next).await;
    let state = server.psql(&format!("SELECT state, xact_start IS NULL FROM pg_stat_activity WHERE pid = {pid}"));
    assert_eq!(state.unwrap(), "idle|t");
    let rows: i64 = next.query_one("select count(*) from t", &[]).await.unwrap().get(0);
    assert_eq!(rows, 0, "what was not finished left nothing");
    if pid != dropped {
        comes("the dropped session's backend is gone", async || {
            server
                .psql(&format!("SELECT 1 FROM pg_stat_activity WHERE pid = {dropped}"))
                .unwrap()
                .is_empty()
                .then_some(())
        })
        .await;
    }
}

fn resets(run: &Run) -> usize {
    let commands = run.steps().into_iter().flat_map(|step| step.commands);
    commands.filter(|command| matches!(command, Command::Link { command: Told::Reset { .. }, .. })).count()
}

/// Waits until the server is at work for this session.
async fn works(server: &Postgres, pid: i32) {
    comes("the server is at work", async || {
        let state = server.psql(&format!("SELECT state FROM pg_stat_activity WHERE pid = {pid}")).unwrap();
        (state == "active").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_query_dropped_in_flight_is_cancelled_and_its_session_kept() {
    let server = Postgres::start().unwrap();
    let run = pool_of_one(&server);
    for begin in ["", "BEGIN; INSERT INTO t VALUES (1)"] {
        let lease = run.served().await;
        let pid = backend(&lease).await;
        lease.batch_execute(begin).await.unwrap();
        {
            let mut query = pin!(lease.batch_execute("INSERT INTO t SELECT 1 FROM pg_sleep(600)"));
            assert!(poll_immediate(query.as_mut()).await.is_none());
            works(&server, pid).await;
        }
        drop(lease);
        next_is_clean(&run, &server, pid).await;
        assert_eq!(backend(&run.served().await).await, pid);
    }
    assert_eq!((resets(&run), run.dials()), (2, 1));
    run.ends(&server).await;
}

#[tokio::test]
async fn an_open_transaction_is_rolled_back() {
    let server = Postgres::start().unwrap();
    let run = pool_of_one(&server);
    for left in ["BEGIN; INSERT INTO t VALUES (1)", "BEGIN; INSERT INTO t VALUES (1); SELECT 1/0"] {
        let lease = run.served().await;
        let pid = backend(&lease).await;
        let _failed = lease.batch_execute(left).await;
        drop(lease);
        next_is_clean(&run, &server, pid).await;
        assert_eq!(backend(&run.served().await).await, pid);
    }
    let mut lease = run.served().await;
    let pid = backend(&lease).await;
    let transaction = lease.transaction().await.unwrap();
    transaction.execute("INSERT INTO t VALUES (1)", &[]).await.unwrap();
    drop(transaction);
    drop(lease);
    next_is_clean(&run, &server, pid).await;
    assert_eq!(run.dials(), 1);
    run.ends(&server).await;
}

#[tokio::test]
async fn a_copy_dropped_half_way_leaves_no_row_in_either_direction() {
    let server = Postgres::start().unwrap();
    let run = pool_of_one(&server);
    let lease = run.served().await;
    let pid = backend(&lease).await;
    {
        let mut sink = Box::pin(lease.copy_in::<_, Bytes>("COPY t FROM STDIN").await.unwrap());
        sink.send(Bytes::from_static(b"1\n2\n")).await.unwrap();
    }
    drop(lease);
    next_is_clean(&run, &server, pid).await;

    let lease = run.served().await;
    let pid = backend(&lease).await;
    {
        let copy = "COPY (SELECT i, repeat('x', 1000) FROM generate_series(1, 100000000) i) TO STDOUT";
        let mut stream = Box::pin(lease.copy_out(copy).await.unwrap());
        stream.try_next().await.unwrap().expect("a first piece");
    }
    drop(lease);
    next_is_clean(&run, &server, pid).await;
    run.ends(&server).await;
}

#[tokio::test]
async fn a_row_stream_half_read_and_a_pipeline_dropped_leave_nothing_unread() {
    let server = Postgres::start().unwrap();
    let run = pool_of_one(&server);
    let lease = run.served().await;
    let pid = backend(&lease).await;
    {
        let none: [i32; 0] = [];
        let rows = lease.query_raw("SELECT i, repeat('x', 1000) FROM generate_series(1, 100000000) i", none);
        let mut rows = Box::pin(rows.await.unwrap());
        rows.next().await.unwrap().unwrap();
    }
    drop(lease);
    next_is_clean(&run, &server, pid).await;

    let lease = run.served().await;
    let pid = backend(&lease).await;
    {
        let texts = ["SELECT pg_sleep(0.2)", "INSERT INTO t SELECT 1 FROM pg_sleep(600)", "SELECT pg_sleep(600)"];
        let mut queries: Vec<_> = texts.iter().map(|text| Box::pin(lease.batch_execute(text))).collect();
        for query in &mut queries {
            assert!(poll_immediate(query.as_mut()).await.is_none());
        }
        works(&server, pid).await;
    }
    drop(lease);
    next_is_clean(&run, &server, pid).await;
    run.ends(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_never_hits_the_next_borrower() {
    let server = Postgres::start().unwrap();
    let run = pool_of_one(&server);
    drop(run.served().await);
    let mut dropped = 0;
    for round in 0..300_u64 {
        let lease = run.lease().await;
        let text = format!("select pg_sleep({})", f64::from(u32::try_from(round % 5).unwrap()) / 1000.0);
        let patience = Duration::from_micros(round * 37 % 4_000);
        dropped += usize::from(timeout(patience, lease.batch_execute(&text)).await.is_err());
        drop(lease);
        let next = run.lease().await.batch_execute("select pg_sleep(0.001)").await;
        assert!(next.is_ok(), "round {round}: {next:?}");
    }
    assert!(dropped > 50, "{dropped} of 300 were dropped in flight");
    assert!(resets(&run) > 0);
    assert_eq!(run.losses(), [""; 0]);
    run.ends(&server).await;
}

/// What the process and the server have of a pool.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    tasks: usize,
    sockets: usize,
    backends: usize,
}

impl Held {
    fn now(server: &Postgres) -> Self {
        Self {
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
            // By the kernel's table and not /proc/self/fd, in which other tests of this process come and go.
            sockets: sockets_to(server.port()),
            backends: server.backends_of("app").unwrap().len(),
        }
    }
}

async fn borrow_and_drop(pool: Pool, seed: u64) {
    let wait = Duration::from_micros(seed * 7_919 % 6_000);
    let turn = async {
        let lease = pool.get().await.unwrap();
        match seed % 4 {
            0 => drop(lease),
            1 => drop(lease.batch_execute("BEGIN; INSERT INTO t SELECT 1 FROM pg_sleep(0.003)").await),
            2 => drop(lease.query("SELECT pg_sleep(0.002)", &[]).await),
            _ => copy(&lease).await,
        }
    };
    let _dropped = timeout(wait, turn).await;
}

async fn copy(lease: &Lease) {
    let mut sink = Box::pin(lease.copy_in::<_, Bytes>("COPY t FROM STDIN").await.unwrap());
    sink.send(Bytes::from_static(b"1\n")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_dropped_waits_and_statements_leaks_nothing() {
    let server = Postgres::start().unwrap();
    server.psql("CREATE TABLE t (a int); ALTER TABLE t OWNER TO app").unwrap();
    let run = pool_at(&server, |policy| (policy.max_size, policy.waiters_max) = (4, 100_000));
    run.fill(4).await;
    let before = Held::now(&server);
    assert_eq!((before.sockets, before.backends), (4, 4));
    let mut storm = JoinSet::new();
    for seed in 0..1_500 {
        storm.spawn(borrow_and_drop(run.pool().clone(), seed));
        if seed % 8 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    while let Some(ended) = storm.join_next().await {
        ended.unwrap();
    }
    run.rests().await;
    // Every place can be lent at once, which no lost permit would allow.
    run.fill(4).await;
    let mut lent: Vec<_> = Vec::new();
    for _ in 0..4 {
        lent.push(run.served().await);
    }
    let rows: i64 = lent[0].query_one("select count(*) from t", &[]).await.unwrap().get(0);
    assert_eq!(rows, 0, "nothing unfinished became durable");
    drop(lent);
    comes("as much as before", async || (Held::now(&server) == before).then_some(())).await;
    let ambiguous = run.count(|kind| matches!(kind, Kind::LeaseLost(..)));
    assert_eq!(ambiguous, 0, "no borrower lost a session");
    run.ends(&server).await;
}

#[tokio::test]
async fn a_wait_dropped_in_the_moment_it_is_served_gives_the_session_back() {
    let server = Postgres::start().unwrap();
    let run = pool_of_one(&server);
    for _ in 0..200 {
        let lease = run.lease().await;
        let mut wait = Box::pin(run.get_within(SOON));
        assert!(poll_immediate(wait.as_mut()).await.is_none());
        // Granted into a wait that is never polled again.
        drop(lease);
        drop(wait);
        assert_eq!((run.tally().0.online, run.tally().0.leased, run.tally().1), (1, 0, 0));
    }
    assert_eq!(run.dials(), 1);
    run.ends(&server).await;
}

/// The queue of a listener that takes nobody from it: the kernel connects, and nobody ever answers.
#[tokio::test]
async fn a_dial_dropped_while_it_connects_leaves_no_socket() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let database: relink::postgres::Postgres = format!("host=127.0.0.1 port={port} user=app").parse().unwrap();
    let mut dial = Box::pin(database.dial(0, || {}));
    while sockets_to(port) == 0 {
        assert!(poll_immediate(dial.as_mut()).await.is_none());
        tokio::task::yield_now().await;
    }
    drop(dial);
    assert_eq!(sockets_to(port), 0, "nothing had to run for it to be closed");
}

/// The number in the name that the driver has given a statement.
pub(crate) async fn number_of(lease: &Lease, text: &str) -> u32 {
    let row = lease.query_one("SELECT name FROM pg_prepared_statements WHERE statement = $1", &[&text]).await.unwrap();
    row.get::<_, String>(0).trim_start_matches('s').parse().unwrap()
}

#[tokio::test]
async fn statements_that_have_vanished_or_whose_names_are_taken_are_prepared_anew() {
    let server = Postgres::start().unwrap();
    let run = pool_at(&server, |policy| policy.max_size = 1);
    let lease = run.served().await;
    let one = lease.prepare_cached("SELECT 1").await.unwrap();
    lease.query_one(&one, &[]).await.unwrap();
    // As DISCARD ALL does, or a proxy that goes on with another session of the server's.
    lease.batch_execute("DEALLOCATE ALL").await.unwrap();
    let again = lease.prepare_cached("SELECT 1").await.unwrap();
    let error = lease.query_one(&again, &[]).await.unwrap_err();
    assert_eq!((error.fault(), error.cause().code.as_deref()), (Fault::Query, Some("26000")), "{error}");
    let again = lease.prepare_cached("SELECT 1").await.unwrap();
    lease.query_one(&again, &[]).await.unwrap();

    let last = number_of(&lease, "SELECT 1").await;
    let taken: String = (last + 1..=last + 12).map(|n| format!("PREPARE s{n} AS SELECT 2;")).collect();
    // Those of another name are the driver's own by now.
    lease.batch_execute(&taken).await.unwrap();
    let three = lease.prepare_cached("SELECT 3").await.unwrap();
    assert!(number_of(&lease, "SELECT 3").await > last + 12);
    lease.query_one(&three, &[]).await.unwrap();
    drop(lease);
    run.ends(&server).await;
}
