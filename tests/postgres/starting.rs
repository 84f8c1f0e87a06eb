//! A server that is there and not yet, or no longer, serving: 57P03.

use std::{fs, process::Command, time::Duration};

use relink::{Fault, adapter::State};

use super::{
    common::{Outcome, Run, SLACK, brisk_of, comes, failure, url_of},
    support::{Postgres, Signal, Stop},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_serves_nobody_is_waited_for_until_it_is_promoted() -> Outcome {
    let primary = Postgres::start()?;
    let standby = primary.standby()?;
    // Recovery that lasts until somebody ends it: no race with a server that recovers too fast.
    standby.psql("ALTER SYSTEM SET hot_standby = off")?;
    standby.stop(Stop::Fast)?;
    standby.start_again()?;

    let run = Run::start(&url_of(&[standby.port()], ""), brisk_of(4));
    let failed = run.dial_failed(Duration::ZERO).await;
    let (fault, code, words) = failure(&failed);
    assert_eq!((fault, &*code), (Fault::Starting, "57P03"), "{words}");
    let error = run.get_within(Duration::from_secs(2)).await.expect_err("nobody is served");
    assert_eq!(error.fault(), Fault::Starting);
    assert!(error.to_string().contains("57P03") && error.to_string().contains("not accepting"), "{error}");
    assert_eq!(run.status().borrow().state, State::Down);

    let waiting = tokio::spawn(run.pool().get_within(super::common::SOON));
    primary.stop(Stop::Fast)?;
    fs::write(standby.socket_dir().join("data/promote"), "")?;
    let pid = standby.pid().ok_or("a running standby")?.to_string();
    assert!(Command::new("kill").args(["-s", "USR1", &pid]).status()?.success());
    comes("the promotion", async || standby.psql("SELECT 1").ok()).await;
    let up = run.now();
    let lease = waiting.await??;
    let online = run.online(Duration::ZERO).await;
    assert!(!lease.query_one("SELECT pg_is_in_recovery()", &[]).await?.get::<_, bool>(0));
    run.dials_are_bounded(failed.at, online.at, Fault::Starting);
    let within = run.back_within(failed.at, up);
    assert!(online.at <= up + within + SLACK, "{:?} after {up:?}, bound {within:?}", online.at);
    drop(lease);
    run.goes_through(Duration::ZERO, &["DialFailed Starting", "DialFailed Starting", "Dialed"]);
    run.ends_clean(&[standby.port()]).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_its_time_to_stop_is_told_apart_from_an_absent_one() -> Outcome {
    let server = Postgres::start()?;
    let run = Run::start(&server.url("app"), brisk_of(4));
    run.fill(4).await;
    let began = run.now();
    // The shutdown cannot end before its checkpoint has.
    let checkpointer = server.psql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")?.parse()?;
    server.kill_backend(checkpointer, Signal::Stop)?;
    server.signal(Signal::Int)?;
    let lost = run.lost(began).await;
    assert_eq!(failure(&lost).1, "57P01", "{}", run.story());
    let failed = run.dial_failed(began).await;
    assert_eq!((failure(&failed).0, &*failure(&failed).1), (Fault::Starting, "57P03"), "{}", run.story());
    assert!(failure(&failed).2.contains("shutting down"), "{}", run.story());

    server.kill_backend(checkpointer, Signal::Cont)?;
    server.stop(Stop::Fast)?;
    let stopped = run.now();
    let refused = run.new_dial_failed(stopped).await;
    assert_eq!(failure(&refused).0, Fault::Refused, "{}", run.story());
    let error = run.get_within(Duration::from_millis(10)).await.expect_err("the server is stopped");
    assert_eq!(error.fault(), Fault::Refused, "the last failure is told, not an older one: {error}");
    server.start_again()?;
    let online = run.online(stopped).await;
    run.dials_are_bounded(lost.at, online.at, Fault::Refused);
    run.goes_through(began, &["Lost Lost", "DialFailed Starting", "DialFailed Refused", "Dialed"]);
    run.ends_clean(&[server.port()]).await;
    Ok(())
}
