//! How the facts of an error become a fault: the first row that matches, else a stated default.

use core::str::FromStr;

use super::{
    fault::{Fault, Phase, Session},
    rule::Rule,
    word::{self, UnknownWord},
};

/// How grave the server calls it, in the words that it never localises (field `V` of an
/// ErrorResponse; PostgreSQL manual, "Error and Notice Message Fields").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "UPPERCASE"))]
pub enum Severity {
    /// The whole server restarts.
    Panic,
    /// The session ends.
    Fatal,
    /// The statement failed; the session goes on.
    Error,
    /// A notice. Some ends of a session are announced by no more than this.
    Warning,
    /// A notice.
    Notice,
    /// A notice.
    Debug,
    /// A notice.
    Info,
    /// A notice.
    Log,
}

impl Severity {
    /// Every severity, the gravest first.
    pub const ALL: [Self; 8] =
        [Self::Panic, Self::Fatal, Self::Error, Self::Warning, Self::Notice, Self::Debug, Self::Info, Self::Log];

    const NAMES: [&'static str; 8] = ["PANIC", "FATAL", "ERROR", "WARNING", "NOTICE", "DEBUG", "INFO", "LOG"];
}

impl FromStr for Severity {
    type Err = UnknownWord;

    /// Reads `PANIC`, `FATAL`, `ERROR`, `WARNING`, `NOTICE`, `DEBUG`, `INFO` or `LOG`, in any case.
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        word::pick("severity", text, &Self::NAMES, &Self::ALL)
    }
}

/// The facts of an error that a classification rests on. A fact that was not observed is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence<'a> {
    /// What the session was doing.
    pub phase: Phase,
    /// The five characters of the SQLSTATE, if the server sent an error.
    pub sqlstate: Option<&'a str>,
    /// The severity that came with it.
    pub severity: Option<Severity>,
    /// The server's message, or the driver's own words and their cause.
    pub message: Option<&'a str>,
    /// The function of the server that raised the error.
    pub routine: Option<&'a str>,
    /// The operating system's error number.
    pub errno: Option<i32>,
    /// The name of the `std::io::ErrorKind`, such as `ConnectionReset`.
    pub io_kind: Option<&'a str>,
    /// The driver says that the session's transport is closed.
    pub closed: bool,
}

impl Evidence<'_> {
    /// Nothing known but the phase.
    pub const fn new(phase: Phase) -> Self {
        Self {
            phase,
            sqlstate: None,
            severity: None,
            message: None,
            routine: None,
            errno: None,
            io_kind: None,
            closed: false,
        }
    }

    /// Whether the session has certainly ended, whatever the code: FATAL, PANIC, closed, or an I/O error.
    pub const fn ended(&self) -> bool {
        self.closed
            || self.errno.is_some()
            || self.io_kind.is_some()
            || matches!(self.severity, Some(Severity::Fatal | Severity::Panic))
    }
}

/// What a classification says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// The class.
    pub fault: Fault,
    /// Whether a row said so; otherwise a stated default did, and the driver counts it.
    pub known: bool,
    /// The source of the row, or the default in words.
    pub source: &'a str,
}

/// Classifies an error: the first of `overrides` that matches, else the first of `table`, else the
/// stated default of the phase.
///
/// A row that names no phase is fitted to the phase of the error, so that no row has to repeat what a
/// phase means, and none can hide an ambiguous outcome by forgetting it:
/// - a dial has no session to lose: `Lost`, `Ambiguous`, `Retryable` and `Query` are `Refused` there;
/// - with a statement in flight that may have become durable, `Lost` and every end of the session
///   ([`Evidence::ended`]) are `Ambiguous`;
/// - `WrongRole`, `Retryable` and `Query` presume a session that lives: one that has ended is `Lost`.
///
/// ```
/// use relink::{Evidence, Fault, Phase, Rule, classify};
/// let table = [Rule { sqlstate: Some("57P01".into()), ..Rule::new(Fault::Lost, "manual: admin_shutdown") }];
/// let ended_in = |phase| classify(&[], &table, &Evidence { sqlstate: Some("57P01"), ..Evidence::new(phase) });
/// assert_eq!(ended_in(Phase::Query).fault, Fault::Lost);
/// assert_eq!(ended_in(Phase::Commit).fault, Fault::Ambiguous);
/// assert_eq!(ended_in(Phase::Idle).source, "manual: admin_shutdown");
/// ```
pub fn classify<'r>(overrides: &'r [Rule], table: &'r [Rule], evidence: &Evidence<'_>) -> Verdict<'r> {
    let row = overrides.iter().chain(table).find(|rule| rule.matches(evidence));
    let Some(rule) = row else { return stated_default(evidence) };
    let fault = if rule.phase.is_some() { rule.fault } else { fit(rule.fault, evidence) };
    Verdict { fault, known: true, source: &rule.source }
}

const fn fit(fault: Fault, evidence: &Evidence<'_>) -> Fault {
    let ended = evidence.ended();
    match evidence.phase {
        Phase::Connect if matches!(fault, Fault::Lost | Fault::Ambiguous | Fault::Retryable | Fault::Query) => {
            Fault::Refused
        }
        Phase::Idle | Phase::Query if ended && matches!(fault, Fault::WrongRole | Fault::Retryable | Fault::Query) => {
            Fault::Lost
        }
        Phase::Commit if ended || matches!(fault, Fault::Lost) => Fault::Ambiguous,
        Phase::Connect | Phase::Idle | Phase::Query | Phase::Commit => fault,
    }
}

/// What an error means that no row speaks of. Each errs on the side whose mistake is cheaper.
const fn stated_default(evidence: &Evidence<'_>) -> Verdict<'static> {
    let (fault, source) = match evidence.phase {
        Phase::Connect => {
            (Fault::Refused, "default: an unknown failure of a dial is paced like an absence and never held")
        }
        Phase::Idle | Phase::Query if evidence.ended() => {
            (Fault::Lost, "default: FATAL, PANIC, closed or an I/O error ends the session")
        }
        Phase::Idle if evidence.severity.is_none() => {
            (Fault::Lost, "default: an idle session has no statement that an error could belong to")
        }
        Phase::Idle | Phase::Query => (Fault::Query, "default: an unknown error of a statement is the caller's own"),
        Phase::Commit if evidence.ended() => {
            (Fault::Ambiguous, "default: FATAL, PANIC, closed or an I/O error while a statement may become durable")
        }
        Phase::Commit if evidence.severity.is_none() => {
            (Fault::Ambiguous, "default: nothing says that the server has refused the statement")
        }
        Phase::Commit => (Fault::Query, "default: the server has refused the statement, so it is not durable"),
    };
    Verdict { fault, known: false, source }
}

impl Fault {
    /// Whether the session on which the error came can be used again.
    ///
    /// `Overloaded` needs the server's word that only the statement failed (a severity below FATAL):
    /// the commonest overload, "too many connections", ends the session.
    pub const fn session(self, evidence: &Evidence<'_>) -> Session {
        let alive = match self {
            Self::Refused | Self::Unreachable | Self::TimedOut | Self::Starting | Self::Lost => false,
            Self::Denied | Self::Misconfigured | Self::Ambiguous => false,
            Self::Overloaded => evidence.severity.is_some(),
            Self::WrongRole | Self::Retryable | Self::Query => true,
        };
        if alive && !evidence.ended() && !matches!(evidence.phase, Phase::Connect) {
            Session::Usable
        } else {
            Session::Dead
        }
    }
}
