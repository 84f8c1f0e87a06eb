//! `relink demo`: its arguments, what it says before and after, and how it ends.

use std::{
    env,
    fmt::Write as _,
    io::{self, IsTerminal as _},
    path::PathBuf,
    time::Duration,
};

use anstyle::Style;
use clap::{
    ValueHint,
    builder::{PossibleValuesParser, TypedValueParser as _},
};
use relink::{
    Backoff, Checked,
    postgres::{Config, Pool},
};
use relink_model::demo::{
    crew::{self, Job},
    day::{self, Day, Plan, Trouble},
    policy,
    rehearsal::{self, Unfit},
    scene::Scene,
    server::{Server, Weather},
    table::Verdict,
    view::View,
};

use crate::{Failed, say};

/// How long each fault lasts.
const OUTAGE: Duration = Duration::from_secs(2);

/// How many workers want sessions.
const WORKERS: usize = 64;

/// How long a worker holds a session beside its statement.
const HOLD: Duration = Duration::from_millis(10);

const STRONG: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

/// Without --url: a PostgreSQL-wire server inside this process, nine faults, less than a minute.
#[derive(clap::Args)]
#[command(after_help = "\
Exit codes: 0 every bound held and nobody went without, 1 something broke, 2 bad usage, \
3 the server cannot be started or reached, 130 interrupted.")]
pub(crate) struct Args {
    /// Only these faults, in the order of the day, such as refuse,silent
    #[arg(long, value_name = "FAULTS", value_delimiter = ',', value_parser = fault())]
    only: Vec<Weather>,
    /// This policy instead of the default, shortened
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    policy: Option<PathBuf>,
    /// Rehearse on this server (libpq URL or key-value string), through a proxy that makes the faults
    #[arg(long, value_hint = ValueHint::Url)]
    url: Option<String>,
    /// One JSON object on standard output, and nothing else there
    #[arg(long)]
    json: bool,
}

fn fault() -> impl clap::builder::TypedValueParser<Value = Weather> {
    PossibleValuesParser::new(Scene::DAY.iter().map(|weather| weather.key()))
        .map(|key| Scene::DAY.iter().copied().find(|weather| weather.key() == key).unwrap_or_default())
}

pub(crate) fn run(args: Args) -> Result<(), Failed> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| Failed::Environment(format!("no runtime can be started: {error}")))?;
    let performed = runtime.block_on(async {
        tokio::select! {
            biased;
            // Without a handler Ctrl-C ends the process as it always does.
            Ok(()) = tokio::signal::ctrl_c() => Err(Failed::Interrupted),
            performed = perform(args) => performed,
        }
    });
    // A name that is being looked up holds a thread that nobody needs any more.
    runtime.shutdown_timeout(Duration::from_millis(100));
    performed
}

async fn perform(args: Args) -> Result<(), Failed> {
    let policy = chosen(&args)?;
    let set = match &args.url {
        Some(url) => rehearsal(url, &policy, &args.only).await?,
        None => own_server()?,
    };
    let Set { scene, config, job, .. } = &set;
    let faults = scene.faults().iter().copied().filter(|weather| args.only.is_empty() || args.only.contains(weather));
    let plan = Plan { faults: faults.collect(), outage: OUTAGE, workers: WORKERS, job: *job };
    if !args.json {
        say(&before(&args, &set, &plan, &policy))?;
    }
    let pool = Pool::configure(config.clone(), policy).and_then(|builder| Ok(builder.build()?));
    let pool = pool.map_err(|error| Failed::Usage(error.to_string()))?;
    // A program that reads the object has no use for the view, a person who waits for it has.
    let view = View::new(args.json && !io::stderr().is_terminal());
    let day = day::run(scene, &pool, &plan, view).await.map_err(|trouble| match trouble {
        Trouble::Scene(_) | Trouble::NeverUp(_) => Failed::Environment(trouble.to_string()),
        Trouble::NotForgotten(..) | Trouble::Unseen(_) => Failed::Broke(trouble.to_string()),
    })?;
    pool.close().await;
    if args.json {
        let json = day.report.json().map_err(|error| Failed::Environment(format!("cannot write json: {error}")))?;
        say(&format!("{json}\n"))?;
    } else {
        say(&after(&day))?;
    }
    match day.report.verdict {
        Verdict::Held => Ok(()),
        Verdict::Broke => Err(Failed::Broke("a bound broke, or a worker was never served; see the table".to_owned())),
    }
}

