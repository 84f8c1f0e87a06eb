//! What a server may be: two facts, and the predicates on them that an application may ask for.

use core::fmt;

/// The role of a server, as two facts that it reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Role {
    /// The server replays another server's log (`in_hot_standby`, `pg_is_in_recovery()`).
    pub in_recovery: bool,
    /// New transactions are read-only unless they say otherwise (`default_transaction_read_only`).
    pub default_read_only: bool,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.in_recovery { "a standby" } else { "a primary" })?;
        if self.default_read_only { f.write_str(", its transactions read-only by default") } else { Ok(()) }
    }
}

/// Which role an application asks for; the same words and meanings as libpq's `target_session_attrs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Target {
    /// Whatever answers.
    #[default]
    Any,
    /// Writes are possible: not in recovery, and transactions are not read-only by default.
    ReadWrite,
    /// Writes are not possible: in recovery, or transactions are read-only by default.
    ReadOnly,
    /// Not in recovery, whatever the default of transactions.
    Primary,
    /// In recovery.
    Standby,
    /// In recovery where such a server can be had, else whatever answers.
    PreferStandby,
}

impl Target {
    /// Whether only a primary will do.
    pub const fn wants_primary(self) -> bool {
        matches!(self, Self::ReadWrite | Self::Primary)
    }

    /// Whether a session with a server of this role will do.
    ///
    /// ```
    /// use relink::{Role, Target};
    /// let standby = Role { in_recovery: true, default_read_only: false };
    /// assert!(Target::Standby.accepts(standby) && !Target::ReadWrite.accepts(standby));
    /// assert_eq!(format!("{standby}; wanted is {}", Target::ReadWrite), "a standby; wanted is read-write");
    /// ```
    pub const fn accepts(self, role: Role) -> bool {
        match self {
            Self::Any | Self::PreferStandby => true,
            Self::ReadWrite => !role.in_recovery && !role.default_read_only,
            Self::ReadOnly => role.in_recovery || role.default_read_only,
            Self::Primary => !role.in_recovery,
            Self::Standby => role.in_recovery,
        }
    }
}

impl fmt::Display for Target {
    /// In libpq's words, such as `read-write`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any",
            Self::ReadWrite => "read-write",
            Self::ReadOnly => "read-only",
            Self::Primary => "primary",
            Self::Standby => "standby",
            Self::PreferStandby => "prefer-standby",
        })
    }
}
