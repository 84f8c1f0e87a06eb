//! What happened when, and the numbers that one fault comes down to.
//!
//! Nothing here reads a clock: the instants are given, so that the numbers can be tested.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use relink::Fault;
use serde::Serialize;

/// The window in which dials are counted for the peak.
pub const PEAK_WINDOW: Duration = Duration::from_millis(100);

/// Everything that was seen during a run, in any order.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    dials: Vec<Instant>,
    opened: Vec<Instant>,
    served: Vec<Served>,
    failed: Vec<(Fault, Instant)>,
    missed: u64,
}

/// A statement that was answered.
#[derive(Clone, Copy, Debug)]
struct Served {
    worker: usize,
    /// When its session was lent.
    lent: Instant,
    at: Instant,
}

/// One fault of the script.
#[derive(Clone, Debug)]
pub struct Episode {
    /// When the fault began.
    pub began: Instant,
    /// When the server was ready to serve again.
    pub accepts: Instant,
    /// When watching ended: nothing from then on belongs to this fault.
    pub ended: Instant,
    /// How many workers want to be served, numbered from 0.
    pub workers: usize,
}

/// What one fault cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Measured {
    /// Dials in `[began, accepts)`.
    pub dials_outage: usize,
    /// Most dials in any 100 ms (half-open), from the beginning of the fault up to the first
    /// session after the server accepts: what follows that is the ramp, not the outage.
    pub peak_dials_100ms: usize,
    /// Seconds from the server's acceptance to the first worker served; none when none was.
    pub first_success_s: Option<f64>,
    /// Seconds from the first worker served to the last of those that were served; none when none was.
    pub last_worker_s: Option<f64>,
    /// Workers not served, on a session lent after the server's acceptance, by the end of watching.
    pub never: usize,
    /// Errors that workers saw in `[began, ended)`, by class.
    pub errors: BTreeMap<Fault, usize>,
}

impl Ledger {
    /// Notes the start of a dial. Count it where it is started: a refused one never reaches the server.
    pub fn dialed(&mut self, at: Instant) {
        self.dials.push(at);
    }

    /// Notes that a worker has been served, on a session that it was lent at `lent`.
    pub fn served(&mut self, worker: usize, lent: Instant, at: Instant) {
        self.served.push(Served { worker, lent, at });
    }

    /// Notes that so many events of the pool went by unseen, dials among them perhaps.
    pub fn missed(&mut self, events: u64) {
        self.missed = self.missed.saturating_add(events);
    }

    /// How many statements were answered, and how many errors were told.
    pub const fn totals(&self) -> (usize, usize) {
        (self.served.len(), self.failed.len())
    }

    /// How many events of the pool went by unseen: unless it is 0, dials are not counted in full.
    pub const fn unseen(&self) -> u64 {
        self.missed
    }

    /// Notes that a dial has opened a session.
    pub fn opened(&mut self, at: Instant) {
        self.opened.push(at);
    }

    /// Notes an error that a worker was told.
    pub fn failed(&mut self, fault: Fault, at: Instant) {
        self.failed.push((fault, at));
    }

    /// How many workers have been served since `from`, by sessions lent since then.
    pub fn served_since(&self, from: Instant) -> usize {
        let recent = self.served.iter().rev().take_while(|served| served.at >= from);
        recent.filter(|served| served.lent >= from).map(|served| served.worker).collect::<BTreeSet<_>>().len()
    }

    /// How many dials were started since `from`.
    pub fn dials_since(&self, from: Instant) -> usize {
        self.dials.iter().rev().take_while(|at| **at >= from).count()
    }

    /// The numbers of one fault.
    pub fn measure(&self, episode: &Episode) -> Measured {
        let Episode { began, accepts, ended, workers } = *episode;
        // A session lent before may have been lost since: what it still answers is not recovery.
        let counts = |served: &&Served| {
            served.worker < workers && served.lent >= accepts && (accepts..ended).contains(&served.at)
        };
        let successes = first_successes(self.served.iter().filter(counts).map(|served| (served.worker, served.at)));
        let first = successes.values().min().copied();
        let last = successes.values().max().copied();
        // The ramp begins with the first session, before any worker is done with it.
        let opened = self.opened.iter().copied().filter(|at| (accepts..ended).contains(at)).min();
        let until = opened.or(first).unwrap_or(ended);
        Measured {
            dials_outage: self.dials.iter().filter(|at| (began..accepts).contains(at)).count(),
            peak_dials_100ms: peak(self.dials.iter().copied().filter(|at| (began..until).contains(at)), PEAK_WINDOW),
            first_success_s: first.map(|first| first.duration_since(accepts).as_secs_f64()),
            last_worker_s: first.zip(last).map(|(first, last)| last.duration_since(first).as_secs_f64()),
            never: workers.saturating_sub(successes.len()),
            errors: count(self.failed.iter().filter(|(_, at)| (began..ended).contains(at)).map(|(fault, _)| *fault)),
        }
    }
}

/// When each worker was served first.
fn first_successes(served: impl Iterator<Item = (usize, Instant)>) -> BTreeMap<usize, Instant> {
    let mut first = BTreeMap::new();
    for (worker, at) in served {
        first.entry(worker).and_modify(|earliest: &mut Instant| *earliest = at.min(*earliest)).or_insert(at);
    }
    first
}

