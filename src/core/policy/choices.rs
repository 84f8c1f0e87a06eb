//! The settings that are choices rather than numbers, and what a policy assumes of the world around it.

use super::Ratio;
use crate::core::time::Span;

/// How the next dial of an endpoint is put off after a failure.
///
/// In files: `"relink"`, `"grpc"`, or a table such as `{ kind = "full_jitter", base = "100ms", cap = "30s" }`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Backoff {
    /// relink's own: lessons of absence and of overload kept apart, a ceiling that grows with the outage.
    #[default]
    Relink,
    /// The same wait every time, no jitter.
    Constant {
        /// The wait, from 1 ms to 1 day.
        wait: Span,
    },
    /// `min(cap, base·2ⁿ)`, no jitter.
    Exponential {
        /// The first wait, from 1 ms to `cap`.
        base: Span,
        /// The longest wait, at most 1 day.
        cap: Span,
    },
    /// `U[0, min(cap, base·2ⁿ)]` (AWS architecture blog, "Exponential Backoff And Jitter").
    FullJitter {
        /// The first window, from 1 ms to `cap`.
        base: Span,
        /// The longest window, at most 1 day.
        cap: Span,
    },
    /// `v/2 + U[0, v/2]`, `v = min(cap, base·2ⁿ)` (the same).
    EqualJitter {
        /// The first `v`, from 1 ms to `cap`.
        base: Span,
        /// The longest `v`, at most 1 day.
        cap: Span,
    },
    /// `min(cap, U[base, 3·previous])` (the same).
    DecorrelatedJitter {
        /// The shortest wait, from 1 ms to `cap`.
        base: Span,
        /// The longest wait, at most 1 day.
        cap: Span,
    },
    /// gRPC connection-backoff.md: 1 s × 1.6ⁿ ± 20 %, at most 120 s with its jitter.
    Grpc,
}

/// What a caller meets while no session can be had. In files: `"wait"`, `"fail_fast"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum OnDown {
    /// Waits until its own deadline.
    #[default]
    Wait,
    /// Is told at once.
    FailFast,
}

/// When a session is asked whether it still answers before it is lent. In files: `"stale"`, `"always"`, `"never"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Validate {
    /// When the evidence is stale: idle for `stale_after`, or an older topology generation.
    #[default]
    Stale,
    /// Before every lease: one round trip each.
    Always,
    /// Only when the topology generation has moved on (that one is never skipped).
    Never,
}

/// The fleet and the server that the bounds are computed for (`[assume]` in files): facts about the
/// world, not settings. The machines never read them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct Assume {
    /// Connections of all processes together, from 1 to 1 000 000 000.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub clients: Option<u32>,
    /// Connections of one process, from 1 to [`SESSIONS_MAX`](super::SESSIONS_MAX); without it, `max_size`.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub slots: Option<u16>,
    /// Sessions that the server can set up in a second, from 1 to 1 000 000 000.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub capacity_per_s: Option<u32>,
    /// What a refused dial costs the server, as a share of a set-up, from 0 to 10.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub reject_cost: Option<Ratio>,
}
