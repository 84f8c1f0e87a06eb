//! What a healthy pool costs, in instructions of the client's process: a figure that no other load on the machine changes.
//!
//! `cargo bench --bench cost`
//!
//! Takes valgrind. Each operation is carried out 640 and 3840 times by tasks on one thread, in a process of its own under
//! callgrind, against a real PostgreSQL; the difference, divided by 3200, is what one costs.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up says why and ends")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    env,
    process::{Command, ExitCode},
    sync::Arc,
};

use futures_util::future::join_all;
use relink::{Policy, postgres::Pool};
use tokio::runtime::Builder;

const SLOTS: u16 = 16;
const FEW: u64 = 640;
const MANY: u64 = 3840;

/// How a process of its own is told what to carry out: the server's address, the operation, tasks, times.
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
        carry_out(&format!("{url} get 64 64"));
        carry_out(&format!("{url} select 64 64"));
        return ExitCode::SUCCESS;
    }
    println!("instructions per operation, the client's process on one thread\n");
    for (operation, name) in [("get", "acquire + release"), ("select", "get + SELECT 1")] {
        for tasks in [1, 64] {
            let count = |times| instructions(&format!("{url} {operation} {tasks} {times}"));
            match count(MANY).and_then(|many| Ok((many, count(FEW)?))) {
                Ok((many, few)) => println!("{name:<18} {tasks:>3} task(s)  {:>7}", many.abs_diff(few) / (MANY - FEW)),
                Err(why) => {
                    eprintln!("could not be measured: {why}");
                    return ExitCode::from(3);
                }
            }
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

fn carry_out(order: &str) {
    let words: Vec<&str> = order.split(' ').collect();
    let [url, operation, tasks, times] = words.try_into().expect("an order of four words");
    let tasks: u64 = tasks.parse().expect("how many tasks");
    let share = times.parse::<u64>().expect("how many times") / tasks;
    let select = operation == "select";
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut policy = Policy::default();
        policy.max_size = SLOTS;
        policy.min_idle = SLOTS;
        let config = url.parse().expect("a configuration");
        let pool = Pool::configure(config, policy.check().expect("a policy")).expect("a connector");
        let pool = Arc::new(pool.build().expect("a pool"));
        drop(join_all((0..SLOTS).map(|_| pool.get())).await);
        let running: Vec<_> = (0..tasks)
            .map(|_| {
                let pool = Arc::clone(&pool);
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
    });
}
