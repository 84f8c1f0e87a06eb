//! How sessions are lent, kept and retired: limits, order, lifetimes, validation, resizing, pausing, ending.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use relink::{
    Fault, OnDown, Refusal, Validate,
    adapter::{Kind, State},
    link::Command as Told,
    pool::Command,
};
use tokio::task::JoinSet;

use crate::{
    common::{Run, SOON, comes, sockets_to},
    scene::{backend, endpoint, millis, no_backend, plain, pool_at, seconds, terminate_all},
    support::{Postgres, Stop},
};

#[tokio::test]
async fn an_idle_session_that_the_server_ends_is_replaced_and_its_code_told() {
    let server = Postgres::start().unwrap();
    server.psql("ALTER ROLE app SET idle_session_timeout = '300ms'").unwrap();
    let run = pool_at(&server, |policy| policy.stable_for = millis(100));
    drop(run.served().await);
    comes("the server ends it", async || (run.losses() == ["57P05"]).then_some(())).await;
    assert_eq!(run.tally().0.online, 0);
    drop(run.served().await);
    assert_eq!(run.dials(), 2);
    let text = run.story();
    assert!(text.contains("idle-session timeout (lost, 57P05)"), "{text}");
    run.ends(&server).await;
}

#[tokio::test]
async fn a_transaction_left_idle_is_ended_by_the_server_and_is_lost_not_ambiguous() {
    let server = Postgres::start().unwrap();
    server.psql("ALTER ROLE app SET idle_in_transaction_session_timeout = '300ms'").unwrap();
    let run = pool_at(&server, |policy| policy.max_size = 1);
    let lease = run.served().await;
    lease.batch_execute("BEGIN").await.unwrap();
    comes("the server ends it", async || (run.losses() == ["25P03"]).then_some(())).await;
    let error = lease.batch_execute("select 1").await.unwrap_err();
    let failure = error.cause();
    assert_eq!((failure.fault, failure.code.as_deref()), (Fault::Lost, Some("25P03")), "{failure}");
    assert!(failure.message.contains("idle-in-transaction timeout"), "{failure}");
    assert_eq!(run.count(|kind| matches!(kind, Kind::LeaseLost(_, Fault::Lost))), 1);
    drop(lease);
    drop(run.served().await);
    run.ends(&server).await;
}

#[tokio::test]
async fn a_wait_on_an_exhausted_pool_says_how_many_are_lent_and_waiting() {
    let server = Postgres::start().unwrap();
    let run = pool_at(&server, |policy| (policy.max_size, policy.waiters_max) = (2, 2));
    let lent = (run.served().await, run.served().await);
    let waiters: Vec<_> = (0..2)
        .map(|_| {
            let wait = run.get_within(SOON);
            tokio::spawn(async move { wait.await.map(drop) })
        })
        .collect();
    comes("two waiters", async || (run.tally().1 == 2).then_some(())).await;
    let full = run.get().await.expect_err("two wait already");
    assert_eq!((full.refusal, full.fault(), full.leased, full.waiters), (Refusal::Full, Fault::Overloaded, (2, 2), 2));
    assert!(full.to_string().contains("`waiters_max` others wait already (2)"), "{full}");
    assert!(full.to_string().contains("2 of 2 sessions are lent"), "{full}");
    drop(lent);
    for waiter in waiters {
        waiter.await.unwrap().expect("a session that was given back");
    }
    let lent = (run.served().await, run.served().await);
    let late = run.get_within(Duration::from_millis(50)).await.expect_err("both are lent");
    assert_eq!((late.refusal, late.leased, late.waiters), (Refusal::Deadline, (2, 2), 0));
    // Deadlines are whole milliseconds.
    assert!(late.waited >= Duration::from_millis(49) && late.waited < SOON, "{late}");
    assert!(late.to_string().contains("2 of 2 sessions are lent"), "{late}");
    // With no time at all nobody waits, neither for a session nor for a dial.
    let now = run.get_within(Duration::ZERO).await.expect_err("both are lent");
    assert_eq!((now.refusal, now.waiters), (Refusal::Deadline, 0));
    drop(lent);
    drop(run.get_within(Duration::ZERO).await.expect("one is free"));
    assert_eq!(run.dials(), 2);
    run.ends(&server).await;
}