/// The policy in force.
fn chosen(args: &Args) -> Result<Checked, Failed> {
    let Some(file) = &args.policy else {
        return policy::shortened().map_err(|error| Failed::Usage(error.to_string()));
    };
    let policy = crate::policy(Some(file))?.check().map_err(|error| Failed::Usage(error.to_string()))?;
    if policy.backoff != Backoff::Relink {
        return Err(Failed::Usage(
            "the bounds of the demonstration are those of relink's own pacing: write backoff = \"relink\" or leave it out"
                .to_owned(),
        ));
    }
    Ok(policy)
}

/// Where the day takes place.
struct Set {
    scene: Scene,
    config: Config,
    job: Job,
    /// What a stranger has to know of it.
    about: Vec<(&'static str, String)>,
}

fn own_server() -> Result<Set, Failed> {
    let server = Server::start().map_err(|error| Failed::Environment(format!("no server can be started: {error}")))?;
    let (user, password, address) = (server.user(), server.password(), server.address());
    let url = format!("postgresql://{user}:{password}@{address}/demo?target_session_attrs=read-write&sslmode=disable");
    let config = url.parse().map_err(|error| Failed::Environment(format!("the server cannot be named: {error}")))?;
    let about = vec![
        ("server", format!("speaks PostgreSQL at {address}, in this process, and fails when told to")),
        ("client", "tokio-postgres over TCP, its sessions kept by relink::postgres::Pool".to_owned()),
    ];
    Ok(Set {
        scene: Scene::Server(server),
        config,
        job: Job { statement: "INSERT INTO t VALUES (1)", hold: HOLD },
        about,
    })
}

async fn rehearsal(url: &str, policy: &Checked, only: &[Weather]) -> Result<Set, Failed> {
    if let Some(weather) = only.iter().find(|weather| !Scene::REHEARSAL.contains(weather)) {
        let can: Vec<_> = Scene::REHEARSAL.iter().map(|weather| weather.key()).collect();
        return Err(Failed::Usage(format!(
            "--only {}: a proxy cannot make a server answer that; with --url choose from {}",
            weather.key(),
            can.join(", ")
        )));
    }
    let mut config: Config = url.parse().map_err(|error| Failed::Usage(format!("--url: {error}")))?;
    if let Ok(password) = env::var("PGPASSWORD") {
        config = config.password_default(password);
    }
    let stage = rehearsal::prepare(config, policy.dial_deadline.into()).await.map_err(|unfit| match unfit {
        Unfit::Hosts(_) | Unfit::Config(_) | Unfit::Slow(..) => Failed::Usage(format!("--url: {unfit}")),
        Unfit::Server(_) | Unfit::Silent(_) | Unfit::Proxy(_) => Failed::Environment(unfit.to_string()),
    })?;
    let about = vec![
        ("server", format!("yours, at {}; it was reached once just now, in {:.0?}", stage.server, stage.dial)),
        ("will", format!("hold at most {} sessions there at a time, and one handshake;", policy.max_size)),
        ("", "run SELECT 1 on them, and lose them by faults of a proxy in this process".to_owned()),
        ("will not", "write, change a setting, stop or signal anything there, or touch sessions of others".to_owned()),
    ];
    Ok(Set { scene: stage.scene, config: stage.config, job: Job { statement: "SELECT 1", hold: HOLD }, about })
}

/// What is going to be shown.
fn before(args: &Args, set: &Set, plan: &Plan, policy: &Checked) -> String {
    let mut text = format!("{STRONG}relink demo{STRONG:#}: one pool lives through {} faults\n\n", plan.faults.len());
    let mut line = |label: &str, words: &str| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "  {FAINT}{label:<8}{FAINT:#}  {words}");
    };
    for (label, words) in &set.about {
        line(label, words);
    }
    let (workers, slots, statement) = (plan.workers, policy.max_size, plan.job.statement);
    line("workers", &format!("{workers} share {slots} sessions: each runs {statement}, holds its session"));
    line("", &format!("{} ms, gives it back, and asks for one again", plan.job.hold.as_millis()));
    line(
        "faults",
        &format!("{} s each; the next begins when the pool has forgotten the one before", plan.outage.as_secs()),
    );
    let naive = workers * usize::try_from(plan.outage.as_millis() / crew::ASKS_AGAIN.as_millis()).unwrap_or(usize::MAX);
    line("", &format!("(one that dials at each request, asked by each worker every 100 ms: {naive} dials)"));
    let lasts = plan.estimate(policy).as_secs().max(1);
    line("lasts", &format!("about {lasts} s; Ctrl-C ends it at any time"));
    match &args.policy {
        Some(file) => line("policy", &file.display().to_string()),
        None => line("policy", "the default, shortened so that all this fits into a minute:"),
    }
    if args.policy.is_none() {
        for change in policy::differences() {
            let (value, default) = (change.value.to_string(), change.default.to_string());
            line("", &format!("{:<17}  {value:>5}  not {default:>5}   {}", change.setting, change.why));
        }
    }
    text.push('\n');
    text
}

