//! The checker beside stateright's breadth-first search, on the same world, in turns, in one process.
//!
//! `cargo bench -p relink-model --bench checker [-- rounds]`. Figures are seconds of processor time. The worlds are the
//! shipped fleet of three around the production pacer and a server that rejects at a cost, 1,792,816 states, and the toy
//! fleet of four clients and full jitter, 2,812,084 states. stateright compares fingerprints and judges one claim that is
//! always true; here states are compared exactly, the graph is kept, and liveness is judged on it.

#![expect(clippy::expect_used, reason = "a bench may fail loudly")]

#[expect(dead_code, reason = "the tests use all of it")]
#[path = "../tests/checker/toy.rs"]
mod toy;

#[path = "../tests/counted/mod.rs"]
mod counted;

use std::fs;

use relink_model::{
    check::{Chance, Form, Limit, explore},
    fleet::{
        Fleet,
        world::{RECOVERS, growing, rejects},
    },
};
use rustix::time::{ClockId, clock_gettime};

use toy::Toy;

fn main() {
    // `cargo bench` says `--bench`; `cargo test --bench` does not, and asks for small worlds, once.
    let test = !std::env::args().any(|arg| arg == "--bench");
    let rounds = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(if test { 1 } else { 5 });
    let policy = growing(8).check().expect("the reduced policy is valid");
    let fleet = Fleet::new(if test { 2 } else { 3 }, &policy, rejects(1, 1, 8)).expect("a process has few states");
    compare("a fleet, a server that rejects at a cost", &fleet, &RECOVERS, rounds);
    let form = Form::Recurs { assume: Toy::up, goal: Toy::all_connected };
    compare("the toy fleet", &Toy::full(4, if test { 3 } else { 4 }), &form, rounds);
}

fn compare<M>(name: &str, model: &M, form: &Form<M>, rounds: usize)
where
    M: Chance + Clone + Send + Sync + 'static,
    M::State: Send + Sync + 'static,
    M::Action: PartialEq,
{
    println!("{name}\nround  explore s  judge s  stateright s  stateright/explore  judge/explore");
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let (graph, exploring) = timed(|| explore(model, Limit::default()).expect("it fits"));
        let (verdict, judging) = timed(|| graph.judge(form));
        assert!(verdict.holds());
        let (states, transitions) = (graph.states(), graph.transitions());
        if round == 1 {
            println!("{states} states, {transitions} transitions, {} bytes a state", graph.bytes() / states);
            println!("{} kB resident at most so far, exploring and judging", resident_most());
        }
        drop(graph);
        let (theirs, searching) = timed(|| counted::by_stateright(model.clone()));
        assert_eq!(theirs, states);
        let (faster, share) = (searching / exploring, judging / exploring);
        println!("{round:5}  {exploring:9.2}  {judging:7.2}  {searching:12.2}  {faster:18.2}  {share:13.2}");
        ratios.push((faster, share));
    }
    let (faster, share): (Vec<f64>, Vec<f64>) = ratios.into_iter().unzip();
    println!("median {:51.2}  {:13.2}\n", median(faster), median(share));
}

/// What that gives, and how much processor time it takes.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let before = clock_gettime(ClockId::ProcessCPUTime);
    let result = work();
    let after = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = (after.tv_sec - before.tv_sec) as f64;
    (result, seconds + (after.tv_nsec - before.tv_nsec) as f64 / 1e9)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The process's resident memory at its highest, as Linux tells it.
fn resident_most() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "?".to_owned(), |line| line.trim().trim_end_matches(" kB").to_owned())
}
