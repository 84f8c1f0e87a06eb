//! Sessions, backends and postmasters that are killed.

use relink::{
    Fault,
    adapter::{Kind, State},
};

use super::{
    common::{Outcome, Run, brisk_of, comes, failure},
    crew::Crew,
    support::{Postgres, Signal},
};

/// A policy that keeps all of its four sessions, so that a loss is replaced though nobody waits.
fn keeping() -> relink::Policy {
    let mut policy = brisk_of(4);
    policy.min_idle = 4;
    policy
}

fn losses(run: &Run, from: std::time::Duration) -> Vec<relink::adapter::Event> {
    run.since(from).into_iter().filter(|event| matches!(event.kind, Kind::Lost(_))).collect()
}

async fn pid_of(lease: &relink::postgres::Lease) -> Result<i32, tokio_postgres::Error> {
    Ok(lease.query_one("SELECT pg_backend_pid()", &[]).await?.get(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminated_idle_session_is_replaced_and_nobody_else_notices() -> Outcome {
    let server = Postgres::start()?;
    let run = Run::start(&server.url("app"), keeping());
    run.fill(4).await;
    let began = run.now();
    let victim = server.backends_of("app")?[0];
    server.psql(&format!("SELECT pg_terminate_backend({victim})"))?;
    let lost = run.lost(began).await;
    run.online(lost.at).await;

    assert_eq!((failure(&lost).0, &*failure(&lost).1), (Fault::Lost, "57P01"));
    assert_eq!(losses(&run, began).len(), 1, "{}", run.story());
    assert_eq!(run.dials_between(began, run.now()), 1, "{}", run.story());
    assert!(!run.story().contains("dial failed") && !run.story().contains("state: down"), "{}", run.story());
    comes("four again", async || (server.backends_of("app").ok()?.len() == 4).then_some(())).await;
    assert!(!server.backends_of("app")?.contains(&victim));
    run.state(State::Up).await;
    run.goes_through(began, &["Lost Lost", "Gone", "Dialed"]);
    run.ends_clean(&[server.port()]).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminated_leased_session_is_told_to_its_borrower_and_replaced_for_the_next() -> Outcome {
    let server = Postgres::start()?;
    let run = Run::start(&server.url("app"), keeping());
    let (mine, others) = (run.lease().await, [run.lease().await, run.lease().await, run.lease().await]);
    let began = run.now();
    let victim = pid_of(&mine).await?;
    let next = tokio::spawn(run.pool().get_within(super::common::SOON));
    server.psql(&format!("SELECT pg_terminate_backend({victim})"))?;
    let next = next.await??;

    assert_ne!(pid_of(&next).await?, victim);
    let error = mine.simple_query("SELECT 1").await.expect_err("terminated");
    let told = error.cause();
    assert_eq!((told.fault, told.code.as_deref()), (Fault::Lost, Some("57P01")), "{told}");
    for other in &others {
        other.simple_query("SELECT 1").await?;
    }
    let reports = run.since(began).into_iter().filter(|event| matches!(event.kind, Kind::LeaseLost(..)));
    assert_eq!((reports.count(), losses(&run, began).len()), (1, 1), "{}", run.story());
    assert_eq!(run.dials_between(began, run.now()), 1, "{}", run.story());
    assert!(!run.story().contains("state: down"), "{}", run.story());
    drop((mine, others, next));
    run.goes_through(began, &["Asked", "Lost Lost", "Gone", "Dialed", "Returned"]);
    run.ends_clean(&[server.port()]).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_backend_takes_all_sessions_along_and_the_reason_is_told() -> Outcome {
    let server = Postgres::start()?;
    let run = Run::start(&server.url("app"), keeping());
    run.fill(4).await;
    server.wait_for_rest("app", 4)?;
    let began = run.now();
    server.kill_backend(server.backends_of("app")?[0], Signal::Kill)?;
    let lost = run.lost(began).await;
    run.online(lost.at).await;
    let crew = Crew::start(run.pool(), 8, "SELECT 1");
    crew.all_served(run.now()).await;
    crew.stop().await;

    // The killed one had no time for words; the server has its sisters say why they must go.
    let codes: Vec<String> = losses(&run, began).iter().take(4).map(|event| failure(event).1).collect();
    assert_eq!(codes.iter().filter(|code| *code == "57P02").count(), 3, "{codes:?}\n{}", run.story());
    let online = run.online(lost.at).await;
    run.dials_are_bounded(lost.at, online.at, Fault::Refused);
    run.state(State::Up).await;
    run.goes_through(began, &["Lost Lost", "Lost Lost", "Lost Lost", "Lost Lost", "Dialed"]);
    run.ends_clean(&[server.port()]).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_postmaster_is_an_outage_until_it_is_started_again() -> Outcome {
    let server = Postgres::start()?;
    let run = Run::start(&server.url("app"), keeping());
    run.fill(4).await;
    let began = run.now();
    server.kill9()?;
    run.state(State::Down).await;
    run.dial_failed(began).await;
    let lost = losses(&run, began);
    assert_eq!(lost.len(), 4, "{}", run.story());
    for event in &lost {
        assert_eq!(failure(event).1, "57P01", "{}", run.story());
        assert!(failure(event).2.contains("postmaster"), "{}", run.story());
    }
    server.start_again()?;
    let up = run.now();
    let online = run.online(lost[3].at).await;
    let within = run.back_within(lost[0].at, up);
    assert!(online.at <= up + within + super::common::SLACK, "{}", run.story());
    run.dials_are_bounded(lost[0].at, online.at, Fault::Refused);
    run.state(State::Up).await;
    run.fill(4).await;
    run.goes_through(began, &["Lost Lost", "DialFailed Refused", "Dialed"]);
    run.ends_clean(&[server.port()]).await;
    Ok(())
}