#[tokio::test]
async fn who_asked_first_is_served_first() {
    let server = Postgres::start().unwrap();
    let run = pool_at(&server, |policy| policy.max_size = 1);
    let lent = run.served().await;
    let (order, served) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut waiters = JoinSet::new();
    for place in 0..32 {
        let (wait, order, served) = (run.get_within(SOON), order.clone(), served.clone());
        waiters.spawn(async move {
            let lease = wait.await.unwrap();
            if order.fetch_add(1, Ordering::SeqCst) == place {
                served.fetch_add(1, Ordering::SeqCst);
            }
            lease.batch_execute("select 1").await.unwrap();
        });
        comes("the waiter is in the queue", async || (run.tally().1 == place + 1).then_some(())).await;
    }
    drop(lent);
    while let Some(waiter) = waiters.join_next().await {
        waiter.unwrap();
    }
    assert_eq!(served.load(Ordering::SeqCst), 32);
    run.ends(&server).await;
}

#[tokio::test]
async fn sixty_four_tasks_on_sixteen_sessions_are_served_alike() {
    let server = Postgres::builder().setting("max_connections", "40").start().unwrap();
    let run = pool_at(&server, |_| {});
    run.fill(16).await;
    let end = Instant::now() + Duration::from_secs(3);
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let pool = run.pool().clone();
        tasks.spawn(async move {
            let mut served = 0_u32;
            while Instant::now() < end {
                let lease = pool.get().await.unwrap();
                lease.batch_execute("select pg_sleep(0.002)").await.unwrap();
                served += 1;
            }
            served
        });
    }
    let mut counts = Vec::new();
    while let Some(served) = tasks.join_next().await {
        counts.push(served.unwrap());
    }
    let (most, least) = (*counts.iter().max().unwrap(), *counts.iter().min().unwrap());
    // A task may be one turn ahead; beyond that FIFO leaves nothing to luck.
    assert!(f64::from(most - 1) <= 1.2 * f64::from(least), "most {most}, least {least}");
    assert_eq!(run.dials(), 16);
    run.ends(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fail_fast_tells_everybody_at_once_while_the_server_is_down() {
    let server = Postgres::start().unwrap();
    let run = pool_at(&server, |policy| {
        policy.on_down = OnDown::FailFast;
        (policy.min_idle, policy.max_size) = (1, 2);
        (policy.w0, policy.stable_for) = (millis(100), seconds(1));
    });
    drop(run.served().await);
    run.rests().await;
    server.stop(Stop::Fast).unwrap();
    run.state(State::Down).await;
    for _ in 0..10 {
        let error = run.get().await.expect_err("down");
        assert_eq!(error.refusal, Refusal::Down, "{error}");
        let text = error.to_string();
        assert!(text.contains("fail_fast") && text.contains(&endpoint(&run)), "{text}");
    }
    assert_eq!(run.count(|kind| matches!(kind, Kind::Refused(_, Refusal::Down))), 10);
    server.start_again().unwrap();
    run.rests_with(1).await;
    drop(run.served().await);
    run.ends(&server).await;
}

#[tokio::test]
async fn sessions_live_no_longer_than_they_may_and_no_lease_is_cut_for_it() {
    let server = Postgres::start().unwrap();
    let run = pool_at(&server, |policy| {
        (policy.stable_for, policy.lifetime_max) = (millis(50), Some(millis(500)));
        policy.max_size = 2;
    });
    let (kept, other) = (run.served().await, run.served().await);
    let pid = backend(&kept).await;
    drop(other);
    comes("the one at rest is retired", async || (server.backends_of("app").unwrap().len() == 1).then_some(())).await;
    let lifetime = Duration::from_millis(600);
    comes("the lent one is overdue too", async || (run.now() > lifetime * 2).then_some(())).await;
    assert_eq!(backend(&kept).await, pid);
    drop(kept);
    comes("it is retired when it comes back", async || server.backends_of("app").unwrap().is_empty().then_some(()))
        .await;
    assert_eq!(run.losses(), [""; 0]);
    assert_eq!(run.state_now(), State::Idle);
    drop(run.served().await);
    assert_eq!(run.dials(), 3);
    run.ends(&server).await;
}

#[tokio::test]
async fn idle_sessions_are_retired_down_to_the_least() {
    let server = Postgres::start().unwrap();
    let run = pool_at(&server, |policy| {
        (policy.min_idle, policy.max_size, policy.idle_max) = (2, 6, Some(millis(400)));
        policy.stable_for = millis(50);
    });
    run.fill(6).await;
    run.rests_with(2).await;
    // The least is kept: not ended and dialed anew each time that it has been idle for so long.
    let (dials, least) = (run.dials(), server.backends_of("app").unwrap());
    let until = run.now() + Duration::from_millis(1_500);
    run.until(until).await;
    assert_eq!((run.dials(), server.backends_of("app").unwrap()), (dials, least), "{}", run.story());
    run.ends(&server).await;
}

/// How often the pool has asked a session before lending it.
fn probes(run: &Run) -> usize {
    let commands = run.steps().into_iter().flat_map(|step| step.commands);
    commands.filter(|command| matches!(command, Command::Link { command: Told::Probe { .. }, .. })).count()
}

#[tokio::test]
async fn validation_costs_the_round_trips_that_were_asked_for() {
    let server = Postgres::start().unwrap();
    for (validate, stale_after, expected) in [
        (Validate::Always, seconds(600), 20),
        (Validate::Stale, seconds(600), 0),
        (Validate::Stale, millis(0), 20),
        (Validate::Never, millis(0), 0),
    ] {
        let run = pool_at(&server, |policy| {
            (policy.max_size, policy.validate, policy.stale_after) = (1, validate, stale_after);
        });
        drop(run.served().await);
        let before = probes(&run);
        for _ in 0..20 {
            drop(run.served().await);
        }
        assert_eq!(probes(&run) - before, expected, "{validate:?}, stale after {stale_after:?}");
        run.ends(&server).await;
    }
}

#[tokio::test]
async fn a_stale_session_that_died_unnoticed_is_replaced_before_anybody_gets_it() {
    let server = Postgres::start().unwrap();
    let run = pool_at(&server, |policy| (policy.max_size, policy.validate) = (1, Validate::Always));
    for _ in 0..5 {
        drop(run.served().await);
        terminate_all(&server);
        // Asked in the same instant: whether the end or the question comes first is not ours to say.
        drop(run.served().await);
    }
    run.ends(&server).await;
}

#[tokio::test]
async fn a_lease_held_for_long_is_told_with_the_place_that_acquired_it() {
    let server = Postgres::start().unwrap();
    let run = pool_at(&server, |policy| policy.lease_warn = Some(millis(100)));
    let line = line!() + 1;
    let lease = run.get().await.unwrap();
    let id = lease.id();
    let event = run.event("a warning", Duration::ZERO, |event| matches!(event.kind, Kind::LeaseLong(..))).await;
    let (Kind::LeaseLong(warned), Some(at)) = (&event.kind, event.acquired) else { unreachable!() };
    assert_eq!((*warned, at.line()), (id, line));
    assert!(at.file().ends_with("sessions.rs"), "{at}");
    assert!(event.to_string().contains("sessions.rs"), "{event}");
    let until = run.now() + Duration::from_millis(500);
    run.until(until).await;
    assert_eq!(run.count(|kind| matches!(kind, Kind::LeaseLong(..))), 1, "once");
    assert_eq!(lease.query_one("select 7", &[]).await.unwrap().get::<_, i32>(0), 7);
    drop(lease);
    run.ends(&server).await;
}

#[tokio::test]
async fn a_pool_grows_and_shrinks_and_cuts_no_lease() {
    let server = Postgres::start().unwrap();
    let run = pool_at(&server, |policy| policy.max_size = 4);
    let mut lent = Vec::new();
    for _ in 0..4 {
        lent.push(run.served().await);
    }
    assert!(run.get_within(Duration::from_millis(20)).await.is_err());
    run.resize(6);
    lent.push(run.served().await);
    lent.push(run.served().await);
    run.resize(2);
    for lease in &lent {
        assert_eq!(lease.query_one("select 7", &[]).await.unwrap().get::<_, i32>(0), 7);
    }
    let error = run.get_within(Duration::from_millis(20)).await.expect_err("six of two are lent");
    assert!(error.to_string().contains("6 of 2 sessions are lent"), "{error}");
    drop(lent);
    run.rests_with(2).await;
    comes("two are left", async || (server.backends_of("app").unwrap().len() == 2).then_some(())).await;
    assert_eq!(run.losses(), [""; 0]);
    run.ends(&server).await;
}

#[tokio::test]
async fn a_paused_pool_serves_nobody_and_its_leases_go_on() {
    let server = Postgres::start().unwrap();
    let run = pool_at(&server, |_| {});
    let lent = run.served().await;
    drop(run.served().await);
    run.pause();
    let wait = run.get_within(SOON);
    let waiter = tokio::spawn(async move { wait.await.map(drop) });
    comes("a waiter", async || (run.tally().1 == 1).then_some(())).await;
    assert!(run.get_within(Duration::ZERO).await.is_err());
    assert_eq!(lent.query_one("select 7", &[]).await.unwrap().get::<_, i32>(0), 7);
    drop(lent);
    assert_eq!((run.tally().1, run.dials()), (1, 2));
    run.resume();
    waiter.await.unwrap().expect("served after the pause");
    assert_eq!(run.dials(), 2);
    run.ends(&server).await;
}

#[tokio::test]
async fn the_last_handle_closes_everything() {
    let server = Postgres::start().unwrap();
    let run = pool_at(&server, |_| {});
    let (lent, other) = (run.served().await, run.served().await);
    drop(other);
    let status = run.status();
    run.replays();
    drop(run);
    // A lease is a handle too: its borrower goes on, and gives it back to nobody.
    assert_eq!(lent.query_one("select 7", &[]).await.unwrap().get::<_, i32>(0), 7);
    drop(lent);
    no_backend(&server).await;
    comes("no socket is left", async || (sockets_to(server.port()) == 0).then_some(())).await;
    assert!(status.has_changed().is_err(), "its status ends with the pool");
}

#[tokio::test]
async fn a_discarded_session_is_never_lent_again() {
    let server = Postgres::start().unwrap();
    let run = pool_at(&server, |policy| policy.max_size = 1);
    let lease = run.served().await;
    let pid = backend(&lease).await;
    lease.discard();
    let lease = run.served().await;
    assert_ne!(backend(&lease).await, pid);
    drop(lease);
    comes("the first is gone", async || (server.backends_of("app").unwrap().len() == 1).then_some(())).await;
    // Its end was wished for: no loss, no outage, no wait before the next dial.
    assert_eq!(run.count(|kind| matches!(kind, Kind::Lost(_) | Kind::LeaseLost(..) | Kind::State(State::Down))), 0);
    run.ends(&server).await;
}

#[tokio::test]
async fn the_least_is_kept_ready_and_restored() {
    let server = Postgres::start().unwrap();
    let policy = plain(|policy| (policy.min_idle, policy.w0) = (3, millis(100)));
    let run = Run::start(&server.url("app"), policy);
    run.rests_with(3).await;
    let lent = run.served().await;
    comes("three beside the one that is lent", async || (run.tally().0.online == 3).then_some(())).await;
    assert_eq!(run.dials(), 4);
    drop(lent);
    terminate_all(&server);
    comes("all four are lost", async || (run.losses().len() == 4).then_some(())).await;
    run.rests_with(3).await;
    run.ends(&server).await;
}
