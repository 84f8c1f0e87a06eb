//! A server that is told to stop: the reason that is told is the server's, not that a connection closed.

use relink::{Fault, adapter::Kind, adapter::State};

use super::{
    common::{Outcome, Run, SLACK, brisk_of, comes, failure},
    support::{Postgres, Stop},
};

/// Stops a server while three sessions are idle and one is at work, and starts it again.
async fn is_told_of(how: Stop, words: &str) -> Outcome {
    let server = Postgres::start()?;
    let run = Run::start(&server.url("app"), brisk_of(4));
    run.fill(4).await;
    let began = run.now();
    let busy = run.lease().await;
    // Work that is in a transaction is known to be lost; a statement of its own might be durable.
    busy.batch_execute("BEGIN").await?;
    let at_work = tokio::spawn(async move {
        let error = busy.batch_execute("SELECT pg_sleep(60)").await.expect_err("the server stops");
        (error.cause().clone(), busy)
    });
    comes("a session at work", async || {
        (server.psql("SELECT 1 FROM pg_stat_activity WHERE usename = 'app' AND state = 'active'").ok()? == "1")
            .then_some(())
    })
    .await;

    server.wait_for_rest("app", 3)?;
    server.stop(how)?;
    let stopped = run.now();
    let (told, busy) = at_work.await?;
    run.state(State::Down).await;
    let lost: Vec<_> = run.since(began).into_iter().filter(|event| matches!(event.kind, Kind::Lost(_))).collect();
    assert_eq!(lost.len(), 4, "{}", run.story());
    for event in &lost {
        let (fault, code, message) = failure(event);
        assert_eq!((fault, &*code), (Fault::Lost, "57P01"), "{message}");
        // PostgreSQL tells a statement in flight itself; what ended the session is known all the same.
        assert!(message.contains(words) || message.contains("the server ended the session"), "{message}");
    }
    run.event("the loss of the lease", began, |event| matches!(event.kind, Kind::LeaseLost(..))).await;
    assert!(told.code.as_deref() == Some("57P01") && told.message.contains(words), "{told}");
    assert!(lost.iter().filter(|event| failure(event).2.contains(words)).count() >= 3, "{}", run.story());
    let death = comes("the reason", async || busy.death().cloned()).await;
    assert_eq!(death.failure.code.as_deref(), Some("57P01"));
    drop(busy);

    // Whoever asks during the outage is told what it is like now, and how long it has been tried.
    run.new_dial_failed(stopped).await;
    let error = run.get_within(std::time::Duration::from_millis(100)).await.expect_err("the server is stopped");
    assert_eq!(error.fault(), Fault::Refused, "{error}");
    let dials = run.dials_between(lost[0].at, run.now());
    assert!(error.dials >= 1 && error.dials <= dials as u64, "{} told, {dials} made\n{}", error.dials, run.story());
    assert!(error.to_string().contains(&format!("127.0.0.1:{}", server.port())), "{error}");

    server.start_again()?;
    let up = run.now();
    let lease = run.lease().await;
    lease.simple_query("SELECT 1").await?;
    let served = run.now();
    let within = run.back_within(lost[0].at, up);
    assert!(served <= up + within + SLACK, "{served:?} after {up:?}, bound {within:?}");
    run.dials_are_bounded(lost[0].at, run.online(lost[3].at).await.at, Fault::Refused);
    drop(lease);
    run.state(State::Up).await;
    assert_eq!(run.status().borrow().cause, None, "a forgotten outage has no cause any more");
    run.goes_through(began, &["Lost Lost", "Lost Lost", "Lost Lost", "Lost Lost", "DialFailed Refused", "Dialed"]);
    run.ends_clean(&[server.port()]).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fast_stop_is_told_in_the_words_of_the_administrator() -> Outcome {
    is_told_of(Stop::Fast, "administrator command").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_immediate_stop_is_told_by_its_notice() -> Outcome {
    is_told_of(Stop::Immediate, "immediate shutdown").await
}
