//! How many steps a second the sweep judges on one core: `cargo bench -p relink-model --bench sweep [-- --full] [--threads N]`.

use std::num::NonZero;

use relink_model::sweep::{Level, left_out, size, sweep};
use rustix::time::{ClockId, clock_gettime};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let level = if args.iter().any(|arg| arg == "--full") { Level::Full } else { Level::Quick };
    let threads = args.iter().skip_while(|arg| *arg != "--threads").nth(1).and_then(|count| count.parse().ok());
    let threads: NonZero<usize> = threads.unwrap_or(NonZero::<usize>::MIN);
    // Of this process only: others may have the cores too.
    let begun = core_seconds();
    let report = sweep(level, threads, None);
    let seconds = core_seconds() - begun;
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = report.triples as f64 / seconds;
    println!(
        "{level:?}: {} states, {} triples, {} findings; {seconds:.2} core seconds on {threads} threads, {rate:.3e} triples/s/core",
        report.states,
        report.triples,
        usize::from(report.found.is_some())
    );
    for left in left_out(level) {
        println!("  left out: {left}");
    }
    assert_eq!(report, size(level, threads));
}

#[expect(clippy::cast_precision_loss, reason = "seconds for people")]
fn core_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
