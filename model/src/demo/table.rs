//! What the demonstration found: a table for people, one JSON object for programs.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::ledger::Measured;
use crate::columns::{Cell, aligned};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const HEAD: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

/// A promise about one number of a fault, and the number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bound {
    /// Which promise, as in the catalogue of properties and bounds: `B1`, `S2b`.
    pub id: String,
    /// The most that it may be.
    pub limit: f64,
    /// What it was; none when there was nothing to measure, which does not hold.
    pub value: Option<f64>,
    /// Whether `value ≤ limit`.
    pub held: bool,
    /// What is counted.
    #[serde(skip)]
    pub unit: Unit,
    /// What the limit means, in plain words.
    #[serde(skip)]
    pub means: String,
}

/// What a bound counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Dials during the fault.
    Dials,
    /// Seconds from the server's return to the first worker served.
    Seconds,
}

/// One fault: what it cost, and the bound on it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// In words.
    pub fault: String,
    /// What it cost.
    #[serde(flatten)]
    pub measured: Measured,
    /// The bound that held or broke.
    pub bound: Bound,
}

/// Whether everything held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every bound held, and no worker went without.
    Held,
    /// A bound broke, or a worker was never served.
    Broke,
}

/// The whole demonstration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Over all faults.
    pub verdict: Verdict,
    /// In the order of the script.
    pub faults: Vec<Row>,
}

impl Bound {
    /// A bound that holds when there is a value and it is at most the limit.
    pub fn new(id: impl Into<String>, unit: Unit, limit: f64, value: Option<f64>) -> Self {
        let held = value.is_some_and(|value| value <= limit);
        Self { id: id.into(), limit, value, held, unit, means: String::new() }
    }
}

impl Row {
    /// Whether the bound held and no worker went without.
    pub const fn held(&self) -> bool {
        self.bound.held && self.measured.never == 0
    }
}

impl Report {
    /// A report with its verdict. One without faults has shown nothing, and has not held.
    pub fn new(faults: Vec<Row>) -> Self {
        let held = !faults.is_empty() && faults.iter().all(Row::held);
        Self { verdict: if held { Verdict::Held } else { Verdict::Broke }, faults }
    }

    /// The report as one line of JSON.
    ///
    /// # Errors
    /// As `serde_json`; there is no value here that it refuses.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// The report as aligned lines with colours; printed through `anstream` they go where a terminal is.
    pub fn table(&self) -> String {
        let mut lines = vec![headings(&COSTS)];
        lines.extend(self.faults.iter().map(costs));
        let mut text = aligned(&lines, &[0, 6]);
        lines = vec![headings(&BOUNDS)];
        lines.extend(self.faults.iter().map(bounds));
        // Writing to a String does not fail.
        let _ = writeln!(text);
        let lines = aligned(&lines, &[0, 1]);
        let meanings = self.faults.iter().map(|row| row.bound.means.as_str());
        for (line, means) in lines.lines().zip(std::iter::once("").chain(meanings)) {
            let _ = writeln!(text, "{line}");
            if !means.is_empty() {
                let _ = writeln!(text, "  {FAINT}{means}{FAINT:#}");
            }
        }
        let (word, style) = match self.verdict {
            Verdict::Held => ("held", GOOD),
            Verdict::Broke => ("broke", BAD),
        };
        let held = self.faults.iter().filter(|row| row.held()).count();
        let _ = writeln!(text, "\n{style}{word}{style:#}: {held} of {} faults", self.faults.len());
        text
    }
}

const COSTS: [&str; 7] = ["fault", "dials", "peak/100ms", "first ok", "last worker", "never", "errors"];
const BOUNDS: [&str; 4] = ["fault", "bound", "measured", "at most"];

fn headings(words: &[&str]) -> Vec<Cell> {
    words.iter().map(|word| Cell::new(*word, HEAD)).collect()
}

fn costs(row: &Row) -> Vec<Cell> {
    let Measured { dials_outage, peak_dials_100ms, first_success_s, last_worker_s, never, errors } = &row.measured;
    let errors: Vec<_> = errors.iter().map(|(fault, count)| format!("{fault} {count}")).collect();
    vec![
        Cell::plain(&row.fault),
        Cell::plain(dials_outage.to_string()),
        Cell::plain(peak_dials_100ms.to_string()),
        Cell::plain(seconds(*first_success_s)),
        Cell::plain(seconds(*last_worker_s)),
        Cell::new(never.to_string(), if *never == 0 { Style::new() } else { BAD }),
        Cell::new(errors.join(", "), FAINT),
    ]
}

