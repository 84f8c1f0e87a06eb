//! What one step costs, and one delay, beside the delays of other crates and an integer floor.
//!
//! `cargo bench --bench steps`

use std::{hint::black_box, time::Duration};

use backon::BackoffBuilder;
use criterion::{Criterion, criterion_group, criterion_main};
use relink::{
    Backoff, Checked, DialId, Fault, LeaseId, Policy, Span, Time, Work,
    link::{self, Link},
    pacer::{self, Pacer},
};

fn policy(backoff: Backoff) -> Checked {
    let mut policy = Policy::default();
    policy.backoff = backoff;
    policy.check().expect("a valid policy")
}

/// The cheapest generator and the cheapest integer full jitter that anybody could write.
fn floor(state: &mut u64, rung: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    *rung = (*rung * 2).min(30_000);
    ((u128::from(z) * (u128::from(*rung) + 1)) >> 64) as u64
}

fn steps(c: &mut Criterion) {
    let policy = policy(Backoff::Relink);
    let mut group = c.benchmark_group("step");
    let (online, _) = Link::Idle.step(&policy, Time::ZERO, link::Event::Wanted);
    let dial = DialId::new(1, 0);
    let deadline = Time::from_millis(5_000);
    let (online, _) = online.step(&policy, Time::ZERO, link::Event::Granted { dial, deadline, topology: 0 });
    let dialed = link::Event::Dialed { dial, stable_at: Time::ZERO, retire_at: Time::NEVER };
    let (online, _) = online.step(&policy, Time::ZERO, dialed);
    group.bench_function("link: lend and return", |b| {
        let mut link = online;
        let mut now = 0_u64;
        b.iter(|| {
            now += 1;
            let at = Time::from_millis(now);
            let lease = LeaseId(now);
            (link, _) = black_box(link).step(&policy, at, black_box(link::Event::Lent { lease }));
            (link, _) =
                black_box(link).step(&policy, at, black_box(link::Event::Returned { lease, work: Work::AtRest }));
        });
    });
    group.bench_function("pacer: request and failure, one endpoint", |b| {
        let mut pacer = Pacer::new(1);
        let mut now = 0_u64;
        b.iter(|| {
            now += 60_000;
            let at = Time::from_millis(now);
            let command;
            (pacer, command) =
                black_box(pacer).step(&policy, at, black_box(pacer::Event::Requested { endpoint: 0 }), 0);
            let Some(pacer::Command::Dial { dial, .. }) = command else { return };
            let failed = pacer::Event::Failed { dial, fault: Fault::Refused };
            (pacer, _) = black_box(pacer).step(&policy, at, black_box(failed), now.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        });
    });
    group.finish();
}

fn delays(c: &mut Criterion) {
    let mut group = c.benchmark_group("delay");
    group.bench_function("integer floor", |b| {
        let (mut state, mut rung) = (1, 100);
        b.iter(|| floor(&mut state, &mut rung));
    });
    let (base, cap) = (Span::from_millis(100), Span::from_secs(30));
    let kinds = [
        ("relink", Backoff::Relink),
        ("full jitter", Backoff::FullJitter { base, cap }),
        ("equal jitter", Backoff::EqualJitter { base, cap }),
        ("decorrelated jitter", Backoff::DecorrelatedJitter { base, cap }),
        ("exponential", Backoff::Exponential { base, cap }),
        ("grpc", Backoff::Grpc),
    ];
    for (name, backoff) in kinds {
        let policy = policy(backoff);
        group.bench_function(format!("relink: {name}"), |b| {
            let mut delays = pacer::Delays::new();
            let mut state = 1_u64;
            b.iter(|| {
                state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
                delays.next(&policy, Span::from_secs(10), black_box(state))
            });
        });
    }
    group.bench_function("backon: exponential with jitter", |b| {
        let builder = backon::ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(30))
            .with_jitter()
            .without_max_times();
        let mut delays = builder.build();
        b.iter(|| black_box(delays.next()));
    });
    group.bench_function("tokio-retry: exponential with jitter", |b| {
        let strategy =
            tokio_retry::strategy::ExponentialBackoff::from_millis(2).factor(50).max_delay(Duration::from_secs(30));
        let mut delays = strategy.map(tokio_retry::strategy::jitter);
        b.iter(|| black_box(delays.next()));
    });
    group.finish();
}

criterion_group!(benches, steps, delays);
criterion_main!(benches);
