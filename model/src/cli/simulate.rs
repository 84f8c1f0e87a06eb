//! `relink simulate`: its arguments, and how its figures are shown.

use std::{
    fmt::Display,
    fs,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::{ValueHint, builder::PossibleValue};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use relink::{Ratio, Span};
use relink_model::simulate::{
    self, Contender, Figures, Kind, Outcome, Overflow, Progress, Resends, SCENARIOS, Scenario, Service, Story, World,
};

use crate::{Failed, say};

mod table;

/// What the figures mean.
const FIGURES: &str = "\
Makespan is the time from the server's return until every connection is back, its ratio that to the least possible,
clients/capacity. Dials are those of one connection, before and after the return. Peaks are SYNs in a second, as a
multiple of the capacity, kernels' resends included. Wasted is the share of the server's work that led to no session.
The classic policies stand for libraries where each connection retries by itself, so theirs are processes of one, whatever
--slots (which JSON and CSV repeat) says; a FILE with the same backoff is run as relink runs it, one dial at a time for
each process.

Exit codes: 0 simulated, whatever came of it; 2 bad usage; 3 a file cannot be written.";

/// What they do not.
const LIMITS: &str = "\
What this does not show:
  No database says when to come back: --overflow hint shows what that would be worth, and is no default.
  Set-ups all cost the same. On a real server their cost varies, also with its load.
  A rejection costs what --reject-cost says; 0.2 of a set-up is an assumption, not a measurement. Try others.
  A server loses all its sessions in one instant and is then away for everybody: no outage of a part of the clients,
  no slow death. Losses that are spread in time are shown by rolling-restart alone.
  Sessions of clients that have vanished hold no place of --max-connections.
  A run ends when the room of --max-connections is full: what those who found none offer from then on is not shown.
  Every process reaches every server, at 1 ms there and back: no DNS, no load balancer, no proxy's own queue.
  Kernels resend a SYN after 1, 3, 7, 15 and 31 s. Linux does so every second at first, from 6.5 on: --resends linear.
  Nobody uses the sessions: the server's capacity is for set-ups alone, and no client is slow or paused.
  Makespan is the time of the last one, so it is noisy: p99 is less so, --seeds shows the spread. A policy without jitter
  depends on where in its rhythm the server comes back: vary --outage.";

/// Every process runs the step functions that production runs. Without flags: 100 000 connections in processes of
/// 16, a server that sets up 1000 sessions a second, and 30 s of refusals.
#[derive(clap::Args)]
#[command(after_help = FIGURES, after_long_help = format!("{FIGURES}\n\n{LIMITS}"))]
pub(crate) struct Args {
    /// Begin with this world; flags change it
    #[arg(long, value_name = "NAME", value_parser = scenarios(), ignore_case = true)]
    scenario: Option<&'static Scenario>,
    /// Connections of the whole fleet
    #[arg(long, value_name = "N", value_parser = whole(u32::MAX), allow_hyphen_values = true)]
    clients: Option<u32>,
    /// Connections of one process
    #[arg(long, value_name = "P", value_parser = whole(u16::MAX), allow_hyphen_values = true)]
    slots: Option<u16>,
    /// Sessions that the server can set up in a second
    #[arg(long, value_name = "PER_S", value_parser = whole(u32::MAX), allow_hyphen_values = true)]
    capacity: Option<u32>,
    /// Set-ups that may wait in the server's listen queue
    #[arg(long, value_name = "Q", value_parser = whole(u32::MAX), allow_hyphen_values = true)]
    queue: Option<u32>,
    /// How long the first dial is waited for, instead of the policy's own (classic policies: 5s)
    #[arg(long, value_name = "DUR", allow_hyphen_values = true)]
    patience: Option<Span>,
    /// How long the server is away
    #[arg(long, value_name = "DUR", allow_hyphen_values = true)]
    outage: Option<Span>,
    /// How it is away
    #[arg(long, value_name = "KIND", value_parser = words::<Kind>(Kind::WORDS))]
    kind: Option<Kind>,
    /// What becomes of a dial that finds the queue full
    #[arg(long, value_name = "HOW", value_parser = words::<Overflow>(Overflow::WORDS))]
    overflow: Option<Overflow>,
    /// What a rejected dial costs the server, as a share of a set-up
    #[arg(long, value_name = "X", allow_hyphen_values = true)]
    reject_cost: Option<Ratio>,
    /// When a client's kernel sends an unanswered SYN again
    #[arg(long, value_name = "HOW", value_parser = words::<Resends>(Resends::WORDS))]
    resends: Option<Resends>,
    /// How set-ups share the server
    #[arg(long, value_name = "HOW", value_parser = words::<Service>(Service::WORDS))]
    service: Option<Service>,
    /// Sessions that the server admits at most
    #[arg(long, value_name = "M", value_parser = whole(u32::MAX), allow_hyphen_values = true)]
    max_connections: Option<u32>,
    /// The policy: relink, constant, exponential, full, equal, decorrelated, grpc, or a file of settings
    #[arg(long, value_name = "NAME|FILE", value_hint = ValueHint::FilePath, conflicts_with = "compare")]
    policy: Option<String>,
    /// Several policies, beside each other
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    compare: Vec<String>,
    /// What chance is drawn from
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = whole(u64::MAX), allow_hyphen_values = true)]
    seed: u64,
    /// So many runs, with this seed and those after it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    seeds: u32,
    /// When a run ends at the latest [default: outage + 20·clients/capacity + 60s, at most 1h]
    #[arg(long, value_name = "DUR", allow_hyphen_values = true)]
    horizon: Option<Span>,
    /// JSON on standard output: an object, or an array of them
    #[arg(long)]
    json: bool,
    /// The same figures as a table in this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    csv: Option<PathBuf>,
    /// A picture, .svg or .png: a panel for each policy, with its first seed
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = picture)]
    plot: Option<PathBuf>,
    /// A page with the picture and the figures, index.html in this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    report: Option<PathBuf>,
}

