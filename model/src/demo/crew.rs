//! The workers of the demonstration: each asks for a session, uses it for a while, and asks again.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use relink::{
    adapter::Kind,
    postgres::{Lease, Pool},
};
use tokio::{sync::broadcast::error::RecvError, task::JoinSet};

use super::ledger::{Episode, Ledger, Measured};

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

    /// How many dials were started since `from`.
    pub fn dials_since(&self, from: Instant) -> usize {
        lock(&self.ledger).dials_since(from)
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
        match once(&pool, job).await {
            Ok(()) => lock(&ledger).served(worker, Instant::now()),
            Err(fault) => {
                lock(&ledger).failed(fault, Instant::now());
                // A service that is refused at once would also not ask again in the same instant.
                tokio::time::sleep(job.hold).await;
            }
        }
    }
}

async fn once(pool: &Pool, job: Job) -> Result<(), relink::Fault> {
    let lease = pool.get().await.map_err(|error| error.fault())?;
    run(&lease, job).await
}

async fn run(lease: &Lease, job: Job) -> Result<(), relink::Fault> {
    match lease.batch_execute(job.statement).await {
        Ok(()) => {
            tokio::time::sleep(job.hold).await;
            Ok(())
        }
        Err(error) => Err(lease.failure(&error).fault),
    }
}

/// Notes every dial of the pool, at the moment at which it was started.
async fn watch(pool: Pool, ledger: Arc<Mutex<Ledger>>) {
    let mut events = pool.events();
    let built = pool.built_at().into_std();
    loop {
        match events.recv().await {
            Ok(event) if event.kind == Kind::Dialing => lock(&ledger).dialed(built + event.at),
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}
