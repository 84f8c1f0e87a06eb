//! What outages of a real PostgreSQL cost a pool, beside the limits that are computed for its policy.
//!
//! cargo bench --bench outages --features rustls -- --full              # all rows, about half an hour
//! cargo bench --bench outages --features rustls -- --full refuse flap  # these
//!
//! Without `--full` each row is one short outage: a smoke test. Ends with 1 when a limit is broken.
//! Progress goes to stderr, the figures (a table, then one line of JSON) to stdout.

mod figures;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::{
    error::Error,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use figures::{Count, Fairness, Figures, Outage, Row};
use relink::{Checked, Fault, Policy, Span, adapter::State, postgres::Pool};
use relink_model::{
    bounds,
    demo::crew::{Crew, Job},
    proxy::{Flap, Mode, Proxy},
};
use support::{Postgres, Stop};

type Outcome<T> = Result<T, Box<dyn Error>>;

const WORKERS: usize = 64;
const JOB: Job = Job { statement: "SELECT 1", hold: Duration::from_millis(10) };
/// What a limit leaves to the dial that finds the server, the statement, the hold and the scheduler.
const ONE_DIAL: Duration = Duration::from_millis(100);

/// How long everything takes; the smoke test differs from the full run in nothing else.
struct Scale {
    outage: Duration,
    outages: usize,
    flapping: Duration,
    fairness: Duration,
    policy: Checked,
}

impl Scale {
    /// The default policy but for `stable_for`, so that each outage begins in peace soon after the last.
    fn full() -> Outcome<Self> {
        let mut policy = Policy::default();
        policy.stable_for = Span::from_secs(1);
        Ok(Self {
            outage: Duration::from_secs(10),
            outages: 15,
            flapping: Duration::from_secs(60),
            fairness: Duration::from_secs(12),
            policy: policy.check()?,
        })
    }

    /// A silent peer would take seconds by the default deadline of a dial.
    fn smoke() -> Outcome<Self> {
        let mut policy = Policy::default();
        policy.stable_for = Span::from_millis(100);
        policy.dial_deadline = Span::from_millis(500);
        policy.w0 = Span::from_millis(100);
        Ok(Self {
            outage: Duration::from_secs(1),
            outages: 1,
            flapping: Duration::from_secs(1),
            fairness: Duration::from_secs(1),
            policy: policy.check()?,
        })
    }
}

/// How the server is taken away.
#[derive(Clone, Copy)]
enum Harm {
    /// The proxy treats dials so, and cuts what there is.
    Proxy(Mode),
    /// The server itself is stopped and started.
    Stop,
}

/// One script: outages of one kind, one after the other.
struct Script {
    name: &'static str,
    about: &'static str,
    harm: Harm,
    /// The class that limits are computed for.
    fault: Fault,
    secure: bool,
}

const FLAP: Flap = Flap::After(Duration::from_millis(100));

const SCRIPTS: [Script; 6] = [
    Script {
        name: "refuse",
        about: "the port is closed",
        harm: Harm::Proxy(Mode::Refuse),
        fault: Fault::Refused,
        secure: false,
    },
    Script {
        name: "reset",
        about: "accepted, then reset",
        harm: Harm::Proxy(Mode::Reset),
        fault: Fault::Refused,
        secure: false,
    },
    Script {
        name: "flap",
        about: "sessions end after 100 ms",
        harm: Harm::Proxy(Mode::Flap(FLAP)),
        fault: Fault::Lost,
        secure: false,
    },
    Script {
        name: "stop",
        about: "the server is stopped and started",
        harm: Harm::Stop,
        fault: Fault::Refused,
        secure: false,
    },
    Script {
        name: "silent",
        about: "accepted, never answered",
        harm: Harm::Proxy(Mode::Silent),
        fault: Fault::TimedOut,
        secure: false,
    },
    Script {
        name: "refuse-tls",
        about: "the port is closed; SCRAM and TLS",
        harm: Harm::Proxy(Mode::Refuse),
        fault: Fault::Refused,
        secure: true,
    },
];

/// A server, the way to it, and a pool that has all its sessions.
struct Stage {
    server: Arc<Postgres>,
    proxy: Proxy,
    pool: Pool,
    /// Where the pool dials: the proxy, or the server itself.
    port: u16,
}

impl Stage {
    async fn build(scale: &Scale, direct: bool, secure: bool) -> Outcome<Self> {
        let server = Postgres::builder().setting("max_connections", "40");
        let server =
            if secure { server.tls().hba("hostssl all all 127.0.0.1/32 scram-sha-256") } else { server }.start()?;
        let proxy = Proxy::start(format!("127.0.0.1:{}", server.port()).as_str()).await?;
        let port = if direct { server.port() } else { proxy.addr().port() };
        let tls = if secure {
            format!("sslmode=verify-full&sslrootcert={}", server.ca().display())
        } else {
            "sslmode=disable".into()
        };
        let url = format!("postgresql://app:{}@127.0.0.1:{port}/{}?{tls}", support::PASSWORD, support::DATABASE);
        let pool = Pool::configure(url.parse()?, scale.policy.clone())?.build()?;
        Ok(Self { server: Arc::new(server), proxy, pool, port })
    }

