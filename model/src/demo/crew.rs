//! The workers of the demonstration: each asks for a session, uses it for a while, and asks again.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use relink::{Fault, adapter::Kind, postgres::Pool};
use tokio::{sync::broadcast::error::RecvError, task::JoinSet};

use super::ledger::{Episode, Ledger, Measured};

/// How long a worker that was told of an error waits before it asks again: a service that is refused
/// at once would not ask again in the same instant either.
pub const ASKS_AGAIN: Duration = Duration::from_millis(100);

/// What the workers do, and how long they keep a session for it.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// Run on every session.
    pub statement: &'static str,
    /// How long a session is held beside the statement.
    pub hold: Duration,
}

/// Workers, and the ledger in which everything that they and the pool do is noted.
pub struct Crew {
    ledger: Arc<Mutex<Ledger>>,
    stopped: Arc<AtomicBool>,
    tasks: JoinSet<()>,
    count: usize,
}

impl Crew {
    /// Sets `count` workers to `job`.
    pub fn start(pool: &Pool, count: usize, job: Job) -> Self {
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let stopped = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for worker in 0..count {
            tasks.spawn(work(pool.clone(), worker, job, Arc::clone(&ledger), Arc::clone(&stopped)));
        }
        tasks.spawn(watch(pool.clone(), Arc::clone(&ledger)));
        Self { ledger, stopped, tasks, count }
    }

    /// The numbers of one fault that began and ended at these instants.
    pub fn measure(&self, began: Instant, accepts: Instant, ended: Instant) -> Measured {
        lock(&self.ledger).measure(&Episode { began, accepts, ended, workers: self.count })
    }

    /// How many workers have been served since `from`.
    pub fn served_since(&self, from: Instant) -> usize {
        lock(&self.ledger).served_since(from)
    }

    /// How many statements were answered, and how many errors were told.
    pub fn totals(&self) -> (usize, usize) {
        lock(&self.ledger).totals()
    }

    /// How many events of the pool went by unseen: unless it is 0, dials are not counted in full.
    pub fn unseen(&self) -> u64 {
        lock(&self.ledger).unseen()
    }

    /// How many workers there are.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// How many dials were started so recently.
    pub fn dials_in_last(&self, time: Duration) -> usize {
        let from = Instant::now().checked_sub(time);
        // A clock that has not run for so long has seen every dial since.
        from.map_or(usize::MAX, |from| lock(&self.ledger).dials_since(from))
    }

    /// Ends all workers where they are.
    pub async fn stop(mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.tasks.shutdown().await;
    }
}

fn lock(ledger: &Mutex<Ledger>) -> std::sync::MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn work(pool: Pool, worker: usize, job: Job, ledger: Arc<Mutex<Ledger>>, stopped: Arc<AtomicBool>) {
    while !stopped.load(Ordering::Relaxed) {
        if let Err(fault) = once(&pool, worker, job, &ledger).await {
            lock(&ledger).failed(fault, Instant::now());
            tokio::time::sleep(ASKS_AGAIN).await;
        }
    }
}

async fn once(pool: &Pool, worker: usize, job: Job, ledger: &Mutex<Ledger>) -> Result<(), Fault> {
    let lease = pool.get().await.map_err(|error| error.fault())?;
    let lent = Instant::now();
    lease.batch_execute(job.statement).await.map_err(|error| error.fault())?;
    lock(ledger).served(worker, lent, Instant::now());
    tokio::time::sleep(job.hold).await;
    Ok(())
}

/// Notes every dial of the pool, at the moment at which it was started.
async fn watch(pool: Pool, ledger: Arc<Mutex<Ledger>>) {
    let mut events = pool.events();
    let built = pool.built_at().into_std();
    loop {
        match events.recv().await {
            Ok(event) if event.kind == Kind::Dialing => lock(&ledger).dialed(built + event.at),
            Ok(event) if event.kind == Kind::Online => lock(&ledger).opened(built + event.at),
            Ok(_) => {}
            Err(RecvError::Lagged(events)) => lock(&ledger).missed(events),
            Err(RecvError::Closed) => return,
        }
    }
}
