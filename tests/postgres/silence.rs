//! A proxy that resets, or accepts and then stays silent: the peer is there and no server behind it.

use std::time::Duration;

use relink::{Fault, Refusal, adapter::State};
use relink_model::{
    bounds,
    proxy::{Mode, Proxy},
};

use super::{
    common::{Outcome, Run, SLACK, brisk_of, comes, failure, sockets_to, url_of},
    crew::Crew,
    support::Postgres,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resets_are_paced_like_refusals() -> Outcome {
    let server = Postgres::start()?;
    let proxy = Proxy::start(format!("127.0.0.1:{}", server.port()).as_str()).await?;
    let run = Run::start(&url_of(&[proxy.addr().port()], ""), brisk_of(4));
    run.fill(4).await;
    let crew = Crew::start(run.pool(), 8, "SELECT 1");
    crew.all_served(run.now()).await;

    proxy.take_dials();
    let began = run.now();
    proxy.set(Mode::Reset).await?;
    proxy.cut();
    let lost = run.lost(began).await;
    let failed = run.dial_failed(began).await;
    run.until(lost.at + Duration::from_secs(4)).await;
    let seen = proxy.dials().len();
    let up = run.now();
    proxy.set(Mode::Pass).await?;
    let online = run.online(up).await;

    assert_eq!(failure(&lost).1, "errno 104", "{}", run.story());
    assert_eq!(failure(&failed).0, Fault::Refused, "{}", run.story());
    let (dials, _) = run.dials_are_bounded(lost.at, online.at, Fault::Refused);
    // What the pool says of itself is what the other side has seen, give or take the one under way.
    assert!(seen >= 5 && seen.abs_diff(dials) <= 2, "{seen} dials seen, {dials} told\n{}", run.story());
    let within = run.back_within(lost.at, up);
    assert!(online.at <= up + within + SLACK, "{:?} after {up:?}, bound {within:?}", online.at);
    crew.all_served(online.at).await;
    crew.stop().await;
    run.goes_through(began, &["Accepted", "DialFailed Refused", "DialFailed Refused", "Dialed"]);
    run.ends_clean(&[proxy.addr().port()]).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_peer_is_named_and_left_behind_when_it_heals() -> Outcome {
    let server = Postgres::start()?;
    let proxy = Proxy::start(format!("127.0.0.1:{}", server.port()).as_str()).await?;
    let port = proxy.addr().port();
    let run = Run::start(&url_of(&[port], ""), brisk_of(4));
    run.fill(4).await;
    let sockets = sockets_to(port);
    assert_eq!(sockets, 4);

    let began = run.now();
    proxy.set(Mode::Silent).await?;
    proxy.cut();
    let lost = run.lost(began).await;
    // Whoever waits meanwhile is told of the silence, and not of the reset before it.
    let timed_out = run.dial_failed(began).await;
    let error = run.get_within(Duration::from_millis(200)).await.expect_err("the peer is silent");
    assert_eq!((error.refusal, error.fault()), (Refusal::Deadline, Fault::TimedOut), "{error}");
    let text = error.to_string();
    assert!(text.contains(&format!("127.0.0.1:{port}")) && text.contains("silent"), "{text}");
    assert_eq!(failure(&timed_out).0, Fault::TimedOut);
    assert_eq!(run.status().borrow().state, State::Down);

    // The kernel must not be left with a socket for each dial that was given up.
    run.until(lost.at + Duration::from_secs(6)).await;
    assert!(sockets_to(port) <= 1, "{} sockets", sockets_to(port));
    let up = run.now();
    proxy.set(Mode::Pass).await?;
    let waiting = tokio::spawn(run.pool().get_within(super::common::SOON));
    drop(waiting.await??);
    let online = run.online(up).await;

    let outage = relink::Span::from_millis(u64::try_from((up - lost.at).as_millis())?);
    let within: Duration = bounds::recovery_max_overloaded(run.policy(), outage).into();
    assert!(online.at <= up + within + SLACK, "{:?} after {up:?}, bound {within:?}\n{}", online.at, run.story());
    // At most one dial in flight, each with a deadline of 1 s, 2 s, 4 s: seldom more than one a second.
    assert!(run.dials_between(lost.at, up) <= 7, "{}", run.story());
    run.fill(4).await;
    comes("as many sockets as before", async || (sockets_to(port) == sockets).then_some(())).await;
    // The proxy keeps what it has accepted in silence, and its tasks are in this runtime too.
    proxy.cut();
    // What is silent sends no event: its deadlines do.
    run.goes_through(began, &["Lost Lost", "Accepted", "Elapsed", "Gone", "Accepted", "Elapsed", "Gone", "Dialed"]);
    run.ends_clean(&[port]).await;
    Ok(())
}
