//! The figures of outages: what was measured, the limits beside it, and how it is printed.

use std::{fmt, time::Duration};

use relink::Checked;
use relink_model::demo::ledger::Measured;
use serde::Serialize;

/// One outage.
#[derive(Serialize)]
pub(crate) struct Outage {
    number: usize,
    /// How long, before this outage began, the pool had its time to forget the last.
    pause_s: f64,
    #[serde(flatten)]
    measured: Measured,
    /// B2, or S2b where sessions open and die.
    dials_max: u64,
    /// B1 and what is left to one dial.
    first_success_max_s: f64,
}

impl Outage {
    pub(crate) fn new(number: usize, pause: Duration, measured: Measured, dials_max: u64, first: Duration) -> Self {
        Self { number, pause_s: pause.as_secs_f64(), measured, dials_max, first_success_max_s: first.as_secs_f64() }
    }

    fn kept(&self) -> bool {
        let dials = u64::try_from(self.measured.dials_outage).unwrap_or(u64::MAX);
        let in_time = self.measured.first_success_s.is_some_and(|first| first <= self.first_success_max_s);
        dials <= self.dials_max && in_time && self.measured.never == 0
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |seconds: Option<f64>| seconds.map_or("-".into(), |seconds| format!("{seconds:.3}"));
        let Measured { dials_outage, peak_dials_100ms, first_success_s, last_worker_s, never, errors } = &self.measured;
        write!(
            f,
            "{:>7} {:>8.2} {dials_outage:>6} {:>6} {peak_dials_100ms:>5} {:>8} {:>8.3} {:>8} {never:>5}  {}",
            self.number,
            self.pause_s,
            self.dials_max,
            seconds(*first_success_s),
            self.first_success_max_s,
            seconds(*last_worker_s),
            if self.kept() { "kept" } else { "BROKEN" },
        )?;
        for (fault, count) in errors {
            write!(f, ", {count} {fault}")?;
        }
        Ok(())
    }
}

/// A count that should not have changed.
#[derive(Default, Serialize)]
pub(crate) struct Count {
    pub(crate) before: usize,
    pub(crate) after: usize,
}

/// Outages of one kind.
#[derive(Serialize)]
pub(crate) struct Row {
    name: &'static str,
    about: &'static str,
    outage_s: f64,
    pub(crate) outages: Vec<Outage>,
    /// Sockets to the database, before the first outage and after the last.
    pub(crate) sockets: Count,
    /// Tasks of the runtime, before the pool was built and after it was closed.
    pub(crate) tasks: Count,
}

impl Row {
    pub(crate) fn new(name: &'static str, about: &'static str, outage: Duration) -> Self {
        let outages = Vec::new();
        let (sockets, tasks) = (Count::default(), Count::default());
        Self { name, about, outage_s: outage.as_secs_f64(), outages, sockets, tasks }
    }

    fn kept(&self) -> bool {
        self.outages.iter().all(Outage::kept)
            && self.sockets.after <= self.sockets.before
            // Tasks of what was set up before may end meanwhile.
            && self.tasks.after <= self.tasks.before
    }

    /// Least, median and most of what `of` finds in each outage.
    fn spread(&self, of: impl Fn(&Measured) -> Option<f64>) -> Option<(f64, f64, f64)> {
        let mut found: Vec<f64> = self.outages.iter().filter_map(|outage| of(&outage.measured)).collect();
        found.sort_by(f64::total_cmp);
        Some((*found.first()?, *found.get(found.len() / 2)?, *found.last()?))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}: {}, {} s", self.name, self.about, self.outage_s)?;
        writeln!(
            f,
            "{:>7} {:>8} {:>6} {:>6} {:>5} {:>8} {:>8} {:>8} {:>5}",
            "outage", "pause s", "dials", "limit", "peak", "first s", "limit", "last s", "never"
        )?;
        for outage in &self.outages {
            writeln!(f, "{outage}")?;
        }
        let count = |count: usize| Some(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
        let columns = [
            ("dials", self.spread(|measured| count(measured.dials_outage)), 0),
            ("peak of 100 ms", self.spread(|measured| count(measured.peak_dials_100ms)), 0),
            ("first s", self.spread(|measured| measured.first_success_s), 3),
            ("last s", self.spread(|measured| measured.last_worker_s), 3),
        ];
        for (name, spread, digits) in columns {
            if let Some((least, median, most)) = spread {
                writeln!(f, "  {name}: min {least:.digits$}, median {median:.digits$}, max {most:.digits$}")?;
            }
        }
        let (sockets, tasks) = (&self.sockets, &self.tasks);
        write!(f, "  sockets {} -> {}, tasks {} -> {}", sockets.before, sockets.after, tasks.before, tasks.after)
    }
}

/// How evenly tasks are served.
#[derive(Serialize)]
pub(crate) struct Fairness {
    seconds: f64,
    tasks: usize,
    least: u64,
    most: u64,
    ratio: f64,
    ratio_max: f64,
}

impl Fairness {
    pub(crate) fn new(served: &[u64], time: Duration) -> Self {
        let least = served.iter().copied().min().unwrap_or(0);
        let most = served.iter().copied().max().unwrap_or(0);
        let ratio = most as f64 / least as f64;
        Self { seconds: time.as_secs_f64(), tasks: served.len(), least, most, ratio, ratio_max: 1.2 }
    }
}

/// Everything of one run.
#[derive(Serialize)]
pub(crate) struct Figures {
    slots: u16,
    stable_for: String,
    dial_deadline: String,
    w0: String,
    pub(crate) fairness: Option<Fairness>,
    pub(crate) rows: Vec<Row>,
}

impl Figures {
    pub(crate) fn new(policy: &Checked) -> Self {
        Self {
            slots: policy.max_size,
            stable_for: policy.stable_for.to_string(),
            dial_deadline: policy.dial_deadline.to_string(),
            w0: policy.w0.to_string(),
            fairness: None,
            rows: Vec::new(),
        }
    }

    /// Whether no limit was broken.
    pub(crate) fn kept(&self) -> bool {
        self.rows.iter().all(Row::kept) && self.fairness.as_ref().is_none_or(|fair| fair.ratio <= fair.ratio_max)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { slots, stable_for, dial_deadline, w0, .. } = self;
        writeln!(f, "{slots} slots, stable_for {stable_for}, dial_deadline {dial_deadline}, w0 {w0}")?;
        writeln!(f, "pause: from the last worker served until nothing was on record and every session was stable")?;
        writeln!(f, "dials: started in the outage; limit: B2, or S2b for sessions that end")?;
        writeln!(f, "peak: most dials in 100 ms until the first session")?;
        writeln!(f, "first: from the server's acceptance to the first worker served; limit: B1 + 0.1 s for the dial")?;
        writeln!(f, "last: from then to the last of the workers; never: workers that were not served")?;
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        if let Some(Fairness { seconds, tasks, least, most, ratio, ratio_max }) = &self.fairness {
            let verdict = if ratio <= ratio_max { "kept" } else { "BROKEN" };
            writeln!(f, "\nfairness: {tasks} tasks for {seconds} s: least served {least}, most {most}")?;
            write!(f, "  most / least {ratio:.3}, limit {ratio_max} {verdict}")?;
        }
        Ok(())
    }
}