    async fn harm(&self, harm: Harm) -> Outcome<()> {
        match harm {
            Harm::Proxy(mode) => {
                self.proxy.set(mode).await?;
                self.proxy.cut();
            }
            Harm::Stop => {
                let server = Arc::clone(&self.server);
                tokio::task::spawn_blocking(move || server.stop(Stop::Fast)).await??;
            }
        }
        Ok(())
    }

    async fn heal(&self, harm: Harm) -> Outcome<()> {
        match harm {
            Harm::Proxy(_) => self.proxy.set(Mode::Pass).await?,
            Harm::Stop => {
                let server = Arc::clone(&self.server);
                tokio::task::spawn_blocking(move || server.start_again()).await??;
            }
        }
        Ok(())
    }

    /// Waits until no outage is on record, every slot has its session, and each of them is stable: what the
    /// next outage meets has then forgotten the last.
    async fn peace(&self) -> Outcome<Duration> {
        let began = Instant::now();
        let mut status = self.pool.status();
        let up = status.wait_for(|status| status.state == State::Up);
        tokio::time::timeout(Duration::from_secs(600), up).await??;
        let policy = self.pool.policy();
        while sockets_to(self.port)? < usize::from(policy.max_size) {
            if began.elapsed() > Duration::from_secs(600) {
                return Err("the pool did not come back to its size within 600 s".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(policy.stable_for.into()).await;
        Ok(began.elapsed())
    }
}

/// Sockets of this machine's processes that were connected to this port, and are not closed yet.
fn sockets_to(port: u16) -> Outcome<usize> {
    let table = std::fs::read_to_string("/proc/self/net/tcp")?;
    let remote = format!(":{port:04X}");
    let ours = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        // An inode of 0 is the kernel's alone: its process has closed it.
        fields.get(2).is_some_and(|to| to.ends_with(&remote)) && fields.get(9).is_some_and(|inode| *inode != "0")
    };
    Ok(table.lines().skip(1).filter(ours).count())
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// The limits of one outage of this length, as far as there are closed forms.
fn limits(policy: &Checked, script: &Script, outage: Duration) -> (u64, Duration) {
    let outage = Span::from_millis(u64::try_from(outage.as_millis()).unwrap_or(u64::MAX).saturating_add(1));
    let dials = match script.harm {
        Harm::Proxy(Mode::Flap(_)) => bounds::flapping_max(policy, outage),
        Harm::Proxy(_) | Harm::Stop => bounds::dials_max(policy, outage, script.fault).map_or(u64::MAX, u64::from),
    };
    let back = if script.fault == Fault::TimedOut {
        bounds::recovery_max_overloaded(policy, outage)
    } else {
        bounds::recovery_max(policy, outage)
    };
    (dials, Duration::from(back))
}

async fn outages(scale: &Scale, script: &Script) -> Outcome<Row> {
    let tasks_before = tasks();
    let stage = Stage::build(scale, matches!(script.harm, Harm::Stop), script.secure).await?;
    let crew = Crew::start(&stage.pool, WORKERS, JOB);
    let mut pause = stage.peace().await?;
    let sockets_before = sockets_to(stage.port)?;
    let mut row = Row::new(script.name, script.about, scale.outage);
    for number in 1..=scale.outages {
        let began = Instant::now();
        stage.harm(script.harm).await?;
        tokio::time::sleep_until((began + scale.outage).into()).await;
        stage.heal(script.harm).await?;
        let accepts = Instant::now();
        let (dials_limit, back_limit) = limits(&scale.policy, script, accepts - began);
        let patience = back_limit + Duration::from_secs(5);
        while crew.served_since(accepts) < WORKERS && accepts.elapsed() < patience {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let measured = crew.measure(began, accepts, Instant::now());
        let outage = Outage::new(number, pause, measured, dials_limit, back_limit + ONE_DIAL);
        eprintln!("{}: {outage}", script.name);
        row.outages.push(outage);
        pause = stage.peace().await?;
    }
    row.sockets = Count { before: sockets_before, after: sockets_to(stage.port)? };
    crew.stop().await;
    stage.pool.close().await;
    let Stage { proxy, pool, .. } = stage;
    drop((proxy, pool));
    row.tasks = Count { before: tasks_before, after: settled(tasks_before).await };
    Ok(row)
}

/// How many tasks there are when no more of them end, at the latest after some seconds.
async fn settled(expected: usize) -> usize {
    let began = Instant::now();
    while tasks() > expected && began.elapsed() < Duration::from_secs(5) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tasks()
}

/// No session ever becomes stable: S2b.
async fn flapping(scale: &Scale) -> Outcome<Row> {
    let stage = Stage::build(scale, false, false).await?;
    let crew = Crew::start(&stage.pool, WORKERS, JOB);
    let pause = stage.peace().await?;
    let began = Instant::now();
    stage.harm(Harm::Proxy(Mode::Flap(FLAP))).await?;
    tokio::time::sleep_until((began + scale.flapping).into()).await;
    stage.heal(Harm::Proxy(Mode::Pass)).await?;
    let accepts = Instant::now();
    let length = Span::from_millis(u64::try_from((accepts - began).as_millis())?);
    let back = Duration::from(bounds::recovery_max(&scale.policy, length));
    while crew.served_since(accepts) < WORKERS && accepts.elapsed() < back + Duration::from_secs(5) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let measured = crew.measure(began, accepts, Instant::now());
    let outage = Outage::new(1, pause, measured, bounds::flapping_max(&scale.policy, length), back + ONE_DIAL);
    eprintln!("flapping: {outage}");
    crew.stop().await;
    stage.pool.close().await;
    let mut row = Row::new("flapping", "sessions end after 100 ms, for long", scale.flapping);
    row.outages.push(outage);
    Ok(row)
}

/// Healthy slots, four times as many tasks: who is served least?
async fn fairness(scale: &Scale) -> Outcome<Fairness> {
    let stage = Stage::build(scale, true, false).await?;
    let counts: Arc<Vec<AtomicU64>> = Arc::new((0..WORKERS).map(|_| AtomicU64::new(0)).collect());
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..WORKERS {
        let (pool, counts) = (stage.pool.clone(), Arc::clone(&counts));
        tasks.spawn(async move {
            while let Ok(lease) = pool.get().await {
                if lease.batch_execute(JOB.statement).await.is_ok() {
                    tokio::time::sleep(JOB.hold).await;
                    counts.get(worker).map(|count| count.fetch_add(1, Ordering::Relaxed));
                }
            }
        });
    }
    stage.peace().await?;
    counts.iter().for_each(|count| count.store(0, Ordering::Relaxed));
    tokio::time::sleep(scale.fairness).await;
    let served: Vec<_> = counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
    tasks.shutdown().await;
    stage.pool.close().await;
    Ok(Fairness::new(&served, scale.fairness))
}

async fn run(scale: &Scale, only: &[String]) -> Outcome<Figures> {
    let wanted = |name: &str| only.is_empty() || only.iter().any(|only| only == name);
    let mut figures = Figures::new(&scale.policy);
    if wanted("fairness") {
        eprintln!("fairness: {:?}", scale.fairness);
        figures.fairness = Some(fairness(scale).await?);
    }
    for script in &SCRIPTS {
        if script.secure && cfg!(not(feature = "rustls")) {
            eprintln!("{}: left out, the feature rustls is off", script.name);
        } else if wanted(script.name) {
            eprintln!("{}: {}, {} times {:?}", script.name, script.about, scale.outages, scale.outage);
            figures.rows.push(outages(scale, script).await?);
        }
    }
    if wanted("flapping") {
        eprintln!("flapping: {:?}", scale.flapping);
        figures.rows.push(flapping(scale).await?);
    }
    Ok(figures)
}

fn main() -> Outcome<ExitCode> {
    // Cargo itself adds `--bench`.
    let (options, only): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let full = options.iter().any(|option| option == "--full");
    let known = |name: &String| {
        ["fairness", "flapping"].contains(&name.as_str()) || SCRIPTS.iter().any(|script| script.name == name)
    };
    if let Some(unknown) = only.iter().find(|name| !known(name)) {
        let names = SCRIPTS.iter().map(|script| script.name).collect::<Vec<_>>().join(", ");
        return Err(format!("`{unknown}` is no row: use fairness, {names} or flapping").into());
    }
    let scale = if full { Scale::full()? } else { Scale::smoke()? };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let figures = runtime.block_on(run(&scale, &only))?;
    println!("{figures}");
    println!("{}", serde_json::to_string(&figures)?);
    Ok(if figures.kept() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