fn bounds(row: &Row) -> Vec<Cell> {
    let Bound { id, limit, value, held, unit, means: _ } = &row.bound;
    let limit = shown(*limit, *unit);
    let value = match value {
        None => "nothing".to_owned(),
        // A value that breaks by less than what is shown is shown in full.
        Some(value) if !held && shown(*value, *unit) == limit => format!("{value}{}", unit.suffix()),
        Some(value) => shown(*value, *unit),
    };
    let (verdict, style) = if *held { ("held", GOOD) } else { ("broke", BAD) };
    vec![Cell::plain(&row.fault), Cell::new(format!("{id} {verdict}"), style), Cell::plain(value), Cell::plain(limit)]
}

impl Unit {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Dials => " dials",
            Self::Seconds => " s",
        }
    }
}

fn shown(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Dials => format!("{value:.0}{}", unit.suffix()),
        Unit::Seconds => format!("{value:.2}{}", unit.suffix()),
    }
}

fn seconds(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2} s"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use relink::Fault;

    use super::*;

    fn row(fault: &str, limit: f64, value: Option<f64>, never: usize) -> Row {
        let measured = Measured {
            dials_outage: 12,
            peak_dials_100ms: 1,
            first_success_s: value,
            last_worker_s: value.map(|_| 0.25),
            never,
            errors: BTreeMap::from([(Fault::Refused, 3), (Fault::TimedOut, 1)]),
        };
        Row { fault: fault.to_owned(), measured, bound: Bound::new("B1", Unit::Seconds, limit, value) }
    }

    #[test]
    fn a_bound_holds_up_to_its_limit_and_not_without_a_value() {
        assert!(Bound::new("B1", Unit::Seconds, 1.5, Some(1.5)).held);
        assert!(!Bound::new("B1", Unit::Seconds, 1.5, Some(1.500_1)).held);
        assert!(!Bound::new("B1", Unit::Seconds, 1.5, Some(f64::NAN)).held);
        assert!(!Bound::new("B1", Unit::Seconds, 1.5, None).held);
    }

    #[test]
    fn a_value_that_breaks_by_a_hair_does_not_look_as_if_it_held() {
        let hair = row("silent", 0.25, Some(0.2504), 0);
        assert_eq!(bounds(&hair).get(2).unwrap().text(), "0.2504 s");
        let wide = Row { bound: Bound::new("B2", Unit::Dials, 10.0, Some(100.0)), ..hair };
        assert_eq!(bounds(&wide).get(2).unwrap().text(), "100 dials");
    }

    #[test]
    fn the_verdict_is_that_of_the_worst_fault() {
        let held = || row("refused", 2.0, Some(0.5), 0);
        assert_eq!(Report::new(vec![held()]).verdict, Verdict::Held);
        assert_eq!(Report::new(vec![held(), row("flapping", 0.25, Some(0.5), 0)]).verdict, Verdict::Broke);
        assert_eq!(Report::new(vec![held(), row("silent", 2.0, Some(0.5), 1)]).verdict, Verdict::Broke);
        assert_eq!(Report::new(Vec::new()).verdict, Verdict::Broke);
    }

    #[test]
    fn the_json_is_one_object_with_the_documented_fields() {
        let json: serde_json::Value =
            serde_json::from_str(&Report::new(vec![row("refused", 2.0, None, 16)]).json().unwrap()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"verdict": "broke", "faults": [{
                "fault": "refused", "dials_outage": 12, "peak_dials_100ms": 1, "first_success_s": null,
                "last_worker_s": null, "never": 16, "errors": {"Refused": 3, "TimedOut": 1},
                "bound": {"id": "B1", "limit": 2.0, "value": null, "held": false},
            }]})
        );
    }

    #[test]
    fn the_table_is_aligned_and_its_plain_text_is_complete() {
        let mut refused = row("refused", 2.0, Some(0.5), 0);
        refused.bound.means = "one dial".to_owned();
        let rows = vec![refused, row("accepted, silent", 0.25, Some(10.5), 0), row("flapping", 2.0, None, 16)];
        let table = Report::new(rows).table();
        assert!(table.contains("\u{1b}["), "no colours: {table:?}");
        let plain = anstream::adapter::strip_str(&table).to_string();
        let expected = "\
fault             dials  peak/100ms  first ok  last worker  never  errors
refused              12           1    0.50 s       0.25 s      0  refused 3, timed out 1
accepted, silent     12           1   10.50 s       0.25 s      0  refused 3, timed out 1
flapping             12           1         -            -     16  refused 3, timed out 1

fault             bound     measured  at most
refused           B1 held     0.50 s   2.00 s
  one dial
accepted, silent  B1 broke   10.50 s   0.25 s
flapping          B1 broke   nothing   2.00 s

broke: 1 of 3 faults
";
        assert_eq!(plain, expected);
    }
}
