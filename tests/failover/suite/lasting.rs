//! What only shows after long: things left over by many losses, and false alarms under a load that goes on and on.

use std::{
    fs,
    time::{Duration, Instant},
};

use relink::{Policy, Span};
use relink_model::proxy::Mode;

use super::{
    Measured, Outcome, WATCHED, WORKERS,
    path::{Path, Way},
    stage::{Load, Moments, Stage, tasks, url_of},
};
use crate::support::Postgres;

/// How long a round lasts.
const ROUND: Duration = Duration::from_millis(250);

/// Half of what is added to a round trip.
const ONE_WAY: Duration = Duration::from_millis(25);

/// How long one statement of a hundred takes.
const NAP_S: u64 = 3;

/// What there is of this process, and at the server for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Census {
    sockets: usize,
    tasks: usize,
    backends: usize,
}

impl Census {
    fn take(server: &Postgres) -> Outcome<Self> {
        let mut sockets = 0;
        for descriptor in fs::read_dir("/proc/self/fd")? {
            // One that is closed meanwhile is no more.
            let leads = fs::read_link(descriptor?.path()).unwrap_or_default();
            sockets += usize::from(leads.to_string_lossy().starts_with("socket:"));
        }
        Ok(Self { sockets, tasks: tasks(), backends: server.backends_of("app")?.len() })
    }

    fn is_within(self, other: Self) -> bool {
        self.sockets <= other.sockets && self.tasks <= other.tasks && self.backends <= other.backends
    }
}

/// Waits quite briefly: a pool that paces its dials as it should would be without sessions in most rounds.
fn hasty() -> Policy {
    let short = Span::from_millis(10);
    let mut policy = Policy::default();
    (policy.w0, policy.capd, policy.elapsed_max, policy.cap0) = (short, short, short, short);
    policy.events_max = 100_000;
    policy
}

/// All sessions are lost in each round, by their server's word and by a reset in turns.
pub(super) async fn rounds(rounds: usize) -> Outcome<Measured> {
    let path = Path::lay(Way::Stranded).await?;
    let load = Load { policy: hasty(), ..Load::of(WORKERS) };
    let stage = Stage::open_for(&url_of(&[path.port()]), &[path.port()], load).await?;
    let before = Census::take(&path.server)?;
    for round in 0..rounds {
        let began = Instant::now();
        if round % 2 == 0 {
            path.server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")?;
        } else {
            path.proxy()?.cut();
        }
        tokio::time::sleep_until((began + ROUND).into()).await;
    }
    let settled = Instant::now();
    let writing = Some(stage.crew.writing(settled, None, WATCHED).await);
    stage.fill().await?;
    let mut after = Census::take(&path.server)?;
    // What was lost last is closed in its own time.
    while !after.is_within(before) && settled.elapsed() < WATCHED {
        tokio::time::sleep(Duration::from_millis(10)).await;
        after = Census::take(&path.server)?;
    }
    let mut run = stage.close(&path.server, Moments { settled, writing, caller: None }, || path.mend(None)).await?;
    if !after.is_within(before) {
        run.wrong.push(format!("{before:?} before, and after {rounds} rounds {after:?}"));
    }
    if run.lost < rounds {
        run.wrong.push(format!("only {} sessions were lost in {rounds} rounds", run.lost));
    }
    Ok(run)
}

/// Four workers for each session, a slow statement of a hundred, and a long way to the server.
pub(super) async fn calm(length: Duration) -> Outcome<Measured> {
    let path = Path::lay(Way::Stranded).await?;
    let load = Load { nap_s: NAP_S, ..Load::of(WORKERS) };
    let stage = Stage::open_for(&url_of(&[path.port()]), &[path.port()], load).await?;
    path.proxy()?.set(Mode::Latency(ONE_WAY)).await?;
    let began = Instant::now();
    tokio::time::sleep_until((began + length).into()).await;
    let settled = Instant::now();
    let acked = stage.crew.acked_within(began, settled);
    let round_trips = length.as_millis() / (2 * ONE_WAY).as_millis() * u128::from(stage.pool.policy().max_size);
    let writing = Some(stage.crew.writing(settled, None, WATCHED).await);
    let mut run = stage.close(&path.server, Moments { settled, writing, caller: None }, || path.mend(None)).await?;
    // A busy machine has not time for all of them.
    if !(round_trips / 8..=round_trips).contains(&u128::try_from(acked)?) {
        run.wrong.push(format!("{acked} writes where there are {round_trips} round trips"));
    }
    Ok(run)
}
