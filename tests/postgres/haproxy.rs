//! HAProxy in mode `tcp` between the pool and a primary with its standby: one address, and whoever is up behind it.

use std::time::Duration;

use relink::{
    Fault,
    adapter::{Event, Kind, State},
};

use super::{
    common::{Outcome, Run, SLACK, brisk_of, failure},
    crew::Crew,
    support::{HaProxy, Postgres},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_behind_the_proxy_is_asked_who_it_is() -> Outcome {
    let primary = Postgres::start()?;
    let standby = primary.standby()?;
    let proxy = HaProxy::start(&[&primary, &standby])?;
    let run = Run::start(&format!("{}?target_session_attrs=read-write", proxy.url()), brisk_of(4));
    let crew = Crew::start(run.pool(), 8, "CREATE TEMP TABLE IF NOT EXISTS written (n int)");
    crew.all_served(run.now()).await;
    assert!(run.lease().await.direct(), "the process is the one that the key is of");

    // The proxy goes over to the standby, which is the same address and nobody that takes writes.
    let began = run.now();
    primary.kill9()?;
    let standing_by = |event: &Event| matches!(event.kind, Kind::DialFailed(_)) && failure(event).0 == Fault::WrongRole;
    run.event("a wrong role", began, standing_by).await;
    standby.promote()?;
    let up = run.now();
    let online = run.online(up.saturating_sub(Duration::from_millis(1))).await;
    let within = run.back_within(began, up);
    assert!(online.at <= up + within + SLACK, "{:?} after {up:?}, bound {within:?}\n{}", online.at, run.story());
    crew.all_served(online.at).await;
    let logs = crew.stop().await;
    assert!(logs.iter().all(|log| log.failed.iter().all(|text| !text.contains("read-only"))), "{logs:?}");
    run.ends_clean(&[proxy.port()]).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_with_nobody_behind_it_is_not_hammered() -> Outcome {
    let server = Postgres::start()?;
    let proxy = HaProxy::start(&[&server])?;
    let run = Run::start(&proxy.url(), brisk_of(4));
    let crew = Crew::start(run.pool(), 8, "SELECT 1");
    crew.all_served(run.now()).await;
    let began = run.now();
    server.kill9()?;
    let lost = run.lost(began).await;
    run.state(State::Down).await;
    // It accepts and closes.
    run.dial_failed(lost.at).await;
    run.until(lost.at + Duration::from_secs(3)).await;
    server.start_again()?;
    let online = run.online(lost.at).await;
    crew.all_served(online.at).await;
    run.dials_are_bounded(lost.at, online.at, Fault::Refused);
    let logs = crew.stop().await;
    assert!(logs.iter().all(|log| log.refused.is_empty()), "nobody waited in vain: {logs:?}");
    run.ends_clean(&[proxy.port()]).await;
    Ok(())
}
