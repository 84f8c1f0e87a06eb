//! The table of settings: name, meaning, source, default and range of each, in one place.

use alloc::{vec, vec::Vec};

use super::rules::Rules;
use super::{Assume, Backoff, Checked, OnDown, PolicyError, Ratio, Rule, Validate};
use crate::core::time::Span;

/// The most sessions that one process may have in a pool. A sanity limit: the machines count up to 65 535.
pub const SESSIONS_MAX: u16 = 10_000;

/// From the rows of the table: the struct, its defaults, the builder, the keys, the ranges, and the
/// reading of one key.
macro_rules! settings {
    ($($(#[doc = $doc:literal])* $field:ident: $type:ty = $default:expr $(, in $lo:expr => $hi:expr)?;)*) => {
        /// Every tunable number.
        ///
        /// As a file it is TOML with these names as keys; in the environment `RELINK_` and the name in
        /// upper case. Whatever can be switched off is switched off by `"never"`.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
        #[non_exhaustive]
        pub struct Policy {
            $(
                $(#[doc = $doc])*
                #[doc = concat!("\nDefault `", stringify!($default), "`" $(, "; from `", stringify!($lo), "` to `", stringify!($hi), "`")?, ".")]
                #[cfg_attr(
                    feature = "serde",
                    serde(serialize_with = "super::setting::write", deserialize_with = "super::setting::read")
                )]
                pub $field: $type,
            )*
            /// What the bounds assume of the fleet and the server; nothing by default.
            pub assume: Assume,
            /// Rows that come before those of the database's own fault table; none by default.
            pub fault: Vec<Rule>,
        }

        impl Default for Policy {
            fn default() -> Self {
                Self { $($field: $default,)* assume: Assume::default(), fault: vec![] }
            }
        }

        impl Policy {
            /// The names of all settings but the tables `assume` and `fault`.
            pub const KEYS: &'static [&'static str] = &[$(stringify!($field)),*];

            /// Holds every value against its own range.
            pub(super) fn ranges(&self, rules: &mut Rules) {
                let default = Self::default();
                $($(rules.range(stringify!($field), &self.$field, &$lo, &$hi, &default.$field);)?)*
            }

            /// Reads the setting `key`; `None` when there is none of that name.
            #[cfg(feature = "serde")]
            pub(super) fn set(&mut self, key: &str, raw: super::raw::Raw<'_>) -> Option<Result<(), super::Broken>> {
                Some(match key {
                    $(stringify!($field) => raw.read(&Self::default().$field).map(|value| self.$field = value),)*
                    _ => return None,
                })
            }
        }

        /// Puts a policy together in code; see [`Policy::builder`] and [`Policy::into_builder`].
        #[derive(Clone, Debug)]
        #[must_use]
        pub struct Builder(Policy);

        impl Builder {
            $(
                $(#[doc = $doc])*
                pub fn $field(mut self, $field: $type) -> Self {
                    self.0.$field = $field;
                    self
                }
            )*
        }
    };
}

settings! {
    // Pacing. What relink's simulations found is told with each number: fleets of 10³ to 10⁶
    // connections, outages of 0 to 600 s, servers that drop, reject at a cost, or queue.

    /// How the next dial of an endpoint is put off after a failure.
    backoff: Backoff = Backoff::Relink;
    /// The shortest window: after a failure the next dial starts at least `jitter_lo·w0` later.
    /// Simulated at 500 ms: the first session is back within 0.7 s (p99) after outages of up to 5 s.
    w0: Span = ms(500), in ms(1) => hours(1);
    /// The least share of a window that is waited; above 0 for relink's own pacing, at most `jitter_hi`.
    /// Simulated: 0.6 spreads a fleet less, and makes one that was away for 2 min up to 6 % later than its goal.
    jitter_lo: Ratio = millionths(500_000), in millionths(0) => millionths(10_000_000);
    /// The greatest share of a window that is waited (inclusive): what the last to be dropped may have to wait.
    /// Simulated: at 1.5 a fleet that was away for 2 min is up to 2 % later than its goal, at 1.4 in time.
    jitter_hi: Ratio = millionths(1_400_000), in millionths(0) => millionths(10_000_000);
    /// The window of an absent server, as a share of the outage's age: the extra downtime you accept.
    /// Simulated at 0.085: after 10 s of outage the median lag is 0.4 s, at the price of 19 dials.
    kd: Ratio = millionths(85_000), in millionths(0) => millionths(1_000_000);
    /// The longest window of an absent server; at least `w0`. A dial every 30 s costs a server nothing.
    capd: Span = secs(30), in ms(1) => hours(24);
    /// The window while silence cannot be told from overload, as a share of the outage's age.
    /// Simulated at 0.15: after 30 s of a black hole the p99 lag is 7 s (at 0.5: 21 s), at the price of 8 dials (5);
    /// below it a fleet dials ever more until it is back from one.
    ka: Ratio = millionths(150_000), in millionths(0) => millionths(1_000_000);
    /// By what the window of an overload grows at each overloaded answer.
    /// Simulated: 3 makes 10⁴ lone connections take 2.1 times the ideal instead of 1.7, and saves 10⁶ of them 5 % of their dials
    /// after the return; 1.5 costs them 11 % more.
    g: Ratio = millionths(2_000_000), in millionths(1_000_000) => millionths(10_000_000);
    /// By what a success shrinks the window of an overload.
    /// Simulated: 1 (no shrinking) makes 10⁵ clients take 1.5 times the ideal instead of 1.1.
    s: Ratio = millionths(500_000), in millionths(1) => millionths(1_000_000);
    /// The ceiling of the overload's window at the start of an outage, divided by √`max_size`; at least `w0`.
    /// Simulated: where processes of 16 have the ceiling of a lone connection, 10⁵ clients take 1.5 times the ideal instead of 1.1.
    cap0: Span = secs(20), in ms(1) => hours(24);
    /// How the ceiling grows with the outage's age, divided by √`max_size`. 0 makes it hard: simulated, and
    /// model-checked, every hard ceiling has a fleet size at which a fleet never recovers.
    kcap: Ratio = millionths(333_333), in millionths(0) => millionths(10_000_000);
    /// The age from which an outage counts as no older; at least `w0`. It bounds the ceiling, and so both
    /// the fleet that recovers and the longest lag (`relink bounds` prints the two).
    elapsed_max: Span = hours(1), in ms(1) => days(7);
    /// Dials in flight to an endpoint that has answered since its last failure; one while it has not.
    /// Simulated: 4 make 10⁴ clients take 1.4 times the ideal instead of 1.0, and 10⁶ dial 4 % more.
    max_dials: u8 = 1, in 1 => 64;
    /// A single loss beside a healthy session is replaced after `[0, replace_jitter)`, so that a crash seen
    /// by many processes is not as many dials in one instant.
    replace_jitter: Span = ms(50), in ms(0) => mins(1);
    /// At the start of an outage the next endpoint is tried when the one before was silent for this long.
    /// RFC 8305 §5 recommends 250 ms as connection attempt delay.
    hedge_after: Span = ms(250), in ms(1) => hours(1);
    /// A session that stayed usable for this long is stable: only then is an outage forgotten.
    stable_for: Span = secs(30), in ms(1) => hours(24);
    /// The deadline of a dial (resolve, TCP, TLS, authentication, role), fixed at its start; doubled at each
    /// accepted but silent dial of the endpoint, back to this after a stable success.
    /// Simulated: without growth 10⁵ clients take 2.7 times the ideal instead of 1.9 where the server queues for 20 s.
    dial_deadline: Span = secs(5), in ms(1) => hours(1);
    /// How long a dial waits for its transport (resolve, TCP) at most, within its deadline. A lost SYN is sent again
    /// after 1 s and after 3 s (RFC 6298: 1 s, doubled), by Linux from 6.5 on each second at first
    /// (`tcp_syn_linear_timeouts`): 2 s would end just before the third, and leave its dial deaf for a second.
    /// Observed on Linux 6.18: a stall of 10 s was over for all sessions 0.5 to 1.1 s after its end, with 2 s after 1.3 to 2.4 s.
    /// Simulated: at 5 s the SYNs of a fleet of 10⁶ peak at 1.5 times as many.
    /// A look-up that takes longer goes on, and the next dial waits for the same one; raise this where a
    /// connection takes longer than that to be set up.
    connect_deadline: Span = ms(2_250), in ms(1) => hours(1);
    /// The ceiling of that doubling; at least `dial_deadline`. PostgreSQL's own `authentication_timeout`
    /// is 60 s: a server does not serve a dial for longer.
    dial_deadline_max: Span = mins(1), in ms(1) => hours(1);
    /// So many refusals of one credential generation hold the endpoint until there is a newer one.
    /// Three: the same password tried without end may lock the account.
    refusals_max: u8 = 3, in 1 => 255;
    /// Gives up (visibly, as held) after so many failed dials.
    give_up_dials: Option<u32> = None, in 1 => u32::MAX;
    /// Gives up (visibly, as held) when the outage is this old.
    give_up_after: Option<Span> = None, in ms(1) => days(30);

    // The pool.

    /// Sessions of one process, those dialing and closing included; at most [`SESSIONS_MAX`].
    max_size: u16 = 16, in 1 => SESSIONS_MAX;
    /// Idle sessions that are kept ready; at most `max_idle` and `max_size`.
    min_idle: u16 = 1, in 0 => SESSIONS_MAX;
    /// Idle sessions that are kept at most; a session returned beyond it is closed. Above `max_size` it is `max_size`.
    max_idle: u16 = 16, in 0 => SESSIONS_MAX;
    /// Callers that may wait for a session; one more is told at once that the pool is full.
    waiters_max: u32 = 1024, in 0 => 1_000_000;
    /// How long a caller waits for a session at most. HikariCP's `connectionTimeout` is 30 s.
    acquire_deadline: Span = secs(30), in ms(1) => hours(24);
    /// What a caller meets while no session can be had.
    on_down: OnDown = OnDown::Wait;
    /// When a session is asked whether it still answers before it is lent.
    validate: Validate = Validate::Stale;
    /// Idle for this long, a session's evidence is stale. pgx's pool asks after 1 s of idleness.
    stale_after: Span = secs(1), in ms(0) => days(30);
    /// How long that question may take before the session counts as lost.
    probe_deadline: Span = secs(2), in ms(1) => hours(1);
    /// How long a returned session may take to become clean (answers, ROLLBACK, reset) before it is closed.
    reset_deadline: Span = secs(2), in ms(1) => hours(1);
    /// How long a goodbye may take before the stream is simply dropped.
    close_deadline: Span = secs(1), in ms(1) => hours(1);
    /// How long leases may go on after a stop; all is closed by then.
    /// Kubernetes grants 30 s between SIGTERM and SIGKILL (`terminationGracePeriodSeconds`).
    drain_deadline: Span = secs(30), in ms(1) => hours(24);
    /// How long a session lives at most, never cutting a lease. HikariCP's `maxLifetime` is 30 min.
    lifetime_max: Option<Span> = Some(mins(30)), in ms(1) => days(30);
    /// Each session's life is drawn from `[(1 − lifetime_jitter)·lifetime_max, lifetime_max]`, below 1, so that
    /// sessions dialed together do not end together. The shortest has to be longer than `stable_for`.
    lifetime_jitter: Ratio = millionths(100_000), in millionths(0) => millionths(999_999);
    /// Idle for this long, a session beyond `min_idle` is closed and any other is asked for its role; longer
    /// than `stable_for`. HikariCP's `idleTimeout` is 10 min.
    idle_max: Option<Span> = Some(mins(10)), in ms(1) => days(30);
    /// A lease held for this long is reported, once; it is never cut.
    lease_warn: Option<Span> = Some(mins(1)), in ms(1) => days(30);

    // Silence.

    /// A caller that has waited this long without a sign of life has its session asked about, and a lease is looked at
    /// so often; at least `grace`.
    /// Observed on PostgreSQL 15: a look through another session takes the server 0.1 ms.
    patience: Option<Span> = Some(secs(1)), in ms(1) => days(1);
    /// How long the server must have been waiting for the client before a session is called dead (the driver
    /// takes four round trips if that is longer). Observed under load: false alarms at 20 ms, none at 100 ms.
    grace: Span = secs(1), in ms(1) => hours(1);
    /// How long the question about a session may take.
    question_deadline: Span = secs(2), in ms(1) => hours(1);

    // The transport. The kernel takes whole seconds and clamps nothing: Linux refuses more than
    // these maxima (include/net/tcp.h: MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL, MAX_TCP_KEEPCNT).

    /// Idle for this long, a TCP connection is probed by the kernel; whole seconds (libpq: `keepalives_idle`).
    keepalive_idle: Span = secs(4), in secs(1) => secs(32_767);
    /// From one such probe to the next; whole seconds (libpq: `keepalives_interval`).
    keepalive_interval: Span = secs(2), in secs(1) => secs(32_767);
    /// Unanswered probes after which the connection is dead (libpq: `keepalives_count`).
    keepalive_count: u8 = 2, in 1 => 127;
    /// How long sent data may stay unacknowledged (RFC 5482; libpq: `tcp_user_timeout`). On Linux it also
    /// overrules `keepalive_count` (tcp(7)), so it is what the three above add up to.
    tcp_user_timeout: Span = secs(8), in ms(1) => days(1);

    // Observation.

    /// Events that are kept for a slow observer; the oldest go first, counted.
    events_max: u32 = 1024, in 1 => 1_000_000;
}

impl Policy {
    /// A builder that starts from the defaults.
    pub fn builder() -> Builder {
        Self::default().into_builder()
    }

    /// A builder that starts from this policy: code comes last, over file and environment.
    pub fn into_builder(self) -> Builder {
        Builder(self)
    }
}

impl Builder {
    /// What the bounds assume of the fleet and the server.
    pub fn assume(mut self, assume: Assume) -> Self {
        self.0.assume = assume;
        self
    }

    /// Rows that come before those of the database's own fault table.
    pub fn fault(mut self, rows: Vec<Rule>) -> Self {
        self.0.fault = rows;
        self
    }

    /// Holds the policy against every rule.
    ///
    /// # Errors
    /// Every broken rule, each with the value, the rule and the fix.
    pub fn check(self) -> Result<Checked, PolicyError> {
        self.0.check()
    }
}

const fn millionths(n: u32) -> Ratio {
    Ratio::from_millionths(n)
}

const fn ms(n: u64) -> Span {
    Span::from_millis(n)
}

const fn secs(n: u64) -> Span {
    Span::from_secs(n)
}

const fn mins(n: u64) -> Span {
    secs(60 * n)
}

const fn hours(n: u64) -> Span {
    mins(60 * n)
}

const fn days(n: u64) -> Span {
    hours(24 * n)
}
