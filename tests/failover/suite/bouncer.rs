//! PgBouncer in transaction mode between the pool and its servers.

use std::time::{Duration, Instant};

use relink::{Policy, postgres::Pool};

use super::{
    Measured, Outcome, WATCHED, WORKERS,
    stage::{Moments, Stage, primary},
};
use crate::support::{PgBouncer, PoolMode};

/// What becomes of PgBouncer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Killed and started.
    Restart,
    /// Its server is another one, under sessions that live on.
    Switch,
    /// All its server connections are in transactions of others.
    Full,
}

/// PgBouncer's connections to the server where they are to run out.
const FEW: u16 = 4;

pub(super) async fn bouncer(turn: Turn) -> Outcome<Measured> {
    let server = primary()?;
    let few = FEW.to_string();
    let settings: &[(&str, &str)] = if turn == Turn::Full { &[("default_pool_size", &few)] } else { &[] };
    let bouncer = PgBouncer::start_with(&server, PoolMode::Transaction, settings)?;
    let url = format!("{}?target_session_attrs=read-write", bouncer.url("app"));
    let stage = Stage::open(&url, &[bouncer.port()], WORKERS).await?;
    match turn {
        Turn::Restart => {
            bouncer.stop()?;
            let settled = Instant::now();
            bouncer.start_again()?;
            let writing = Some(stage.crew.writing(Instant::now(), Some(settled), WATCHED).await);
            stage.close(&server, Moments { settled, writing, caller: None }, || Ok(())).await
        }
        Turn::Switch => {
            let standby = server.standby()?;
            server.synchronous(true)?;
            bouncer.point_to(&standby)?;
            let settled = Instant::now();
            tokio::time::sleep(Duration::from_secs(2)).await;
            let promoted = Instant::now();
            standby.promote()?;
            let writing = Some(stage.crew.writing(promoted, Some(settled), WATCHED).await);
            stage.close(&standby, Moments { settled, writing, caller: None }, || Ok(())).await
        }
        Turn::Full => {
            let mut policy = Policy::default();
            (policy.min_idle, policy.max_idle, policy.max_size) = (0, FEW, FEW);
            let others = Pool::configure(url.parse()?, policy.check()?)?.build()?;
            let mut leases = Vec::new();
            for _ in 0..FEW {
                let lease = others.get().await?;
                // In a transaction, so that the server connection is this session's until its end.
                lease.batch_execute("BEGIN; SELECT 1").await?;
                leases.push(lease);
            }
            let settled = Instant::now();
            tokio::time::sleep(Duration::from_secs(3)).await;
            for lease in &leases {
                lease.batch_execute("ROLLBACK").await?;
            }
            let released = Instant::now();
            let writing = Some(stage.crew.writing(released, None, WATCHED).await);
            drop(leases);
            others.close().await;
            drop(others);
            stage.close(&server, Moments { settled, writing, caller: None }, || Ok(())).await
        }
    }
}
