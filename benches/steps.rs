//! What one step of each machine costs.
//!
//! `cargo bench --bench steps`
#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up says why and ends")]

use std::hint::black_box;

use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};
use relink::{
    Checked, DialId, Fault, LeaseId, Policy, Time, Work,
    link::{
        self,
        Event::{Lent, Returned},
        Link,
    },
    pacer::{
        self,
        Event::{Failed, Requested},
        Pacer,
    },
    pool::{self, Pool},
};

/// The source of chance of everything here: SplitMix64.
fn word(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Each lease is returned before the next.
fn lend_or_return(now: u64) -> link::Event {
    let lease = LeaseId(1);
    if now.is_multiple_of(2) { Returned { lease, work: Work::AtRest } } else { Lent { lease } }
}

/// Each dial is refused before the next; what is asked or answered does not wait for the step before, as
/// in a pool it does not.
fn request_or_failure(step: u64) -> pacer::Event {
    let dial = DialId::new(step / 2, 0);
    if step.is_multiple_of(2) { Requested { endpoint: 0 } } else { Failed { dial, fault: Fault::Refused } }
}

/// A link whose session waits to be lent.
fn online(policy: &Checked) -> Link {
    let dial = DialId::new(1, 0);
    let deadline = Time::from_millis(5_000);
    let dialed = link::Event::Dialed { dial, stable_at: Time::ZERO, retire_at: Time::NEVER };
    [link::Event::Wanted, link::Event::Granted { dial, deadline, topology: 0 }, dialed]
        .into_iter()
        .fold(Link::Idle, |link, event| link.step(policy, Time::ZERO, event).0)
}

/// The machine stays where it is, as in a pool. `apply` steps it there; `step` also takes it out and puts it back.
fn link_steps(group: &mut BenchmarkGroup<'_, WallTime>) {
    let policy = Policy::default().check().expect("a valid policy");
    let online = online(&policy);
    group.bench_function("link: lend or return, in place", |b| {
        let mut link = online;
        let mut now = 0;
        b.iter(|| {
            now += 1;
            black_box(&mut link).apply(&policy, Time::from_millis(now), lend_or_return(now))
        });
    });
    group.bench_function("link: lend or return, by value", |b| {
        let mut link = online;
        let mut now = 0;
        b.iter(|| {
            now += 1;
            let place = black_box(&mut link);
            let (next, command) = place.step(&policy, Time::from_millis(now), lend_or_return(now));
            *place = next;
            command
        });
    });
}

/// A minute passes with each step: longer than any wait, so each request starts a dial.
fn pacer_steps(group: &mut BenchmarkGroup<'_, WallTime>) {
    let policy = Policy::default().check().expect("a valid policy");
    let at = |step: u64| Time::from_millis(step * 60_000);
    group.bench_function("pacer: request or failure, one endpoint, in place", |b| {
        let mut pacer = Pacer::new(1);
        let (mut step, mut dials, mut state) = (0, 0, 1);
        b.iter(|| {
            let command = black_box(&mut pacer).apply(&policy, at(step), request_or_failure(step), word(&mut state));
            step += 1;
            dials += u64::from(command.is_some());
        });
        assert_eq!(dials, step.div_ceil(2), "every request starts a dial");
    });
    group.bench_function("pacer: request or failure, one endpoint, by value", |b| {
        let mut pacer = Pacer::new(1);
        let (mut step, mut dials, mut state) = (0, 0, 1);
        b.iter(|| {
            let place = black_box(&mut pacer);
            let (next, command) = place.step(&policy, at(step), request_or_failure(step), word(&mut state));
            *place = next;
            step += 1;
            dials += u64::from(command.is_some());
        });
        assert_eq!(dials, step.div_ceil(2), "every request starts a dial");
    });
}

/// One caller at a time, and a session that never grows too old.
fn pool_steps(group: &mut BenchmarkGroup<'_, WallTime>) {
    let policy = Policy::builder().lifetime_max(None).check().expect("a valid policy");
    let ask = |lease| pool::Event::Asked { lease: LeaseId(lease), deadline: Time::NEVER };
    group.bench_function("pool: ask or return, 16 places, one session", |b| {
        let mut pool = Pool::new(&policy, 1);
        let mut out = Vec::with_capacity(pool.commands_max());
        let (mut now, mut asked) = (1, 1);
        for event in [ask(asked), pool::Event::Dialed { slot: 0, dial: DialId::new(0, 0) }] {
            let _ = pool.step(&policy, Time::from_millis(now), event, 1, &mut out);
        }
        b.iter(|| {
            now += 1;
            let event = if now.is_multiple_of(2) {
                pool::Event::Returned { slot: 0, lease: LeaseId(asked), work: Work::AtRest }
            } else {
                asked += 1;
                ask(asked)
            };
            out.clear();
            black_box(&mut pool).step(&policy, Time::from_millis(now), event, 1, &mut out)
        });
        assert_eq!((pool.tally().online + pool.tally().leased, pool.waiters()), (1, 0), "one session, lent or free");
    });
}

fn steps(c: &mut Criterion) {
    let mut group = c.benchmark_group("step");
    link_steps(&mut group);
    pacer_steps(&mut group);
    pool_steps(&mut group);
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
