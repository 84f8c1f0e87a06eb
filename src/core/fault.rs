//! What went wrong, ordered by what must be done about it, not by where it came from.

use core::{fmt, str::FromStr};

use super::word::{self, UnknownWord};

/// A classified failure: all that the machines ever see of an error.
///
/// Deliberately exhaustive: a new class is a new column in every transition table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Fault {
    /// The server is absent and said so at once: cheap for both sides.
    Refused,
    /// No TCP answer by the deadline, or ICMP said that there is no way.
    Unreachable,
    /// The peer accepted and then stayed silent: expensive. Only this doubles the dial deadline.
    TimedOut,
    /// The server is there and will be up: starting, recovering, shutting down.
    Starting,
    /// The session died.
    Lost,
    /// Too many connections, or no resources.
    Overloaded,
    /// The server answered in a role that was not wanted: read-only, in recovery, standby.
    WrongRole,
    /// The login was refused: the credentials, or this role's right to connect. Other credentials may help.
    Denied,
    /// Database name, TLS, protocol, settings: nothing but a change of configuration helps.
    Misconfigured,
    /// The session died with a statement in flight that may have become durable.
    Ambiguous,
    /// Serialization failure or deadlock: the session is fine, the transaction may be tried again.
    Retryable,
    /// The caller's own error; not a fault of the connection.
    Query,
}

impl Fault {
    /// Every class, in order.
    pub const ALL: [Self; 12] = [
        Self::Refused,
        Self::Unreachable,
        Self::TimedOut,
        Self::Starting,
        Self::Lost,
        Self::Overloaded,
        Self::WrongRole,
        Self::Denied,
        Self::Misconfigured,
        Self::Ambiguous,
        Self::Retryable,
        Self::Query,
    ];

    const NAMES: [&'static str; 12] = [
        "Refused",
        "Unreachable",
        "TimedOut",
        "Starting",
        "Lost",
        "Overloaded",
        "WrongRole",
        "Denied",
        "Misconfigured",
        "Ambiguous",
        "Retryable",
        "Query",
    ];

    /// What is to be done about it.
    ///
    /// The phase matters to one class only: a dial asks for the role itself, so its wrong role is an
    /// answer and the next endpoint is tried; in a session the error is a hint that has to be confirmed.
    pub const fn does(self, phase: Phase) -> Does {
        match self {
            Self::Refused | Self::Unreachable | Self::TimedOut | Self::Lost => Does::NextEndpoint,
            Self::Starting => Does::Backoff,
            Self::Overloaded => Does::Overload,
            Self::WrongRole => match phase {
                Phase::Connect => Does::NextEndpoint,
                Phase::Idle | Phase::Query | Phase::Commit => Does::ConfirmRole,
            },
            Self::Denied | Self::Misconfigured => Does::Hold,
            Self::Ambiguous => Does::ReportAmbiguous,
            Self::Retryable => Does::RetryTransaction,
            Self::Query => Does::Callers,
        }
    }
}

impl FromStr for Fault {
    type Err = UnknownWord;

    /// Reads the name of a class in any case, with or without blanks, `-` and `_`: `WrongRole`, `wrong role`.
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        word::pick("fault", text, &Self::NAMES, &Self::ALL)
    }
}

/// What a fault asks for. Which machine does it: the pacer (`NextEndpoint`, `Backoff`, `Overload`,
/// `Hold`), the pool (`ConfirmRole`), the caller (`RetryTransaction`, `ReportAmbiguous`, `Callers`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Does {
    /// A new session is dialed, at the first endpoint that the pacer lets be dialed; this one is put off.
    NextEndpoint,
    /// The server is there and will serve: it is dialed again later, as after an absence.
    Backoff,
    /// The overload window of the endpoint grows: fewer dials, later.
    Overload,
    /// No dial of this endpoint until something is renewed: credentials, configuration.
    Hold,
    /// The caller may run the whole transaction again, on the same session.
    RetryTransaction,
    /// The caller is told that the statement may have become durable; relink never runs it again.
    ReportAmbiguous,
    /// The error is the caller's own and passed on as it is.
    Callers,
    /// The server is asked for its role before anybody believes the error.
    ConfirmRole,
}

impl Does {
    /// The word used in JSON, such as `next_endpoint`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NextEndpoint => "next_endpoint",
            Self::Backoff => "backoff",
            Self::Overload => "overload",
            Self::Hold => "hold",
            Self::RetryTransaction => "retry_transaction",
            Self::ReportAmbiguous => "report_ambiguous",
            Self::Callers => "callers",
            Self::ConfirmRole => "confirm_role",
        }
    }
}

/// What the evidence says about the session on which the error came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Session {
    /// It has ended, or must not be used again. A failed dial has none: also dead.
    Dead,
    /// It takes the next statement (after a ROLLBACK, if a transaction was open).
    Usable,
}

impl Session {
    /// The word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Usable => "usable",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed out",
            Self::Starting => "starting",
            Self::Lost => "lost",
            Self::Overloaded => "overloaded",
            Self::WrongRole => "wrong role",
            Self::Denied => "denied",
            Self::Misconfigured => "misconfigured",
            Self::Ambiguous => "ambiguous",
            Self::Retryable => "retryable",
            Self::Query => "query",
        })
    }
}

/// What the session was doing when the error came. The same error means different things in
/// different phases: a connection reset is [`Fault::Refused`] while dialing, [`Fault::Lost`] while
/// idle and [`Fault::Ambiguous`] during a COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum Phase {
    /// A dial: resolve, TCP, TLS, authentication, evidence of role.
    Connect,
    /// A session that nobody uses.
    Idle,
    /// A statement in flight that is known not to be durable yet if it is lost: inside an explicit
    /// transaction before its COMMIT, or a pure read.
    Query,
    /// A statement in flight that may have become durable.
    Commit,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Self; 4] = [Self::Connect, Self::Idle, Self::Query, Self::Commit];

    const NAMES: [&'static str; 4] = [Self::Connect.name(), Self::Idle.name(), Self::Query.name(), Self::Commit.name()];

    const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Idle => "idle",
            Self::Query => "query",
            Self::Commit => "commit",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Phase {
    type Err = UnknownWord;

    /// Reads `connect`, `idle`, `query` or `commit`, in any case.
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        word::pick("phase", text, &Self::NAMES, &Self::ALL)
    }
}
