//! Outages: how often the server is dialed, when it is found again, and what is told meanwhile.

use std::{sync::atomic::Ordering, time::Duration};

use relink::{Fault, Span, adapter::State, pool::Event};
use relink_model::bounds;
use tokio::time::Instant;

use crate::script::{Script, Weather, pool, replays, workers};

#[tokio::test(start_paused = true)]
async fn an_outage_by_refusal_stays_within_the_bounds() {
    let script = Script::new();
    let (pool, trace) = pool(&script, |_| {});
    let served = workers(&pool, 64);
    tokio::time::sleep(Duration::from_secs(60)).await;
    for outage in 0..15 {
        tokio::time::sleep(Duration::from_secs(65)).await;
        assert_eq!(pool.status().borrow().state, State::Up, "outage {outage} begins in peace");
        let began = Instant::now();
        script.set(Weather::Refuse);
        script.kill_all();
        tokio::time::sleep(Duration::from_secs(10)).await;
        let up = Instant::now();
        script.set(Weather::Fair);
        let dials = script.dials_since(began);
        assert!(dials.len() <= 37, "{} dials", dials.len());
        tokio::time::sleep(Duration::from_secs(3)).await;
        let served = served.lock().unwrap();
        let first_of = |from: Instant| served.iter().map(move |times| times.iter().find(|at| **at >= from));
        let first = first_of(up).flatten().min().copied().expect("somebody was served");
        let last = first_of(up).map(|at| at.copied().expect("nobody never")).max().unwrap();
        assert!(first - up <= Duration::from_millis(1_250), "first after {:?}", first - up);
        assert!(last - first <= Duration::from_millis(250), "last after {:?}", last - first);
    }
    replays(&trace);
}