/// Reads a whole number from 0 to `most`; which of them will do is for the world to say.
fn whole<T: FromStr + Display + Copy + Send + Sync + 'static>(
    most: T,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| text.parse().map_err(|_| format!("write a whole number from 0 to {most}"))
}

fn picture(path: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(path);
    if simulate::is_picture(&path) { Ok(path) } else { Err("must end in .svg or .png".to_owned()) }
}

fn scenarios() -> impl clap::builder::TypedValueParser<Value = &'static Scenario> {
    use clap::builder::TypedValueParser as _;
    let each = SCENARIOS.iter().map(|scenario| PossibleValue::new(scenario.name).help(scenario.about));
    let any_case = |name: String| Scenario::find(&name).ok_or("no such scenario");
    clap::builder::PossibleValuesParser::new(each).try_map(any_case)
}

fn words<T>(words: &'static [&'static str]) -> impl clap::builder::TypedValueParser<Value = T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static> + Clone + Send + Sync + 'static,
{
    use clap::builder::TypedValueParser as _;
    clap::builder::PossibleValuesParser::new(words).try_map(|word| T::from_str(&word))
}

pub(crate) fn run(args: &Args) -> Result<(), Failed> {
    let world = args.world();
    world.check().map_err(usage)?;
    let contenders = args.contenders(world.slots)?;
    args.check(&world, &contenders)?;
    let outcomes = simulate_all(args, &world, &contenders);
    let figures: Vec<_> = outcomes.iter().map(|outcome| &outcome.figures).collect();
    if let Some(path) = &args.csv {
        let written = csv(&figures).map_err(|error| error.to_string());
        let written = written.and_then(|text| fs::write(path, text).map_err(|error| error.to_string()));
        written.map_err(|error| unwritable("--csv", path, error))?;
    }
    let firsts: Vec<_> = outcomes.iter().step_by(args.seeds as usize).collect();
    if let Some(path) = &args.plot {
        simulate::plot(path, &world, &firsts).map_err(|error| Failed::Environment(format!("--plot {error}")))?;
    }
    if let Some(directory) = &args.report {
        let page = simulate::page(&command(), &world, &firsts, &figures).map_err(|error| error.to_string());
        let written =
            page.and_then(|page| fs::write(directory.join("index.html"), page).map_err(|error| error.to_string()));
        written.map_err(|error| unwritable("--report", directory, error))?;
    }
    if args.json { say(&json(&figures)?) } else { say(&table::table(&world, &figures, args.seeds)) }
}

/// What was typed, but for the way to the program.
fn command() -> String {
    let words: Vec<_> = std::env::args().skip(1).collect();
    format!("relink {}", words.join(" "))
}

fn usage(error: impl Display) -> Failed {
    Failed::Usage(error.to_string())
}

fn unwritable(flag: &str, path: &Path, error: impl Display) -> Failed {
    Failed::Environment(format!("{flag} {}: cannot be written: {error}", path.display()))
}

