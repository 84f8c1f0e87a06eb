//! What the demonstration found: a table for people, one JSON object for programs.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::ledger::Measured;

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
    pub fn new(id: impl Into<String>, limit: f64, value: Option<f64>) -> Self {
        Self { id: id.into(), limit, value, held: value.is_some_and(|value| value <= limit) }
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
        let mut lines = vec![HEADINGS.map(|heading| Cell { text: heading.to_owned(), style: HEAD })];
        lines.extend(self.faults.iter().map(cells));
        let mut text = aligned(&lines);
        let (word, style) = match self.verdict {
            Verdict::Held => ("held", GOOD),
            Verdict::Broke => ("broke", BAD),
        };
        let held = self.faults.iter().filter(|row| row.held()).count();
        // Writing to a String does not fail.
        let _ = writeln!(text, "\n{style}{word}{style:#}: {held} of {} faults", self.faults.len());
        text
    }
}

const HEADINGS: [&str; COLUMNS] =
    ["fault", "dials", "peak/100ms", "first ok", "last worker", "never", "bound", "errors"];
const COLUMNS: usize = 8;
/// The columns that hold words, and stand on the left; numbers stand on the right.
const WORDS: [usize; 3] = [0, 6, 7];

struct Cell {
    text: String,
    style: Style,
}

fn cells(row: &Row) -> [Cell; COLUMNS] {
    let Measured { dials_outage, peak_dials_100ms, first_success_s, last_worker_s, never, errors } = &row.measured;
    let plain = |text: String| Cell { text, style: Style::new() };
    let errors: Vec<_> = errors.iter().map(|(fault, count)| format!("{fault} {count}")).collect();
    [
        plain(row.fault.clone()),
        plain(dials_outage.to_string()),
        plain(peak_dials_100ms.to_string()),
        plain(seconds(*first_success_s)),
        plain(seconds(*last_worker_s)),
        Cell { text: never.to_string(), style: if *never == 0 { Style::new() } else { BAD } },
        Cell { text: bound(&row.bound), style: if row.bound.held { GOOD } else { BAD } },
        Cell { text: errors.join(", "), style: FAINT },
    ]
}

fn bound(bound: &Bound) -> String {
    let Bound { id, limit, value, held } = bound;
    match (value, held) {
        (Some(value), true) => format!("{id} held: {} ≤ {}", number(*value), number(*limit)),
        (Some(value), false) => {
            // A value that breaks by less than what is shown is shown in full.
            let (short, limit) = (number(*value), number(*limit));
            let value = if short == limit { value.to_string() } else { short };
            format!("{id} broke: {value} > {limit}")
        }
        (None, _) => format!("{id} broke: nothing to measure, ≤ {} wanted", number(*limit)),
    }
}

/// At most two decimals, and none for a whole number.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn seconds(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2} s"))
}

/// Pads by characters, outside the escape sequences.
fn aligned(lines: &[[Cell; COLUMNS]]) -> String {
    let mut widths = [0; COLUMNS];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.text.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for line in lines {
        let mut out = String::new();
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            let Cell { text, style } = cell;
            let gap = if column == 0 { "" } else { "  " };
            let pad = " ".repeat(width.saturating_sub(text.chars().count()));
            // Writing to a String does not fail.
            let _ = match (WORDS.contains(&column), column + 1 == COLUMNS) {
                (true, true) => write!(out, "{gap}{style}{text}{style:#}"),
                (true, false) => write!(out, "{gap}{style}{text}{style:#}{pad}"),
                (false, _) => write!(out, "{gap}{pad}{style}{text}{style:#}"),
            };
        }
        text.push_str(out.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test says so by failing")]
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
        Row { fault: fault.to_owned(), measured, bound: Bound::new("B1", limit, value) }
    }

    #[test]
    fn a_bound_holds_up_to_its_limit_and_not_without_a_value() {
        assert!(Bound::new("B1", 1.5, Some(1.5)).held);
        assert!(!Bound::new("B1", 1.5, Some(1.500_1)).held);
        assert!(!Bound::new("B1", 1.5, Some(f64::NAN)).held);
        assert!(!Bound::new("B1", 1.5, None).held);
    }

    #[test]
    fn a_value_that_breaks_by_a_hair_does_not_look_as_if_it_held() {
        assert_eq!(bound(&Bound::new("B1", 0.25, Some(0.2504))), "B1 broke: 0.2504 > 0.25");
        assert_eq!(bound(&Bound::new("B2", 10.0, Some(100.0))), "B2 broke: 100 > 10");
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
        let rows = vec![
            row("refused", 2.0, Some(0.5), 0),
            row("accepted, silent", 0.25, Some(10.5), 0),
            row("flapping", 2.0, None, 16),
        ];
        let table = Report::new(rows).table();
        assert!(table.contains("\u{1b}["), "no colours: {table:?}");
        let plain = anstream::adapter::strip_str(&table).to_string();
        let expected = "\
fault             dials  peak/100ms  first ok  last worker  never  bound                                     errors
refused              12           1    0.50 s       0.25 s      0  B1 held: 0.5 ≤ 2                          refused 3, timed out 1
accepted, silent     12           1   10.50 s       0.25 s      0  B1 broke: 10.5 > 0.25                     refused 3, timed out 1
flapping             12           1         -            -     16  B1 broke: nothing to measure, ≤ 2 wanted  refused 3, timed out 1

broke: 1 of 3 faults
";
        assert_eq!(plain, expected);
    }
}
