//! The `relink` command: what a service's CI and its on-call engineer run by hand.

mod bounds;
mod check;
mod classify;
mod demo;
mod diagram;
mod explore;
mod export;
mod replay;
mod simulate;
mod world;

use std::{
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use relink::Policy;

/// A formally model-checked reconnect state machine for database connections.
#[derive(Parser)]
#[command(name = "relink", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say what a policy allows at most: dials, lateness, silence, size of a fleet.
    Bounds(bounds::Args),
    /// Hold a policy against every property: proved, or falsified with a counterexample.
    Check(check::Args),
    /// Say what an error means to relink, and what relink does about it.
    Classify(classify::Args),
    /// Show a pool live through a scripted day of faults, and hold what it cost against the bounds.
    Demo(demo::Args),
    /// Draw the state machines, from runs of the production step functions.
    Diagram(diagram::Args),
    /// Look into a world in the browser: every state, what may happen in it, and what that leads to.
    Explore(explore::Args),
    /// Write a world for PRISM, Storm or SPIN, which check it with code that is not ours.
    Export(export::Args),
    /// Give a recorded run to the pure machines, and show the first step that is not theirs.
    Replay(replay::Args),
    /// Simulate a fleet that loses its server and comes back, each process driven by the production functions.
    Simulate(simulate::Args),
}

/// Why a command ended without doing its work.
enum Failed {
    /// The user's input is at fault: exit code 2, as for every other misuse.
    Usage(String),
    /// The environment is at fault: exit code 3.
    Environment(String),
    /// What was to be shown does not hold: exit code 1.
    Broke(String),
    /// The user ended it: exit code 130, as a shell gives for Ctrl-C.
    Interrupted,
}

fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Bounds(args) => bounds::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Classify(args) => classify::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Diagram(args) => diagram::run(&args),
        Command::Explore(args) => explore::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Simulate(args) => simulate::run(&args),
    };
    let (code, message) = match ended {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failed::Usage(message)) => (2, message),
        Err(Failed::Environment(message)) => (3, message),
        Err(Failed::Broke(message)) => (1, message),
        Err(Failed::Interrupted) => (130, "interrupted; nothing is left open".to_owned()),
    };
    anstream::eprintln!("{ERROR}error:{ERROR:#} {message}");
    ExitCode::from(code)
}

const ERROR: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();

/// The policy in `file`, without one the default.
fn policy(file: Option<&Path>) -> Result<Policy, Failed> {
    let policy = file.map_or_else(|| Ok(Policy::default()), Policy::from_file);
    policy.map_err(|error| Failed::Usage(error.to_string()))
}

/// To standard output; whoever has stopped reading has seen enough.
fn say(text: &str) -> Result<(), Failed> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failed::Environment(format!("cannot write the answer: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
