//! PgBouncer in transaction mode between the pool and the server.

use relink::{Fault, adapter::State};

use super::{
    common::{Outcome, Run, SLACK, brisk_of},
    crew::Crew,
    support::{PgBouncer, PoolMode, Postgres},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bouncer_that_is_restarted_under_load_is_found_again() -> Outcome {
    let server = Postgres::start()?;
    let bouncer = PgBouncer::start(&server, PoolMode::Transaction)?;
    let run = Run::start(&bouncer.url("app"), brisk_of(8));
    let crew = Crew::start(run.pool(), 16, "SELECT 1");
    crew.all_served(run.now()).await;

    for _ in 0..3 {
        let began = run.now();
        bouncer.stop()?;
        let lost = run.lost(began).await;
        run.dial_failed(began).await;
        run.state(State::Down).await;
        bouncer.start_again()?;
        let up = run.now();
        let online = run.online(lost.at).await;
        run.dials_are_bounded(lost.at, online.at, Fault::Refused);
        let within = run.back_within(lost.at, up);
        assert!(online.at <= up + within + SLACK, "{:?} after {up:?}, bound {within:?}", online.at);
        crew.all_served(online.at).await;
        run.goes_through(began, &["DialFailed Refused", "Dialed"]);
        run.state(State::Up).await;
    }
    let logs = crew.stop().await;
    assert!(logs.iter().all(|log| log.refused.is_empty()), "nobody waited in vain: {logs:?}");
    run.ends_clean(&[bouncer.port()]).await;
    Ok(())
}
