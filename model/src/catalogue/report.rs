//! What a check found: rows for programs, a table for people, a page for the file cabinet.

use std::{collections::BTreeSet, fmt::Write as _};

use anstyle::{AnsiColor, Style};
use relink::Policy;
use serde::{Serialize, Serializer};

use super::{
    policies::Reduced,
    property::{Assumption, Property, property},
    story::Story,
};
use crate::columns::{Cell, aligned};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DOUBT: Style = AnsiColor::Yellow.on_default().bold();
const HEAD: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

/// What is known of one property in one world, the better first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// True of every reachable state or run.
    Holds,
    /// Not decided; never counted as holding.
    Open,
    /// False, and there is a run that shows it.
    Falsified,
}

/// What is known of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Overall {
    /// Every property holds in every world, and every seeded bug was caught by its own.
    Holds,
    /// Some property is false, or a seeded bug escaped.
    Falsified,
    /// Nothing is known to be false, and something is open.
    Undecided,
}

/// How much is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Within a minute on two cores.
    Quick,
    /// Larger worlds too, and the sweep of every step from any state, within half an hour.
    Full,
}

/// A mistake that was put in on purpose, and who noticed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Seeded {
    /// The mistake.
    pub bug: String,
    /// What is done wrong.
    pub about: String,
    /// The properties that were found false with it.
    pub caught_by: Vec<String>,
    /// The world where it shows: the one named, with nothing in it that it does not need.
    pub world: String,
    /// The file of its code.
    pub source: String,
    /// The run that breaks the property.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub story: Option<Story>,
}

/// One property in one world.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Its name.
    pub id: String,
    /// Its wording.
    pub statement: String,
    /// What it means.
    pub plain: String,
    /// What it rests on.
    pub assumption: String,
    /// Where it was checked.
    pub world: String,
    /// The name of that world for `relink explore` and `relink export`, if it is one of theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explore: Option<String>,
    /// Distinct states of the world, every one of them looked at.
    pub states: usize,
    /// Transitions between them.
    pub transitions: usize,
    /// The most bytes that exploring them held at once; 0 where nothing is kept.
    pub bytes: usize,
    /// The seconds that it took to explore the world.
    #[serde(serialize_with = "to_the_millisecond")]
    pub explored: f64,
    /// The seconds that it took to explore the world and to judge the property in it.
    #[serde(serialize_with = "to_the_millisecond")]
    pub seconds: f64,
    /// What was found.
    pub verdict: Verdict,
    /// Why it is open, or what its numbers are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether every state that the world must reach was reached, so that nothing holds in vain.
    pub witness: bool,
    /// Mistakes put in on purpose; empty if that was not asked for.
    pub seeded: Vec<Seeded>,
    /// A run that breaks it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub story: Option<Story>,
}

/// Everything that a check found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Over all.
    pub verdict: Overall,
    /// The policy as the user wrote it.
    pub policy: Policy,
    /// How much was checked.
    pub level: Level,
    /// What the worlds run instead.
    pub reduced: Vec<Reduced>,
    /// In the order of the catalogue.
    pub properties: Vec<Row>,
    /// What these verdicts do not say.
    pub not_proved: Vec<String>,
}

impl Row {
    /// A row of a property, with nothing found yet.
    pub(super) fn of(property: &Property, world: &str) -> Self {
        Self {
            id: property.id.to_owned(),
            statement: property.statement.to_owned(),
            plain: property.plain.to_owned(),
            assumption: property.assumption.text().to_owned(),
            world: world.to_owned(),
            explore: None,
            states: 0,
            transitions: 0,
            bytes: 0,
            explored: 0.0,
            seconds: 0.0,
            verdict: Verdict::Open,
            reason: None,
            witness: false,
            seeded: Vec::new(),
            story: None,
        }
    }

    /// What it rests on, by name.
    pub(super) fn assumed(&self) -> Option<Assumption> {
        property(&self.id).map(|known| known.assumption)
    }

    /// The verdict in a word, with its colour.
    fn found(&self) -> (&'static str, Style) {
        match self.verdict {
            Verdict::Holds if self.witness => ("holds", GOOD),
            Verdict::Holds => ("holds in vain", DOUBT),
            Verdict::Falsified => ("falsified", BAD),
            Verdict::Open => ("open", DOUBT),
        }
    }

    /// The bugs that this property was to catch and did not.
    pub fn escaped(&self) -> impl Iterator<Item = &Seeded> {
        self.seeded.iter().filter(|seeded| !seeded.caught_by.contains(&self.id))
    }
}

impl Report {
    /// A report with its verdict. One without rows has shown nothing.
    pub(super) fn new(
        policy: Policy,
        level: Level,
        reduced: Vec<Reduced>,
        properties: Vec<Row>,
        not_proved: Vec<String>,
    ) -> Self {
        let falsified = |row: &Row| row.verdict == Verdict::Falsified || row.escaped().next().is_some();
        let open = |row: &Row| row.verdict == Verdict::Open || !row.witness;
        let verdict = if properties.iter().any(falsified) {
            Overall::Falsified
        } else if properties.is_empty() || properties.iter().any(open) {
            Overall::Undecided
        } else {
            Overall::Holds
        };
        Self { verdict, policy, level, reduced, properties, not_proved }
    }

