//! What is simulated: a fleet, the servers that it connects to, and what befalls them. Facts, no behaviour.

use std::{fmt, str::FromStr};

use relink::{Ratio, Span, UnknownWord, pacer::ENDPOINTS_MAX, policy::SESSIONS_MAX};

/// Defines an enum of the words that a user may write for it.
macro_rules! words {
    ($(#[doc = $doc:literal])* $name:ident, $what:literal: $($(#[doc = $each:literal])* $variant:ident = $word:literal,)*) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[doc = $each])* $variant,)*
        }

        impl $name {
            /// The words, in order.
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            /// As a user writes it.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    other => Err(UnknownWord::new($what, other, Self::WORDS)),
                }
            }
        }
    };
}

words! {
    /// How a server that is away answers a dial.
    Kind, "kind of outage":
    /// At once, with RST.
    Refuse = "refuse",
    /// Not at all: SYNs vanish.
    Silence = "silence",
    /// It serves, and ends every session after [`FLAP`].
    Flap = "flap",
}

words! {
    /// What a server does with a SYN that finds its listen queue full.
    Overflow, "overflow":
    /// Nothing; the client's kernel sends it again (see [`Resends`]).
    Drop = "drop",
    /// RST, which a client cannot tell from an absent server (Linux, `tcp_abort_on_overflow`).
    Rst = "rst",
    /// It is told that there are too many clients (PostgreSQL's 53300), which costs work; dropped from twice the
    /// queue's work on.
    Reject = "reject",
    /// The same, and it is told when there will be room. Each process then stays away until then, by pausing its pool.
    /// No database says so on the wire: it is there to see what such a hint would be worth.
    Hint = "hint",
}

words! {
    /// When a client's kernel sends a SYN again that nobody has answered.
    Resends, "rhythm of resends":
    /// After 1, 3, 7, 15 and 31 s: after 1 s (RFC 6298), and then each time after twice as long.
    Doubled = "doubled",
    /// After 1, 2, 3, 4, 5, 7, 11, 19 and 35 s: doubled only after the fourth (Linux from 6.5 on,
    /// `tcp_syn_linear_timeouts`).
    Linear = "linear",
}

impl Resends {
    /// How long after a SYN the next is sent, where it was sent again so many `times` itself; `None` where it was the last.
    pub(super) const fn wait(self, times: u8) -> Option<Span> {
        // Without those that follow at an even pace.
        let doublings = match self {
            Self::Doubled => times,
            Self::Linear => times.saturating_sub(4),
        };
        if doublings < 5 { Some(Span::from_secs(1 << doublings)) } else { None }
    }
}

words! {
    /// How a server shares its capacity among the set-ups that it has begun.
    Service, "service":
    /// One after the other.
    Fifo = "fifo",
    /// All at once, each with an equal share, as PostgreSQL forks a process for each; the queue bounds how many.
    Shared = "shared",
}

words! {
    /// What happens, beside the kind of outage.
    Story, "story":
    /// The server is away from the beginning until the end of the outage.
    Outage = "outage",
    /// Each process in turn ends with its sessions and is at once followed by a new one; evenly over the outage.
    RollingRestart = "rolling-restart",
    /// Three nodes: the primary goes away, the second is promoted at the end of the outage, and after as long
    /// again the first is back, as a standby.
    Failover = "failover",
}

/// How long a session lasts on a flapping server.
pub const FLAP: Span = Span::from_millis(500);

/// From a client to the server and back.
pub const ROUND_TRIP: Span = Span::from_millis(1);

/// Everything that a run depends on, beside the policy and the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct World {
    /// Connections of all processes together.
    pub clients: u32,
    /// Connections of one process.
    pub slots: u16,
    /// Sessions that a server can set up in a second.
    pub capacity_per_s: u32,
    /// How many set-ups may wait in a server's listen queue.
    pub queue: u32,
    /// What happens to one more.
    pub overflow: Overflow,
    /// What a rejected dial costs, as a share of a set-up.
    pub reject_cost: Ratio,
    /// When a client's kernel sends an unanswered SYN again.
    pub resends: Resends,
    /// How set-ups share the capacity.
    pub service: Service,
    /// Sessions that a server admits, those being set up included; one more is rejected.
    pub max_connections: Option<u32>,
    /// How long the outage lasts.
    pub outage: Span,
    /// What kind of outage it is.
    pub kind: Kind,
    /// What happens.
    pub story: Story,
    /// When the run ends at the latest, counted from the beginning of the outage.
    pub horizon: Option<Span>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            clients: 100_000,
            slots: 16,
            capacity_per_s: 1_000,
            queue: 1_024,
            overflow: Overflow::Drop,
            reject_cost: Ratio::from_millionths(200_000),
            resends: Resends::Doubled,
            service: Service::Fifo,
            max_connections: None,
            outage: Span::from_secs(30),
            kind: Kind::Refuse,
            story: Story::Outage,
            horizon: None,
        }
    }
}

