//! What a session costs that is there: relink's pool beside others, on a real PostgreSQL.
//!
//! `cargo bench --bench pool [-- rounds]`
//!
//! One runtime of two workers, 16 slots everywhere, sessions dialed before the clock starts. All contenders of a row take
//! turns, a tenth to a fifth of a second each, in every round and in another order, for a machine that is slower for a while
//! is slower for all of them. Times are the wall time of all operations divided by their number, whoever carried them out; a
//! ratio is relink's to that of the same round.
//!
//! The workers and the server's processes of each pool are bound to the processors in turn (Linux). Left to itself the kernel
//! keeps them where they happened to begin, which makes two pools of one kind differ by up to 5 %. How exact a row is shows
//! *deadpool fast, another*, which is the same once more.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up says why and ends")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    env, fs,
    future::Future,
    process::{Command, Stdio},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bb8_postgres::PostgresConnectionManager;
use deadpool_postgres::{Manager, ManagerConfig, QueueMode, RecyclingMethod};
use futures_util::future::join_all;
use relink::Policy;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

const SLOTS: u16 = 16;

/// How long a contender's turn takes at least.
const TURN: Duration = Duration::from_millis(100);

/// Carries `times` operations out in `tasks` tasks side by side.
async fn spread<F: Future<Output = ()> + Send>(
    tasks: u16,
    times: u64,
    operation: impl Fn(usize) -> F + Clone + Send + 'static,
) -> Duration {
    let began = Instant::now();
    let running: Vec<_> = (0..tasks)
        .map(|task| {
            let each = u64::from(tasks);
            let share = times / each + u64::from(u64::from(task) < times % each);
            let operation = operation.clone();
            tokio::spawn(async move {
                for _ in 0..share {
                    operation(task.into()).await;
                }
            })
        })
        .collect();
    for task in running {
        task.await.expect("no operation panics");
    }
    began.elapsed()
}

/// Somewhere to measure: the server, the runtime, and all that competes.
struct Stage {
    runtime: Runtime,
    url: String,
    relink: relink::postgres::Pool,
    deadpool_fast: deadpool_postgres::Pool,
    deadpool_again: deadpool_postgres::Pool,
    deadpool_lifo: deadpool_postgres::Pool,
    deadpool_verified: deadpool_postgres::Pool,
    bb8: bb8::Pool<PostgresConnectionManager<NoTls>>,
    bb8_tested: bb8::Pool<PostgresConnectionManager<NoTls>>,
    bare: Arc<Vec<Client>>,
    /// Last, so that the pools are gone before it stops.
    _server: support::Postgres,
}

impl Stage {
    fn build() -> Self {
        let workers = AtomicUsize::new(0);
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .on_thread_start(move || bind_thread(workers.fetch_add(1, Ordering::Relaxed)))
            .enable_all()
            .build()
            .expect("a runtime");
        let server = support::Postgres::builder().setting("max_connections", "250").start().expect("a server");
        let url = format!("{}?sslmode=disable", server.url("app"));
        let (relink, bare, bb8, bb8_tested) = runtime.block_on(async {
            let mut policy = Policy::default();
            policy.max_size = SLOTS;
            policy.min_idle = SLOTS;
            let config = url.parse().expect("a configuration");
            let policy = policy.check().expect("a policy");
            let relink = relink::postgres::Pool::configure(config, policy).expect("a connector");
            let bare = join_all((0..SLOTS).map(|_| connect(&url))).await;
            (relink.build().expect("a pool"), bare, bb8(&url, false).await, bb8(&url, true).await)
        });
        let stage = Self {
            relink,
            deadpool_fast: deadpool(&url, RecyclingMethod::Fast, QueueMode::Fifo),
            deadpool_again: deadpool(&url, RecyclingMethod::Fast, QueueMode::Fifo),
            deadpool_lifo: deadpool(&url, RecyclingMethod::Fast, QueueMode::Lifo),
            deadpool_verified: deadpool(&url, RecyclingMethod::Verified, QueueMode::Fifo),
            bb8,
            bb8_tested,
            bare: Arc::new(bare),
            url,
            runtime,
            _server: server,
        };
        stage.runtime.block_on(stage.warm());
        stage
    }

