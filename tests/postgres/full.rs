//! A server without room: 53300.

use std::time::Duration;

use relink::{Fault, Refusal, Span};
use relink_model::bounds;
use tokio_postgres::NoTls;

use super::{
    common::{Outcome, Run, SLACK, brisk_of, comes},
    crew::Crew,
    support::Postgres,
};

/// The pool has sessions of its own as soon as there is room, so they are not counted.
const OTHERS: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'other'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_is_left_alone_and_entered_when_room_appears() -> Outcome {
    // Three for everybody, and PostgreSQL's default of three for superusers.
    let server = Postgres::builder().setting("max_connections", "6").start()?;
    let mut others = Vec::new();
    for _ in 0..3 {
        let (client, connection) =
            tokio_postgres::connect(&format!("{}?application_name=other", server.url("app")), NoTls).await?;
        tokio::spawn(connection);
        others.push(client);
    }
    let run = Run::start(&server.url("app"), brisk_of(4));
    let error = run.get_within(Duration::from_secs(3)).await.expect_err("no room");
    assert_eq!((error.refusal, error.fault()), (Refusal::Deadline, Fault::Overloaded), "{error}");
    let text = error.to_string();
    assert!(text.contains("53300") && text.contains(&format!("127.0.0.1:{}", server.port())), "{text}");
    assert!(error.next_dial_in.is_some(), "{text}");

    let failed = run.dial_failed(Duration::ZERO).await;
    let crew = Crew::start(run.pool(), 8, "SELECT 1");
    run.until(failed.at + Duration::from_secs(6)).await;
    let full_for = Span::from_millis(u64::try_from((run.now() - failed.at).as_millis())?);
    let most = |fault| bounds::dials_max(run.policy(), full_for, fault).expect("a most");
    let bound = most(Fault::Overloaded);
    let dials = run.dials_between(Duration::ZERO, run.now());
    assert!(dials >= 3 && dials <= bound as usize + 1, "{dials} dials, at most {bound} + 1\n{}", run.story());
    assert!(bound < most(Fault::Refused), "overload is left alone for longer");

    // Room for two: they serve all workers, and the other two places go on being refused.
    let left = run.now();
    others.truncate(1);
    comes("the others have left", async || (server.psql(OTHERS).ok()? == "1").then_some(())).await;
    let room = run.now();
    let online = run.online(left).await;
    let within: Duration = bounds::recovery_max_overloaded(run.policy(), full_for).into();
    assert!(online.at <= room + within + SLACK, "{:?} after {room:?}, bound {within:?}", online.at);
    crew.all_served(online.at).await;
    run.event("a place that finds no room", online.at, |event| event.code() == Some("53300")).await;
    crew.all_served(run.now()).await;
    assert!(run.tally().0.leased + run.tally().0.online <= 2, "{:?}", run.tally());

    others.clear();
    for log in crew.stop().await {
        assert!(log.failed.is_empty() && log.refused.is_empty(), "{log:?}");
    }
    run.fill(3).await;
    let full = "DialFailed Overloaded";
    run.goes_through(Duration::ZERO, &[full, full, full, "Dialed", full, "Dialed"]);
    run.ends_clean(&[server.port()]).await;
    Ok(())
}
