//! What one delay costs at its cap, whether the cap is a cap, and whether there is jitter at it: relink's policies beside
//! the crates that draw delays, and an integer floor.
//!
//! `cargo bench --bench delays`
#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up says why and ends")]

use std::{
    hint::black_box,
    time::{Duration, SystemTime},
};

use backoff::backoff::Backoff as _;
use backon::BackoffBuilder;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};
use relink::{Backoff, Policy, Span, pacer::Delays};
use retry_policies::{RetryDecision, RetryPolicy};

const BASE: Span = Span::from_millis(100);
const CAP: Span = Span::from_secs(30);
/// 100 ms doubled nine times is above 30 s, and 1 s times 1.6 ten times above 100 s; the rest is to spare.
const CLIMB: usize = 64;
const DRAWS: usize = 10_000;

struct Contender {
    name: String,
    /// What the policy was told to be its cap.
    cap: Span,
    /// relink's alone: what others promise is theirs to hold.
    promise: Option<Promise>,
}

/// What relink documents of a policy at its cap.
struct Promise {
    longest: Span,
    jitter: bool,
}

/// What is done with each contender. A closure by its own type and not behind `dyn`: a call that is not inlined would
/// cost more than the floor.
trait Look {
    fn at(&mut self, contender: Contender, draw: impl FnMut() -> Duration);
}

fn contenders(look: &mut impl Look) {
    let mut rng = fastrand::Rng::with_seed(1);
    let (mut rung, cap) = (BASE.as_millis() / 2, CAP.as_millis());
    look.at(other("integer floor: full jitter"), move || floor(&mut rung, cap, rng.u64(..)));
    relinks(look);
    others(look);
}

fn other(name: &str) -> Contender {
    Contender { name: name.to_owned(), cap: CAP, promise: None }
}

/// The cheapest full jitter that anybody could write: `U[0, min(cap, base·2ⁿ)]` in whole milliseconds.
fn floor(rung: &mut u64, cap: u64, chance: u64) -> Duration {
    *rung = (*rung * 2).min(cap);
    Duration::from_millis(((u128::from(chance) * (u128::from(*rung) + 1)) >> 64) as u64)
}

fn relinks(look: &mut impl Look) {
    let (base, cap, grpc) = (BASE, CAP, Span::from_secs(120));
    let kinds = [
        // Its cap, `capd`, is that of the window; a wait is up to `jitter_hi` windows, 1.4 of them.
        ("own", Backoff::Relink, cap, Span::from_secs(42), true),
        ("constant", Backoff::Constant { wait: cap }, cap, cap, false),
        ("exponential", Backoff::Exponential { base, cap }, cap, cap, false),
        ("full jitter", Backoff::FullJitter { base, cap }, cap, cap, true),
        ("equal jitter", Backoff::EqualJitter { base, cap }, cap, cap, true),
        ("decorrelated jitter", Backoff::DecorrelatedJitter { base, cap }, cap, cap, true),
        // Its numbers are those of the specification.
        ("grpc", Backoff::Grpc, grpc, grpc, true),
    ];
    for (name, backoff, cap, longest, jitter) in kinds {
        let policy = Policy::builder().backoff(backoff).w0(BASE).capd(CAP).check().expect("a valid policy");
        let mut rng = fastrand::Rng::with_seed(1);
        let mut delays = Delays::new();
        // The window of relink's own is 8.5 % of the outage's age: `capd` from 353 s on.
        let age = Span::from_secs(3_600);
        let contender = Contender { name: format!("relink: {name}"), cap, promise: Some(Promise { longest, jitter }) };
        look.at(contender, move || delays.next(&policy, age, rng.u64(..)).into());
    }
}

