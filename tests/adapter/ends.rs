//! The ends of leases, of pools and of runtimes.

use std::{sync::atomic::Ordering, time::Duration};

use relink::{Work, adapter::State};
use tokio::time::Instant;

use crate::script::{Script, pool, replays};

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
    let closed = tokio::time::timeout(Duration::from_secs(60), pool.close()).await;
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

#[test]
fn a_pool_outlives_its_runtime_without_panic() {
    let script = Script::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (pool, lease) = runtime.block_on(async {
        let (pool, _) = pool(&script, |_| {});
        let lease = pool.get().await.unwrap();
        (pool, lease)
    });
    drop(runtime);
    drop(lease);
    let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = other.block_on(pool.get()).expect_err("the runtime is gone");
    assert_eq!(error.refusal, relink::Refusal::Stopped);
    drop(pool);
    assert_eq!(script.open.load(Ordering::SeqCst), 0);
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
