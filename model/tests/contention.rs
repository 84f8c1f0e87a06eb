//! The classic policies in the world for which their formulas were published, against what was published.
//!
//! The world is that of the AWS architecture blog's "Exponential Backoff And Jitter" (M. Brooker, 2015): clients that
//! each write one row once, with optimistic concurrency control, over a network that takes |N(10, 2)| ms each way. The
//! figures are those of the program that drew its curves (github.com/aws-samples/aws-arch-backoff-simulator, commit
//! 095a076: base 5 ms, cap 2 s, 100 runs each), which counts from the first doubling: a base of 10 ms here.
#![expect(clippy::unwrap_used, reason = "a test that meets the unforeseen has failed")]

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use relink::{Backoff, Checked, Policy, Span, pacer::Delays};

const RUNS: u64 = 100;

/// `SplitMix64`, the reference of Vigna.
struct Chance(u64);

impl Chance {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// In (0, 1].
    fn unit(&mut self) -> f64 {
        ((self.word() >> 11) as f64 + 1.0) / (1_u64 << 53) as f64
    }

    /// One way through the network, in µs (Box and Muller's normal variate).
    fn delay(&mut self) -> u64 {
        let normal = (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos();
        u64::try_from(Duration::from_secs_f64((10.0 + 2.0 * normal).abs() / 1e3).as_micros()).unwrap()
    }
}

/// What reaches whom.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Message {
    Read,
    Version(u64),
    Write(u64),
    Failed,
}

/// How many writes it took, and how many seconds, until every client had written once.
fn contend(clients: usize, policy: Option<&Checked>, chance: &mut Chance) -> (u64, f64) {
    let mut delays = vec![Delays::new(); clients];
    let mut queue: BinaryHeap<_> =
        (0..clients).map(|client| Reverse((chance.delay(), client, Message::Read))).collect();
    let (mut version, mut writes, mut last) = (0, 0, 0);
    while let Some(Reverse((now, client, message))) = queue.pop() {
        last = now;
        let (wait, answer) = match message {
            Message::Read => (0, Message::Version(version)),
            Message::Version(seen) => (0, Message::Write(seen)),
            Message::Write(seen) => {
                writes += 1;
                if seen == version {
                    version += 1;
                    last = now + chance.delay();
                    continue;
                }
                (0, Message::Failed)
            }
            Message::Failed => {
                let wait = policy.map(|policy| delays.get_mut(client).unwrap().next(policy, Span::ZERO, chance.word()));
                (wait.unwrap_or(Span::ZERO).as_millis() * 1_000, Message::Read)
            }
        };
        queue.push(Reverse((now + wait + chance.delay(), client, answer)));
    }
    assert_eq!(version, clients as u64, "each has written once");
    (writes, last as f64 / 1e6)
}

/// The means over [`RUNS`] runs.
fn means(clients: usize, backoff: Option<Backoff>) -> (f64, f64) {
    let policy = backoff.map(|backoff| {
        let mut policy = Policy::default();
        policy.backoff = backoff;
        policy.check().unwrap()
    });
    let mut chance = Chance(1);
    let runs = (0..RUNS).map(|_| contend(clients, policy.as_ref(), &mut chance));
    let (writes, seconds) = runs.fold((0, 0.0), |sum, run| (sum.0 + run.0, sum.1 + run.1));
    (writes as f64 / RUNS as f64, seconds / RUNS as f64)
}

#[test]
fn the_classic_formulas_make_the_calls_that_were_published() {
    let (base, cap) = (Span::from_millis(10), Span::from_secs(2));
    let decorrelated = Backoff::DecorrelatedJitter { base: Span::from_millis(5), cap };
    // Writes and seconds at 50 and at 100 clients.
    let published = [
        (None, (688.0, 1.136), (2_423.0, 2.031)),
        (Some(Backoff::Exponential { base, cap }), (624.0, 36.483), (1_858.0, 63.798)),
        (Some(Backoff::EqualJitter { base, cap }), (347.0, 4.288), (812.0, 6.665)),
        (Some(Backoff::FullJitter { base, cap }), (332.0, 2.886), (796.0, 4.914)),
        (Some(decorrelated), (376.0, 2.256), (999.0, 4.647)),
    ];
    for (backoff, at_50, at_100) in published {
        for (clients, (writes, seconds)) in [(50, at_50), (100, at_100)] {
            let found = means(clients, backoff);
            println!("{backoff:?}, {clients}: {found:.1?}, published ({writes}, {seconds})");
            assert!((found.0 / writes - 1.0).abs() < 0.06, "{backoff:?}, {clients}: {found:?}, published {writes}");
            // The last client's time is a maximum, and noisier.
            assert!((found.1 / seconds - 1.0).abs() < 0.15, "{backoff:?}, {clients}: {found:?}, published {seconds}");
        }
    }
}

#[test]
fn jitter_at_least_halves_the_calls_of_a_hundred_clients() {
    let (base, cap) = (Span::from_millis(10), Span::from_secs(2));
    let (without, slow) = means(100, Some(Backoff::Exponential { base, cap }));
    let (equal, longest) = means(100, Some(Backoff::EqualJitter { base, cap }));
    let (full, shorter) = means(100, Some(Backoff::FullJitter { base, cap }));
    assert!(full < equal && equal < without / 2.0, "{full}, {equal}, {without} calls");
    assert!(shorter < longest && longest < slow / 5.0, "{shorter}, {longest}, {slow} s");
}