    /// Every pool has all its sessions at once, and each of these its processor.
    async fn warm(&self) {
        macro_rules! bind_all {
            ($($pool:ident),*) => { $(
                let sessions = join_all((0..SLOTS).map(|_| self.$pool.get())).await;
                for (place, session) in sessions.iter().enumerate() {
                    bind_server(session.as_ref().expect("a session"), place).await;
                }
                drop(sessions);
            )* };
        }
        bind_all!(relink, deadpool_fast, deadpool_again, deadpool_lifo, deadpool_verified, bb8, bb8_tested);
        for (place, client) in self.bare.iter().enumerate() {
            bind_server(client, place).await;
        }
    }

    /// A contender that carries `operation` out.
    fn contender<F: Future<Output = ()> + Send>(
        &self,
        name: &'static str,
        operation: impl Fn(usize) -> F + Clone + Send + 'static,
    ) -> Contender<'_> {
        let run = move |tasks, times| self.runtime.block_on(spread(tasks, times, operation.clone()));
        Contender { name, run: Box::new(run), times: 1, each: Vec::new() }
    }
}

/// One that takes part in a row.
struct Contender<'a> {
    name: &'static str,
    run: Box<dyn Fn(u16, u64) -> Duration + 'a>,
    /// How many operations fill a turn.
    times: u64,
    /// What one operation took, in microseconds, round by round.
    each: Vec<f64>,
}

impl Contender<'_> {
    fn turn(&self, tasks: u16) -> f64 {
        (self.run)(tasks, self.times).as_secs_f64() * 1e6 / self.times as f64
    }

    /// Finds how many operations fill a turn.
    fn warm_up(&mut self, tasks: u16, turn: Duration) {
        while (self.run)(tasks, self.times) < turn {
            self.times *= 2;
        }
    }
}

/// All contenders by turns; the first is relink, whose ratio to each other is printed.
fn compare(operation: &str, tasks: u16, rounds: usize, turn: Duration, mut contenders: Vec<Contender<'_>>) {
    for contender in &mut contenders {
        contender.warm_up(tasks, turn);
    }
    for _ in 0..rounds {
        let mut order: Vec<_> = contenders.iter_mut().collect();
        // Nobody is always behind the same one.
        fastrand::shuffle(&mut order);
        for contender in order {
            let each = contender.turn(tasks);
            contender.each.push(each);
        }
    }
    println!("\n{operation}, {tasks} {}", if tasks == 1 { "task" } else { "tasks" });
    println!("{:<28} {:>9}   {:<16}  {:>12}", "", "median us", "  quartiles", "relink's / it");
    let relink = contenders.first().map(|relink| relink.each.clone()).unwrap_or_default();
    for Contender { name, each, .. } in contenders {
        let ratios = relink.iter().zip(&each).map(|(ours, theirs)| ours / theirs).collect();
        let ([low, median, high], [least, ratio, most]) = (quartiles(each), quartiles(ratios));
        println!("{name:<28} {median:>9.3}   {low:>7.3}..{high:<7.3}  {ratio:>6.3} ({least:.3}..{most:.3})");
    }
}

fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values.get(values.len() * quarter / 4).copied().unwrap_or(f64::NAN))
}

fn deadpool(url: &str, recycling_method: RecyclingMethod, queue: QueueMode) -> deadpool_postgres::Pool {
    let config = url.parse().expect("a configuration");
    let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method });
    deadpool_postgres::Pool::builder(manager).max_size(SLOTS.into()).queue_mode(queue).build().expect("a pool")
}

async fn bb8(url: &str, test: bool) -> bb8::Pool<PostgresConnectionManager<NoTls>> {
    let manager = PostgresConnectionManager::new_from_stringlike(url, NoTls).expect("a configuration");
    let builder = bb8::Pool::builder().max_size(SLOTS.into()).min_idle(u32::from(SLOTS)).test_on_check_out(test);
    builder.build(manager).await.expect("a pool")
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

/// The processors that this process may use, where the system tells (Linux).
fn processors() -> Vec<u16> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or_default();
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    list.trim().split(',').filter_map(range).flatten().collect()
}

/// Binds a process or thread to a processor, those that there are by turns.
fn bind(id: &str, place: usize) {
    static PROCESSORS: LazyLock<Vec<u16>> = LazyLock::new(processors);
    let Some(processor) = PROCESSORS.iter().cycle().nth(place) else { return };
    let bound = Command::new("taskset").args(["-pc", &processor.to_string(), id]).stdout(Stdio::null()).status();
    assert!(bound.expect("taskset, of Debian's package util-linux").success(), "{id} is bound to {processor}");
}

