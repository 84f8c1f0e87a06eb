//! Paths that swallow what is sent, for good or for a while, and a client that is stopped itself.

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use relink::postgres::Lease;
use relink_model::proxy::{Mode, Proxy};

use super::{
    Measured, Outcome, WATCHED, WORKERS,
    network::{Dropped, clients_of},
    stage::{MOMENT, Moments, Stage, primary, url_of},
};
use crate::support::Postgres;

/// How bytes come to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Packets vanish, and nobody acknowledges them.
    Dropped,
    /// A proxy in between moves them no more; its kernel acknowledges them.
    Stranded,
}

/// A server and the way to it.
struct Path {
    server: Postgres,
    proxy: Option<Proxy>,
}

impl Path {
    async fn lay(way: Way) -> Outcome<Self> {
        let server = primary()?;
        let proxy = match way {
            Way::Dropped => None,
            Way::Stranded => Some(Proxy::start(format!("127.0.0.1:{}", server.port()).as_str()).await?),
        };
        Ok(Self { server, proxy })
    }

    /// Where the pool dials.
    fn port(&self) -> u16 {
        self.proxy.as_ref().map_or(self.server.port(), |proxy| proxy.addr().port())
    }

    async fn stage(&self) -> Outcome<Stage> {
        Stage::open(&url_of(&[self.port()]), &[self.port()], WORKERS).await
    }

    /// From now on these clients' bytes come to nothing, until [`Self::mend`].
    fn swallow(&self, clients: &[u16]) -> Outcome<Option<Dropped>> {
        if let Some(proxy) = &self.proxy {
            proxy.strand(clients);
            return Ok(None);
        }
        Dropped::between(self.server.port(), clients).map(Some)
    }

    /// What was swallowed on its way may arrive now: to see whether it does is why the path is mended at all.
    fn mend(&self, dropped: Option<Dropped>) -> Outcome<()> {
        drop(dropped);
        if let Some(proxy) = &self.proxy {
            proxy.release();
            std::thread::sleep(MOMENT);
            // The ends of connections that only the proxy still has.
            proxy.cut();
        }
        // The kernel sends again what a closed socket has left, ever more rarely.
        std::thread::sleep(MOMENT);
        Ok(())
    }
}

pub(super) async fn hole(way: Way) -> Outcome<Measured> {
    let path = Path::lay(way).await?;
    let stage = path.stage().await?;
    let began = Instant::now();
    let dropped = path.swallow(&clients_of(path.port())?)?;
    let settled = Instant::now();
    let writing = Some(stage.crew.writing(began, Some(settled), WATCHED).await);
    stage.close(&path.server, Moments { settled, writing, caller: None }, || path.mend(dropped)).await
}

pub(super) async fn stall(way: Way, length: Duration) -> Outcome<Measured> {
    let path = Path::lay(way).await?;
    let stage = path.stage().await?;
    let began = Instant::now();
    let dropped = match &path.proxy {
        Some(proxy) => {
            proxy.set(Mode::Freeze).await?;
            None
        }
        None => Some(Dropped::all(path.server.port())?),
    };
    let settled = Instant::now();
    tokio::time::sleep_until((began + length).into()).await;
    if let Some(proxy) = &path.proxy {
        proxy.set(Mode::Pass).await?;
    }
    drop(dropped);
    let resumed = Instant::now();
    // The sessions of before are as good as others.
    let writing = Some(stage.crew.writing(resumed, None, WATCHED).await);
    stage.close(&path.server, Moments { settled, writing, caller: None }, || path.mend(None)).await
}

/// The port that this session's socket has on our side.
async fn port_of(lease: &Lease, path: &Path) -> Outcome<u16> {
    let port: i32 = lease.query_one("SELECT inet_client_port()", &[]).await?.get(0);
    let seen = u16::try_from(port)?;
    match &path.proxy {
        None => Ok(seen),
        // The server sees the proxy's; ours is the one whose end tells of this session.
        Some(proxy) => proxy.client_of(seen).ok_or_else(|| format!("no client behind port {seen}").into()),
    }
}

pub(super) async fn arrival(way: Way) -> Outcome<Measured> {
    let path = Path::lay(way).await?;
    let stage = path.stage().await?;
    let lease = stage.pool.get().await?;
    let lent = Instant::now();
    let dropped = path.swallow(&[port_of(&lease, &path).await?])?;
    let settled = Instant::now();
    let told = tokio::time::timeout(WATCHED, stage.crew.write_one(&lease, lent)).await;
    let caller = told.ok().map(|()| settled.elapsed());
    let writing = Some(stage.crew.writing(settled, Some(settled), WATCHED).await);
    drop(lease);
    stage.close(&path.server, Moments { settled, writing, caller }, || path.mend(dropped)).await
}

pub(super) async fn long(length: Duration) -> Outcome<Measured> {
    let path = Path::lay(Way::Dropped).await?;
    let stage = path.stage().await?;
    let lease = stage.pool.get().await?;
    let spared = port_of(&lease, &path).await?;
    let query = format!("SELECT pg_sleep({})", length.as_secs());
    let asked = Instant::now();
    let sleeping = tokio::spawn(async move {
        let answer = lease.batch_execute(&query).await;
        (answer.map_err(|error| error.to_string()), asked.elapsed())
    });
    // By then the statement has been asked about, if it ever is.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let others: Vec<u16> = clients_of(path.port())?.into_iter().filter(|client| *client != spared).collect();
    let began = Instant::now();
    let dropped = path.swallow(&others)?;
    let settled = Instant::now();
    let writing = Some(stage.crew.writing(began, Some(settled), WATCHED).await);
    let (answer, after) = sleeping.await?;
    let caller = answer.is_ok().then_some(after);
    let mut run = stage.close(&path.server, Moments { settled, writing, caller }, || path.mend(dropped)).await?;
    run.wrong.extend(answer.err().map(|error| format!("the long statement was cut after {after:?}: {error}")));
    Ok(run)
}

pub(super) async fn suspend(length: Duration) -> Outcome<Measured> {
    let path = Path::lay(Way::Dropped).await?;
    let stage = path.stage().await?;
    let began = Instant::now();
    let script = format!("kill -STOP $1; sleep {}; kill -CONT $1", length.as_secs());
    let mut alarm = Command::new("sh");
    alarm.args(["-c", &script, "sh", &std::process::id().to_string()]).stdin(Stdio::null());
    // A group of its own: whatever stops this program's must not stop what wakes it.
    let status = alarm.process_group(0).status()?;
    let woken = Instant::now();
    if !status.success() {
        return Err(format!("the client could not be stopped: {status}").into());
    }
    let second = Duration::from_secs(1);
    let meanwhile = stage.crew.acked_within(began + second, woken.checked_sub(second).unwrap_or(began));
    let writing = Some(stage.crew.writing(woken, None, WATCHED).await);
    let moments = Moments { settled: woken, writing, caller: None };
    let mut run = stage.close(&path.server, moments, || path.mend(None)).await?;
    if meanwhile > 0 || woken - began < length {
        run.wrong.push(format!("the client was not stopped: {meanwhile} writes meanwhile"));
    }
    Ok(run)
}
