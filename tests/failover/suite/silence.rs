//! Paths that swallow what is sent, for good or for a while, and a client that is stopped itself.

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use relink_model::proxy::Mode;

use super::{
    Measured, Outcome, WATCHED, WORKERS,
    network::{Rules, clients_of},
    path::{Path, Way},
    stage::{Moments, rows},
};

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
    let dropped = match way {
        Way::Stranded => {
            path.proxy()?.set(Mode::Freeze).await?;
            None
        }
        Way::Dropped => Some(Rules::all(path.server.port())?),
    };
    let settled = Instant::now();
    tokio::time::sleep_until((began + length).into()).await;
    if way == Way::Stranded {
        path.proxy()?.set(Mode::Pass).await?;
    }
    drop(dropped);
    let resumed = Instant::now();
    // The sessions of before are as good as others.
    let writing = Some(stage.crew.writing(resumed, None, WATCHED).await);
    stage.close(&path.server, Moments { settled, writing, caller: None }, || path.mend(None)).await
}

pub(super) async fn arrival(way: Way) -> Outcome<Measured> {
    let path = Path::lay(way).await?;
    let stage = path.stage().await?;
    let lease = stage.pool.get().await?;
    let lent = Instant::now();
    let dropped = path.swallow(&[path.port_of(&lease).await?])?;
    let settled = Instant::now();
    let told = tokio::time::timeout(WATCHED, stage.crew.write_one(&lease, lent, 0)).await;
    let caller = told.ok().map(|()| settled.elapsed());
    let writing = Some(stage.crew.writing(settled, Some(settled), WATCHED).await);
    drop(lease);
    stage.close(&path.server, Moments { settled, writing, caller }, || path.mend(dropped)).await
}

/// The statement arrives and takes `length`; its answer does not.
pub(super) async fn answer(length: Duration) -> Outcome<Measured> {
    let path = Path::lay(Way::Dropped).await?;
    let stage = path.stage().await?;
    let lease = stage.pool.get().await?;
    let client = path.port_of(&lease).await?;
    let lent = Instant::now();
    let cut = async {
        tokio::time::sleep_until((lent + length / 2).into()).await;
        path.swallow(&[client])
    };
    let write = stage.crew.write_one(&lease, lent, length.as_secs());
    let (told, dropped) = tokio::join!(tokio::time::timeout(WATCHED, write), cut);
    let caller = told.ok().map(|()| lent.elapsed().saturating_sub(length));
    // Whoever waits for an answer that is on its way is not late before it is due.
    let settled = lent + length;
    let writing = Some(stage.crew.writing(settled, Some(settled), WATCHED).await);
    drop(lease);
    let dropped = dropped?;
    let mut run = stage.close(&path.server, Moments { settled, writing, caller }, || path.mend(dropped)).await?;
    if !rows(&path.server)?.contains(&(WORKERS, 1)) {
        run.wrong.push("the statement did not arrive".into());
    }
    Ok(run)
}

pub(super) async fn long(length: Duration) -> Outcome<Measured> {
    let path = Path::lay(Way::Dropped).await?;
    let stage = path.stage().await?;
    let lease = stage.pool.get().await?;
    let spared = path.port_of(&lease).await?;
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
