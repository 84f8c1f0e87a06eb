//! `relink replay`: a recorded run, or a counterexample, through the pure machines.

use std::{fmt::Write as _, fs, path::PathBuf};

use anstyle::{AnsiColor, Style};
use clap::ValueHint;
use relink::adapter::{Diverged, Record};

use crate::{Failed, say};

const GOOD: Style = AnsiColor::Green.on_default().bold();
const FAINT: Style = Style::new().dimmed();

/// Exit codes: 0 every step is the machine's, 1 one is not, 2 the file is no record, 3 it cannot be read.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A record as JSON: what `Trace::record` gives, or what `relink check --report` leaves of a counterexample
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Tell every step: when, what happened, what was commanded
    #[arg(long)]
    story: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failed> {
    let shown = args.file.display();
    let text = fs::read_to_string(&args.file)
        .map_err(|error| Failed::Environment(format!("cannot read the record {shown}: {error}")))?;
    let record: Record = serde_json::from_str(&text).map_err(|error| {
        Failed::Usage(format!("{shown} is no record of a run: {error}; write one with serde_json from Trace::record()"))
    })?;
    let mut story = String::new();
    let replayed = record.replay(|step, _| {
        if args.story {
            // Writing to a String does not fail.
            let _ = writeln!(story, "{FAINT}{:>10} ms{FAINT:#}  {:?}", step.now.as_millis(), step.event);
            for command in &step.commands {
                let _ = writeln!(story, "{:>13}  → {command:?}", "");
            }
        }
    });
    say(&story)?;
    let machine = replayed.map_err(|diverged| match diverged {
        Diverged::Step { .. } => Failed::Broke(format!("{shown}: {diverged}")),
        Diverged::Policy(_) | Diverged::Endpoints(_) | _ => Failed::Usage(format!("{shown}: {diverged}")),
    })?;
    let dials = record.steps.iter().flat_map(|step| &step.commands);
    let dials = dials.filter(|command| matches!(command, relink::pool::Command::Dial { .. })).count();
    let lasted = record.steps.last().map_or(0, |step| step.now.as_millis());
    say(&format!(
        "{GOOD}replays{GOOD:#}: {} steps of {:.3} s, {dials} dials; at the end: sessions {}, {} in an outage\n",
        record.steps.len(),
        lasted as f64 / 1_000.0,
        machine.pacer().online(),
        if machine.pacer().outage_since().is_some() { "still" } else { "not" },
    ))
}