/// The others with the same base, cap and factor, without a limit of attempts, and with the jitter that they offer.
fn others(look: &mut impl Look) {
    let (base, cap) = (Duration::from(BASE), Duration::from(CAP));
    let endless = "no limit of attempts";

    let builder = backon::ExponentialBuilder::default().with_min_delay(base).with_max_delay(cap);
    let mut delays = builder.with_jitter().without_max_times().build();
    look.at(other("backon"), move || delays.next().expect(endless));

    // The delays of these two are powers of the base times the factor: 100 ms, 200 ms, ...
    let delays = tokio_retry::strategy::ExponentialBackoff::from_millis(2).factor(50).max_delay(cap);
    let mut delays = delays.map(tokio_retry::strategy::jitter);
    look.at(other("tokio-retry"), move || delays.next().expect(endless));

    let delays = tokio_retry2::strategy::ExponentialBackoff::from_millis(2).factor(50).max_delay(cap);
    let mut delays = delays.map(tokio_retry2::strategy::jitter);
    look.at(other("tokio-retry2"), move || delays.next().expect(endless));

    // Its factor is 1.5 unless told, its jitter ± 50 %.
    let mut builder = backoff::ExponentialBackoffBuilder::new();
    builder.with_initial_interval(base).with_max_interval(cap).with_multiplier(2.0).with_max_elapsed_time(None);
    let mut delays = builder.build();
    look.at(other("backoff"), move || delays.next_backoff().expect(endless));

    // Its jitter is 30 % unless told. It ends after 2³² attempts, with a `None` in the `Some`.
    let mut delays = exponential_backoff::Backoff::new(u32::MAX, base, cap).iter();
    look.at(other("exponential-backoff"), move || delays.next().flatten().expect(endless));

    // Full jitter unless told. It answers with a time of day, so a delay costs a reading of the clock more.
    let builder = retry_policies::policies::ExponentialBackoff::builder().retry_bounds(base, cap);
    let policy = builder.build_with_max_retries(u32::MAX);
    let mut retries = 0;
    look.at(other("retry-policies"), move || {
        let RetryDecision::Retry { execute_after } = policy.should_retry(SystemTime::UNIX_EPOCH, retries) else {
            unreachable!("{endless}")
        };
        retries += 1;
        execute_after.duration_since(SystemTime::now()).unwrap_or_default()
    });
}

/// Prints what each draws at its cap, and holds relink to its promises.
struct Draws;

impl Look for Draws {
    fn at(&mut self, contender: Contender, mut draw: impl FnMut() -> Duration) {
        let Contender { name, cap, promise } = contender;
        climb(&mut draw);
        let first = draw();
        let (smallest, largest) =
            (1..DRAWS).map(|_| draw()).fold((first, first), |(least, most), delay| (least.min(delay), most.max(delay)));
        let jitter = smallest < largest;
        println!(
            "{name:28}{:9.1}{:11.3}{:12.3}  {:12}  {}",
            Duration::from(cap).as_secs_f64(),
            largest.as_secs_f64(),
            smallest.as_secs_f64(),
            said(largest <= cap.into()),
            said(jitter),
        );
        let Some(promise) = promise else { return };
        let longest = Duration::from(promise.longest);
        assert!(largest <= longest, "{name} draws {largest:?}, above {longest:?}");
        assert!(largest >= longest * 99 / 100, "{name} did not reach its cap: {largest:?} at most");
        assert_eq!(jitter, promise.jitter, "{name} draws {smallest:?} to {largest:?}");
    }
}

fn said(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// Times one draw at the cap.
struct Timing<'a, 'b>(&'a mut BenchmarkGroup<'b, WallTime>);

impl Look for Timing<'_, '_> {
    fn at(&mut self, contender: Contender, mut draw: impl FnMut() -> Duration) {
        climb(&mut draw);
        // Nobody's state, nor its policy, is known to the compiler.
        self.0.bench_function(contender.name, |b| b.iter(|| black_box(&mut draw)()));
    }
}

fn climb(draw: &mut impl FnMut() -> Duration) {
    for _ in 0..CLIMB {
        black_box(draw());
    }
}

fn delays(c: &mut Criterion) {
    println!("{DRAWS} draws at the cap      cap s  largest s  smallest s  cap is a cap  jitter at the cap");
    contenders(&mut Draws);
    let mut group = c.benchmark_group("delay");
    contenders(&mut Timing(&mut group));
    group.finish();
}

criterion_group!(benches, delays);
criterion_main!(benches);