impl Args {
    fn world(&self) -> World {
        let base = self.scenario.map_or_else(World::default, Scenario::world);
        let clients = self.clients.unwrap_or(base.clients);
        // A scenario's room is a share of its fleet.
        let share = |most: u32| u64::from(most) * u64::from(clients) / u64::from(base.clients);
        let room = base.max_connections.and_then(|most| u32::try_from(share(most).max(1)).ok());
        World {
            clients,
            slots: self.slots.unwrap_or(base.slots),
            capacity_per_s: self.capacity.unwrap_or(base.capacity_per_s),
            queue: self.queue.unwrap_or(base.queue),
            overflow: self.overflow.unwrap_or(base.overflow),
            reject_cost: self.reject_cost.unwrap_or(base.reject_cost),
            resends: self.resends.unwrap_or(base.resends),
            service: self.service.unwrap_or(base.service),
            max_connections: self.max_connections.or(room),
            outage: self.outage.unwrap_or(base.outage),
            kind: self.kind.unwrap_or(base.kind),
            horizon: self.horizon.or(base.horizon),
            story: base.story,
        }
    }

    fn contenders(&self, slots: u16) -> Result<Vec<Contender>, Failed> {
        let one = [self.policy.clone().unwrap_or_else(|| "relink".to_owned())];
        let names = if self.compare.is_empty() { &one[..] } else { &self.compare };
        let refused = |name: &str, error| match self.patience {
            Some(patience) if Contender::find(name, slots, None).is_ok() => {
                Failed::Usage(format!("--patience {patience}: {error}"))
            }
            Some(_) | None => Failed::Usage(error),
        };
        let find = |name: &String| Contender::find(name, slots, self.patience).map_err(|error| refused(name, error));
        names.iter().map(find).collect()
    }

    /// What would come to nothing is refused before a run, which may take long.
    fn check(&self, world: &World, contenders: &[Contender]) -> Result<(), Failed> {
        if let Some(kind) = self.kind.filter(|_| world.story == Story::RollingRestart) {
            return Err(usage(format!("--kind {}: in a rolling restart no server is away; leave it out", kind.word())));
        }
        if self.seed.checked_add(u64::from(self.seeds) - 1).is_none() {
            let most = u64::MAX - (u64::from(self.seeds) - 1);
            return Err(usage(format!("--seed {} --seeds {}: must begin at {most} or below", self.seed, self.seeds)));
        }
        let needed = contenders.iter().map(|contender| simulate::memory(world, contender)).max().unwrap_or(0);
        if let Some(available) = memory_available().filter(|available| *available < needed) {
            return Err(usage(format!(
                "--clients {}: takes about {} MB of memory, and {} are available; ask for fewer, or more --slots",
                world.clients,
                needed >> 20,
                available >> 20
            )));
        }
        for (flag, path) in [("--csv", &self.csv), ("--plot", &self.plot)] {
            if let Some(path) = path {
                let opened = fs::OpenOptions::new().append(true).create(true).open(path);
                opened.map_err(|error| unwritable(flag, path, error))?;
            }
        }
        self.report.as_ref().map_or(Ok(()), |directory| {
            fs::create_dir_all(directory).map_err(|error| unwritable("--report", directory, error))
        })
    }
}

fn simulate_all(args: &Args, world: &World, contenders: &[Contender]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for contender in contenders {
        for seed in (args.seed..=u64::MAX).take(args.seeds as usize) {
            let bar = bar(world, &format!("{} {seed}", contender.name));
            let mut told = |progress: Progress| {
                bar.set_position(progress.elapsed.as_millis());
                bar.set_message(format!("{} online", progress.online));
            };
            outcomes.push(simulate::run(world, contender, seed, &mut told));
            bar.finish_and_clear();
        }
    }
    outcomes
}

/// How far the run is on its way to the horizon; nothing where nobody watches.
fn bar(world: &World, prefix: &str) -> ProgressBar {
    let target = if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(world.ends_after().as_millis()), target);
    let style = ProgressStyle::with_template("{prefix} {wide_bar} {msg} [{elapsed}]");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_prefix(prefix.to_owned())
}

fn json(figures: &[&Figures]) -> Result<String, Failed> {
    let text = match figures {
        [one] => serde_json::to_string_pretty(one),
        several => serde_json::to_string_pretty(several),
    };
    text.map(|text| text + "\n").map_err(|error| Failed::Environment(format!("cannot write json: {error}")))
}

fn csv(figures: &[&Figures]) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in figures {
        writer.serialize(row)?;
    }
    Ok(writer.into_inner()?)
}

/// The most memory that this process ever had, where Linux tells.
fn memory_peak() -> Option<String> {
    let kb = kilobytes("/proc/self/status", "VmHWM:")?;
    Some(format!("{} MB", kb.div_ceil(1_024)))
}

/// How much more there is for a process, in bytes, where Linux tells.
fn memory_available() -> Option<u64> {
    Some(kilobytes("/proc/meminfo", "MemAvailable:")? << 10)
}

fn kilobytes(file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
