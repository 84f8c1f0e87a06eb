//! Workers that use a pool as a busy service does, and note when they were served.
#![allow(dead_code, reason = "every scenario uses another part")]

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use relink::postgres::Pool;
use tokio::{task::JoinSet, time::Instant};

/// What one worker has to tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    /// When a statement was answered, counted from the pool's beginning.
    pub(crate) served: Vec<Duration>,
    /// The words of each error of a wait.
    pub(crate) refused: Vec<String>,
    /// The words of each error of a statement, with the reason that relink saw.
    pub(crate) failed: Vec<String>,
}

/// Workers, each of which takes a session, runs a statement and gives it back, again and again.
pub(crate) struct Crew {
    logs: Arc<Mutex<Vec<Log>>>,
    stop: Arc<AtomicBool>,
    workers: JoinSet<()>,
}

impl Crew {
    /// `count` workers that run `statement`. Each rests 1 ms between two tries.
    pub(crate) fn start(pool: &Pool, count: usize, statement: &'static str) -> Self {
        let logs = Arc::new(Mutex::new(vec![Log::default(); count]));
        let stop = Arc::new(AtomicBool::new(false));
        let mut workers = JoinSet::new();
        for worker in 0..count {
            let (pool, logs, stop) = (pool.clone(), logs.clone(), stop.clone());
            workers.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let told = once(&pool, statement).await;
                    told(&mut logs.lock().unwrap_or_else(PoisonError::into_inner)[worker]);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
        }
        Self { logs, stop, workers }
    }

    /// What each worker has noted so far.
    pub(crate) fn logs(&self) -> Vec<Log> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When each worker was first served at or after `from`; `None` for one that was not.
    pub(crate) fn first_served(&self, from: Duration) -> Vec<Option<Duration>> {
        let first = |log: Log| log.served.into_iter().find(|at| *at >= from);
        self.logs().into_iter().map(first).collect()
    }

    /// Waits until every worker was served at or after `from`; returns the first and the last of these times.
    pub(crate) async fn all_served(&self, from: Duration) -> (Duration, Duration) {
        let served = super::common::comes("every worker is served", async || {
            self.first_served(from).into_iter().collect::<Option<Vec<_>>>()
        })
        .await;
        (*served.iter().min().expect("a worker"), *served.iter().max().expect("a worker"))
    }

    /// Lets every worker finish what it is doing, and returns what they noted.
    pub(crate) async fn stop(mut self) -> Vec<Log> {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.workers.join_next().await {
            ended.expect("no worker panics");
        }
        self.logs()
    }
}

/// One turn of a worker, and what to note of it.
async fn once(pool: &Pool, statement: &str) -> impl FnOnce(&mut Log) + use<> {
    let mut served = None;
    let (mut refused, mut failed) = (None, None);
    match pool.get().await {
        Ok(lease) => match lease.simple_query(statement).await {
            Ok(_) => served = Some(Instant::now() - pool.built_at()),
            Err(error) => failed = Some(error.to_string()),
        },
        Err(error) => refused = Some(error.to_string()),
    }
    move |log: &mut Log| {
        log.served.extend(served);
        log.refused.extend(refused);
        log.failed.extend(failed);
    }
}
