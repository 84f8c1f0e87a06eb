//! A pool with the default policy under writers, from its first dial to what is left of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use relink::{
    Fault, Policy, Span,
    adapter::{Kind, Trace},
    postgres::Pool,
};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    task::JoinHandle,
};

use super::{
    Measured, Outcome,
    crew::{Crew, Failed, Log, Writing},
    network::clients_of,
};
use crate::support::{DATABASE, Postgres, wait_until};

/// How long anything that must come may take on a machine that is busy with something else.
const SOON: Duration = Duration::from_secs(60);

/// Lets things settle: a load in its steady state before an event, and whatever is late after it.
pub(super) const MOMENT: Duration = Duration::from_millis(500);

/// How `app` reaches the database at these ports of this machine, in this order.
pub(super) fn url_of(ports: &[u16]) -> String {
    let hosts: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    format!("postgresql://app@{}/{DATABASE}?target_session_attrs=read-write", hosts.join(","))
}

/// A server with room for the sessions of several pools, that one which has left can rejoin, and the table that is
/// written to.
pub(super) fn primary() -> Outcome<Postgres> {
    let server = Postgres::builder().setting("max_connections", "60").setting("full_page_writes", "on").start()?;
    // The key tells a row that was written twice.
    server.psql("CREATE TABLE written (worker int, number bigint, PRIMARY KEY (worker, number))")?;
    server.psql("ALTER TABLE written OWNER TO app")?;
    Ok(server)
}

/// What was lost and what was dialed in vain, as the pool's own events tell it.
#[derive(Default)]
struct Seen {
    lost: AtomicUsize,
    unseen: AtomicUsize,
    failed: Mutex<Vec<Duration>>,
}

