//! What went wrong, ordered by what must be done about it, not by where it came from.

use core::fmt;

use alloc::string::String;

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
    /// The credentials were refused.
    Denied,
    /// Database name, TLS, protocol, permission to connect: nothing but a change of configuration helps.
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

/// A row of a fault table as users write it (`[[fault]]`): what is absent matches everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Rule {
    /// The phase, as in [`Phase`].
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub phase: Option<String>,
    /// The SQLSTATE, five characters.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub sqlstate: Option<String>,
    /// The severity, not localised.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub severity: Option<String>,
    /// Part of the message.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub message: Option<String>,
    /// The routine that reported it.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub routine: Option<String>,
    /// The system's error number.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub errno: Option<i32>,
    /// The kind of I/O error.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub io_kind: Option<String>,
    /// What it is.
    pub fault: Fault,
}
