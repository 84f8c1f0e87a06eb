//! The ends of leases, of pools and of runtimes.

use std::{sync::atomic::Ordering, time::Duration};

use relink::{Refusal, Work, adapter::State};
use tokio::{
    runtime::{Builder, Runtime},
    time::{Instant, timeout},
};

use crate::script::{Script, Weather, pool, replays};

#[tokio::test(start_paused = true)]
async fn closing_waits_for_leases_and_leaves_nothing_open() {
    let script = Script::new();
    let (pool, trace) = pool(&script, |_| {});
    let lease = pool.get().await.unwrap();
    let closing = tokio::spawn({
        let pool = pool.clone();
        async move { pool.close().await }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!closing.is_finished());
    assert!(pool.get().await.is_err());
    drop(lease);
    closing.await.unwrap();
    assert_eq!(script.open.load(Ordering::SeqCst), 0);
    assert_eq!(pool.status().borrow().state, State::Closed);
    replays(&trace);
}

/// The task of a dial is aborted before the runtime has polled it for the first time.
#[tokio::test(start_paused = true)]
async fn a_pool_closes_in_the_instant_in_which_a_dial_starts() {
    let script = Script::new();
    let (pool, trace) = pool(&script, |policy| policy.min_idle = 1);
    let (tally, _) = pool.tally();
    assert_eq!(tally.dialing, 1, "begun when the pool was built");
    let closed = timeout(Duration::from_secs(60), pool.close()).await;
    assert!(closed.is_ok(), "{:?}", pool.tally());
    assert_eq!(script.dials_since(pool.built_at()), []);
    replays(&trace);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_cut_at_the_drain_deadline() {
    let script = Script::new();
    let (pool, _) = pool(&script, |_| {});
    let lease = pool.get().await.unwrap();
    let began = Instant::now();
    pool.close().await;
    assert_eq!(began.elapsed().as_secs(), 30);
    drop(lease);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(script.open.load(Ordering::SeqCst), 0);
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn a_pool_outlives_its_runtime_without_panic() {
    let script = Script::new();
    let runtime = multi_thread();
    let (pool, lease) = runtime.block_on(async {
        let (pool, _) = pool(&script, |_| {});
        let lease = pool.get().await.unwrap();
        (pool, lease)
    });
    drop(runtime);
    drop(lease);
    let error = current_thread().block_on(pool.get()).expect_err("the runtime is gone");
    assert_eq!(error.refusal, Refusal::Stopped);
    drop(pool);
    assert_eq!(script.open.load(Ordering::SeqCst), 0);
}

/// Between two dials there is no task but the timer, and nobody else to tell that nothing will come any more.
#[test]
fn a_runtime_that_ends_in_an_outage_ends_every_wait() {
    for runtime in [current_thread(), multi_thread()] {
        let script = Script::new();
        script.set(Weather::Refuse);
        let (pool, trace) = runtime.block_on(async { pool(&script, |_| {}) });
        let other = multi_thread();
        let begun_before = other.spawn(pool.get());
        runtime.block_on(async {
            let mut status = pool.status();
            status.wait_for(|status| status.state == State::Down && status.next_dial_at.is_some()).await.unwrap();
            while pool.tally().1 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        assert_eq!(pool.tally().0.dialing, 0);
        drop(runtime);
        other.block_on(async {
            for wait in [other.spawn(pool.get()), begun_before] {
                let wait = timeout(Duration::from_secs(5), wait).await.expect("told at once").unwrap();
                assert_eq!(wait.expect_err("the runtime is gone").refusal, Refusal::Stopped);
            }
            timeout(Duration::from_secs(5), pool.close()).await.expect("nothing is left to close");
        });
        replays(&trace);
    }
}

/// The runtime has not even polled the timer once.
#[test]
fn a_runtime_that_ends_before_it_ran_ends_every_wait() {
    let script = Script::new();
    let runtime = current_thread();
    let (pool, _) = runtime.block_on(async { pool(&script, |policy| policy.min_idle = 0) });
    pool.pause();
    drop(runtime);
    let wait = current_thread().block_on(async { timeout(Duration::from_secs(5), pool.get()).await });
    assert_eq!(wait.expect("told at once").expect_err("the runtime is gone").refusal, Refusal::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_pool_leaves_no_task_behind() {
    for closes in [false, true] {
        let script = Script::new();
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let before = tasks();
        let (pool, _) = pool(&script, |_| {});
        drop(pool.get_within(Duration::from_secs(3_600)).await.unwrap());
        if closes {
            pool.close().await;
        }
        drop(pool);
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(tasks(), before, "closed first: {closes}");
        assert_eq!(script.open.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_cut_by_relink_says_so_and_what_it_was_doing() {
    let script = Script::new();
    let (pool, _) = pool(&script, |_| {});
    let mut lease = pool.get().await.unwrap();
    lease.work = Work::Statement { durable: true };
    pool.close().await;
    let death = lease.ended().await;
    assert_eq!(death.failure.to_string(), "relink ended the session (lost)");
    assert_eq!(death.work, Work::Statement { durable: true });
}