async fn watch(mut events: Receiver<relink::adapter::Event>, seen: Arc<Seen>) {
    // An endpoint has one dial at a time.
    let mut dialing = BTreeMap::new();
    loop {
        match events.recv().await {
            Ok(event) => {
                if matches!(event.kind, Kind::Lost(_)) {
                    seen.lost.fetch_add(1, Ordering::Relaxed);
                } else if matches!(event.kind, Kind::Dialing) {
                    dialing.insert(event.endpoint, event.at);
                } else if matches!(event.kind, Kind::DialFailed(_)) {
                    let took = dialing.remove(&event.endpoint).map(|began| event.at.saturating_sub(began));
                    seen.failed.lock().unwrap_or_else(PoisonError::into_inner).extend(took);
                }
            }
            Err(RecvError::Lagged(_)) => {
                seen.unseen.fetch_add(1, Ordering::Relaxed);
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// Who works, and by which policy.
pub(super) struct Load {
    pub(super) workers: usize,
    pub(super) policy: Policy,
    /// How long every hundredth of a worker's writes takes.
    pub(super) nap_s: u64,
}

impl Load {
    pub(super) fn of(workers: usize) -> Self {
        Self { workers, policy: Policy::default(), nap_s: 0 }
    }
}

/// When what was done to the servers began to count.
pub(super) struct Moments {
    /// All of it was done: whoever asked later could have been told better.
    pub(super) settled: Instant,
    pub(super) writing: Option<Writing>,
    pub(super) caller: Option<Duration>,
}

/// A pool and its workers.
pub(super) struct Stage {
    pub(super) pool: Pool,
    pub(super) crew: Crew,
    trace: Trace,
    /// Where the pool dials.
    ports: Vec<u16>,
    /// Tasks of the runtime before there was a pool.
    tasks: usize,
    seen: Arc<Seen>,
    watcher: JoinHandle<()>,
}

/// Tasks of the runtime.
pub(super) fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

impl Stage {
    /// Builds the pool and sets the workers to it; returns when every slot has its session and every worker has written.
    pub(super) async fn open(url: &str, ports: &[u16], workers: usize) -> Outcome<Self> {
        Self::open_for(url, ports, Load::of(workers)).await
    }

    pub(super) async fn open_for(url: &str, ports: &[u16], load: Load) -> Outcome<Self> {
        let Load { workers, policy, nap_s } = load;
        let (tasks, trace) = (tasks(), Trace::new());
        let pool = Pool::configure(url.parse()?, policy.check()?)?.trace(&trace).build()?;
        let seen = Arc::<Seen>::default();
        let watcher = tokio::spawn(watch(pool.events(), Arc::clone(&seen)));
        let crew = Crew::start(&pool, workers, nap_s);
        let stage = Self { pool, crew, trace, ports: ports.to_vec(), tasks, seen, watcher };
        if workers > 0 {
            let began = Instant::now();
            let writing = stage.crew.writing(began, None, SOON).await;
            if writing.never > 0 {
                return Err(format!("{} workers did not write within {SOON:?}", writing.never).into());
            }
            stage.fill().await?;
        }
        tokio::time::sleep(MOMENT).await;
        Ok(stage)
    }

    /// Returns when every slot has its session.
    pub(super) async fn fill(&self) -> Outcome<()> {
        let began = Instant::now();
        while self.sessions() < self.pool.policy().max_size {
            if began.elapsed() > SOON {
                return Err(format!("{} sessions within {SOON:?}", self.sessions()).into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// How long each dial took that has failed so far.
    pub(super) fn failed_dials(&self) -> Vec<Duration> {
        self.seen.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn sessions(&self) -> u16 {
        let (tally, _) = self.pool.tally();
        tally.online.saturating_add(tally.leased)
    }

    /// How many sockets this process has to where the pool dials.
    fn sockets(&self) -> Outcome<usize> {
        self.ports.iter().map(|port| clients_of(*port).map(|clients| clients.len())).sum()
    }

    /// Ends the workers and the pool, `mend`s what still leads nowhere, and compares what the workers were told with
    /// what `home`, the server that counts in the end, has.
    pub(super) async fn close(
        self,
        home: &Postgres,
        moments: Moments,
        mend: impl FnOnce() -> Outcome<()>,
    ) -> Outcome<Measured> {
        // Beside the sessions one at each endpoint that only asks about others.
        let most = usize::from(self.pool.policy().max_size) + self.ports.len();
        let beyond = self.sockets()?.saturating_sub(most);
        let mut run = Measured::default();
        let ports = self.ports.clone();
        let log = self.crew.stop().await;
        self.pool.close_within(Span::from_secs(5)).await;
        // Before anything is mended: what the pool has given up must not need that to be gone.
        let open = || ports.iter().map(|port| clients_of(*port).map(|left| left.len())).sum::<Outcome<usize>>();
        let began = Instant::now();
        while open()? > 0 && began.elapsed() < Duration::from_secs(5) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        run.sockets = beyond + open()?;
        mend()?;
        drop(self.pool);
        self.watcher.await?;
        while tasks() > self.tasks && began.elapsed() < Duration::from_secs(10) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        run.tasks = tasks().saturating_sub(self.tasks);
        if let Err(diverged) = self.trace.record().replay(|_, _| ()) {
            run.wrong.push(format!("the record does not replay: {diverged}"));
        }
        if self.seen.unseen.load(Ordering::Relaxed) > 0 {
            run.wrong.push("events of the pool went by unseen".into());
        }
        run.lost = self.seen.lost.load(Ordering::Relaxed);
        if let Some(writing) = moments.writing {
            run.first_s = writing.first.map(|first| first.as_secs_f64());
            run.all_s = writing.all.map(|all| all.as_secs_f64());
            run.never = writing.never;
        }
        run.caller_s = moments.caller.map(|caller| caller.as_secs_f64());
        sort_errors(&mut run, &log, moments.settled);
        // What still works on statements of this pool may bring rows yet.
        wait_until("the server's sessions have come to rest", SOON, || {
            let busy = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND state = 'active'";
            Ok((home.psql(busy)? == "0").then_some(()))
        })?;
        audit(&mut run, &log, &rows(home)?);
        Ok(run)
    }
}

fn sort_errors(run: &mut Measured, log: &Log, settled: Instant) {
    // Nobody can know before the first who is told.
    let known = log.failed.iter().map(|failed| failed.at).filter(|at| *at >= settled).min().unwrap_or(settled);
    let in_flight = |failed: &Failed| failed.lent.is_some_and(|lent| lent <= known);
    let mut words = BTreeMap::<(bool, Fault), &str>::new();
    for failed in &log.failed {
        let kind = match failed.row {
            None => &mut run.refused,
            Some(_) if in_flight(failed) => &mut run.in_flight,
            Some(_) => &mut run.later,
        };
        *kind.entry(failed.fault).or_default() += 1;
        words.entry((failed.row.is_some(), failed.fault)).or_insert(&failed.text);
    }
    run.read_only = log.failed.iter().filter(|failed| failed.read_only && !in_flight(failed)).count();
    run.words = words.into_values().map(str::to_owned).collect();
}

/// What is in the table.
pub(super) fn rows(server: &Postgres) -> Outcome<BTreeSet<(usize, u64)>> {
    let table = server.psql("SELECT worker, number FROM written")?;
    let row = |line: &str| {
        let (worker, number) = line.split_once('|').ok_or("a row has two columns")?;
        Ok((worker.parse()?, number.parse()?))
    };
    table.lines().map(row).collect()
}

fn audit(run: &mut Measured, log: &Log, rows: &BTreeSet<(usize, u64)>) {
    run.acked = log.acked.len();
    run.missing = log.acked.iter().filter(|acked| !rows.contains(&acked.row)).count();
    let undone = log.failed.iter().filter(|failed| failed.fault != Fault::Ambiguous);
    run.ghosts = undone.filter_map(|failed| failed.row).filter(|row| rows.contains(row)).count();
}

#[cfg(test)]
mod tests {
    use super::{super::crew::Acked, *};

    fn failed(row: u64, fault: Fault, lent: Instant, at: Instant) -> Failed {
        let text = String::from("x");
        Failed { row: Some((0, row)), fault, read_only: fault == Fault::WrongRole, lent: Some(lent), at, text }
    }

    #[test]
    fn rows_are_held_against_what_was_told() {
        let now = Instant::now();
        let acked = [1, 2, 3].map(|row| Acked { row: (0, row), lent: now, at: now });
        let faults = [(4, Fault::Lost), (5, Fault::Lost), (6, Fault::Ambiguous), (7, Fault::Ambiguous)];
        let failed = faults.map(|(row, fault)| failed(row, fault, now, now));
        let log = Log { acked: acked.to_vec(), failed: failed.to_vec() };
        let mut run = Measured::default();
        audit(&mut run, &log, &[1, 3, 5, 6].map(|row| (0, row)).into());
        assert_eq!((run.acked, run.missing, run.ghosts), (3, 1, 1));
    }

    #[test]
    fn an_error_on_a_session_lent_after_the_first_error_is_a_later_one() {
        let settled = Instant::now();
        let at = |ms| settled + Duration::from_millis(ms);
        let lost = [(1, 0, 9), (2, 8, 30), (3, 10, 20)].map(|(row, lent, told)| {
            let fault = if row == 3 { Fault::WrongRole } else { Fault::Lost };
            failed(row, fault, at(lent), at(told))
        });
        let mut run = Measured::default();
        sort_errors(&mut run, &Log { acked: vec![], failed: lost.to_vec() }, settled);
        assert_eq!(run.in_flight, BTreeMap::from([(Fault::Lost, 2)]));
        assert_eq!((run.later, run.read_only), (BTreeMap::from([(Fault::WrongRole, 1)]), 1));
    }
}
