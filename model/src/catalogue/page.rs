//! A report as files: a page in Markdown with sequence diagrams, counterexamples to replay, and JUnit for a CI server.

use std::fmt::Write as _;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::{
    policies,
    property::Assumption,
    report::{Level, Overall, Report, Row, Seeded, Verdict},
    run::Run,
    story::Story,
};
use crate::reduce;

impl Report {
    /// The page and what belongs to it, as names and contents.
    ///
    /// # Errors
    /// As `serde_json`; there is no value here that it refuses.
    pub fn files(&self) -> serde_json::Result<Vec<(String, String)>> {
        let mut files = vec![("REPORT.md".to_owned(), self.page())];
        files.extend(self.runs_of_bugs().map(|runs| ("SEEDED.md".to_owned(), runs)));
        for run in self.properties.iter().filter_map(replayable) {
            files.push((file_name(run), serde_json::to_string_pretty(run)? + "\n"));
        }
        Ok(files)
    }

    /// One page in Markdown.
    pub fn page(&self) -> String {
        let verdict = word(self.verdict);
        let (level, asked) = match self.level {
            Level::Quick => ("quick", ""),
            Level::Full => ("full", " --level full"),
        };
        let mut page = format!(
            "# What is proved of this policy\n\nVerdict: **{verdict}**, at level {level}. Made by `relink check{asked}{} --report DIR`.\n\n",
            if self.properties.iter().any(|row| !row.seeded.is_empty()) { " --seeded" } else { "" }
        );
        for line in reduce::told(&self.policy) {
            // Writing to a String does not fail.
            let _ = writeln!(page, "- {line}");
        }
        page.push_str("\n| id | in plain words | if | world | `relink explore` | states | transitions | seeded bugs caught | verdict |\n");
        page.push_str("|---|---|---|---|---|---:|---:|---|---|\n");
        for row in &self.properties {
            let bugs: Vec<_> = row.seeded.iter().map(|seeded| seeded.bug.as_str()).collect();
            let Row { id, plain, world, states, transitions, .. } = row;
            let explore = row.explore.as_deref().unwrap_or("-");
            let assumption = String::from_iter(row.assumed().map(Assumption::letter));
            let _ = writeln!(
                page,
                "| {id} | {plain} | {assumption} | {world} | {explore} | {states} | {transitions} | {} | {} |",
                bugs.join(", "),
                found(row)
            );
        }
        page.push_str("\n## What is assumed\n\n");
        // All of them: they refer to each other.
        for assumption in Assumption::ALL {
            let _ = writeln!(page, "- {}: {}", assumption.letter(), assumption.text());
        }
        page.push_str("\n## The wordings\n\n");
        let mut last = "";
        for row in self.properties.iter().filter(|row| std::mem::replace(&mut last, row.id.as_str()) != row.id) {
            let _ = writeln!(page, "- **{}**: {}", row.id, row.statement);
        }
        for row in self.properties.iter().filter(|row| row.verdict != Verdict::Holds) {
            let _ = writeln!(page, "\n## {} {} in {}\n\n{}\n", row.id, found(row), row.world, row.statement);
            if let Some(reason) = &row.reason {
                let _ = writeln!(page, "{reason}\n");
            }
            if let Some(story) = &row.story {
                let _ = writeln!(page, "```text\n{}```\n\n```mermaid\n{}```", story.text(), story.mermaid());
            }
            if let Some(run) = replayable(row) {
                let _ = writeln!(
                    page,
                    "\nThe same run through the production functions: `relink replay {}`.",
                    file_name(run)
                );
            }
        }
        page.push_str("\n## The worlds' policies\n\nWhat is not yours there, as field, yours → theirs. ");
        page.push_str("Who runs numbers of a few milliseconds shows what this shape of a policy can do, not how long it takes.\n\n");
        for line in policies::told(&self.policy, &self.reduced) {
            let _ = writeln!(page, "- {line}");
        }
        self.bugs(&mut page);
        page.push_str("\n## What is not proved\n\n");
        for line in &self.not_proved {
            let _ = writeln!(page, "- {line}");
        }
        page.push_str(INDEPENDENT);
        page
    }

    /// Every seeded bug with the row that it is booked on.
    fn seeded(&self) -> impl Iterator<Item = (&Row, &Seeded)> {
        self.properties.iter().flat_map(|row| row.seeded.iter().map(move |seeded| (row, seeded)))
    }

