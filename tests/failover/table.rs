//! The table of failovers and silences: every scenario on real servers, several times, each run held against its goal.
//!
//! ./tests/run failover                                            # all, about an hour
//! cargo run --example failover -- kill freeze --runs 1            # these, once
//! cargo run --example failover -- --json > failover.json
//!
//! Progress goes to stderr, the table to stdout. Ends with 0 when every goal held, 1 when one was missed, 2 on wrong
//! usage and 3 when a scenario could not be run on this machine.

mod suite;
#[path = "../support/mod.rs"]
mod support;

use std::{num::NonZeroU32, process::ExitCode};

use clap::{Parser, builder::PossibleValuesParser};
use indicatif::{ProgressBar, ProgressStyle};
use relink::Policy;
use suite::{Entered, Network, Outcome, Played, Report, SCENARIOS, Scenario};

/// What a pool with the default policy makes of failovers and silences of real PostgreSQL servers.
#[derive(Parser)]
#[command(name = "failover")]
struct Cli {
    /// How often each scenario is run; without it five times, and once what takes ten minutes.
    #[arg(long, value_name = "N")]
    runs: Option<NonZeroU32>,
    /// Print one line of JSON instead of the table.
    #[arg(long)]
    json: bool,
    /// The scenarios; all when none is named.
    #[arg(value_name = "SCENARIO", value_parser = PossibleValuesParser::new(SCENARIOS.iter().map(|scenario| scenario.name)))]
    scenarios: Vec<String>,
}

/// A bar on a terminal, and nothing anywhere else.
fn progress(runs: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{elapsed} [{bar:30}] {pos}/{len} {msg}");
    ProgressBar::new(runs).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

async fn play(scenario: &Scenario, runs: u32, network: &Network, bar: &ProgressBar) -> Played {
    if let (true, Network::Shared(why)) = (scenario.needs_network(), network) {
        bar.inc(runs.into());
        return Played::left_out(scenario, &format!("it takes a network of its own (root, iproute2, iptables): {why}"));
    }
    let mut played = Played::new(scenario);
    for run in 1..=runs {
        bar.set_message(format!("{} {run}/{runs}", scenario.name));
        match scenario.run().await {
            Ok(measured) => played.add(scenario, measured),
            Err(error) => played.fail(&error.to_string()),
        }
        bar.inc(1);
    }
    bar.println(played.to_string());
    played
}

fn main() -> Outcome<ExitCode> {
    let cli = Cli::parse();
    let wanted =
        |scenario: &&Scenario| cli.scenarios.is_empty() || cli.scenarios.iter().any(|name| name == scenario.name);
    let network = match suite::enter()? {
        Entered::Inside(network) => network,
        Entered::Over(code) => return Ok(ExitCode::from(code)),
    };
    let chosen: Vec<&Scenario> = SCENARIOS.iter().filter(wanted).collect();
    let runs = |scenario: &Scenario| cli.runs.map_or_else(|| scenario.runs(), NonZeroU32::get);
    let bar = progress(chosen.iter().map(|scenario| u64::from(runs(scenario))).sum());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let played = runtime.block_on(async {
        let mut played = Vec::new();
        for scenario in chosen {
            played.push(play(scenario, runs(scenario), &network, &bar).await);
        }
        played
    });
    bar.finish_and_clear();
    let report = Report::new(Policy::default().max_size, played);
    if cli.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{report}");
    }
    if let Some(left_out) = report.left_out() {
        eprintln!("{left_out}");
        return Ok(ExitCode::from(3));
    }
    Ok(if report.held() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
