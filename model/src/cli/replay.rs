//! `relink replay`: a recorded run, or a counterexample, through the pure machines.

use std::{
    fmt::{Debug, Write as _},
    fs,
    path::PathBuf,
};

use anstyle::{AnsiColor, Style};
use clap::ValueHint;
use relink::{
    Time,
    adapter::{Diverged, Record},
    pacer::Pacer,
};
use relink_model::catalogue::run::{NotIts, Run, Strayed};

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
    let no_record = |error: serde_json::Error| {
        Failed::Usage(format!("{shown} is no record of a run: {error}; write one with serde_json from Trace::record()"))
    };
    let value: serde_json::Value = serde_json::from_str(&text).map_err(no_record)?;
    if value.get("record").is_some() {
        return counterexample(&shown.to_string(), &serde_json::from_value(value).map_err(no_record)?);
    }
    let record: Record = serde_json::from_str(&text).map_err(no_record)?;
    let mut story = String::new();
    let replayed = record.replay(|step, _| {
        if args.story {
            let commands: Vec<&dyn Debug> = step.commands.iter().map(|command| command as &dyn Debug).collect();
            tell(&mut story, step.now, &step.event, &commands);
        }
    });
    say(&story)?;
    let machine = replayed.map_err(|diverged| not_its(&shown.to_string(), &diverged.into()))?;
    let dials = record.steps.iter().flat_map(|step| &step.commands);
    let dials = dials.filter(|command| matches!(command, relink::pool::Command::Dial { .. })).count();
    let lasted = record.steps.last().map_or(0, |step| step.now.as_millis());
    say(&format!(
        "{GOOD}replays{GOOD:#}: {} steps of {:.3} s, {dials} dials; at the end: {}\n",
        record.steps.len(),
        lasted as f64 / 1_000.0,
        ended(machine.pacer()),
    ))
}

/// A counterexample is always told: nobody has seen it happen.
fn counterexample(shown: &str, run: &Run) -> Result<(), Failed> {
    let (mut story, mut place) = (format!("{} in {}\n", run.property, run.world), 0);
    let forever = |story: &mut String, place| {
        if run.forever_from == Some(place) {
            story.push_str("and from here for ever:\n");
        }
    };
    let replayed = run.replay(|now, event, commands| {
        forever(&mut story, place);
        tell(&mut story, now, event, commands);
        place += 1;
    });
    if replayed.is_ok() {
        forever(&mut story, place);
        let _ = writeln!(story, "{FAINT}{:>10} ms{FAINT:#}  the end", run.until.as_millis());
    }
    say(&story)?;
    let pacer = replayed.map_err(|strayed| not_its(shown, &strayed))?;
    let steps = run.steps();
    say(&format!(
        "{GOOD}replays{GOOD:#}: the machine does exactly this, in {steps} steps; at the end: {}\n",
        ended(&pacer)
    ))
}

/// One step: when, what happened, what was commanded.
fn tell(story: &mut String, now: Time, event: &dyn Debug, commands: &[&dyn Debug]) {
    // Writing to a String does not fail.
    let _ = writeln!(story, "{FAINT}{:>10} ms{FAINT:#}  {event:?}", now.as_millis());
    for command in commands {
        let _ = writeln!(story, "{:>13}  → {command:?}", "");
    }
}

fn not_its(shown: &str, error: &NotIts) -> Failed {
    match error {
        NotIts::Pool(Diverged::Step { .. }) | NotIts::Pacer(Strayed::Step { .. }) => {
            Failed::Broke(format!("{shown}: {error}"))
        }
        NotIts::Pool(_) | NotIts::Pacer(_) => Failed::Usage(format!("{shown}: {error}")),
    }
}

fn ended(pacer: &Pacer) -> String {
    format!(
        "sessions {}, {} in an outage",
        pacer.online(),
        if pacer.outage_since().is_some() { "still" } else { "not" }
    )
}
