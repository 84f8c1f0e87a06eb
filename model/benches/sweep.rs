//! How many steps a second the sweep judges on one core: `cargo bench -p relink-model --bench sweep [-- --full] [--threads N]`.

use std::{num::NonZero, time::Instant};

use relink_model::sweep::{LEFT_OUT, Level, sweep};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let level = if args.iter().any(|arg| arg == "--full") { Level::Full } else { Level::Quick };
    let threads = args.iter().skip_while(|arg| *arg != "--threads").nth(1).and_then(|count| count.parse().ok());
    let threads: NonZero<usize> = threads.unwrap_or(NonZero::<usize>::MIN);
    let begun = Instant::now();
    let report = sweep(level, threads, None);
    let seconds = begun.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = report.triples as f64 / seconds / threads.get() as f64;
    println!(
        "{level:?}: {} states, {} triples, {} findings; {seconds:.2} s on {threads} threads, {rate:.3e} triples/s/core",
        report.states,
        report.triples,
        usize::from(report.found.is_some())
    );
    for left in LEFT_OUT {
        println!("  left out: {left}");
    }
    assert_eq!(report.found, None);
}