fn bind_thread(place: usize) {
    // `<process>/task/<thread>`
    if let Some(thread) = fs::read_link("/proc/thread-self").ok().as_deref().and_then(|link| link.file_name()?.to_str())
    {
        bind(thread, place);
    }
}

async fn bind_server(client: &Client, place: usize) {
    let answer = client.simple_query("SELECT pg_backend_pid()").await.expect("an answer");
    let row =
        answer.iter().find_map(|message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None });
    bind(row.and_then(|row| row.get(0)).expect("a process id"), place);
}

async fn select(client: &Client) {
    client.simple_query("SELECT 1").await.expect("an answer");
}

/// A contender for each pool that carries the same out; `$use` sees a session.
macro_rules! each_pool {
    ($stage:expr, |$session:ident| $use:expr) => {
        vec![
            each_pool!(@ $stage, relink, "relink", $session, $use),
            each_pool!(@ $stage, deadpool_fast, "deadpool fast", $session, $use),
            each_pool!(@ $stage, deadpool_again, "deadpool fast, another", $session, $use),
            each_pool!(@ $stage, deadpool_lifo, "deadpool fast, last first", $session, $use),
            each_pool!(@ $stage, deadpool_verified, "deadpool verified", $session, $use),
            each_pool!(@ $stage, bb8, "bb8 unchecked", $session, $use),
            each_pool!(@ $stage, bb8_tested, "bb8 tested", $session, $use),
        ]
    };
    (@ $stage:expr, $pool:ident, $name:literal, $session:ident, $use:expr) => {{
        let pool = $stage.$pool.clone();
        $stage.contender($name, move |_| {
            let pool = pool.clone();
            async move {
                let $session = pool.get().await.expect("a session");
                $use;
            }
        })
    }};
}

fn main() {
    // `cargo bench` says `--bench`; `cargo test --bench` does not, and asks for little.
    let test = !env::args().any(|arg| arg == "--bench");
    let rounds = env::args().find_map(|arg| arg.parse().ok()).unwrap_or(if test { 1 } else { 41 });
    let turn = if test { Duration::from_millis(1) } else { TURN };
    let stage = Stage::build();
    for tasks in [1, 64] {
        compare("acquire and release", tasks, rounds, turn, each_pool!(&stage, |session| drop(session)));
    }
    for tasks in [1, 64] {
        let mut contenders = each_pool!(&stage, |session| select(&session).await);
        contenders.push(bare(&stage, "one bare client a task", |task, _| task));
        contenders.push(bare(&stage, "bare clients in turn", |task, call| task + call));
        compare("get and SELECT 1", tasks, rounds, turn, contenders);
    }
    for tasks in [50, 100] {
        let pool = stage.relink.clone();
        let relink = stage.contender("relink", move |_| {
            let pool = pool.clone();
            async move {
                let mut session = pool.get().await.expect("a session");
                transact(&mut session).await;
            }
        });
        let url: Arc<str> = stage.url.as_str().into();
        let fresh = stage.contender("a connection per call", move |_| {
            let url = Arc::clone(&url);
            async move { transact(&mut connect(&url).await).await }
        });
        compare("short transaction", tasks, rounds, turn, vec![relink, fresh]);
    }
}

/// `SELECT 1` on one of 16 clients that nobody has to ask for, up to four statements pipelined on each with 64 tasks;
/// `which` of them, by the task and the number of calls before.
fn bare<'a>(stage: &'a Stage, name: &'static str, which: fn(usize, usize) -> usize) -> Contender<'a> {
    let (clients, calls) = (Arc::clone(&stage.bare), Arc::new(AtomicUsize::new(0)));
    stage.contender(name, move |task| {
        let (clients, calls) = (Arc::clone(&clients), Arc::clone(&calls));
        async move {
            let chosen = which(task, calls.fetch_add(1, Ordering::Relaxed)) % clients.len();
            select(clients.get(chosen).expect("it is below their number")).await;
        }
    })
}

async fn transact(client: &mut Client) {
    let transaction = client.transaction().await.expect("a transaction");
    select(transaction.client()).await;
    transaction.commit().await.expect("a commit");
}
