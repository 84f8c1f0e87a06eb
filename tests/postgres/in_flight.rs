//! Callers that wait: on a slow statement, which is left alone, or on a dead socket, which is told from it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use relink::{
    Fault,
    link::Command,
    pool::{ASKERS, Command as Order, Event},
};
use relink_model::proxy::{Mode, Proxy};
use tokio::time::timeout;

use crate::{
    common::{Run, SLACK, SOON, comes, url_of},
    scene::{backend, millis, plain, pool_at, seconds},
    support::{Postgres, Signal},
};

/// The default policy: patience, and as long again for what a kernel may still send, in looks 250 ms apart.
const FREED: Duration = Duration::from_millis(2_500);

fn table(server: &Postgres) {
    server.psql("CREATE TABLE t (a int); ALTER TABLE t OWNER TO app").unwrap();
}

fn rows(server: &Postgres) -> String {
    server.psql("SELECT count(*) FROM t").unwrap()
}

/// How often the pool asked about a session, and how often it was told that nothing is wrong with it.
fn questions(run: &Run) -> (usize, usize) {
    let steps = run.steps();
    let asks = |command: &&Order| matches!(command, Order::Link { command: Command::Ask { .. }, .. });
    let asked = steps.iter().flat_map(|step| &step.commands).filter(asks).count();
    (asked, steps.iter().filter(|step| matches!(step.event, Event::FoundAlive { .. })).count())
}

/// How many sessions were dialed only to ask.
fn askers(run: &Run) -> usize {
    let steps = run.steps();
    let orders = steps.iter().flat_map(|step| &step.commands);
    orders.filter(|order| matches!(order, Order::Dial { slot, .. } if *slot >= ASKERS)).count()
}

fn stop(server: &Postgres, pid: i32) {
    server.kill_backend(u32::try_from(pid).unwrap(), Signal::Stop).unwrap();
}

