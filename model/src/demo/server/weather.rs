//! What can be wrong with the demo server, and what each of it does to the sessions that are open.

use pgwire::error::ErrorInfo;

/// What the server does to its clients until it is told otherwise.
///
/// The codes and their texts are those that PostgreSQL 15 was seen to answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weather {
    /// All is well.
    #[default]
    Fair,
    /// Nobody listens: the kernel refuses, and no dial reaches the server (so none is counted).
    /// Open sessions see the end of the stream.
    Refuse,
    /// Every dial is accepted and reset; so are the open sessions.
    Reset,
    /// Every dial is accepted and never answered, and the open sessions freeze: what a stopped
    /// process looks like. All of them go on where they were when the weather changes.
    Silent,
    /// 57P03 at startup; open sessions see the end of the stream, as after a crash.
    Starting,
    /// 53300 at startup; open sessions are not touched.
    Full,
    /// A standby: new sessions are told so, and every session gets 25006 for a write.
    ReadOnly,
    /// Open sessions get 57P01 and are closed; dials are served.
    Terminate,
    /// Every dial succeeds, up to the first `ReadyForQuery`, and is then dropped; so are the open sessions.
    Flap,
    /// The password has been changed: 28P01 for all who do not know the new one. It stays changed
    /// when the weather does. Open sessions are not touched.
    WrongPassword,
}

/// How the server ends a session of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::demo) enum End {
    /// The stream ends without a word.
    Cut,
    /// The connection is reset.
    Reset,
    /// FATAL 57P01, then the stream ends.
    Terminate,
}

impl Weather {
    /// Every kind, in the order of their description.
    pub const ALL: [Self; 10] = [
        Self::Fair,
        Self::Refuse,
        Self::Reset,
        Self::Silent,
        Self::Starting,
        Self::Full,
        Self::ReadOnly,
        Self::Terminate,
        Self::Flap,
        Self::WrongPassword,
    ];

    /// In words, for tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fair => "fair",
            Self::Refuse => "refused",
            Self::Reset => "accepted, reset",
            Self::Silent => "accepted, silent",
            Self::Starting => "starting up",
            Self::Full => "too many connections",
            Self::ReadOnly => "read-only",
            Self::Terminate => "terminated",
            Self::Flap => "flapping",
            Self::WrongPassword => "password changed",
        }
    }

    /// In one word, for a command line.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Fair => "fair",
            Self::Refuse => "refuse",
            Self::Reset => "reset",
            Self::Silent => "silent",
            Self::Starting => "starting",
            Self::Full => "full",
            Self::ReadOnly => "read-only",
            Self::Terminate => "terminate",
            Self::Flap => "flapping",
            Self::WrongPassword => "wrong-password",
        }
    }

    /// What becomes of the sessions that are open when it begins.
    pub(in crate::demo) const fn ends_sessions(self) -> Option<End> {
        match self {
            Self::Refuse | Self::Starting | Self::Flap => Some(End::Cut),
            Self::Reset => Some(End::Reset),
            Self::Terminate => Some(End::Terminate),
            Self::Fair | Self::Silent | Self::Full | Self::ReadOnly | Self::WrongPassword => None,
        }
    }

    /// What a client is told instead of being let in.
    pub(super) fn turns_away(self) -> Option<ErrorInfo> {
        match self {
            Self::Starting => Some(error("FATAL", "57P03", "the database system is starting up")),
            Self::Full => Some(error("FATAL", "53300", "sorry, too many clients already")),
            Self::Fair
            | Self::Refuse
            | Self::Reset
            | Self::Silent
            | Self::ReadOnly
            | Self::Terminate
            | Self::Flap
            | Self::WrongPassword => None,
        }
    }

    /// Whether the server is a standby.
    pub(super) fn is_standby(self) -> bool {
        self == Self::ReadOnly
    }
}

/// An error as PostgreSQL sends it: with the severity that is never localised too, which drivers rely on.
pub(super) fn error(severity: &str, code: &str, message: impl Into<String>) -> ErrorInfo {
    let mut info = ErrorInfo::new(severity.to_owned(), code.to_owned(), message.into());
    info.severity_nonlocalized = Some(severity.to_owned());
    info
}