    /// As one line of JSON.
    ///
    /// # Errors
    /// As `serde_json`; there is no value here that it refuses.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// As aligned lines with colours: the table, the counterexamples, what is not proved, the verdict.
    pub fn text(&self) -> String {
        let mut text = self.table();
        text.push_str(&self.worlds());
        for rows in self.properties.chunk_by(|one, next| one.id == next.id) {
            text.push_str(&told(rows));
        }
        let _ = writeln!(text, "\n{HEAD}not proved{HEAD:#}");
        for line in &self.not_proved {
            let _ = writeln!(text, "  {line}");
        }
        let (word, style) = match self.verdict {
            Overall::Holds => ("holds", GOOD),
            Overall::Falsified => ("falsified", BAD),
            Overall::Undecided => ("undecided", DOUBT),
        };
        let count = |verdict| {
            let judged = self.properties.chunk_by(|one, next| one.id == next.id);
            judged.filter(|rows| rows.iter().map(|row| row.verdict).max() == Some(verdict)).count()
        };
        let _ = write!(text, "\n{style}{word}{style:#}: of the properties {} hold", count(Verdict::Holds));
        let _ = write!(text, ", {} are falsified, {} open", count(Verdict::Falsified), count(Verdict::Open));
        let seeded = self.properties.iter().map(|row| row.seeded.len()).sum::<usize>();
        let escaped = self.properties.iter().map(|row| row.escaped().count()).sum::<usize>();
        let _ = match (seeded, escaped) {
            (0, _) => writeln!(text),
            (_, 0) => {
                writeln!(text, "; all {seeded} seeded bugs caught, each by its own, under the default small policy")
            }
            (_, _) => writeln!(text, "; {BAD}{escaped} of {seeded} seeded bugs escaped{BAD:#}"),
        };
        text
    }

    /// What any of its rows assumes.
    fn assumed(&self) -> BTreeSet<Assumption> {
        self.properties.iter().filter_map(Row::assumed).collect()
    }

    /// What is the same in the rows of one property is said in the first of them, and every assumption once.
    fn table(&self) -> String {
        let heads = ["id", "in plain words", "if", "world", "states", "s", "seeded", "verdict"];
        let mut lines: Vec<Vec<Cell>> = vec![heads.iter().map(|head| Cell::new(*head, HEAD)).collect()];
        for rows in self.properties.chunk_by(|one, next| one.id == next.id) {
            for (place, row) in rows.iter().enumerate() {
                let first = |text: &str| if place == 0 { text.to_owned() } else { String::new() };
                let (word, style) = row.found();
                let caught = row.seeded.len() - row.escaped().count();
                let seeded =
                    if row.seeded.is_empty() { "-".to_owned() } else { format!("{caught}/{}", row.seeded.len()) };
                let numbers = row.reason.iter().filter(|_| row.verdict == Verdict::Holds && row.witness);
                let word = numbers.fold(word.to_owned(), |word, numbers| format!("{word}: {numbers}"));
                lines.push(vec![
                    Cell::new(first(&row.id), HEAD),
                    Cell::plain(first(&row.plain)),
                    Cell::new(first(&String::from_iter(row.assumed().map(Assumption::letter))), FAINT),
                    Cell::plain(&row.world),
                    Cell::plain(row.states.to_string()),
                    Cell::plain(format!("{:.1}", row.seconds)),
                    Cell::plain(seeded),
                    Cell::new(word, style),
                ]);
            }
        }
        let mut text = aligned(&lines, &[0, 1, 2, 3, 7]);
        text.push('\n');
        for assumption in self.assumed() {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{FAINT}{}: {}{FAINT:#}", assumption.letter(), assumption.text());
        }
        text
    }

    /// What each world has cost: its states, the bytes that each of them took, and how fast they were found.
    fn worlds(&self) -> String {
        let heads = ["world", "states", "bytes a state", "states/s", "transitions/s"];
        let mut lines: Vec<Vec<Cell>> = vec![heads.iter().map(|head| Cell::new(*head, HEAD)).collect()];
        let mut known: Vec<&str> = Vec::new();
        for row in self.properties.iter().filter(|row| row.states > 0) {
            if known.contains(&row.world.as_str()) {
                continue;
            }
            known.push(&row.world);
            let each = if row.bytes == 0 { "-".to_owned() } else { row.bytes.div_ceil(row.states).to_string() };
            lines.push(vec![
                Cell::plain(&row.world),
                Cell::plain(row.states.to_string()),
                Cell::plain(each),
                Cell::plain(rate(row.states, row.explored)),
                Cell::plain(rate(row.transitions, row.explored)),
            ]);
        }
        format!("\n{}", aligned(&lines, &[0]))
    }
}

fn to_the_millisecond<S: Serializer>(seconds: &f64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64((seconds * 1e3).round() / 1e3)
}

/// So many a second, in millions.
fn rate(many: usize, seconds: f64) -> String {
    format!("{:.2} M", many as f64 / seconds / 1e6)
}

/// Why rows of one property are not what they should be: the first run that breaks it, and where else it breaks.
fn told(rows: &[Row]) -> String {
    let mut text = String::new();
    let wrong: Vec<&Row> = rows.iter().filter(|row| row.verdict != Verdict::Holds || !row.witness).collect();
    if let Some((row, more)) = wrong.split_first() {
        let (word, style) = row.found();
        let _ = writeln!(text, "\n{HEAD}{}{HEAD:#} {style}{word}{style:#} in {}: {}", row.id, row.world, row.statement);
        if let Some(reason) = &row.reason {
            let _ = writeln!(text, "  {reason}");
        }
        if let Some(story) = &row.story {
            text.push_str(&story.text());
        }
        for row in more {
            let (word, style) = row.found();
            let _ = writeln!(text, "  {style}{word}{style:#} as well in {}", row.world);
        }
    }
    for (row, seeded) in rows.iter().flat_map(|row| row.escaped().map(move |seeded| (row, seeded))) {
        let Seeded { bug, about, world, .. } = seeded;
        let _ = writeln!(
            text,
            "\n{HEAD}{}{HEAD:#} {BAD}escaped{BAD:#}: it still holds with the bug '{bug}' in {world}",
            row.id
        );
        let _ = writeln!(text, "  {about}");
    }
    text
}
