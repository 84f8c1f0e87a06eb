//! What a tokio-postgres error shows of itself, and the failure that the fault table makes of it.

use std::{error, fmt::Write, io};

use tokio_postgres::error::{DbError, Error, Severity as Native};

use super::TABLE;
use crate::{Evidence, Fault, Phase, Rule, Severity, adapter::Failure, classify};

/// The facts of one error, owned.
///
/// tokio-postgres keeps the kind of its errors private: besides the server's answer and the I/O error
/// underneath, only `is_closed` and the displayed text tell them apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    sqlstate: Option<String>,
    severity: Option<Severity>,
    message: String,
    detail: Option<String>,
    routine: Option<String>,
    errno: Option<i32>,
    io_kind: Option<String>,
    closed: bool,
}

/// The kinds under which an `io::Error` is the transport's; encoding and parsing wrap their own in one.
const TRANSPORT: [&str; 3] =
    ["error communicating with the server", "error connecting to server", "error performing TLS handshake"];

/// Its cause repeats parts of the connection string, among them a misplaced password.
const SECRETIVE: &str = "invalid connection string";

impl From<&Error> for Observed {
    fn from(error: &Error) -> Self {
        if let Some(answer) = error.as_db_error() {
            return Self::from(answer);
        }
        let kind = error.to_string();
        let cause = error::Error::source(error);
        let io = cause.and_then(|cause| cause.downcast_ref::<io::Error>());
        let io = io.filter(|_| TRANSPORT.contains(&kind.as_str()));
        let mut observed = io.map(Self::from).unwrap_or_default();
        observed.closed = error.is_closed();
        observed.message = if kind == SECRETIVE { kind } else { with_causes(kind, cause) };
        observed
    }
}

impl From<&DbError> for Observed {
    /// An error or a notice of the server: the ends of some sessions are announced by a notice only.
    fn from(answer: &DbError) -> Self {
        // PgBouncer and servers of the older protocol send no `V` field; their text is English.
        let severity = answer.parsed_severity().map(native).or_else(|| answer.severity().parse().ok());
        Self {
            sqlstate: Some(answer.code().code().to_owned()),
            severity,
            message: answer.message().to_owned(),
            detail: answer.detail().map(str::to_owned),
            routine: answer.routine().map(str::to_owned),
            ..Self::default()
        }
    }
}

impl From<&io::Error> for Observed {
    fn from(error: &io::Error) -> Self {
        Self {
            // The number is told as the code, once.
            message: match error.raw_os_error() {
                Some(errno) => error.to_string().trim_end_matches(&format!(" (os error {errno})")).to_owned(),
                None => error.to_string(),
            },
            errno: error.raw_os_error(),
            io_kind: Some(format!("{:?}", error.kind())),
            ..Self::default()
        }
    }
}

impl Observed {
    /// Nothing but words of relink's own.
    pub(crate) fn said(words: impl Into<String>) -> Self {
        Self { message: words.into(), ..Self::default() }
    }

    /// The same behind words of relink's own.
    pub(crate) fn behind(self, words: &str) -> Self {
        Self { message: format!("{words}: {}", self.message), ..self }
    }

    /// The facts as the classifier takes them.
    pub fn evidence(&self, phase: Phase) -> Evidence<'_> {
        Evidence {
            phase,
            sqlstate: self.sqlstate.as_deref(),
            severity: self.severity,
            message: Some(&self.message),
            routine: self.routine.as_deref(),
            errno: self.errno,
            io_kind: self.io_kind.as_deref(),
            closed: self.closed,
        }
    }

    /// Classifies it by `overrides`, then by [`TABLE`].
    ///
    /// The server's detail is shown for dials only: elsewhere it may quote the values of a row.
    pub fn failure(self, phase: Phase, overrides: &[Rule]) -> Failure {
        let fault = classify(overrides, TABLE, &self.evidence(phase)).fault;
        self.told_as(fault, phase)
    }

    /// The failure of this class.
    pub(crate) fn told_as(self, fault: Fault, phase: Phase) -> Failure {
        let mut message = self.message;
        if let (Phase::Connect, Some(detail)) = (phase, self.detail) {
            message = format!("{message}: {}", detail.trim_end_matches('.'));
        }
        let failure = Failure::new(fault, message);
        match (self.sqlstate, self.errno) {
            (Some(code), _) => failure.with_code(code),
            (None, Some(errno)) => failure.with_code(format!("errno {errno}")),
            (None, None) => failure,
        }
    }
}

/// What `error` means in `phase`. `overrides` are the user's own rows and come before the table.
pub fn failure(error: &Error, phase: Phase, overrides: &[Rule]) -> Failure {
    Observed::from(error).failure(phase, overrides)
}

/// The same for an error of a stream that relink itself has opened or resolved a name for.
pub fn io_failure(error: &io::Error, phase: Phase, overrides: &[Rule]) -> Failure {
    Observed::from(error).failure(phase, overrides)
}

/// `kind: cause: its cause`, each text once: some errors repeat their cause in their own words.
fn with_causes(mut text: String, mut cause: Option<&(dyn error::Error + 'static)>) -> String {
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            // Writing to a String does not fail.
            let _ = write!(text, ": {words}");
        }
        cause = error.source();
    }
    text
}

fn native(severity: Native) -> Severity {
    match severity {
        Native::Panic => Severity::Panic,
        Native::Fatal => Severity::Fatal,
        Native::Error => Severity::Error,
        Native::Warning => Severity::Warning,
        Native::Notice => Severity::Notice,
        Native::Debug => Severity::Debug,
        Native::Info => Severity::Info,
        Native::Log => Severity::Log,
    }
}
