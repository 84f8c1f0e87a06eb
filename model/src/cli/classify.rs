//! `relink classify`: one error through the fault table of a database.

use std::{io, path::PathBuf, str::FromStr};

use anstyle::{AnsiColor, Style};
use clap::{Subcommand, ValueHint};
use relink::{
    BadRule, Does, Evidence, Fault, IO_KINDS, Phase, Session, Severity, UnknownWord, Verdict, postgres::TABLE,
};
use serde::Serialize;

use crate::{Failed, policy, say};

/// The fault table to ask.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    database: Database,
}

#[derive(Subcommand)]
enum Database {
    /// PostgreSQL, also behind PgBouncer, as tokio-postgres reports its errors.
    Postgres(Facts),
}

/// What was seen of the error; at least one fact besides the phase.
#[derive(clap::Args)]
struct Facts {
    /// What the session was doing: connect, idle, query or commit
    #[arg(long, default_value = "query", value_parser = word::<Phase>)]
    phase: Phase,
    /// A statement was in flight that may have become durable (the same as --phase commit)
    #[arg(long, conflicts_with = "phase")]
    in_commit: bool,
    /// Five characters, such as 57P01
    #[arg(long, value_parser = sqlstate)]
    sqlstate: Option<String>,
    /// PANIC, FATAL, ERROR, WARNING ... in any case
    #[arg(long, value_parser = word::<Severity>)]
    severity: Option<Severity>,
    /// The server's message, or the driver's words
    #[arg(long)]
    message: Option<String>,
    /// The server's function that raised the error
    #[arg(long)]
    routine: Option<String>,
    /// The system's error number, such as 104
    #[arg(long, value_name = "N", value_parser = errno, allow_hyphen_values = true)]
    errno: Option<i32>,
    /// A name of std::io::ErrorKind, such as ConnectionReset
    #[arg(long, value_name = "KIND", value_parser = io_kind)]
    io_kind: Option<String>,
    /// A policy file; its `[[fault]]` rows come before the table
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    rules: Option<PathBuf>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// The answer, in the order of its keys.
#[derive(Serialize)]
struct Answer<'a> {
    fault: Fault,
    known: bool,
    does: Does,
    session: Session,
    source: &'a str,
}

pub(crate) fn run(args: Args) -> Result<(), Failed> {
    let Database::Postgres(facts) = args.database;
    let io_kind = facts.io_kind.clone().or_else(|| facts.errno.map(kind_of));
    let evidence = facts.evidence(io_kind.as_deref())?;
    // By the door that production uses: the same errors, which never repeat a line that may hold a secret.
    let rules = policy(facts.rules.as_deref())?.fault;
    let Verdict { fault, known, source } = relink::classify(&rules, TABLE, &evidence);
    let answer = Answer { fault, known, does: fault.does(evidence.phase), session: fault.session(&evidence), source };
    if facts.json {
        let json = serde_json::to_string(&answer);
        let json = json.map_err(|error| Failed::Environment(format!("cannot write json: {error}")))?;
        return say(&format!("{json}\n"));
    }
    say(&text(&answer))
}

impl Facts {
    fn evidence<'a>(&'a self, io_kind: Option<&'a str>) -> Result<Evidence<'a>, Failed> {
        let evidence = Evidence {
            phase: if self.in_commit { Phase::Commit } else { self.phase },
            sqlstate: self.sqlstate.as_deref(),
            severity: self.severity,
            message: self.message.as_deref(),
            routine: self.routine.as_deref(),
            errno: self.errno,
            io_kind,
            closed: false,
        };
        if evidence == Evidence::new(evidence.phase) {
            return Err(Failed::Usage(
                "no evidence given: an error is classified by what it shows, so give at least one of \
                 --sqlstate, --severity, --message, --routine, --errno, --io-kind"
                    .into(),
            ));
        }
        Ok(evidence)
    }
}

/// The kind that the standard library gives to this error number, as the adapter sees it.
fn kind_of(errno: i32) -> String {
    format!("{:?}", io::Error::from_raw_os_error(errno).kind())
}

fn word<T: FromStr<Err = UnknownWord>>(text: &str) -> Result<T, UnknownWord> {
    text.parse()
}

fn sqlstate(text: &str) -> Result<String, &'static str> {
    let state = text.to_ascii_uppercase();
    let well_formed = state.len() == 5 && state.bytes().all(|b| b.is_ascii_alphanumeric());
    well_formed.then_some(state).ok_or("an sqlstate has five characters of 0-9 and A-Z: give one such as 57P01")
}

fn errno(text: &str) -> Result<i32, &'static str> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or("an error number is a whole number above 0, of 32 bits: give one such as 104")
}

fn io_kind(text: &str) -> Result<String, BadRule> {
    let known = IO_KINDS.iter().find(|kind| kind.eq_ignore_ascii_case(text));
    known.map(|kind| (*kind).into()).ok_or_else(|| BadRule::IoKind(text.into()))
}

fn text(answer: &Answer<'_>) -> String {
    let colour = match answer.does {
        Does::Callers | Does::RetryTransaction => AnsiColor::Green,
        Does::NextEndpoint | Does::Backoff | Does::Overload | Does::ConfirmRole => AnsiColor::Yellow,
        Does::Hold | Does::ReportAmbiguous => AnsiColor::Red,
    };
    let (strong, label) = (colour.on_default().bold(), Style::new().dimmed());
    let known = if answer.known { "" } else { " (by default: no row speaks of it)" };
    format!(
        "{label}fault{label:#}    {strong}{}{strong:#}{known}\n\
         {label}does{label:#}     {}\n\
         {label}session{label:#}  {}\n\
         {label}source{label:#}   {}\n",
        answer.fault,
        in_words(answer.does),
        answer.session.as_str(),
        answer.source
    )
}

const fn in_words(does: Does) -> &'static str {
    match does {
        Does::NextEndpoint => "a new session is dialed at the first endpoint that may be dialed",
        Does::Backoff => "dials the same server again later: it will serve",
        Does::Overload => "grows the overload window: fewer dials, later",
        Does::Hold => "no further dial until credentials or configuration are renewed",
        Does::RetryTransaction => "nothing; the caller may run the whole transaction again",
        Does::ReportAmbiguous => "tells the caller that the statement may have become durable; never runs it again",
        Does::Callers => "nothing; the error is the caller's own",
        Does::ConfirmRole => "asks the server for its role before believing the error",
    }
}
