//! Hosts that are known by name: their address changes, or nobody tells it.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use super::{
    Measured, Outcome, WATCHED, WORKERS,
    network::{Rules, look_ups},
    resolver::Resolver,
    stage::{Moments, Stage, primary},
    takeover::{Failover, Harm, pair},
};
use crate::support::{DATABASE, Postgres};

/// Where the name leads at first, and later.
const OLD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const NEW: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// The port at both.
const PORT: u16 = 5432;

/// Half of the sessions.
const HALF: usize = 8;

/// By how much a busy machine may be late to end a dial.
const LATE: Duration = Duration::from_millis(500);

fn url() -> String {
    format!("postgresql://app@db.test:{PORT}/{DATABASE}?target_session_attrs=read-write")
}

/// The standby takes over at another address of the same name.
pub(super) async fn moves() -> Outcome<Measured> {
    let [old, new] = pair()?;
    let _ways = [Rules::lead((OLD, PORT), old.port())?, Rules::lead((NEW, PORT), new.port())?];
    let resolver = Resolver::start(OLD).await?;
    let stage = Stage::open(&url(), &[PORT], WORKERS).await?;
    let Failover { settled, promoted, .. } = Failover::from(Harm::Kill, &old, &new).await?;
    resolver.answers(Some(NEW));
    let writing = Some(stage.crew.writing(promoted, Some(settled), WATCHED).await);
    stage.close(&new, Moments { settled, writing, caller: None }, || Ok(())).await
}

/// Ends the sessions of this many processes of the server.
fn end(server: &Postgres, most: usize) -> Outcome<()> {
    let pids = format!("SELECT pid FROM pg_stat_activity WHERE usename = 'app' LIMIT {most}");
    server.psql(&format!("SELECT pg_terminate_backend(pid) FROM ({pids}) s"))?;
    Ok(())
}

/// Watches for so long; returns the most look-ups that were under way at once.
async fn watch(length: Duration) -> Outcome<usize> {
    let (began, mut most) = (Instant::now(), 0);
    while began.elapsed() < length {
        most = most.max(look_ups()?);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(most)
}

/// No name is answered: while half of the sessions live, and then without any.
pub(super) async fn silent(each: Duration) -> Outcome<Measured> {
    let server = primary()?;
    let _way = Rules::lead((OLD, PORT), server.port())?;
    let resolver = Resolver::start(OLD).await?;
    let stage = Stage::open(&url(), &[PORT], WORKERS).await?;
    resolver.answers(None);
    end(&server, HALF)?;
    let ended = Instant::now();
    let with_half = watch(each).await?;
    let (living, written) = (usize::from(stage.sessions()), stage.crew.acked_within(ended + each / 2, Instant::now()));
    end(&server, WORKERS)?;
    let settled = Instant::now();
    let without = watch(each).await?;
    let failed = stage.failed_dials();
    resolver.answers(Some(OLD));
    let answered = Instant::now();
    let writing = Some(stage.crew.writing(answered, None, WATCHED).await);
    let deadline = Duration::from(stage.pool.policy().connect_deadline);
    let mut run = stage.close(&server, Moments { settled, writing, caller: None }, || Ok(())).await?;
    if living != HALF || written == 0 {
        run.wrong.push(format!("of {HALF} sessions {living} lived on, with {written} writes"));
    }
    if (with_half, without) != (1, 1) {
        run.wrong.push(format!("{with_half} look-ups at once, then {without}, and not one"));
    }
    let late: Vec<_> = failed.iter().filter(|took| **took > deadline + LATE).collect();
    if failed.len() < 2 || !late.is_empty() {
        run.wrong.push(format!("{} dials failed, and {late:?} after more than {deadline:?}", failed.len()));
    }
    Ok(run)
}