    /// A table of the seeded bugs, if there are any.
    fn bugs(&self, page: &mut String) {
        if self.seeded().next().is_none() {
            return;
        }
        let _ = writeln!(page, "\n## Seeded bugs\n\n{SEEDED}\n");
        page.push_str(
            "| id | bug | what is done wrong | world | steps of the run | source |\n|---|---|---|---|---:|---|\n",
        );
        for (Row { id, .. }, Seeded { bug, about, world, story, source, .. }) in self.seeded() {
            let steps = story.as_ref().map_or_else(|| "escaped".to_owned(), |story| story.steps().to_string());
            let _ = writeln!(page, "| {id} | {bug} | {about} | {world} | {steps} | `{source}` |");
        }
    }

    /// The run of each seeded bug, if there are any.
    fn runs_of_bugs(&self) -> Option<String> {
        self.seeded().next()?;
        let mut page = format!("# The seeded bugs and their runs\n\n{SEEDED}\n");
        for (Row { id, statement, .. }, Seeded { bug, about, world, story, source, .. }) in self.seeded() {
            let _ = writeln!(page, "\n## {id}: {bug}\n\n{about} In {world}; `{source}`.\n\nBroken: {statement}.\n");
            let story = story.as_ref().map_or_else(|| "It escaped.\n".to_owned(), Story::text);
            let _ = writeln!(page, "```text\n{story}```");
        }
        Some(page)
    }

    /// JUnit XML: a test case for each property and world.
    ///
    /// # Errors
    /// As the writer of XML.
    pub fn junit(&self) -> Result<String, quick_junit::SerializeError> {
        let mut suite = TestSuite::new("relink check");
        for row in &self.properties {
            let status = match row.verdict {
                Verdict::Holds if row.witness && row.escaped().next().is_none() => TestCaseStatus::success(),
                Verdict::Holds | Verdict::Falsified => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_message(found(row));
                    status.set_description(row.story.as_ref().map(|story| story.text()).unwrap_or_default());
                    status
                }
                Verdict::Open => {
                    let mut status = TestCaseStatus::skipped();
                    status.set_message(row.reason.clone().unwrap_or_default());
                    status
                }
            };
            let mut case = TestCase::new(format!("{} in {}: {}", row.id, row.world, row.plain), status);
            case.set_classname(&row.id);
            case.set_time(std::time::Duration::from_secs_f64(row.seconds));
            suite.add_test_case(case);
        }
        let mut report = quick_junit::Report::new("relink");
        report.add_test_suite(suite);
        report.to_string()
    }
}

/// What the seeded bugs are.
const SEEDED: &str = "Each is put, alone, around the production step or into the policy, in the world that is named, with nothing in \
                      it that it does not need, and has to be found by its own property. That policy is the default one made \
                      small, whatever the shape of yours. `relink check --seeded --report DIR` writes every run to `SEEDED.md`.";

/// Who else has judged.
const INDEPENDENT: &str = "\n## Independent verdicts\n\n\
    `./tests/run independent` has Storm and SPIN, which share no code with this checker, explore the fleets anew and say how \
    many states there are, which of them recover and how soon (`model/tests/independent.rs`). \
    `relink export WORLD --to prism|storm|promela` writes a world for them.\n";

/// The run that falsifies a property, where it is one machine's.
fn replayable(row: &Row) -> Option<&Run> {
    row.story.as_ref().filter(|_| row.verdict == Verdict::Falsified)?.run.as_ref()
}

/// `S3` in `a process of 1` as `S3-a-process-of-1.json`.
fn file_name(run: &Run) -> String {
    let words = run.world.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    format!("{}-{}.json", run.property, words.collect::<Vec<_>>().join("-"))
}

const fn word(verdict: Overall) -> &'static str {
    match verdict {
        Overall::Holds => "holds",
        Overall::Falsified => "falsified",
        Overall::Undecided => "undecided",
    }
}

fn found(row: &Row) -> String {
    match row.verdict {
        Verdict::Holds if !row.witness => "holds in vain".to_owned(),
        Verdict::Holds if row.escaped().next().is_some() => "a seeded bug escaped".to_owned(),
        Verdict::Holds => row.reason.iter().fold("holds".to_owned(), |word, numbers| format!("{word}: {numbers}")),
        Verdict::Falsified => "falsified".to_owned(),
        Verdict::Open => "open".to_owned(),
    }
}
