//! The primary goes and its standby takes over; both are hosts of the pool's.

use std::time::{Duration, Instant};

use relink::{Policy, postgres::Pool};

use super::{
    Measured, Outcome, WATCHED, WORKERS,
    network::Rules,
    stage::{Moments, Stage, primary, rows, url_of},
};
use crate::support::{DATABASE, Postgres, Stop, wait_until};

/// What becomes of the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    Kill,
    Freeze,
    /// Its host has lost its power: no packet is answered, of live sessions or of new ones.
    Off,
    /// No route leads to its host, as a router says.
    Unreachable,
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
            Self::Kill | Self::Freeze | Self::Off | Self::Unreachable | Self::Stop => Duration::from_secs(2),
            Self::Switchover | Self::Back => Duration::ZERO,
        }
    }

    /// Whether packets vanish, which takes a network of this process's own.
    pub(super) const fn needs_network(self) -> bool {
        matches!(self, Self::Off | Self::Unreachable)
    }

    /// A server that says nothing: the way out is long from the beginning.
    const fn is_silent(self) -> bool {
        matches!(self, Self::Freeze | Self::Off | Self::Unreachable)
    }

    /// Returns when there is no primary any more.
    fn bring(self, primary: &Postgres) -> Outcome<Option<Rules>> {
        match self {
            Self::Kill => {
                primary.kill9()?;
                wait_until("the killed primary's processes end", Duration::from_secs(10), || {
                    Ok(primary.processes().is_empty().then_some(()))
                })?;
            }
            Self::Freeze => primary.freeze()?,
            Self::Off => return Rules::all(primary.port()).map(Some),
            Self::Unreachable => return Rules::unreachable(primary.port()).map(Some),
            Self::Stop | Self::Switchover | Self::Back => primary.stop(Stop::Fast)?,
        }
        Ok(None)
    }
}

/// A primary that went, and a standby that was promoted in its place.
pub(super) struct Failover {
    pub(super) began: Instant,
    /// Since then there is no primary any more.
    pub(super) settled: Instant,
    pub(super) promoted: Instant,
    /// What keeps its packets away, until it is dropped.
    pub(super) gone: Option<Rules>,
}

impl Failover {
    /// Returns when the standby is the primary.
    pub(super) async fn from(harm: Harm, old: &Postgres, new: &Postgres) -> Outcome<Self> {
        let began = Instant::now();
        let gone = harm.bring(old)?;
        let settled = Instant::now();
        tokio::time::sleep_until((began + harm.gap()).into()).await;
        let promoted = Instant::now();
        new.promote()?;
        Ok(Self { began, settled, promoted, gone })
    }
}

/// A primary and its standby. What the primary has acknowledged, the standby has.
pub(super) fn pair() -> Outcome<[Postgres; 2]> {
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
    let Failover { began, settled, promoted, gone } = Failover::from(harm, &old, &new).await?;
    let from = if harm.is_silent() { began } else { promoted };
    let writing = Some(stage.crew.writing(from, Some(settled), WATCHED).await);

    if harm == Harm::Switchover {
        old.rejoin(&new)?;
        // Long enough for every session to meet the host that has come back, if any does.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let mend = || {
        drop(gone);
        Ok(())
    };
    stage.close(&new, Moments { settled, writing, caller: None }, mend).await
}

/// As [`Harm::Kill`], and a caller has a transaction open on the standby when it is promoted.
pub(super) async fn open_read() -> Outcome<Measured> {
    let [old, new] = pair()?;
    let ports = [old.port(), new.port()];
    let stage = Stage::open(&url_of(&ports), &ports, WORKERS).await?;
    let any = format!("postgresql://app@127.0.0.1:{}/{DATABASE}?target_session_attrs=any", new.port());
    let readers = Pool::configure(any.parse()?, Policy::default().check()?)?.build()?;
    let mut lease = readers.get().await?;
    let lent = Instant::now();
    let transaction = lease.transaction().await?;
    transaction.batch_execute("SELECT count(*) FROM written").await?;
    let Failover { settled, promoted, .. } = Failover::from(Harm::Kill, &old, &new).await?;
    let writing = Some(stage.crew.writing(promoted, Some(settled), WATCHED).await);
    let read = transaction.batch_execute("SELECT count(*) FROM written").await;
    let ended = transaction.commit().await;
    // On the session of before, which can write now.
    let asked = Instant::now();
    stage.crew.write_one(&lease, lent, 0).await;
    let caller = Some(asked.elapsed());
    drop(lease);
    readers.close().await;
    drop(readers);
    let mut run = stage.close(&new, Moments { settled, writing, caller }, || Ok(())).await?;
    let told = read.and(ended).err();
    run.wrong.extend(told.map(|error| format!("the open transaction was cut: {error}")));
    if !rows(&new)?.contains(&(WORKERS, 1)) {
        run.wrong.push("the session that was promoted did not write".into());
    }
    Ok(run)
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