/// The most instants in any half-open window of that length.
fn peak(instants: impl Iterator<Item = Instant>, window: Duration) -> usize {
    let mut sorted: Vec<_> = instants.collect();
    sorted.sort_unstable();
    // A fullest window can be moved to begin at its first instant.
    (0..sorted.len())
        .map(|start| {
            let rest = sorted.get(start..).unwrap_or_default();
            rest.first().map_or(0, |first| rest.partition_point(|at| at.duration_since(*first) < window))
        })
        .max()
        .unwrap_or(0)
}

fn count(faults: impl Iterator<Item = Fault>) -> BTreeMap<Fault, usize> {
    let mut counts = BTreeMap::new();
    for fault in faults {
        let so_far: &mut usize = counts.entry(fault).or_default();
        *so_far = so_far.saturating_add(1);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A fault of one second, watched for four, with three workers; `t(0)` is when it began.
    fn episode() -> (Episode, impl Fn(u64) -> Instant) {
        let began = Instant::now();
        let t = move |after: u64| began + ms(after);
        (Episode { began, accepts: t(1_000), ended: t(4_000), workers: 3 }, t)
    }

    #[test]
    fn dials_count_from_the_beginning_of_the_fault_until_the_server_accepts() {
        let (episode, t) = episode();
        let episode = Episode { began: t(10), ..episode };
        let mut ledger = Ledger::default();
        for at in [9, 10, 500, 999, 1_000, 5_000] {
            ledger.dialed(t(at));
        }
        assert_eq!(ledger.measure(&episode).dials_outage, 3);
    }

    #[test]
    fn the_peak_is_of_a_half_open_window_and_order_does_not_matter() {
        let (_, t) = episode();
        assert_eq!(peak([].into_iter(), ms(100)), 0);
        assert_eq!(peak([t(0)].into_iter(), ms(100)), 1);
        assert_eq!(peak([t(100), t(0)].into_iter(), ms(100)), 1);
        assert_eq!(peak([t(99), t(0)].into_iter(), ms(100)), 2);
        assert_eq!(peak([t(250), t(0), t(90), t(180), t(189), t(200)].into_iter(), ms(100)), 4);
    }

    #[test]
    fn the_ramp_after_the_first_success_is_not_part_of_the_peak() {
        let (episode, t) = episode();
        let mut ledger = Ledger::default();
        for at in [100, 150, 1_200, 1_210, 1_220, 1_230] {
            ledger.dialed(t(at));
        }
        assert_eq!(ledger.measure(&episode).peak_dials_100ms, 4);
        ledger.served(1, t(1_225), t(1_225));
        assert_eq!(ledger.measure(&episode).peak_dials_100ms, 3);
        // The first session was there before its worker was done with it.
        ledger.opened(t(1_205));
        assert_eq!(ledger.measure(&episode).peak_dials_100ms, 2);
    }

    #[test]
    fn a_success_during_the_fault_is_not_its_end() {
        let (episode, t) = episode();
        let mut ledger = Ledger::default();
        ledger.served(0, t(10), t(10));
        let measured = ledger.measure(&episode);
        assert_eq!((measured.first_success_s, measured.last_worker_s, measured.never), (None, None, 3));
    }

    #[test]
    fn an_answer_on_a_session_lent_before_the_server_accepts_is_not_recovery() {
        let (episode, t) = episode();
        let mut ledger = Ledger::default();
        ledger.served(0, t(999), t(1_001));
        assert_eq!(ledger.measure(&episode).first_success_s, None);
        ledger.served(0, t(1_100), t(1_250));
        assert_eq!(ledger.measure(&episode).first_success_s, Some(0.25));
    }

    #[test]
    fn the_last_worker_is_the_one_whose_first_success_is_latest() {
        let (episode, t) = episode();
        let mut ledger = Ledger::default();
        for (worker, at) in [(0, 1_500), (1, 2_250), (0, 3_900), (2, 1_750), (2, 3_000)] {
            ledger.served(worker, t(at), t(at));
        }
        let measured = ledger.measure(&episode);
        assert_eq!((measured.first_success_s, measured.last_worker_s), (Some(0.5), Some(0.75)));
        assert_eq!(measured.never, 0);
    }

    #[test]
    fn a_worker_served_after_the_end_or_never_is_counted_as_never() {
        let (episode, t) = episode();
        let mut ledger = Ledger::default();
        for (worker, at) in [(0, 1_000), (1, 4_000), (7, 2_000)] {
            ledger.served(worker, t(at), t(at));
        }
        let measured = ledger.measure(&episode);
        assert_eq!((measured.never, measured.first_success_s, measured.last_worker_s), (2, Some(0.0), Some(0.0)));
    }

    #[test]
    fn errors_are_counted_by_class_over_the_whole_episode() {
        let (episode, t) = episode();
        let mut ledger = Ledger::default();
        for (fault, at) in [(Fault::Lost, 0), (Fault::Starting, 900), (Fault::Starting, 3_999), (Fault::Denied, 4_000)]
        {
            ledger.failed(fault, t(at));
        }
        assert_eq!(ledger.measure(&episode).errors, BTreeMap::from([(Fault::Lost, 1), (Fault::Starting, 2)]));
    }
}
