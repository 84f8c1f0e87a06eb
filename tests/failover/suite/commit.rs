//! Commits that are cut at a place of the server's where it is known whether they become durable.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::{
    Measured, Outcome,
    stage::{Moments, Stage, primary, rows, url_of},
};
use crate::support::{Postgres, Signal, wait_until};

/// Where the commits are when they are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// Durable, waiting for a standby that does not come.
    Wait,
    /// In a deferred trigger, which runs before the commit record is written.
    Record,
}

impl Point {
    /// What the server's processes wait for when all commits are there.
    const fn event(self) -> &'static str {
        match self {
            Self::Wait => "SyncRep",
            Self::Record => "PgSleep",
        }
    }

    fn prepare(self, server: &Postgres) -> Outcome<()> {
        match self {
            Self::Wait => server.synchronous(true)?,
            Self::Record => {
                server.psql(
                    "CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql
                     AS 'BEGIN PERFORM pg_sleep(600); RETURN NULL; END';
                     CREATE CONSTRAINT TRIGGER nap AFTER INSERT ON written DEFERRABLE INITIALLY DEFERRED
                     FOR EACH ROW EXECUTE FUNCTION nap()",
                )?;
            }
        }
        Ok(())
    }

    fn undo(self, server: &Postgres) -> Outcome<()> {
        match self {
            Self::Wait => server.synchronous(false)?,
            Self::Record => drop(server.psql("DROP TRIGGER nap ON written")?),
        }
        Ok(())
    }
}

/// Waits until so many backends are where they are to be cut; returns one of them.
fn all_wait(server: &Postgres, event: &str, count: usize) -> Outcome<u32> {
    let there = format!("SELECT pid FROM pg_stat_activity WHERE usename = 'app' AND wait_event = '{event}'");
    let pid = wait_until("all commits wait", Duration::from_secs(30), || {
        let pids = server.psql(&there)?;
        Ok(pids.lines().next().filter(|_| pids.lines().count() == count).map(str::to_owned))
    })?;
    Ok(pid.parse()?)
}

pub(super) async fn commit(point: Point) -> Outcome<Measured> {
    let server = primary()?;
    let stage = Stage::open(&url_of(&[server.port()]), &[server.port()], 0).await?;
    let sessions = usize::from(stage.pool.policy().max_size);
    let mut leases = Vec::new();
    for _ in 0..sessions {
        leases.push(stage.pool.get().await?);
    }
    point.prepare(&server)?;
    let mut commits = JoinSet::new();
    for (lease, number) in leases.into_iter().zip(1..) {
        commits.spawn(stage.crew.commit_one(lease, number));
    }
    let pid = all_wait(&server, point.event(), sessions)?;
    let began = Instant::now();
    // All processes of the server start anew.
    server.kill_backend(pid, Signal::Kill)?;
    let settled = Instant::now();
    while let Some(told) = commits.join_next().await {
        told?;
    }
    let caller = Some(began.elapsed());
    wait_until("the server answers", Duration::from_secs(30), || Ok(server.psql("SELECT 1").ok()))?;
    let there = rows(&server)?.len();
    point.undo(&server)?;
    // The pool is as good as before.
    stage.pool.get().await?.check_connection().await?;
    let mut run = stage.close(&server, Moments { settled, writing: None, caller }, || Ok(())).await?;
    let expected = if point == Point::Wait { sessions } else { 0 };
    if there != expected {
        run.wrong.push(format!("{there} rows there, and not {expected}"));
    }
    Ok(run)
}