/// The most connections that are simulated: a lone one takes about a kilobyte.
pub const CLIENTS_MAX: u32 = 10_000_000;

/// The longest time that is simulated unless a longer one is asked for.
const HORIZON_MAX: Span = Span::from_secs(3_600);

/// The longest time that can be asked for.
const HORIZON_LIMIT: Span = Span::from_secs(7 * 24 * 3_600);

impl World {
    /// The time after which a run ends although not everybody is connected: that asked for, or
    /// `outage + 20·clients/capacity + 60 s`, at most an hour.
    pub fn ends_after(&self) -> Span {
        let ideal = Span::from_millis(u64::from(self.clients) * 1_000 / u64::from(self.capacity_per_s.max(1)));
        self.horizon.unwrap_or_else(|| (self.outage + ideal * 20 + Span::from_secs(60)).min(HORIZON_MAX))
    }

    /// How many connections can be there at once.
    pub fn target(&self) -> u32 {
        self.max_connections.map_or(self.clients, |most| self.clients.min(most))
    }

    /// Seconds that a server needs to set up as many sessions: no fleet can be back sooner.
    pub fn ideal_s(&self) -> f64 {
        f64::from(self.target()) / f64::from(self.capacity_per_s.max(1))
    }

    /// Whether [`ideal_s`](Self::ideal_s) is what keeps a fleet from being back sooner. It is not after a flapping server,
    /// whose clients wait for what they have learnt of it, nor where no server was away, nor where it is less than a second,
    /// as everybody waits for longer than that.
    pub fn waits_for_capacity(&self) -> bool {
        let away = match self.story {
            Story::Outage => self.kind != Kind::Flap,
            Story::Failover => true,
            Story::RollingRestart => false,
        };
        away && self.ideal_s() >= 1.0
    }

    /// How many endpoints a process knows.
    pub const fn endpoints(&self) -> u8 {
        match self.story {
            Story::Outage | Story::RollingRestart => 1,
            Story::Failover => 3,
        }
    }

    /// Holds the world against what can be simulated.
    ///
    /// # Errors
    /// The first setting that is out of range, by the name of its flag.
    pub fn check(&self) -> Result<(), Unfit> {
        const { assert!(ENDPOINTS_MAX >= 3) };
        within("--clients", self.clients, 1, CLIENTS_MAX)?;
        within("--slots", self.slots, 1, SESSIONS_MAX)?;
        within("--capacity", self.capacity_per_s, 1, 1_000_000)?;
        within("--queue", self.queue, 1, 10_000_000)?;
        within("--reject-cost", self.reject_cost, Ratio::from_millionths(0), Ratio::from_millionths(10_000_000))?;
        if let Some(most) = self.max_connections {
            within("--max-connections", most, 1, CLIENTS_MAX)?;
        }
        within("--outage", self.outage, Span::ZERO, HORIZON_LIMIT)?;
        if let Some(horizon) = self.horizon {
            within("--horizon", horizon, Span::from_millis(1), HORIZON_LIMIT)?;
        }
        if !self.clients.is_multiple_of(u32::from(self.slots)) {
            return Err(Unfit(format!(
                "--clients {} --slots {}: whole processes only, so the clients must be a multiple of the slots, as {} is",
                self.clients,
                self.slots,
                self.clients.next_multiple_of(u32::from(self.slots))
            )));
        }
        if self.ends_after() <= self.outage {
            return Err(Unfit(format!(
                "--outage {}: must end before the horizon of {}; raise --horizon",
                self.outage,
                self.ends_after()
            )));
        }
        Ok(())
    }
}

fn within<T: PartialOrd + fmt::Display>(flag: &str, value: T, least: T, most: T) -> Result<(), Unfit> {
    if least <= value && value <= most {
        return Ok(());
    }
    Err(Unfit(format!("{flag} {value}: must be from {least} to {most}")))
}

/// A world that cannot be simulated, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit(String);

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unfit {}
