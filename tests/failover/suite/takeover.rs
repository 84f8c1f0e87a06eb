//! The primary goes and its standby takes over; both are hosts of the pool's.

use std::time::{Duration, Instant};

use super::{
    Measured, Outcome, WATCHED, WORKERS,
    stage::{Moments, Stage, primary, url_of},
};
use crate::support::{Postgres, Stop, wait_until};

/// What becomes of the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    Kill,
    Freeze,
    Stop,
    /// As it is planned: stopped, and its standby promoted at once.
    Switchover,
    /// The same on a pair that has had a switchover already.
    Back,
}

impl Harm {
    /// From the harm to the promotion.
    const fn gap(self) -> Duration {
        match self {
            Self::Kill | Self::Freeze | Self::Stop => Duration::from_secs(2),
            Self::Switchover | Self::Back => Duration::ZERO,
        }
    }

    /// Returns when there is no primary any more.
    fn bring(self, primary: &Postgres) -> Outcome<()> {
        match self {
            Self::Kill => {
                primary.kill9()?;
                wait_until("the killed primary's processes end", Duration::from_secs(10), || {
                    Ok(primary.processes().is_empty().then_some(()))
                })?;
            }
            Self::Freeze => primary.freeze()?,
            Self::Stop | Self::Switchover | Self::Back => primary.stop(Stop::Fast)?,
        }
        Ok(())
    }
}

/// A primary and its standby. What the primary has acknowledged, the standby has.
fn pair() -> Outcome<[Postgres; 2]> {
    let primary = primary()?;
    let standby = primary.standby()?;
    primary.synchronous(true)?;
    Ok([primary, standby])
}

/// The two have changed places.
fn changed_places([old, new]: [Postgres; 2]) -> Outcome<[Postgres; 2]> {
    old.stop(Stop::Fast)?;
    new.promote()?;
    old.rejoin(&new)?;
    old.synchronous(false)?;
    new.synchronous(true)?;
    Ok([new, old])
}

pub(super) async fn takeover(harm: Harm) -> Outcome<Measured> {
    let mut pair = pair()?;
    // The hosts stay in this order, whoever is the primary.
    let ports = pair.each_ref().map(Postgres::port);
    if harm == Harm::Back {
        pair = changed_places(pair)?;
    }
    let [old, new] = pair;
    let stage = Stage::open(&url_of(&ports), &ports, WORKERS).await?;

    let began = Instant::now();
    harm.bring(&old)?;
    let settled = Instant::now();
    tokio::time::sleep_until((began + harm.gap()).into()).await;
    let promoted = Instant::now();
    new.promote()?;
    // A frozen server says nothing: there the way out is long from the beginning.
    let from = if harm == Harm::Freeze { began } else { promoted };
    let writing = Some(stage.crew.writing(from, Some(settled), WATCHED).await);

    if harm == Harm::Switchover {
        old.rejoin(&new)?;
        // Long enough for every session to meet the host that has come back, if any does.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    stage.close(&new, Moments { settled, writing, caller: None }, || Ok(())).await
}

pub(super) async fn standby_first(writes: usize) -> Outcome<Measured> {
    let [primary, standby] = pair()?;
    let ports = [standby.port(), primary.port()];
    let began = Instant::now();
    let stage = Stage::open(&url_of(&ports), &ports, WORKERS).await?;
    while stage.crew.acked() < writes && began.elapsed() < Duration::from_secs(120) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let writing = Some(stage.crew.writing(began, None, WATCHED).await);
    let mut run = stage.close(&primary, Moments { settled: began, writing, caller: None }, || Ok(())).await?;
    if run.acked < writes {
        run.wrong.push(format!("{} writes of {writes} within 120 s", run.acked));
    }
    Ok(run)
}
