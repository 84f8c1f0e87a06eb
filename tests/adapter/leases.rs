//! Sessions that are lent, come back in any state, and are kept.

use std::{sync::atomic::Ordering, time::Duration};

use relink::{
    Work,
    adapter::{Kind, State},
    pool::Event,
};
use tokio::time::Instant;

use crate::script::{Script, pool, replays};

#[tokio::test(start_paused = true)]
async fn a_quiet_pool_that_wants_nothing_is_idle() {
    let script = Script::new();
    let (pool, _) = pool(&script, |policy| policy.min_idle = 0);
    let mut status = pool.status();
    let state = || pool.status().borrow().state;
    assert_eq!(state(), State::Idle);
    let wait = tokio::time::timeout(Duration::from_millis(1), pool.get()).await;
    assert!(wait.is_err(), "a dial takes longer");
    assert_eq!(state(), State::Connecting, "the dial goes on without who asked for it");
    status.wait_for(|status| status.state == State::Up).await.unwrap();
    // `idle_max` is 10 min.
    status.wait_for(|status| status.state == State::Idle).await.unwrap();
    assert_eq!(script.open.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_told_of_a_lease_says_where_it_was_acquired() {
    let script = Script::new();
    let (pool, _) = pool(&script, |policy| (policy.max_size, policy.max_idle) = (1, 1));
    let mut events = pool.events();
    let _lease = pool.get().await.unwrap();
    let refused = pool.get_within(Duration::from_millis(5));
    let line = line!() - 1;
    refused.await.expect_err("one session, and it is lent");
    script.kill_all();
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        if matches!(event.kind, Kind::Refused(..) | Kind::LeaseLost(..)) {
            told.push((event.acquired.unwrap().line(), event.to_string()));
        }
    }
    let lines: Vec<_> = told.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [line, line - 1], "{told:?}");
    assert!(told[0].1.ends_with(&format!("acquired at {}:{line}:24", file!())), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dirty_session_is_cleaned_before_the_next_borrower_has_it() {
    let script = Script::new();
    let (pool, _) = pool(&script, |policy| {
        policy.max_size = 1;
        policy.max_idle = 1;
    });
    let mut lease = pool.get().await.unwrap();
    lease.work = Work::InTransaction;
    drop(lease);
    let lease = pool.get().await.unwrap();
    assert_eq!(lease.work, Work::AtRest);
    assert_eq!(script.opened.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn the_least_is_kept_however_long_it_is_idle_and_is_asked_meanwhile() {
    let script = Script::new();
    let (pool, trace) = pool(&script, |policy| {
        policy.min_idle = 2;
        policy.lifetime_max = None;
    });
    let leases = [pool.get().await.unwrap(), pool.get().await.unwrap(), pool.get().await.unwrap()];
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(leases);
    assert_eq!(script.open.load(Ordering::SeqCst), 5);
    // `idle_max` is 10 min.
    tokio::time::sleep(Duration::from_secs(599)).await;
    assert_eq!(script.open.load(Ordering::SeqCst), 5);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(script.open.load(Ordering::SeqCst), 2);
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!((script.open.load(Ordering::SeqCst), script.opened.load(Ordering::SeqCst)), (2, 5));
    replays(&trace);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_comes_back_ended_is_lent_to_nobody() {
    let script = Script::new();
    let (pool, _) = pool(&script, |policy| {
        policy.max_size = 1;
        policy.max_idle = 1;
    });
    let mut lease = pool.get().await.unwrap();
    lease.ended = true;
    // Its life has not told so yet.
    drop(lease);
    assert!(pool.get_within(Duration::ZERO).await.is_err());
    script.kill_all();
    assert!(!pool.get().await.unwrap().ended);
    assert_eq!(script.opened.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_borrower_can_wait_for_the_reason_of_the_end() {
    let script = Script::new();
    let (pool, _) = pool(&script, |_| {});
    let lease = pool.get().await.unwrap();
    let silent = tokio::time::timeout(Duration::from_secs(60), lease.ended()).await;
    assert!(silent.is_err(), "it lives");
    script.kill_all();
    assert!(lease.death().is_none(), "its life has not been told so yet");
    assert_eq!(lease.ended().await.failure.code.as_deref(), Some("57P01"));
    assert!(lease.death().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_discarded_session_is_closed_and_starts_no_outage() {
    let script = Script::new();
    let (pool, trace) = pool(&script, |policy| policy.min_idle = 0);
    let lease = pool.get().await.unwrap();
    lease.discard();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(script.open.load(Ordering::SeqCst), 0, "it is closed");
    assert_eq!(pool.status().borrow().cause, None, "and nothing was lost");
    let discards = trace.steps().iter().filter(|step| matches!(step.event, Event::Discarded { .. })).count();
    assert_eq!(discards, 1);
    let started = Instant::now();
    drop(pool.get().await.unwrap());
    assert!(started.elapsed() < Duration::from_millis(100), "nothing holds up the next dial");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_wait_loses_nothing() {
    let script = Script::new();
    let (pool, trace) = pool(&script, |policy| {
        policy.max_size = 2;
        policy.max_idle = 2;
    });
    for round in 0..200_u64 {
        let pool = pool.clone();
        tokio::spawn(async move {
            let wait = Duration::from_millis(round % 7);
            if let Ok(Ok(lease)) = tokio::time::timeout(wait, pool.get()).await {
                tokio::time::sleep(Duration::from_millis(round % 5)).await;
                drop(lease);
            }
        });
        if round % 3 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (tally, waiters) = pool.tally();
    assert_eq!((tally.online, tally.leased, waiters), (2, 0, 0));
    replays(&trace);
}
