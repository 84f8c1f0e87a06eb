//! `relink check`: a policy against every property, with a verdict, a counterexample and a report.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::ValueHint;
use indicatif::{ProgressBar, ProgressStyle};
use relink_model::{
    catalogue::{
        self, Options,
        property::{PROPERTIES, property},
        report::{Level, Overall, Report},
    },
    check::Limit,
};

use crate::{Failed, policy, say};

/// Without --policy: the default policy.
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 everything holds, 1 something is falsified or a seeded bug escaped, 2 bad usage or policy, \
3 undecided or could not run.")]
pub(crate) struct Args {
    /// The policy file to check
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    policy: Option<PathBuf>,
    /// How much to check: quick is done within a minute; full, with larger worlds and the sweep of every step from any
    /// state, within half an hour
    #[arg(long, value_enum, default_value_t = Depth::Quick)]
    level: Depth,
    /// Only these properties, such as S1,L2
    #[arg(long, value_name = "IDS", value_delimiter = ',', value_parser = id)]
    only: Vec<&'static str>,
    /// Put every seeded bug in as well, under the default policy made small: each has to be caught by its property's name
    #[arg(long)]
    seeded: bool,
    /// How much memory all of it may take, judging included; a world that does not fit is left open
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "4GiB")]
    memory: Limit,
    /// One JSON object on standard output, and nothing else there
    #[arg(long)]
    json: bool,
    /// Write a JUnit file, one test case for each property and world
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    junit: Option<PathBuf>,
    /// Write REPORT.md into this folder, and with it a file for each counterexample
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    report: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Depth {
    Quick,
    Full,
}

fn id(text: &str) -> Result<&'static str, String> {
    property(text).map(|property| property.id).ok_or_else(|| {
        let all: Vec<_> = PROPERTIES.iter().map(|property| property.id).collect();
        format!("there is no such property: choose from {}", all.join(", "))
    })
}

/// `512MB`, `4GiB`: a whole number of bytes.
fn size(text: &str) -> Result<Limit, String> {
    let units = [("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000)];
    let binary = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let read =
        |(unit, bytes): (&str, usize)| text.strip_suffix(unit)?.trim_end().parse::<usize>().ok()?.checked_mul(bytes);
    let bytes = units.into_iter().chain(binary).find_map(read);
    bytes
        .map(|bytes| Limit { bytes })
        .ok_or_else(|| "write a whole number with MB, GB, MiB or GiB, as in 4GB".to_owned())
}

pub(crate) fn run(args: &Args) -> Result<(), Failed> {
    let policy = policy(args.policy.as_deref())?;
    policy.clone().check().map_err(|error| Failed::Usage(error.to_string()))?;
    let report = args.report.as_ref().map(|folder| folder.join("REPORT.md"));
    args.junit.iter().chain(&report).try_for_each(|file| writable(file))?;
    let level = match args.level {
        Depth::Quick => Level::Quick,
        Depth::Full => Level::Full,
    };
    let options =
        Options { level, seeded: args.seeded, only: args.only.clone(), limit: args.memory, ..Options::default() };
    let bar = bar();
    let report = catalogue::check(&policy, &options, &|progress| {
        bar.set_length(progress.worlds as u64);
        bar.set_position(progress.done as u64);
        bar.set_message(progress.world);
    });
    bar.finish_and_clear();
    let report = report.map_err(|error| Failed::Usage(error.to_string()))?;
    if let Some(file) = &args.junit {
        replace(file, &report.junit().map_err(|error| Failed::Environment(format!("cannot write junit: {error}")))?)?;
    }
    if let Some(folder) = &args.report {
        let files = report.files().map_err(|error| Failed::Environment(format!("cannot write json: {error}")))?;
        for (name, text) in files {
            replace(&folder.join(name), &text)?;
        }
    }
    if args.json {
        let json = report.json().map_err(|error| Failed::Environment(format!("cannot write json: {error}")))?;
        say(&format!("{json}\n"))?;
    } else {
        say(&report.text())?;
    }
    ended(&report)
}

fn ended(report: &Report) -> Result<(), Failed> {
    match report.verdict {
        Overall::Holds => Ok(()),
        Overall::Falsified => {
            Err(Failed::Broke("a property is falsified or a seeded bug escaped; see above".to_owned()))
        }
        Overall::Undecided => Err(Failed::Environment("undecided: a property is open; see above".to_owned())),
    }
}

/// On a terminal; elsewhere it is silent.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{elapsed:>4} {bar:30} {pos}/{len} worlds  {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// What cannot be written is refused before the run, which may take long.
fn writable(file: &Path) -> Result<(), Failed> {
    write(file, "", fs::OpenOptions::new().append(true))
}

fn replace(file: &Path, text: &str) -> Result<(), Failed> {
    write(file, text, fs::OpenOptions::new().write(true).truncate(true))
}

fn write(file: &Path, text: &str, how: &mut fs::OpenOptions) -> Result<(), Failed> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let made = folder.map_or(Ok(()), fs::create_dir_all);
    made.and_then(|()| how.create(true).open(file))
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| Failed::Environment(format!("cannot write {}: {error}", file.display())))
}
