//! `relink bounds`: what a policy allows at most, as a table, as an object, or as the worst runs told.

use std::{fmt::Write as _, path::PathBuf, time::Duration};

use anstyle::Style;
use clap::ValueHint;
use relink::{Checked, Span, Time};
use relink_model::bounds::{Bounds, Class, Dial, Run};

use crate::{Failed, policy, say};

/// The longest outage: what a pacer remembers of longer ones is the same in any policy that counts up to a day.
const OUTAGE_MAX: Span = Span::from_secs(24 * 3_600);

/// Dials of a run that are told at its beginning and at its end.
const TOLD: (usize, usize) = (3, 5);

const STRONG: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

/// Computed by driving the machines that run in production, in milliseconds.
#[derive(clap::Args)]
#[command(after_help = "Exit codes: 0 done, 2 bad usage or policy.")]
pub(crate) struct Args {
    /// This policy instead of the default
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    policy: Option<PathBuf>,
    /// Lengths of outages for B1 and B2, up to 24h
    #[arg(long, value_name = "SPANS", value_delimiter = ',', default_value = "1s,5s,30s,2m,10m,1h", value_parser = outage,
        allow_hyphen_values = true)]
    outage: Vec<Span>,
    /// One JSON object instead of tables
    #[arg(long)]
    json: bool,
    /// Tell the run behind each row of B1, dial by dial
    #[arg(long, conflicts_with = "json")]
    trace: bool,
}

fn outage(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error: relink::SpanError| error.to_string())?;
    if span > OUTAGE_MAX { Err(format!("an outage may last up to {OUTAGE_MAX}")) } else { Ok(span) }
}

pub(crate) fn run(args: &Args) -> Result<(), Failed> {
    let policy = policy(args.policy.as_deref())?.check().map_err(|error| Failed::Usage(error.to_string()))?;
    if args.trace {
        return say(&stories(&policy, &args.outage));
    }
    let bounds = Bounds::of(&policy, &args.outage);
    if !args.json {
        return say(&tables(&policy, &bounds));
    }
    let json = serde_json::to_string(&bounds)
        .map_err(|error| Failed::Environment(format!("the answer cannot be written: {error}")))?;
    say(&format!("{json}\n"))
}

/// All bounds for people.
fn tables(policy: &Checked, bounds: &Bounds) -> String {
    let mut text = format!("{STRONG}B1{STRONG:#} from an endpoint's return to the start of the dial that finds it\n");
    let mut line = |words: String| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{words}");
    };
    line(format!(
        "  {FAINT}{:>10}  {:<15}  {:>12}  {:>12}  the endpoint{FAINT:#}",
        "outage", "class", "a run", "no run above"
    ));
    for row in &bounds.recovery {
        let (outage, run, form) = (time(Some(row.outage_s)), time(row.recovery_s), time(row.closed_form_s));
        line(format!("  {outage:>10}  {:<15}  {run:>12}  {form:>12}  {}", row.class.as_str(), row.class.about()));
    }
    line(format!("{STRONG}B2{STRONG:#} most dials of one endpoint in an outage, by one process"));
    line(format!("  {FAINT}{:>10}  {:>15}  {:>12}{FAINT:#}", "outage", "dials", "closed form"));
    for row in &bounds.dials {
        let (dials, form) = (row.dials.map(f64::from), row.closed_form);
        line(format!("  {:>10}  {:>15}  {:>12}", time(Some(row.outage_s)), count(dials, 0), count(form, 1)));
    }
    line(format!("{STRONG}B3{STRONG:#} until a silent peer is noticed, if a caller waits on it"));
    line(format!(
        "  {:>27}  {:>12} while its endpoint shows overload",
        time(bounds.silence_s),
        time(bounds.silence_overload_s)
    ));
    line(format!("{STRONG}B4{STRONG:#} most dials of one endpoint in any second, by one process"));
    line(format!("  {:>27}", bounds.rate_per_s.map_or_else(none, |rate| rate.to_string())));
    line(format!("{STRONG}B5{STRONG:#} connections of a fleet that its own dials can keep from recovering"));
    let assumed = match bounds.clients {
        None => "needs capacity_per_s and a reject_cost above 0 under [assume]".to_owned(),
        Some(_) => match policy.assume.clients {
            Some(clients) => format!("[assume] clients = {clients}"),
            None => String::new(),
        },
    };
    let clients = bounds.clients.map_or_else(none, |clients| clients.to_string());
    line(format!("  {clients:>27}  {FAINT}{assumed}{FAINT:#}").trim_end().to_owned());
    text
}

/// The runs behind B1.
fn stories(policy: &Checked, outages: &[Span]) -> String {
    let rows = outages.iter().flat_map(|outage| Class::ALL.map(|class| (*outage, class)));
    rows.map(|(outage, class)| story(outage, class, class.worst_run(policy, outage).as_ref())).collect()
}

fn story(outage: Span, class: Class, run: Option<&Run>) -> String {
    let mut text = format!("{STRONG}{outage}, {}{STRONG:#}: the endpoint {}\n", class.as_str(), class.about());
    let mut line = |at: Time, words: &str| {
        let _ = writeln!(text, "  {:>12}  {words}", time(Some(seconds(at - Time::ZERO))));
    };
    let Some(run) = run else {
        line(Time::ZERO, "every session is lost; the policy may give up before the endpoint is back");
        return text + "\n";
    };
    line(Time::ZERO, "every session is lost");
    let back = Time::ZERO + outage;
    let (first, last) = (TOLD.0, run.dials.len().saturating_sub(TOLD.1));
    let mut told_back = false;
    for (n, dial) in run.dials.iter().enumerate() {
        if n >= first && n < last {
            if n == first {
                line(dial.started, &format!("... {} more dials ...", last - first));
            }
            continue;
        }
        let returns_in_flight = dial.failed >= back;
        if returns_in_flight {
            line(dial.started, &format!("dial {} starts", n + 1));
            line(back, "the endpoint is back");
            told_back = true;
        }
        line(if returns_in_flight { dial.failed } else { dial.started }, &met(n, dial, returns_in_flight));
    }
    if !told_back {
        line(back, "the endpoint is back");
    }
    line(
        back + run.lag,
        &format!("the next dial starts and finds it: {} after its return", time(Some(seconds(run.lag)))),
    );
    text + "\n"
}

fn met(n: usize, dial: &Dial, later: bool) -> String {
    let took = dial.failed - dial.started;
    let after = if took == Span::ZERO { "at once".to_owned() } else { format!("after {}", time(Some(seconds(took)))) };
    let wait = time(Some(seconds(dial.next - dial.failed)));
    let begins = if later { "" } else { " starts and" };
    format!("dial {}{begins} fails {after}: {}; then a pause of {wait}", n + 1, dial.fault)
}

fn seconds(span: Span) -> f64 {
    Duration::from(span).as_secs_f64()
}

fn none() -> String {
    "none".to_owned()
}

fn time(seconds: Option<f64>) -> String {
    seconds.map_or_else(none, |seconds| format!("{seconds:.3} s"))
}

fn count(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(none, |value| format!("{value:.decimals$}"))
}