/// What was shown.
fn after(day: &Day) -> String {
    let mut text = format!("\n{}", day.report.table());
    let Day { took, statements, errors, dials, .. } = day;
    let served = match day.report.faults.iter().map(|row| row.measured.never).sum::<usize>() {
        0 => "After every fault every worker was served again".to_owned(),
        never => format!("{never} times a worker was not served again"),
    };
    // Writing to a String does not fail.
    let _ = write!(
        text,
        "{served}. In {:.0} s they ran {statements} statements and were told of\n{errors} errors; the pool dialed {dials} times.\n\n\
         {FAINT}dials: started while the fault lasted. peak/100ms: most dials in any 100 ms until the first session.\n\
         first ok: from the server's return to the first worker served. last worker: from there until all\n\
         had been served once. never: workers not served again. errors: what workers were told; the others\n\
         waited. Bounds follow from the policy alone, for whatever jitter.{FAINT:#}\n",
        took.as_secs_f64(),
    );
    text
}

#[cfg(test)]
mod tests {
    use relink::Span;
    use relink_model::{
        bounds,
        demo::{promise::Promise, table::Unit},
    };

    use super::*;

    #[test]
    fn the_whole_day_is_over_within_a_minute_if_every_recovery_takes_its_longest() {
        let policy = policy::shortened().unwrap();
        let job = Job { statement: "SELECT 1", hold: HOLD };
        let plan = Plan { faults: Scene::DAY.to_vec(), outage: OUTAGE, workers: WORKERS, job };
        let outage = Span::from_millis(2_000);
        assert_eq!(Duration::from(outage), OUTAGE);
        let absence = Duration::from(bounds::recovery_max(&policy, outage) + policy.dial_deadline);
        let longest = |weather: &Weather| match Promise::of(*weather, &policy, OUTAGE) {
            Some(Promise { unit: Unit::Seconds, limit, .. }) => Duration::from_secs_f64(limit),
            // What is promised of the others is a number of dials; they are absences, or end with a renewal.
            Some(_) | None => absence,
        };
        let recoveries: Duration = plan.faults.iter().map(longest).sum();
        let day = plan.estimate(&policy) + recoveries;
        assert!(day <= Duration::from_secs(60), "{day:?}, {recoveries:?} of it for recoveries");
    }
}
