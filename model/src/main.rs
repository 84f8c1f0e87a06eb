//! The `relink` command: what a service's CI and its on-call engineer run by hand.

mod classify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A formally model-checked reconnect state machine for database connections.
#[derive(Parser)]
#[command(name = "relink", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say what an error means to relink, and what relink does about it.
    Classify(classify::Args),
}

/// Why a command ended without doing its work.
enum Failed {
    /// The user's input is at fault: exit code 2, as for every other misuse.
    Usage(String),
    /// The environment is at fault: exit code 3.
    Environment(String),
}

fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Classify(args) => classify::run(args),
    };
    let (code, message) = match ended {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failed::Usage(message)) => (2, message),
        Err(Failed::Environment(message)) => (3, message),
    };
    anstream::eprintln!("{ERROR}error:{ERROR:#} {message}");
    ExitCode::from(code)
}

const ERROR: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();
