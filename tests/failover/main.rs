//! A sample of the table of failovers (`./tests/run failover`): one run each of scenarios that need no network of their
//! own and that take seconds. Held against the table's goals, but that a machine which is busy with other tests may be late.
#![cfg(feature = "postgres")]

mod suite;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use relink::{Policy, Span};
use relink_model::bounds::Class;
use suite::{DIALED, NAMED, Outcome, Play, SCENARIOS, Scenario, UNANSWERED, UNNAMED, judge};

/// By how much times may be longer on such a machine.
const SLACK_S: f64 = 3.0;

/// To dial and to write.
const HALF_S: Duration = Duration::from_millis(500);

/// When the system's resolver asks again (resolv.conf(5), `timeout`).
const ASKS_AGAIN: Duration = Duration::from_secs(5);

async fn holds(name: &str, play: impl FnOnce(Play) -> Play) -> Outcome<()> {
    let listed = SCENARIOS.iter().find(|scenario| scenario.name == name).ok_or("no such scenario")?;
    let mut goal = listed.goal;
    goal.all_s = goal.all_s.map(|most| most + SLACK_S);
    let run = Scenario { name: listed.name, about: listed.about, goal, play: play(listed.play) }.run().await?;
    let missed = judge(&goal, &run);
    if missed.is_empty() { Ok(()) } else { Err(format!("{name}: {}: {run:?}", missed.join("; ")).into()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_costs_the_calls_in_flight_and_no_row() -> Outcome<()> {
    holds("kill", |play| play).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_changes_places_under_load_and_no_row_is_lost() -> Outcome<()> {
    holds("switchover", |play| play).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_is_listed_first_fails_no_write() -> Outcome<()> {
    holds("first", |_| Play::StandbyFirst(1_000)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_shorter_than_b3_costs_no_session() -> Outcome<()> {
    holds("stall-1-proxy", |play| play).await?;
    holds("stall-4-proxy", |play| play).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_cut_is_ambiguous_before_and_after_its_record() -> Outcome<()> {
    holds("commit-wait", |play| play).await?;
    holds("commit-record", |play| play).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_session_is_no_session() -> Outcome<()> {
    holds("half-closed", |play| play).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_called_dead_who_is_only_slow() -> Outcome<()> {
    holds("calm", |_| Play::Calm(Duration::from_secs(10))).await
}

#[test]
fn the_goals_speak_of_the_default_policy() -> Outcome<()> {
    let policy = Policy::default().check()?;
    let silence = relink_model::bounds::silence_max(&policy).ok_or("no patience")?;
    assert_eq!((silence, policy.patience, policy.max_size), (Span::from_secs(5), Some(Span::from_secs(1)), 16));
    let gap = Duration::from(policy.jitter_hi.of(policy.w0));
    assert!(gap + Duration::from_millis(300) <= Duration::from_millis(1_100), "{gap:?}");
    let lag = |class: Class, outage: Duration| {
        class.closed_form(&policy, Span::from_millis(u64::try_from(outage.as_millis()).ok()?)).map(Duration::from)
    };
    let dialed = lag(Class::Anything, UNANSWERED).ok_or("no bound")? + HALF_S;
    assert!((DIALED - dialed.as_secs_f64()).abs() < 0.05, "{dialed:?}");
    let named = ASKS_AGAIN + lag(Class::BlackHole, UNNAMED * 2 + ASKS_AGAIN).ok_or("no bound")? + HALF_S;
    assert!((NAMED - named.as_secs_f64()).abs() < 0.05, "{named:?}");
    Ok(())
}
