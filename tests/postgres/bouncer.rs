//! PgBouncer between the pool and the server.

use std::time::Duration;

use relink::{
    Fault, Session, Span,
    adapter::{Event, Kind, State},
    pool::Event as Fact,
    postgres::Lease,
};
use relink_model::bounds;
use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::{
    common::{Outcome, Run, SLACK, brisk_of, comes, failure},
    crew::Crew,
    dirty::number_of,
    scene::plain,
    support::{PgBouncer, PoolMode, Postgres, Stop, Trouble},
};

/// For how long the bouncer gives the words of a login that has failed to whoever asks, and tries none.
const RETRY: Duration = Duration::from_secs(2);

/// A failed dial with these words.
fn said<'a>(words: &'a str) -> impl Fn(&Event) -> bool + 'a {
    move |event| matches!(event.kind, Kind::DialFailed(_)) && failure(event).2.contains(words)
}

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
        let stopped = run.now();
        let lost = run.lost(began).await;
        run.new_dial_failed(stopped).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_behind_a_bouncer_is_not_hammered_and_found_again() -> Outcome {
    let server = Postgres::start()?;
    let bouncer =
        PgBouncer::start_with(&server, PoolMode::Transaction, &[("server_login_retry", &RETRY.as_secs().to_string())])?;
    let run = Run::start(&bouncer.url("app"), brisk_of(4));
    let crew = Crew::start(run.pool(), 8, "SELECT pg_sleep(0.01)");
    crew.all_served(run.now()).await;

    let began = run.now();
    server.stop(Stop::Immediate)?;
    // Not that the pool is down: a statement that comes before the bouncer knows waits there, and its session lives.
    let lost = run.lost(began).await;
    // It lets clients in as long as it knows what to greet them with, and tells their first statement.
    let refused = run.event("a login that fails behind it", began, said("server login has been failing")).await;
    assert_eq!(failure(&refused).0, Fault::Refused, "{refused}");
    run.until(refused.at + Duration::from_secs(3)).await;
    server.start_again()?;
    let up = run.now();
    let online = run.online(lost.at).await;
    run.dials_are_bounded(lost.at, online.at, Fault::Refused);
    let within = RETRY + run.back_within(lost.at, up);
    assert!(online.at <= up + within + SLACK, "{:?} after {up:?}, bound {within:?}", online.at);
    crew.all_served(online.at).await;

    let logs = crew.stop().await;
    assert!(logs.iter().all(|log| log.refused.is_empty()), "nobody waited in vain: {logs:?}");
    // What was in flight may have become durable; what a session sent that the bouncer had kept went nowhere.
    let failed: Vec<_> = logs.iter().flat_map(|log| &log.failed).collect();
    assert!(!failed.is_empty() && failed.len() <= 4, "{failed:?}");
    let kept = |text: &str| text.contains("server login has been failing") && text.contains("(refused, 08P01)");
    assert!(failed.iter().all(|text| text.contains("(ambiguous, ") || kept(text)), "{failed:?}");
    run.ends_clean(&[bouncer.port()]).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bouncer_that_takes_fewer_clients_than_the_pool_may_have_is_overloaded_and_left_alone() -> Outcome {
    let server = Postgres::start()?;
    let bouncer = PgBouncer::start_with(&server, PoolMode::Transaction, &[("max_client_conn", "3")])?;
    let run = Run::start(&bouncer.url("app"), brisk_of(6));
    let crew = Crew::start(run.pool(), 12, "SELECT pg_sleep(0.01)");
    let full = run.event("a client too many", Duration::ZERO, said("no more connections allowed")).await;
    assert_eq!(failure(&full).0, Fault::Overloaded, "{full}");
    crew.all_served(full.at).await;

    run.until(full.at + Duration::from_secs(6)).await;
    let full_for = Span::from_millis(u64::try_from((run.now() - full.at).as_millis())?);
    let most = |fault| bounds::dials_max(run.policy(), full_for, fault).expect("a most");
    let (dials, bound) = (run.dials_between(full.at, run.now()), most(Fault::Overloaded));
    assert!(dials >= 1 && dials <= bound as usize, "{dials} dials, at most {bound}\n{}", run.story());
    assert!(bound < most(Fault::Refused), "overload is left alone for longer");
    crew.all_served(run.now()).await;

    for log in crew.stop().await {
        assert!(log.failed.is_empty() && log.refused.is_empty(), "{log:?}");
    }
    assert_eq!(run.rests().await, 3, "{}", run.story());
    run.ends_clean(&[bouncer.port()]).await;
    Ok(())
}

async fn port_of(lease: &Lease) -> i32 {
    lease.query_one("SELECT inet_server_port()", &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_session_mode_a_slow_statement_is_left_alone_and_a_standby_behind_the_bouncer_is_found_out() -> Outcome {
    let old = Postgres::start()?;
    let new = old.standby()?;
    let bouncer = PgBouncer::start(&old, PoolMode::Session)?;
    let run = Run::start(&format!("{}?target_session_attrs=read-write", bouncer.url("app")), brisk_of(2));
    let lease = run.lease().await;
    // The server's process is its own for as long as it lives, and still its name is the bouncer's.
    assert!(!lease.direct(), "{lease:?}");
    let patience: Duration = run.policy().patience.expect("a patience").into();
    let slow = format!("SELECT pg_sleep({})", (patience * 3).as_secs_f64());
    lease.batch_execute(&slow).await?;
    assert_eq!(run.losses(), [""; 0], "{}", run.story());
    assert!(run.steps().iter().any(|step| matches!(step.event, Fact::FoundAlive { .. })), "{}", run.story());
    assert_eq!(port_of(&lease).await, i32::from(old.port()));
    drop(lease);

    let began = run.now();
    bouncer.point_to(&new)?;
    old.stop(Stop::Immediate)?;
    let standby = run.event("a wrong role", began, said("is a standby")).await;
    assert_eq!(failure(&standby).0, Fault::WrongRole, "{standby}");
    new.promote()?;
    let lease = run.lease().await;
    assert_eq!(port_of(&lease).await, i32::from(new.port()), "{}", run.story());
    lease.batch_execute("CREATE TEMP TABLE written (n int)").await?;
    drop(lease);
    run.ends_clean(&[bouncer.port()]).await;
    Ok(())
}

/// Its client says that the statement is gone, once, and has it again the next time.
async fn has_lost(lease: &Lease, text: &str) {
    let gone = lease.prepare_cached(text).await.unwrap();
    let error = lease.query_one(&gone, &[]).await.unwrap_err();
    assert_eq!((error.fault(), error.session()), (Fault::Query, Session::Usable), "{error}");
    assert_eq!(error.cause().code.as_deref(), Some("26000"), "{error}");
    has(lease, text).await;
}

async fn has(lease: &Lease, text: &str) {
    let statement = lease.prepare_cached(text).await.unwrap();
    lease.query_one(&statement, &[]).await.unwrap();
}

/// One server connection for all, by a bouncer that knows nothing of prepared statements: any before 1.21, a later one
/// when it is told.
fn unaware(server: &Postgres) -> Result<PgBouncer, Trouble> {
    let one = ("default_pool_size", "1");
    let bouncer = PgBouncer::start_with(server, PoolMode::Transaction, &[one])?;
    if (21..100).all(|minor| !bouncer.log().contains(&format!("PgBouncer 1.{minor}."))) {
        return Ok(bouncer);
    }
    PgBouncer::start_with(server, PoolMode::Transaction, &[one, ("max_prepared_statements", "0")])
}

#[tokio::test]
async fn statements_of_two_pools_behind_a_bouncer_vanish_and_clash_and_are_prepared_anew() -> Outcome {
    let server = Postgres::start()?;
    let bouncer = unaware(&server)?;
    let pool = || Run::start(&bouncer.url("app"), plain(|policy| policy.max_size = 1));
    let (this, that) = (pool(), pool());
    let (mine, yours) = (this.served().await, that.served().await);
    has(&mine, "SELECT 1").await;
    has(&yours, "SELECT 2").await;
    assert_eq!(number_of(&yours, "SELECT 1").await, number_of(&mine, "SELECT 1").await, "both are on one connection");
    bouncer.admin("RECONNECT")?;
    has_lost(&mine, "SELECT 1").await;
    has_lost(&yours, "SELECT 2").await;

    // A program of its own, whose driver counts from the beginning as ours did.
    let (other, connection) = tokio_postgres::connect(&bouncer.url("app"), NoTls).await?;
    tokio::spawn(connection);
    comes("a name that is taken", async || {
        let latest = "SELECT max(substr(name, 2)::int) FROM pg_prepared_statements";
        let answer = other.simple_query(latest).await.unwrap();
        let SimpleQueryMessage::Row(row) = &answer[1] else { panic!("{answer:?}") };
        let last: u32 = row.get(0).unwrap().parse().unwrap();
        let taken: String = (last + 1..=last + 12).map(|n| format!("PREPARE s{n} AS SELECT 0;")).collect();
        other.batch_execute(&taken).await.unwrap();
        has(&mine, &format!("SELECT {last}")).await;
        server.log().contains("already exists").then_some(())
    })
    .await;
    assert_eq!((this.dials(), that.dials()), (1, 1));
    drop((mine, yours, other));
    that.pool().close_within(Span::from_secs(5)).await;
    that.replays();
    drop(that);
    this.ends_clean(&[bouncer.port()]).await;
    Ok(())
}
