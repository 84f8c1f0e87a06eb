//! Many workers and few sessions: when the server is back, everybody is served, and soon.

use std::time::Duration;

use relink::{Fault, adapter::State};

use super::{
    common::{Outcome, Run, SLACK, brisk_of},
    crew::Crew,
    support::{Postgres, Stop},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_workers_the_last_is_served_soon_after_the_first() -> Outcome {
    let server = Postgres::builder().setting("max_connections", "40").start()?;
    let run = Run::start(&server.url("app"), brisk_of(16));
    run.fill(16).await;
    // 10 ms of work: 64 workers need 40 ms of 16 sessions.
    let crew = Crew::start(run.pool(), 64, "SELECT pg_sleep(0.01)");
    crew.all_served(run.now()).await;

    let began = run.now();
    server.stop(Stop::Fast)?;
    let lost = run.lost(began).await;
    run.until(lost.at + Duration::from_secs(3)).await;
    let back = run.now();
    server.start_again()?;
    let up = run.now();
    let online = run.online(back).await;
    let (first, last) = crew.all_served(online.at).await;
    let within = run.back_within(lost.at, up);
    println!("up {up:?}, online {:?}, first {first:?}, last {last:?}", online.at);
    assert!(first <= up + within + SLACK, "{first:?} after {up:?}, bound {within:?}");
    assert!(last - first <= Duration::from_millis(250) + SLACK, "{:?}\n{}", last - first, run.story());
    run.dials_are_bounded(lost.at, online.at, Fault::Refused);
    // A ramp is no storm: one dial for each session.
    assert!(run.dials_between(online.at, last) <= 16, "{}", run.story());
    run.state(State::Up).await;
    let logs = crew.stop().await;
    assert!(logs.iter().all(|log| log.refused.is_empty()), "nobody waited in vain");
    run.goes_through(began, &["DialFailed Refused", "Dialed", "Returned", "Dialed", "Returned"]);
    run.ends_clean(&[server.port()]).await;
    Ok(())
}
