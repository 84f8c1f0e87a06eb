//! A server that lets everybody in and drops them at once.

use std::time::Duration;

use relink::{Fault, Span};
use relink_model::{
    bounds,
    proxy::{Flap, Mode, Proxy},
};

use super::{
    common::{Outcome, Run, SLACK, brisk_of, url_of},
    crew::Crew,
    support::Postgres,
};

/// How long it goes on.
const FLAPPING: Duration = Duration::from_secs(10);

/// Has 16 sessions and 32 workers meet a server that flaps like this, and heals.
async fn flaps(how: Flap) -> Outcome {
    let server = Postgres::start()?;
    let proxy = Proxy::start(format!("127.0.0.1:{}", server.port()).as_str()).await?;
    let run = Run::start(&url_of(&[proxy.addr().port()], ""), brisk_of(16));
    run.fill(16).await;
    let crew = Crew::start(run.pool(), 32, "SELECT 1");
    crew.all_served(run.now()).await;

    proxy.set(Mode::Flap(how)).await?;
    proxy.take_dials();
    let began = run.now();
    proxy.close_all();
    run.until(began + FLAPPING).await;
    let (ended, seen) = (run.now(), proxy.dials().len());
    let dials = run.dials_between(began, ended);
    proxy.set(Mode::Pass).await?;
    proxy.close_all();
    let healed = run.now();

    let length = Span::from_millis(u64::try_from((ended - began).as_millis())?);
    let bound = usize::try_from(bounds::flapping_max(run.policy(), length))?;
    assert!(dials <= bound && seen <= bound, "S2b: {dials} dials, {seen} seen, at most {bound}");
    // A session that lives for no time is worth a failed dial: it is as if the server refused.
    let refused = bounds::dials_max(run.policy(), length, Fault::Refused).expect("a most") as usize;
    println!("{dials} dials of {refused} in {length}, S2b {bound}");
    assert!(dials >= 5 && dials <= 2 * refused, "{dials} dials, a refusal would cost {refused}\n{}", run.story());
    let within = run.back_within(began, healed);
    let online = run.online(healed).await;
    assert!(online.at <= healed + within + SLACK, "{:?} after {healed:?}, bound {within:?}", online.at);
    crew.all_served(online.at).await;
    crew.stop().await;
    run.goes_through(healed, &["Dialed", "Returned"]);
    run.ends_clean(&[proxy.addr().port()]).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_drops_every_session_at_its_start_is_dialed_as_one_that_refuses() -> Outcome {
    flaps(Flap::AfterReady).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_drops_every_session_after_a_moment_is_dialed_as_one_that_refuses() -> Outcome {
    flaps(Flap::After(Duration::from_millis(60))).await
}
