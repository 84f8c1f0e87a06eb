//! The table: every run of every scenario, and one line for each in the end.

use std::{collections::BTreeMap, fmt};

use relink::Fault;
use serde::Serialize;

use super::{Measured, Scenario, WORKERS, judge};

/// One run and what it has missed.
#[derive(Serialize)]
struct Run {
    #[serde(flatten)]
    measured: Measured,
    missed: Vec<String>,
}

/// The runs of one scenario.
#[derive(Serialize)]
pub(crate) struct Played {
    name: &'static str,
    about: &'static str,
    goal: String,
    runs: Vec<Run>,
    /// Why it was not run.
    left_out: Option<String>,
}

impl Played {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let Scenario { name, about, goal, .. } = scenario;
        Self { name, about, goal: goal.words(), runs: Vec::new(), left_out: None }
    }

    pub(crate) fn left_out(scenario: &Scenario, why: &str) -> Self {
        Self { left_out: Some(why.to_owned()), ..Self::new(scenario) }
    }

    pub(crate) fn add(&mut self, scenario: &Scenario, measured: Measured) {
        self.runs.push(Run { missed: judge(&scenario.goal, &measured), measured });
    }

    /// A run that could not be made.
    pub(crate) fn fail(&mut self, why: &str) {
        self.runs
            .push(Run { measured: Measured::default(), missed: vec![format!("the run could not be made: {why}")] });
    }

    fn held(&self) -> usize {
        self.runs.iter().filter(|run| run.missed.is_empty()).count()
    }

    /// Least, median and most seconds of the runs that have them.
    fn spread(&self, of: impl Fn(&Measured) -> Option<f64>) -> String {
        let mut found: Vec<f64> = self.runs.iter().filter_map(|run| of(&run.measured)).collect();
        found.sort_by(f64::total_cmp);
        match (found.first(), found.get(found.len() / 2), found.last()) {
            (Some(least), Some(median), Some(most)) => format!("{least:.2}/{median:.2}/{most:.2}"),
            _ => "-".into(),
        }
    }
}

fn seconds(seconds: Option<f64>) -> String {
    seconds.map_or("-".into(), |seconds| format!("{seconds:.3}"))
}

fn errors(errors: &BTreeMap<Fault, usize>) -> String {
    let words: Vec<String> = errors.iter().map(|(fault, count)| format!("{count} {fault}")).collect();
    if words.is_empty() { "-".into() } else { words.join(" ") }
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}: {}\n  goal: {}", self.name, self.about, self.goal)?;
        if let Some(why) = &self.left_out {
            return writeln!(f, "  NOT RUN: {why}");
        }
        writeln!(
            f,
            "  {:>3} {:>7} {:>7} {:>5} {:>8} {:>4} {:>5} {:>7} {:>6} {:>9} {:>7} {:>5}  {:<16} {:<14} {:<14} verdict",
            "run",
            "first s",
            "all s",
            "never",
            "caller s",
            "lost",
            "acked",
            "missing",
            "ghosts",
            "read-only",
            "sockets",
            "tasks",
            "errors in flight",
            "later",
            "no session"
        )?;
        for (number, Run { measured, missed }) in (1..).zip(&self.runs) {
            let Measured { never, lost, acked, missing, ghosts, read_only, sockets, tasks, .. } = measured;
            writeln!(
                f,
                "  {number:>3} {:>7} {:>7} {never:>5} {:>8} {lost:>4} {acked:>5} {missing:>7} {ghosts:>6} {read_only:>9} {sockets:>7} {tasks:>5}  {:<16} {:<14} {:<14} {}",
                seconds(measured.first_s),
                seconds(measured.all_s),
                seconds(measured.caller_s),
                errors(&measured.in_flight),
                errors(&measured.later),
                errors(&measured.refused),
                if missed.is_empty() { "held".into() } else { format!("MISSED: {}", missed.join("; ")) }
            )?;
        }
        Ok(())
    }
}

/// Everything of one run of the suite.
#[derive(Serialize)]
pub(crate) struct Report {
    workers: usize,
    slots: u16,
    scenarios: Vec<Played>,
}

impl Report {
    pub(crate) fn new(slots: u16, scenarios: Vec<Played>) -> Self {
        Self { workers: WORKERS, slots, scenarios }
    }

    /// Whether every run held its goal.
    pub(crate) fn held(&self) -> bool {
        self.scenarios.iter().all(|played| played.held() == played.runs.len())
    }

    /// Those that could not be run, and why; `None` when all were.
    pub(crate) fn left_out(&self) -> Option<String> {
        let left: Vec<&Played> = self.scenarios.iter().filter(|played| played.left_out.is_some()).collect();
        let names: Vec<&str> = left.iter().map(|played| played.name).collect();
        let why = left.first()?.left_out.as_deref()?;
        Some(format!("not run: {}: {why}", names.join(", ")))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workers, slots, scenarios } = self;
        writeln!(f, "{slots} slots, {workers} workers that write, the default policy, no deadlines of the callers'")?;
        writeln!(f, "first, all: from the event to the first acknowledged write, and until each worker had one")?;
        writeln!(f, "caller: how long the one caller waited whom the scenario is about")?;
        writeln!(
            f,
            "in flight: errors on sessions lent before the event was over or the first error was told; later: on others"
        )?;
        writeln!(f, "no session: waits that ended without one, by the class of the cause")?;
        writeln!(f, "missing: acknowledged rows that are not there; ghosts: rows there that were told undone")?;
        writeln!(f, "read-only: sessions lent that were known to take no writes; sockets, tasks: left over")?;
        scenarios.iter().try_for_each(|played| write!(f, "{played}"))?;
        writeln!(f, "\n{:<16} {:>5} {:>5}  {:<18} {:<18} goal", "scenario", "runs", "held", "all s", "caller s")?;
        for played in scenarios {
            writeln!(
                f,
                "{:<16} {:>5} {:>5}  {:<18} {:<18} {}",
                played.name,
                played.runs.len(),
                played.held(),
                played.spread(|run| run.all_s),
                played.spread(|run| run.caller_s),
                played.goal
            )?;
        }
        write!(f, "times of a scenario: least/median/most")
    }
}