fn resume(server: &Postgres, pid: i32) {
    server.kill_backend(u32::try_from(pid).unwrap(), Signal::Cont).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_never_arrives_frees_its_caller_and_never_arrives_later() {
    let server = Postgres::start().unwrap();
    table(&server);
    let run = pool_at(&server, |policy| policy.max_size = 1);
    let lease = run.served().await;
    let pid = backend(&lease).await;
    // Sent at once, it could not be told from one whose answer is lost.
    let rests = format!("SELECT clock_timestamp() - state_change > '10 ms' FROM pg_stat_activity WHERE pid = {pid}");
    comes("the server has rested", async || (server.psql(&rests).unwrap() == "t").then_some(())).await;
    // The kernel takes the statement and its process does not: nothing can be seen of that from here.
    stop(&server, pid);
    let sent = Instant::now();
    let error = timeout(SOON, lease.batch_execute("INSERT INTO t VALUES (1)")).await.unwrap().unwrap_err();
    let freed = sent.elapsed();
    assert!(freed < FREED + SLACK, "{freed:?}\n{}", run.story());
    // Whatever the server says, what may be durable is ambiguous; the verdict is in the cause.
    assert_eq!(error.fault(), Fault::Ambiguous, "{error}");
    let cause = error.cause().to_string();
    assert!(cause.contains("has not arrived"), "{cause}");
    assert_eq!(lease.ended().await.failure.fault, Fault::TimedOut);
    assert_eq!(askers(&run), 1, "the one session of the pool is lent");
    drop(lease);
    resume(&server, pid);
    comes("the process has ended", async || {
        (!server.backends_of("app").unwrap().contains(&u32::try_from(pid).unwrap())).then_some(())
    })
    .await;
    assert_eq!(rows(&server), "0", "what was told as lost must not come later");
    drop(run.served().await);
    run.ends(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_ends_undecided_is_put_again_at_once() {
    let server = Postgres::start().unwrap();
    // Too short for two looks, and nobody else is heard of the endpoint.
    let run = pool_at(&server, |policy| (policy.max_size, policy.question_deadline) = (1, millis(600)));
    let lease = run.served().await;
    let pid = backend(&lease).await;
    stop(&server, pid);
    let sent = Instant::now();
    timeout(SOON, lease.batch_execute("SELECT 1")).await.unwrap().unwrap_err();
    let freed = sent.elapsed();
    assert!(freed < FREED + SLACK, "{freed:?}\n{}", run.story());
    assert!(questions(&run).0 > 2, "{}", run.story());
    drop(lease);
    resume(&server, pid);
    drop(run.served().await);
    run.ends(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_statement_is_asked_about_and_left_alone() {
    let server = Postgres::start().unwrap();
    let run = pool_at(&server, |policy| policy.max_size = 2);
    let (slow, idle) = (run.served().await, run.served().await);
    drop(idle);
    slow.batch_execute("SELECT pg_sleep(4)").await.unwrap();
    let (asked, alive) = questions(&run);
    assert!(asked >= 2 && alive == asked, "{asked} questions, {alive} answers\n{}", run.story());
    assert_eq!((askers(&run), run.losses().len()), (0, 0), "the idle session asks");
    drop(slow);
    run.ends(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_or_writes_slowly_is_not_silent() {
    let server = Postgres::start().unwrap();
    table(&server);
    let run = pool_at(&server, |policy| policy.max_size = 2);
    let lease = run.served().await;
    let pause = || tokio::time::sleep(Duration::from_millis(2_500));

    let mut rows_read = 0;
    let stream = lease.query_raw("SELECT repeat('x', 1000) FROM generate_series(1, 60000)", Vec::<i32>::new());
    let mut stream = std::pin::pin!(stream.await.unwrap());
    while let Some(row) = stream.next().await {
        row.unwrap();
        rows_read += 1;
        if rows_read == 10 {
            pause().await;
        }
    }
    assert_eq!(rows_read, 60_000);

    let sink = lease.copy_in("COPY t FROM STDIN").await.unwrap();
    let mut sink = std::pin::pin!(sink);
    sink.send(Bytes::from_static(b"1\n")).await.unwrap();
    pause().await;
    sink.send(Bytes::from_static(b"2\n")).await.unwrap();
    pause().await;
    assert_eq!(sink.finish().await.unwrap(), 2);

    assert_eq!(questions(&run).0, 0, "{}", run.story());
    drop(lease);
    run.ends(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_says_nothing_at_all_frees_its_callers_within_b3() {
    let server = Postgres::start().unwrap();
    table(&server);
    let proxy = Proxy::start(format!("127.0.0.1:{}", server.port()).as_str()).await.unwrap();
    let run = Run::start(&url_of(&[proxy.addr().port()], ""), plain(|policy| policy.max_size = 1));
    let lease = run.served().await;
    proxy.set(Mode::Freeze).await.unwrap();
    let sent = Instant::now();
    let error = timeout(SOON, lease.batch_execute("INSERT INTO t VALUES (1)")).await.unwrap().unwrap_err();
    let freed = sent.elapsed();
    let b3 = Duration::from(relink_model::bounds::silence_max(run.policy()).unwrap());
    assert!(freed < b3 + SLACK, "{freed:?}, B3 {b3:?}\n{}", run.story());
    assert_eq!(error.fault(), Fault::Ambiguous, "{error}");
    assert!(error.cause().to_string().contains("stayed silent"), "{error}");
    drop(lease);
    proxy.set(Mode::Pass).await.unwrap();
    drop(run.served().await);
    run.ends_clean(&[proxy.addr().port()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_has_no_room_for_the_question_is_not_silent() {
    let server =
        Postgres::builder().setting("max_connections", "4").setting("superuser_reserved_connections", "3").start();
    let server = server.unwrap();
    let run = pool_at(&server, |policy| policy.max_size = 1);
    let lease = run.served().await;
    lease.batch_execute("SELECT pg_sleep(7)").await.unwrap();
    assert!(askers(&run) >= 1, "{}", run.story());
    assert!(run.failed_dials().iter().all(|code| code == "53300"), "{}", run.story());
    assert_eq!(run.losses().len(), 0, "{}", run.story());
    drop(lease);
    run.ends(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_told_to_notice_a_client_that_is_gone() {
    let server = Postgres::start().unwrap();
    let run = pool_at(&server, |policy| {
        policy.max_size = 1;
        policy.keepalive_idle = seconds(7);
        policy.tcp_user_timeout = seconds(11);
    });
    let lease = run.served().await;
    let mut shown = Vec::new();
    for name in ["tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout"] {
        shown.push(lease.query_one(&format!("SHOW {name}"), &[]).await.unwrap().get::<_, String>(0));
    }
    assert_eq!(shown, ["7", "2", "2", "11000"]);
    let check = lease.query_one("SHOW client_connection_check_interval", &[]).await.unwrap().get::<_, String>(0);
    assert_eq!(check, "2s");
    drop(lease);
    run.ends(&server).await;
}
