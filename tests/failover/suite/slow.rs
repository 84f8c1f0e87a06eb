//! Servers that end half a connection, and that answer late: a byte at a time, or never.

use std::time::{Duration, Instant};

use relink_model::proxy::Mode;

use super::{
    Measured, Outcome, WATCHED,
    network::clients_of,
    path::{Path, Way},
    stage::Moments,
};

/// How far apart the bytes of a trickle are.
const APART: Duration = Duration::from_secs(1);

/// By how much a busy machine may be late to end a dial.
const LATE: Duration = Duration::from_millis(500);

/// A client that has not closed its end by then has not noticed that the other is closed.
const NOTICED: Duration = Duration::from_secs(1);

/// What a dial meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// It is accepted, and nothing follows.
    Never,
    /// It is accepted and answered a byte a second, for as long as it lasts.
    Trickle,
}

/// Waits until none of these connections is left: whoever is lent a session from then on has another one.
async fn gone(path: &Path, before: &[u16]) -> Outcome<()> {
    let began = Instant::now();
    while clients_of(path.port())?.iter().any(|client| before.contains(client)) && began.elapsed() < NOTICED {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

pub(super) async fn half_closed() -> Outcome<Measured> {
    let path = Path::lay(Way::Stranded).await?;
    let stage = path.stage().await?;
    let before = clients_of(path.port())?;
    let began = Instant::now();
    path.proxy()?.half_close();
    gone(&path, &before).await?;
    let settled = Instant::now();
    let writing = Some(stage.crew.writing(began, Some(settled), WATCHED).await);
    stage.close(&path.server, Moments { settled, writing, caller: None }, || path.mend(None)).await
}

/// All sessions are cut, and for `length` new ones come to nothing.
pub(super) async fn dials(greeting: Greeting, length: Duration) -> Outcome<Measured> {
    let path = Path::lay(Way::Stranded).await?;
    let stage = path.stage().await?;
    let proxy = path.proxy()?;
    proxy.set(if greeting == Greeting::Never { Mode::Silent } else { Mode::Trickle(APART) }).await?;
    let before = clients_of(path.port())?;
    let began = Instant::now();
    proxy.cut();
    gone(&path, &before).await?;
    let settled = Instant::now();
    tokio::time::sleep_until((began + length).into()).await;
    // The dial that is under way goes on as it began.
    proxy.set(Mode::Pass).await?;
    let ended = Instant::now();
    let writing = Some(stage.crew.writing(ended, None, WATCHED).await);
    let failed = stage.failed_dials();
    let policy = stage.pool.policy();
    let (first, most) = (Duration::from(policy.dial_deadline), Duration::from(policy.dial_deadline_max));
    let mut run = stage.close(&path.server, Moments { settled, writing, caller: None }, || path.mend(None)).await?;
    if failed.is_empty() {
        run.wrong.push("no dial met it".into());
    }
    // Each that was accepted and not answered in time doubles the deadline of the next.
    let deadlines = std::iter::successors(Some(first), |deadline| Some((*deadline * 2).min(most)));
    for (took, deadline) in failed.iter().zip(deadlines).filter(|(took, deadline)| **took > *deadline + LATE) {
        run.wrong.push(format!("a dial took {took:?}, and its deadline is {deadline:?}"));
    }
    Ok(run)
}

/// The answer to one caller comes a byte a second.
pub(super) async fn answer() -> Outcome<Measured> {
    let path = Path::lay(Way::Stranded).await?;
    let stage = path.stage().await?;
    let lease = stage.pool.get().await?;
    let lent = Instant::now();
    let client = path.port_of(&lease).await?;
    // The statement that told the port is to be closed before.
    lease.check_connection().await?;
    path.proxy()?.trickle(&[client], APART);
    let settled = Instant::now();
    let told = tokio::time::timeout(WATCHED, stage.crew.write_one(&lease, lent, 0)).await;
    let caller = told.ok().map(|()| settled.elapsed());
    let writing = Some(stage.crew.writing(settled, Some(settled), WATCHED).await);
    // Without that its return would be asked for a byte a second, too.
    path.proxy()?.release();
    drop(lease);
    let mut run = stage.close(&path.server, Moments { settled, writing, caller }, || path.mend(None)).await?;
    if caller.is_some_and(|caller| caller < APART * 10) {
        run.wrong.push(format!("the answer did not trickle: it came after {caller:?}"));
    }
    Ok(run)
}
