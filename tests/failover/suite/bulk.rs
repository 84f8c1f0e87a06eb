//! Much data: results that are cut in their middle, and copies of callers who take their time.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use relink::postgres::{Error, Lease};

use super::{
    Measured, Outcome, WATCHED,
    network::clients_of,
    path::{Path, Way},
    stage::{MOMENT, Moments},
};

/// 60 MB, in rows of one.
const MEGABYTES: &str = "SELECT repeat('x', 1000000) FROM generate_series(1, 60)";
const ROWS: usize = 60;

/// A chunk of what is copied in; a row a line.
const CHUNKS: u32 = 6;
const LINES: u64 = 2_000;

/// How long the callers think between two chunks.
const PAUSE: Duration = Duration::from_secs(3);

/// Packets of one session come to nothing in the middle of its result.
pub(super) async fn result(way: Way) -> Outcome<Measured> {
    let path = Path::lay(way).await?;
    let stage = path.stage().await?;
    let lease = stage.pool.get().await?;
    let client = path.port_of(&lease).await?;
    let mut rows = Box::pin(lease.query_raw(MEGABYTES, std::iter::empty::<i32>()).await?);
    let first = rows.next().await.transpose()?.map(drop);
    let dropped = path.swallow(&[client])?;
    let settled = Instant::now();
    let mut count = usize::from(first.is_some());
    let rest = async {
        loop {
            match rows.next().await {
                Some(Ok(_)) => count += 1,
                Some(Err(error)) => return Some(error),
                None => return None,
            }
        }
    };
    let told = tokio::time::timeout(WATCHED, rest).await;
    let caller = settled.elapsed();
    drop(rows);
    let writing = Some(stage.crew.writing(settled, Some(settled), WATCHED).await);
    drop(lease);
    let error = told.ok().flatten();
    let moments = Moments { settled, writing, caller: error.is_some().then_some(caller) };
    let mut run = stage.close(&path.server, moments, || path.mend(dropped)).await?;
    if count >= ROWS {
        run.wrong.push("the result came whole".into());
    }
    run.words.extend(error.map(|error| format!("after {count} rows of {ROWS}: {error}")));
    Ok(run)
}

/// Returns how many rows were copied.
async fn copy_in(lease: Lease) -> Result<u64, Error> {
    let chunk = Bytes::from(format!("{}\n", "x".repeat(500)).repeat(usize::try_from(LINES).unwrap_or_default()));
    let mut sink = pin!(lease.copy_in("COPY copied FROM STDIN").await?);
    for number in 0..CHUNKS {
        if number > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        sink.send(chunk.clone()).await?;
    }
    sink.finish().await
}

/// Returns how many bytes were copied.
async fn copy_out(lease: Lease) -> Result<usize, Error> {
    let mut stream = pin!(lease.copy_out(&format!("COPY ({MEGABYTES}) TO STDOUT")).await?);
    let (mut bytes, mut next) = (0, 0);
    while let Some(chunk) = stream.next().await.transpose()? {
        if bytes >= next {
            tokio::time::sleep(PAUSE).await;
            next += 10_000_000;
        }
        bytes += chunk.len();
    }
    Ok(bytes)
}

/// Slow callers copy in and out while every packet of all other sessions is dropped.
pub(super) async fn copy() -> Outcome<Measured> {
    let path = Path::lay(Way::Dropped).await?;
    path.server.psql("CREATE TABLE copied (filler text); ALTER TABLE copied OWNER TO app")?;
    let stage = path.stage().await?;
    let (taker, giver) = (stage.pool.get().await?, stage.pool.get().await?);
    let spared = [path.port_of(&taker).await?, path.port_of(&giver).await?];
    let (taken, given) = (tokio::spawn(copy_in(taker)), tokio::spawn(copy_out(giver)));
    tokio::time::sleep(MOMENT).await;
    let others: Vec<u16> = clients_of(path.port())?.into_iter().filter(|client| !spared.contains(client)).collect();
    let began = Instant::now();
    let dropped = path.swallow(&others)?;
    let settled = Instant::now();
    let writing = Some(stage.crew.writing(began, Some(settled), WATCHED).await);
    let (taken, given) = (taken.await?, given.await?);
    let took = began.elapsed();
    let mut run =
        stage.close(&path.server, Moments { settled, writing, caller: Some(took) }, || path.mend(dropped)).await?;
    let expected = u64::from(CHUNKS) * LINES;
    let there: u64 = path.server.psql("SELECT count(*) FROM copied")?.parse()?;
    match taken {
        Ok(rows) if (rows, there) == (expected, expected) => {}
        Ok(rows) => run.wrong.push(format!("{rows} rows copied in and {there} there, not {expected}")),
        Err(error) => run.wrong.push(format!("the copy in was cut: {error}")),
    }
    // A line has its end.
    let expected = ROWS * 1_000_001;
    match given {
        Ok(bytes) if bytes == expected => {}
        Ok(bytes) => run.wrong.push(format!("{bytes} bytes copied out, not {expected}")),
        Err(error) => run.wrong.push(format!("the copy out was cut: {error}")),
    }
    if took < PAUSE * 4 {
        run.wrong.push(format!("the copies were over after {took:?}: nobody was slow"));
    }
    Ok(run)
}
