//! What a healthy pool costs, in instructions of the client's process: a figure that no other load on the machine changes.
//!
//! `cargo bench --bench cost`
//!
//! Takes valgrind. Each operation is carried out 640 and 3840 times by tasks on one thread, in a process of its own under
//! callgrind, against a real PostgreSQL; the difference, divided by 3200, is what one costs, with relink's pool and with
//! deadpool's, which looks whether a session has been closed and asks nothing.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up says why and ends")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    env,
    process::{Command, ExitCode},
};

use deadpool_postgres::Manager;
use futures_util::future::join_all;
use relink::{Policy, postgres::Pool};
use tokio::runtime::Builder;
use tokio_postgres::NoTls;

const SLOTS: u16 = 16;
const FEW: u64 = 640;
const MANY: u64 = 3840;

const POOLS: [&str; 2] = ["relink", "deadpool"];

/// How a process of its own is told what to carry out: the server's address, the pool, the operation, tasks, times.
const ORDER: &str = "RELINK_COST_ORDER";

fn main() -> ExitCode {
    if let Ok(order) = env::var(ORDER) {
        carry_out(&order);
        return ExitCode::SUCCESS;
    }
    let server = support::Postgres::builder().start().expect("a server");
    let url = format!("{}?sslmode=disable", server.url("app"));
    // `cargo bench` says `--bench`; `cargo test --bench` does not, and asks for little.
    if !env::args().any(|arg| arg == "--bench") {
        for pool in POOLS {
            carry_out(&format!("{url} {pool} get 64 64"));
            carry_out(&format!("{url} {pool} select 64 64"));
        }
        return ExitCode::SUCCESS;
    }
    println!("instructions per operation, the client's process on one thread\n");
    for (operation, name) in [("get", "acquire + release"), ("select", "get + SELECT 1")] {
        for tasks in [1, 64] {
            print!("{name:<18} {tasks:>3} task(s)");
            for pool in POOLS {
                let count = |times| instructions(&format!("{url} {pool} {operation} {tasks} {times}"));
                match count(MANY).and_then(|many| Ok((many, count(FEW)?))) {
                    Ok((many, few)) => print!("  {pool} {:>6}", many.abs_diff(few) / (MANY - FEW)),
                    Err(why) => {
                        eprintln!("\ncould not be measured: {why}");
                        return ExitCode::from(3);
                    }
                }
            }
            println!();
        }
    }
    ExitCode::SUCCESS
}

/// How many instructions a process of its own takes to carry the order out.
fn instructions(order: &str) -> Result<u64, String> {
    let this = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(this)
        .env(ORDER, order)
        .output()
        .map_err(|error| format!("valgrind does not start ({error}): apt-get install valgrind"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    let count = told.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    count.filter(|_| output.status.success()).ok_or_else(|| format!("valgrind ended with {}: {told}", output.status))
}

/// The same for any pool: all its sessions are dialed, and then used by turns.
macro_rules! carry_out {
    ($pool:expr, $tasks:expr, $share:expr, $select:expr) => {{
        let (pool, share, select) = ($pool, $share, $select);
        drop(join_all((0..SLOTS).map(|_| pool.get())).await);
        let running: Vec<_> = (0..$tasks)
            .map(|_| {
                let pool = pool.clone();
                tokio::spawn(async move {
                    for _ in 0..share {
                        let session = pool.get().await.expect("a session");
                        if select {
                            session.simple_query("SELECT 1").await.expect("an answer");
                        }
                    }
                })
            })
            .collect();
        for task in running {
            task.await.expect("no operation panics");
        }
    }};
}

fn carry_out(order: &str) {
    let words: Vec<&str> = order.split(' ').collect();
    let [url, pool, operation, tasks, times] = words.try_into().expect("an order of five words");
    let tasks: u64 = tasks.parse().expect("how many tasks");
    let share = times.parse::<u64>().expect("how many times") / tasks;
    let select = operation == "select";
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        if pool == "deadpool" {
            let manager = Manager::new(url.parse().expect("a configuration"), NoTls);
            let pool = deadpool_postgres::Pool::builder(manager).max_size(SLOTS.into()).build().expect("a pool");
            carry_out!(pool, tasks, share, select);
        } else {
            let mut policy = Policy::default();
            policy.max_size = SLOTS;
            policy.min_idle = SLOTS;
            let config = url.parse().expect("a configuration");
            let pool = Pool::configure(config, policy.check().expect("a policy")).expect("a connector");
            carry_out!(pool.build().expect("a pool"), tasks, share, select);
        }
    });
}