#[tokio::test(start_paused = true)]
async fn a_flapping_server_is_paced() {
    let script = Script::new();
    let (pool, trace) = pool(&script, |_| {});
    let _served = workers(&pool, 64);
    tokio::time::sleep(Duration::from_secs(65)).await;
    let began = Instant::now();
    script.set(Weather::Flap);
    script.kill_all();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let dials = script.dials_since(began).len();
    assert!(dials <= 16 + 16 * 60 * 4, "S2b");
    assert!(dials <= 120, "one lead session at a time: {dials}");
    replays(&trace);
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_noticed_and_left_behind() {
    let script = Script::new();
    let (pool, _) = pool(&script, |_| {});
    let served = workers(&pool, 64);
    tokio::time::sleep(Duration::from_secs(65)).await;
    script.set(Weather::Silent);
    script.kill_all();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let cause = pool.status().borrow().cause.clone().expect("an outage has a cause");
    assert_eq!(cause.failure.fault, Fault::TimedOut, "not the loss before: {}", cause.failure);
    script.set(Weather::Fair);
    let healed = Instant::now();
    tokio::time::sleep(Duration::from_secs(40)).await;
    let first =
        served.lock().unwrap().iter().flatten().copied().filter(|at| *at >= healed).min().expect("served again");
    // One dial may have begun just before; then it is served within 10 ms and one step of the script.
    let limit = Duration::from(bounds::recovery_max_overloaded(pool.policy(), Span::from_secs(10)));
    assert!(first - healed <= limit + Duration::from_millis(50), "back after {:?}, limit {limit:?}", first - healed);
}

#[tokio::test(start_paused = true)]
async fn a_refused_password_is_not_tried_for_ever() {
    let script = Script::new();
    script.set(Weather::Denied);
    let (pool, _) = pool(&script, |_| {});
    let error = pool.get().await.expect_err("denied");
    assert_eq!(error.fault(), Fault::Denied);
    let text = error.to_string();
    assert!(text.contains("password refused") && text.contains("script:0") && text.contains("28P01"), "{text}");
    assert_eq!(script.dials.lock().unwrap().len(), 3);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(script.dials.lock().unwrap().len(), 3);
    assert_eq!(pool.status().borrow().state, State::Held(Fault::Denied));
    script.set(Weather::Fair);
    pool.renew();
    pool.get().await.expect("renewed");
}

#[tokio::test(start_paused = true)]
async fn a_connector_that_panics_is_held_until_a_renewal() {
    let script = Script::new();
    script.set(Weather::Panic);
    let (pool, trace) = pool(&script, |_| {});
    let error = pool.get().await.expect_err("there is nobody who dials");
    assert_eq!(error.refusal, relink::Refusal::Held(Fault::Misconfigured));
    assert!(error.to_string().contains("the connector panicked"), "{error}");
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(script.dials.lock().unwrap().len(), 1);
    script.set(Weather::Fair);
    pool.renew();
    drop(pool.get().await.expect("renewed"));
    replays(&trace);
}

#[tokio::test(start_paused = true)]
async fn what_stopped_dialing_stays_the_cause_when_sessions_end_later() {
    let script = Script::new();
    let (pool, _) = pool(&script, |policy| policy.min_idle = 0);
    let lease = pool.get().await.unwrap();
    script.set(Weather::Denied);
    let error = pool.get_within(Duration::from_secs(10)).await.expect_err("one session, and it is lent");
    assert_eq!((error.refusal, error.fault()), (relink::Refusal::Deadline, Fault::Denied));
    script.kill_all();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(lease.death().is_some());
    let error = pool.get().await.expect_err("held");
    let text = error.to_string();
    assert_eq!(error.refusal, relink::Refusal::Held(Fault::Denied));
    assert!(text.contains("password refused") && text.contains("28P01"), "{text}");
    let cause = pool.status().borrow().cause.clone().expect("a cause");
    assert_eq!(cause.failure.fault, Fault::Denied);
}

#[tokio::test(start_paused = true)]
async fn a_silent_first_endpoint_costs_one_hedge() {
    let mut script = Script::new();
    script.endpoints = 2;
    script.silent_first = true;
    let (pool, trace) = pool(&script, |policy| {
        policy.max_size = 1;
        policy.max_idle = 1;
    });
    let asked = Instant::now();
    let lease = pool.get().await.expect("the second endpoint answers");
    assert!(asked.elapsed() < Duration::from_millis(260), "{:?}", asked.elapsed());
    drop(lease);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(script.open.load(Ordering::SeqCst), 1);
    replays(&trace);
}

#[tokio::test(start_paused = true)]
async fn no_next_dial_is_shown_while_the_only_endpoint_is_silent() {
    let script = Script::new();
    script.set(Weather::Silent);
    let (pool, _) = pool(&script, |policy| policy.min_idle = 1);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(pool.status().borrow().next_dial_at, None);
    let waiting = tokio::time::timeout(Duration::from_millis(1), pool.get_within(Duration::from_secs(1))).await;
    assert!(waiting.is_err());
    assert_eq!(pool.status().borrow().next_dial_at, None, "an answer must come first, whoever waits for it");
}

#[tokio::test(start_paused = true)]
async fn an_error_counts_the_dials_of_its_outage_and_no_others() {
    let script = Script::new();
    // By a dial that failed, and by a session that was lost.
    for lost in [false, true] {
        let (pool, _) = pool(&script, |_| {});
        if lost {
            drop(pool.get().await.unwrap());
            // Until no dial is in flight any more.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let began = Instant::now();
        script.set(Weather::Refuse);
        script.kill_all();
        if lost {
            pool.status().wait_for(|status| status.state == State::Down).await.unwrap();
        }
        let error = pool.get_within(Duration::from_secs(10)).await.expect_err("refused");
        assert_eq!(error.dials, script.dials_since(began).len() as u64, "lost: {lost}");
        script.set(Weather::Fair);
    }
}

#[tokio::test(start_paused = true)]
async fn the_timer_wakes_at_most_twice_for_each_dial() {
    let script = Script::new();
    script.set(Weather::Refuse);
    let (pool, trace) = pool(&script, |_| {});
    tokio::time::sleep(Duration::from_secs(60)).await;
    let wakes = trace.steps().iter().filter(|step| step.event == Event::Elapsed).count();
    let dials = script.dials.lock().unwrap().len();
    // Once to start it, and once when the transport of a dial that was refused long since would have been due.
    assert!(dials > 20 && wakes <= 2 * dials, "{wakes} wakes for {dials} dials");
    drop(pool);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_pool_is_seen_to_be_up_when_its_outage_is_forgotten() {
    let script = Script::new();
    let (pool, _) = pool(&script, |_| {});
    let mut status = pool.status();
    status.wait_for(|status| status.state == State::Up).await.unwrap();
    script.kill_all();
    status.wait_for(|status| status.state == State::Down).await.unwrap();
    status.wait_for(|status| status.state == State::Settling).await.unwrap();
    let stable_for = Duration::from(pool.policy().stable_for);
    // Nobody asks for anything, so that nothing but time can be what the pool sees.
    let up = tokio::time::timeout(2 * stable_for, status.wait_for(|status| status.state == State::Up)).await;
    assert!(up.is_ok(), "{:?}", pool.status().borrow());
}

#[tokio::test(start_paused = true)]
async fn an_idle_pool_tells_by_itself_when_an_outage_is_forgotten() {
    let script = Script::new();
    let (pool, trace) = pool(&script, |_| {});
    drop(pool.get().await.unwrap());
    script.kill_all();
    let mut status = pool.status();
    status.wait_for(|status| status.state == State::Settling).await.unwrap();
    let settling = Instant::now();
    let up = tokio::time::timeout(Duration::from_secs(60), status.wait_for(|status| status.state == State::Up)).await;
    assert!(up.is_ok(), "still {:?}", pool.status().borrow().state);
    assert_eq!(settling.elapsed().as_secs(), 30);
    assert_eq!(pool.status().borrow().cause, None);
    replays(&trace);
}
