//! Workers that write numbered rows, and the log of what each of them was told.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use relink::{
    Fault,
    postgres::{Error, Lease, Pool},
};
use relink_model::demo::crew::ASKS_AGAIN;
use tokio::task::JoinSet;

use super::WORKERS;

/// How long a worker holds its session beside the write.
const HOLD: Duration = Duration::from_millis(10);

/// A write that was acknowledged.
#[derive(Clone, Copy)]
pub(super) struct Acked {
    pub(super) row: (usize, u64),
    /// When its session was lent.
    pub(super) lent: Instant,
    pub(super) at: Instant,
}

/// A call that ended in an error.
#[derive(Clone)]
pub(super) struct Failed {
    /// The row of a write; `None` when there was no session to write on.
    pub(super) row: Option<(usize, u64)>,
    pub(super) fault: Fault,
    /// The server answered that it takes no writes.
    pub(super) read_only: bool,
    /// When the session was lent.
    pub(super) lent: Option<Instant>,
    pub(super) at: Instant,
    pub(super) text: String,
}

#[derive(Clone, Default)]
pub(super) struct Log {
    pub(super) acked: Vec<Acked>,
    pub(super) failed: Vec<Failed>,
}

/// When the workers wrote again.
pub(super) struct Writing {
    /// From the first instant asked for to the first acknowledged write.
    pub(super) first: Option<Duration>,
    /// The same until each worker has had one; `None` when some had none.
    pub(super) all: Option<Duration>,
    pub(super) never: usize,
}

/// The workers.
pub(super) struct Crew {
    log: Arc<Mutex<Log>>,
    stopped: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A statement that writes this row and takes so many seconds.
fn insert((worker, number): (usize, u64), nap_s: u64) -> String {
    match nap_s {
        0 => format!("INSERT INTO written VALUES ({worker}, {number})"),
        _ => format!("INSERT INTO written SELECT {worker}, {number} FROM pg_sleep({nap_s})"),
    }
}

/// Notes what was said to the write of this row; whether it was acknowledged.
fn note(answer: Result<(), Error>, row: (usize, u64), lent: Instant, log: &Mutex<Log>) -> bool {
    let at = Instant::now();
    match answer {
        Ok(()) => {
            lock(log).acked.push(Acked { row, lent, at });
            true
        }
        Err(error) => {
            let read_only = error.code().is_some_and(|code| code.code() == "25006");
            let (fault, text) = (error.fault(), error.to_string());
            lock(log).failed.push(Failed { row: Some(row), fault, read_only, lent: Some(lent), at, text });
            false
        }
    }
}

async fn turn(pool: &Pool, row: (usize, u64), nap_s: u64, log: &Mutex<Log>) -> bool {
    let lease = match pool.get().await {
        Ok(lease) => lease,
        Err(error) => {
            let (fault, text, at) = (error.fault(), error.to_string(), Instant::now());
            lock(log).failed.push(Failed { row: None, fault, read_only: false, lent: None, at, text });
            return false;
        }
    };
    let lent = Instant::now();
    let written = note(lease.batch_execute(&insert(row, nap_s)).await, row, lent, log);
    if written {
        tokio::time::sleep(HOLD).await;
    }
    written
}

impl Crew {
    /// Of each worker's writes every hundredth takes `nap_s` seconds.
    pub(super) fn start(pool: &Pool, workers: usize, nap_s: u64) -> Self {
        let log = Arc::<Mutex<Log>>::default();
        let stopped = Arc::<AtomicBool>::default();
        let mut tasks = JoinSet::new();
        for (worker, offset) in (0..workers).zip(1..) {
            let (pool, log, stopped) = (pool.clone(), Arc::clone(&log), Arc::clone(&stopped));
            tasks.spawn(async move {
                let mut number = 0;
                while !stopped.load(Ordering::Relaxed) {
                    number += 1;
                    // Not all at once.
                    let nap_s = if number % 100 == offset % 100 { nap_s } else { 0 };
                    if !turn(&pool, (worker, number), nap_s, &log).await {
                        tokio::time::sleep(ASKS_AGAIN).await;
                    }
                }
            });
        }
        Self { log, stopped, tasks }
    }

    /// One more caller, who writes one row on this session, in so many seconds, and is no worker.
    pub(super) async fn write_one(&self, lease: &Lease, lent: Instant, nap_s: u64) {
        let row = (WORKERS, 1);
        note(lease.batch_execute(&insert(row, nap_s)).await, row, lent, &self.log);
    }

    /// One more caller, who writes one row in a transaction.
    pub(super) fn commit_one(&self, mut lease: Lease, number: u64) -> impl Future<Output = ()> + Send + use<> {
        let (log, lent, row) = (Arc::clone(&self.log), Instant::now(), (WORKERS, number));
        async move {
            let committed = async {
                let transaction = lease.transaction().await?;
                transaction.batch_execute(&insert(row, 0)).await?;
                transaction.commit().await
            };
            note(committed.await, row, lent, &log);
        }
    }

    /// How many writes were acknowledged so far.
    pub(super) fn acked(&self) -> usize {
        lock(&self.log).acked.len()
    }

    /// How many writes were acknowledged in between.
    pub(super) fn acked_within(&self, from: Instant, to: Instant) -> usize {
        lock(&self.log).acked.iter().filter(|acked| (from..to).contains(&acked.at)).count()
    }

    /// Waits until every worker has had a write acknowledged since `from`, on a session lent since `lent`, at most for
    /// `limit`.
    pub(super) async fn writing(&self, from: Instant, lent: Option<Instant>, limit: Duration) -> Writing {
        loop {
            let writing = self.look(from, lent);
            if writing.never == 0 || from.elapsed() > limit {
                return writing;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn look(&self, from: Instant, lent: Option<Instant>) -> Writing {
        let (mut first, mut all, mut workers) = (None, None, BTreeSet::new());
        for acked in &lock(&self.log).acked {
            let counts = acked.at >= from && lent.is_none_or(|lent| acked.lent >= lent) && acked.row.0 < WORKERS;
            if counts && workers.insert(acked.row.0) {
                let after = acked.at - from;
                first = first.or(Some(after));
                all = Some(after);
            }
        }
        let never = WORKERS - workers.len();
        Writing { first, all: all.filter(|_| never == 0), never }
    }

    /// Lets every worker end the turn that it is in, cuts off those that do not within a second, and returns the log.
    pub(super) async fn stop(mut self) -> Log {
        self.stopped.store(true, Ordering::Relaxed);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(Duration::from_secs(1), ended).await.is_err() {
            self.tasks.shutdown().await;
        }
        lock(&self.log).clone()
    }
}
