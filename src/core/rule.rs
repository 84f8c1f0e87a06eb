//! One row of a fault table: what an error must look like, and the class it then has.

use alloc::{borrow::Cow, borrow::ToOwned, string::String};
use core::fmt;

use super::{
    classify::{Evidence, Severity},
    fault::{Fault, Phase},
    word::nearest,
};

/// One row. Every matcher that is `Some` must match; the first row that matches wins.
///
/// In a policy file each row is a table `[[fault]]` with the field names below as keys; `source` may
/// be left out there:
///
/// ```toml
/// [[fault]]
/// phase = "connect"
/// message = "Name or service not known"
/// fault = "Misconfigured"
/// source = "our names never disappear, so a missing one is a typing error"
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Rule {
    /// `connect`, `idle`, `query` or `commit`. A row without one is fitted to the phase
    /// ([`classify`](crate::classify)).
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub phase: Option<Phase>,
    /// An SQLSTATE (five characters), a whole class of them (its first two), or the word `none`:
    /// only errors that came without an SQLSTATE.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub sqlstate: Option<Cow<'static, str>>,
    /// The severity, exactly.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub severity: Option<Severity>,
    /// A part of the message, in this case and spelling. Servers localise theirs.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub message: Option<Cow<'static, str>>,
    /// The server's function that raised the error, exactly, or the word `any`: the server named one, which
    /// PgBouncer and other proxies never do.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub routine: Option<Cow<'static, str>>,
    /// The operating system's error number.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub errno: Option<i32>,
    /// The name of a `std::io::ErrorKind`, such as `ConnectionReset`.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub io_kind: Option<Cow<'static, str>>,
    /// The class.
    pub fault: Fault,
    /// Where this is known from: a manual's section, an observation, a decision.
    pub source: Cow<'static, str>,
}

impl Rule {
    /// A row without matchers, to be filled in. On its own it matches everything, which
    /// [`check`](Self::check) refuses.
    pub const fn new(fault: Fault, source: &'static str) -> Self {
        Self {
            phase: None,
            sqlstate: None,
            severity: None,
            message: None,
            routine: None,
            errno: None,
            io_kind: None,
            fault,
            source: Cow::Borrowed(source),
        }
    }

    /// Whether every matcher of this row matches.
    pub fn matches(&self, evidence: &Evidence<'_>) -> bool {
        let Self { phase, sqlstate, severity, message, routine, errno, io_kind, fault: _, source: _ } = self;
        phase.is_none_or(|phase| phase == evidence.phase)
            && sqlstate.as_deref().is_none_or(|wanted| state_matches(wanted, evidence.sqlstate))
            && severity.is_none_or(|severity| evidence.severity == Some(severity))
            && message.as_deref().is_none_or(|part| evidence.message.is_some_and(|text| text.contains(part)))
            && routine.as_deref().is_none_or(|wanted| routine_matches(wanted, evidence.routine))
            && errno.is_none_or(|errno| evidence.errno == Some(errno))
            && io_kind.as_deref().is_none_or(|kind| evidence.io_kind == Some(kind))
    }

    /// Refuses a row that would match everything, or nothing.
    ///
    /// # Errors
    /// Names the value, the rule that it breaks and the fix.
    pub fn check(&self) -> Result<(), BadRule> {
        let server = self.severity.is_some() || self.routine.is_some() || self.sqlstate.is_some();
        let system = self.errno.is_some() || self.io_kind.is_some();
        if !server && !system && self.message.is_none() {
            return Err(BadRule::MatchesEverything { phase: self.phase, fault: self.fault });
        }
        if self.message.as_deref() == Some("") {
            return Err(BadRule::EmptyMessage);
        }
        if let Some(state) = self.sqlstate.as_deref() {
            let well_formed = state.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
            if state != NONE && !(well_formed && matches!(state.len(), 2 | 5)) {
                return Err(BadRule::Sqlstate(state.to_owned()));
            }
        }
        if let Some(errno) = self.errno.filter(|errno| *errno <= 0) {
            return Err(BadRule::Errno(errno));
        }
        if let Some(kind) = self.io_kind.as_deref()
            && !IO_KINDS.contains(&kind)
        {
            return Err(BadRule::IoKind(kind.to_owned()));
        }
        let answered = self.sqlstate.as_deref().is_some_and(|state| state != NONE);
        if system && (answered || self.severity.is_some() || self.routine.is_some()) {
            return Err(BadRule::MatchesNothing);
        }
        if self.sqlstate.as_deref() == Some(NONE) && (self.severity.is_some() || self.routine.is_some()) {
            return Err(BadRule::MatchesNothing);
        }
        Ok(())
    }
}

