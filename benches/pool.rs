//! What a session costs that is there: relink's pool beside others, on a real PostgreSQL.
//!
//! `cargo bench --bench pool`
//!
//! One runtime of two workers, 16 slots everywhere, sessions dialed before the clock starts. Each time is
//! the wall time of all operations divided by their number, whoever carried them out.

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use bb8_postgres::PostgresConnectionManager;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use deadpool_postgres::{Manager, ManagerConfig, RecyclingMethod};
use futures_util::future::join_all;
use relink::Policy;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls};

const SLOTS: u16 = 16;

/// Carries `times` operations out in `tasks` tasks side by side.
async fn spread<F: Future<Output = ()> + Send>(
    tasks: u64,
    times: u64,
    operation: impl Fn(usize) -> F + Clone + Send + 'static,
) -> Duration {
    let began = Instant::now();
    let running: Vec<_> = (0..tasks.min(times))
        .map(|task| {
            let share = times / tasks + u64::from(task < times % tasks);
            let operation = operation.clone();
            tokio::spawn(async move {
                for _ in 0..share {
                    operation(task as usize).await;
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
    deadpool_verified: deadpool_postgres::Pool,
    bb8: bb8::Pool<PostgresConnectionManager<NoTls>>,
    bb8_tested: bb8::Pool<PostgresConnectionManager<NoTls>>,
    bare: Arc<Vec<Client>>,
    /// Last, so that the pools are gone before it stops.
    _server: support::Postgres,
}

impl Stage {
    fn build() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
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
            deadpool_fast: deadpool(&url, RecyclingMethod::Fast),
            deadpool_verified: deadpool(&url, RecyclingMethod::Verified),
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

    /// Every pool has all its sessions at once.
    async fn warm(&self) {
        let all = || 0..SLOTS;
        drop(join_all(all().map(|_| self.relink.get())).await);
        drop(join_all(all().map(|_| self.deadpool_fast.get())).await);
        drop(join_all(all().map(|_| self.deadpool_verified.get())).await);
        drop(join_all(all().map(|_| self.bb8.get())).await);
        drop(join_all(all().map(|_| self.bb8_tested.get())).await);
    }

    fn measure<F: Future<Output = ()> + Send>(
        &self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        name: &str,
        tasks: u64,
        operation: impl Fn(usize) -> F + Clone + Send + 'static,
    ) {
        let id = format!("{name}, {tasks} {}", if tasks == 1 { "task" } else { "tasks" });
        group.throughput(Throughput::Elements(1));
        group.bench_function(id, |b| {
            b.iter_custom(|times| self.runtime.block_on(spread(tasks, times, operation.clone())));
        });
    }
}

fn deadpool(url: &str, recycling_method: RecyclingMethod) -> deadpool_postgres::Pool {
    let config = url.parse().expect("a configuration");
    let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method });
    deadpool_postgres::Pool::builder(manager).max_size(SLOTS.into()).build().expect("a pool")
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

async fn select(client: &Client) {
    client.simple_query("SELECT 1").await.expect("an answer");
}

/// Carries the same out for each pool; `$use` sees a session.
macro_rules! each_pool {
    ($stage:expr, $group:expr, $tasks:expr, |$session:ident| $use:expr) => {{
        let stage = $stage;
        let pool = stage.relink.clone();
        stage.measure($group, "relink", $tasks, move |_| each_pool!(@ pool, $session, $use));
        let pool = stage.deadpool_fast.clone();
        stage.measure($group, "deadpool fast", $tasks, move |_| each_pool!(@ pool, $session, $use));
        let pool = stage.deadpool_verified.clone();
        stage.measure($group, "deadpool verified", $tasks, move |_| each_pool!(@ pool, $session, $use));
        let pool = stage.bb8.clone();
        stage.measure($group, "bb8 unchecked", $tasks, move |_| each_pool!(@ pool, $session, $use));
        let pool = stage.bb8_tested.clone();
        stage.measure($group, "bb8 tested", $tasks, move |_| each_pool!(@ pool, $session, $use));
    }};
    (@ $pool:ident, $session:ident, $use:expr) => {{
        let pool = $pool.clone();
        async move {
            let $session = pool.get().await.expect("a session");
            $use;
        }
    }};
}

fn pools(c: &mut Criterion) {
    let stage = Stage::build();
    let mut group = c.benchmark_group("acquire and release");
    for tasks in [1, 64] {
        each_pool!(&stage, &mut group, tasks, |session| drop(session));
    }
    group.finish();

    let mut group = c.benchmark_group("get and SELECT 1");
    for tasks in [1, 64] {
        each_pool!(&stage, &mut group, tasks, |session| select(&session).await);
        let bare = Arc::clone(&stage.bare);
        stage.measure(&mut group, "16 bare clients, pipelined", tasks, move |task| {
            let bare = Arc::clone(&bare);
            async move { select(&bare[task % bare.len()]).await }
        });
    }
    group.finish();

    let mut group = c.benchmark_group("short transaction");
    for tasks in [50, 100] {
        let pool = stage.relink.clone();
        stage.measure(&mut group, "relink", tasks, move |_| {
            let pool = pool.clone();
            async move {
                let mut session = pool.get().await.expect("a session");
                transact(&mut session).await;
            }
        });
        let url: Arc<str> = stage.url.as_str().into();
        stage.measure(&mut group, "a connection per call", tasks, move |_| {
            let url = Arc::clone(&url);
            async move { transact(&mut connect(&url).await).await }
        });
    }
    group.finish();
}

async fn transact(client: &mut Client) {
    let transaction = client.transaction().await.expect("a transaction");
    select(transaction.client()).await;
    transaction.commit().await.expect("a commit");
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4));
    targets = pools
}
criterion_main!(benches);
