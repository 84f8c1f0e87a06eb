//! The server is away and its port closed: every dial is refused at once.

use std::time::Duration;

use relink::{Fault, adapter::State};

use super::{
    common::{Outcome, Run, SLACK, brisk_of, failure},
    crew::Crew,
    support::{Postgres, Stop},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_server_is_dialed_within_the_bound_and_found_within_it() -> Outcome {
    let server = Postgres::start()?;
    let run = Run::start(&server.url("app"), brisk_of(4));
    run.fill(4).await;
    run.state(State::Up).await;
    let crew = Crew::start(run.pool(), 8, "SELECT 1");
    crew.all_served(run.now()).await;

    let began = run.now();
    server.stop(Stop::Fast)?;
    // A dial before this may be told that it is shutting down.
    let stopped = run.now();
    let lost = run.lost(began).await;
    run.state(State::Down).await;
    let refused = run.new_dial_failed(stopped).await;
    // Long enough for the windows to grow above their floor: 0.085 of 4 s is more than 100 ms.
    run.until(lost.at + Duration::from_secs(4)).await;
    let up = run.now();
    server.start_again()?;
    let listening = run.now();
    let online = run.online(up).await;

    let (fault, code, words) = failure(&refused);
    assert_eq!((fault, &*code), (Fault::Refused, "errno 111"), "{words}");
    assert!(words.contains("refused"), "{words}");
    let (dials, bound) = run.dials_are_bounded(lost.at, online.at, Fault::Refused);
    assert!(dials >= 5, "{dials} dials of {bound}: the outage was not probed\n{}", run.story());
    let within = run.back_within(lost.at, listening);
    assert!(online.at <= listening + within + SLACK, "{:?} after {listening:?}, bound {within:?}", online.at);
    crew.all_served(online.at).await;
    crew.stop().await;
    run.state(State::Up).await;
    run.goes_through(began, &["DialFailed Refused", "DialFailed Refused", "Dialed", "Dialed"]);
    run.ends_clean(&[server.port()]).await;
    Ok(())
}