/// The word that stands for "no SQLSTATE".
const NONE: &str = "none";

/// The word that stands for "some routine".
const ANY: &str = "any";

fn state_matches(wanted: &str, state: Option<&str>) -> bool {
    match state {
        None => wanted == NONE,
        Some(state) if wanted.len() == 2 => state.starts_with(wanted),
        Some(state) => state == wanted,
    }
}

fn routine_matches(wanted: &str, routine: Option<&str>) -> bool {
    routine.is_some_and(|routine| wanted == ANY || wanted == routine)
}

/// Why a row cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadRule {
    /// It names nothing but at most a phase, so it would hide the whole table.
    MatchesEverything {
        /// The phase it names.
        phase: Option<Phase>,
        /// The class it would give to everything.
        fault: Fault,
    },
    /// The empty text is part of every message.
    EmptyMessage,
    /// Not five characters, not two, not `none`.
    Sqlstate(String),
    /// No system has an error of this number.
    Errno(i32),
    /// No such kind of I/O error.
    IoKind(String),
    /// It wants facts that never come together.
    MatchesNothing,
}

impl fmt::Display for BadRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MatchesEverything { phase: None, fault } => {
                write!(f, "the rule with fault {fault:?} matches everything: name at least one of {MATCHERS}")
            }
            Self::MatchesEverything { phase: Some(phase), fault } => write!(
                f,
                "the rule with fault {fault:?} matches everything in phase {phase}: name at least one of {MATCHERS}"
            ),
            Self::EmptyMessage => {
                f.write_str("message \"\" is part of every message: give a text that only this error has")
            }
            Self::Sqlstate(value) => write!(
                f,
                "sqlstate {value:?} is not an sqlstate: give five of 0-9 and A-Z (\"57P01\"), a class (\"57\") or \"none\""
            ),
            Self::Errno(value) => {
                write!(f, "errno {value} is not an error number: give a whole number above 0, such as 104")
            }
            Self::IoKind(value) => {
                write!(f, "io_kind {value:?} is not a kind of i/o error")?;
                match nearest(value, IO_KINDS) {
                    Some(near) => write!(f, ": did you mean {near:?}?"),
                    None => f.write_str(": use a name of std::io::ErrorKind, such as \"ConnectionReset\""),
                }
            }
            Self::MatchesNothing => f.write_str(
                "the rule matches nothing: an error has either an sqlstate, severity and routine (from the server) \
                 or an errno and io_kind (from the system), so split it into two rules",
            ),
        }
    }
}

impl core::error::Error for BadRule {}

const MATCHERS: &str = "sqlstate, severity, message, routine, errno, io_kind";

/// The names of `std::io::ErrorKind`, unstable ones included, in its order.
pub const IO_KINDS: &[&str] = &[
    "NotFound",
    "PermissionDenied",
    "ConnectionRefused",
    "ConnectionReset",
    "HostUnreachable",
    "NetworkUnreachable",
    "ConnectionAborted",
    "NotConnected",
    "AddrInUse",
    "AddrNotAvailable",
    "NetworkDown",
    "BrokenPipe",
    "AlreadyExists",
    "WouldBlock",
    "NotADirectory",
    "IsADirectory",
    "DirectoryNotEmpty",
    "ReadOnlyFilesystem",
    "FilesystemLoop",
    "StaleNetworkFileHandle",
    "InvalidInput",
    "InvalidData",
    "TimedOut",
    "WriteZero",
    "StorageFull",
    "NotSeekable",
    "QuotaExceeded",
    "FileTooLarge",
    "ResourceBusy",
    "ExecutableFileBusy",
    "Deadlock",
    "CrossesDevices",
    "TooManyLinks",
    "InvalidFilename",
    "ArgumentListTooLong",
    "Interrupted",
    "Unsupported",
    "UnexpectedEof",
    "OutOfMemory",
    "InProgress",
    "Other",
    "Uncategorized",
];
