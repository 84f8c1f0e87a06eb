//! What is claimed, by name: every safety and liveness property, with its wording, its meaning and its assumption.

/// What may be relied upon, beside that the driver calls the machines as their documentation says. README tells them by
/// the same letters and words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assumption {
    /// Nothing of the network, the servers or the borrowers.
    Hostile,
    /// The driver's clock: completions before timers, and timers before time passes on.
    Timers,
    /// No second answer to a question, nor to a reset.
    AskedOnce,
    /// What a clock alone can do: nothing else goes wrong.
    AnswersInTime,
    /// One fixed endpoint with the required role serves within the dial deadline's ceiling, whatever the others do but hand
    /// out sessions that then die.
    OneGoodEndpoint,
    /// As `OneGoodEndpoint`, of those who borrow as well.
    LeasesReturn,
    /// A server that is up, and a fleet within its limit (`relink bounds`).
    FleetFits,
    /// One fixed endpoint is the primary.
    OnePrimary,
    /// No abort and no close outlives its deadline.
    Ends,
}

impl Assumption {
    /// All of them, in the order of their letters.
    pub const ALL: [Self; 9] = [
        Self::Hostile,
        Self::Timers,
        Self::AskedOnce,
        Self::AnswersInTime,
        Self::OneGoodEndpoint,
        Self::LeasesReturn,
        Self::FleetFits,
        Self::OnePrimary,
        Self::Ends,
    ];

    /// The letter that stands for it in tables.
    pub const fn letter(self) -> char {
        match self {
            Self::Hostile => 'A',
            Self::Timers => 'B',
            Self::AskedOnce => 'C',
            Self::AnswersInTime => 'D',
            Self::OneGoodEndpoint => 'E',
            Self::LeasesReturn => 'F',
            Self::FleetFits => 'G',
            Self::OnePrimary => 'H',
            Self::Ends => 'I',
        }
    }

    /// In one line.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Hostile => {
                "none, but that the driver reports what happened under the names it was given: in any order, at any time, or never"
            }
            Self::Timers => {
                "as for S1, and a timeout is delivered when it is due, before time passes on and after the answers that came before it"
            }
            Self::AskedOnce => "as for S10, and an order to ask or clean a session is answered at most once",
            Self::AnswersInTime => {
                "as for S10, and no session dies, and every question is answered, and well, before a timer is served"
            }
            Self::OneGoodEndpoint => {
                "as for S10, and from some time on one endpoint answers every dial and question in time and is not held, nothing is lost \
                 or closed on purpose, and what was ordered to end is gone by its deadline"
            }
            Self::LeasesReturn => "as for L1, and leases are returned, nobody gives up, and no more demotions are seen",
            Self::FleetFits => {
                "from some time on the server is up; latency < (hi − lo)·W⁺ and (N − 1)·ρ < C·hi·W⁺ (`relink bounds`)"
            }
            Self::OnePrimary => {
                "as for S10, and from some time on one host is the primary, servers answer with the role that they have, or had when \
                 they were asked, and sessions are asked before each lease"
            }
            Self::Ends => "as for S10, and what was ordered to end is gone by its deadline",
        }
    }
}

/// One property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Property {
    /// The name in code, documents, tests and reports.
    pub id: &'static str,
    /// The wording that is checked.
    pub statement: &'static str,
    /// What it means to whoever is on call.
    pub plain: &'static str,
    /// What it rests on.
    pub assumption: Assumption,
}

/// The property of that name.
pub fn property(id: &str) -> Option<&'static Property> {
    PROPERTIES.iter().find(|property| property.id.eq_ignore_ascii_case(id))
}

/// The catalogue's name of a claim: the parts of S4 are judged apart.
pub const fn catalogued(claim: &'static str) -> &'static str {
    match claim.as_bytes() {
        b"S4a" | b"S4b" | b"S4c" => "S4",
        _ => claim,
    }
}

/// All of them: safety, then liveness.
pub const PROPERTIES: [Property; 27] = [
    Property {
        id: "S1",
        statement: "no dial starts on an endpoint where this process has one that is neither answered nor abandoned; after a success since the last failure, at most max_dials",
        plain: "a dead server is probed by one dial at a time",
        assumption: Assumption::Hostile,
    },
    Property {
        id: "S2",
        statement: "in any interval L: dials ≤ max_dials + min(2, max_dials)·successes(L) + L/(lo·w0), per endpoint",
        plain: "the rate of dials is bounded in every interval",
        assumption: Assumption::Hostile,
    },
    Property {
        id: "S2b",
        statement: "dials ≤ P + P·L/(lo·w0) in any interval L, even if no session ever becomes stable",
        plain: "a server that accepts and drops is paced too",
        assumption: Assumption::Hostile,
    },
    Property {
        id: "S3",
        statement: "after a failed dial or an unstable loss the next dial to that endpoint starts ≥ lo·max(w0, w_down, w_over) later; neither a success nor a renewal shortens it",
        plain: "no failure is followed at once by another dial",
        assumption: Assumption::Hostile,
    },
    Property {
        id: "S4",
        statement: "the outage's age never decreases; w_over falls at most by the factor s, and only on a success; both are forgotten only after stable_for (+ 2·hi·w_over) with a session online and nothing failed or lost unstable",
        plain: "backoff is not forgotten before the server has proved sound",
        assumption: Assumption::Hostile,
    },
    Property {
        id: "S5",
        statement: "every session opened has exactly one owner and is closed exactly once",
        plain: "no connection leaks, none is closed twice",
        assumption: Assumption::Hostile,
    },
    Property {
        id: "S6",
        statement: "a late, duplicate or stale answer changes nothing but the closing of what it brought",
        plain: "answers that come too late do no harm",
        assumption: Assumption::Hostile,
    },
    Property {
        id: "S7",
        statement: "after a fatal fault no dial to that endpoint until a renewal; a set is held only when all its endpoints are",
        plain: "a wrong password is not tried for ever",
        assumption: Assumption::Hostile,
    },
    Property {
        id: "S8",
        statement: "a session is leased only with role evidence of the current topology generation",
        plain: "nobody is lent a session on old evidence of its role",
        assumption: Assumption::Hostile,
    },
    Property {
        id: "S9",
        statement: "after observed demotion no older session is leased unverified",
        plain: "a demoted server's sessions are not handed out",
        assumption: Assumption::Hostile,
    },
    Property {
        id: "S10",
        statement: "every state that wants a session and is not held has a timer armed or an answer outstanding",
        plain: "no wake-up is lost",
        assumption: Assumption::Timers,
    },
    Property {
        id: "S11",
        statement: "after stop no dial starts, and all is closed by the drain deadline; nothing else ends a lease whose session is not lost or declared lost",
        plain: "shutdown ends, and nothing else takes a session from its borrower",
        assumption: Assumption::Timers,
    },
    Property {
        id: "S12",
        statement: "a session has at most one borrower; first come first served, also under cancel and resize; no lease while probing or closing",
        plain: "one borrower a session, and nobody jumps the queue",
        assumption: Assumption::Hostile,
    },
    Property {
        id: "S13",
        statement: "no dial outlives its deadline and no acquire its own",
        plain: "nothing takes longer than it may",
        assumption: Assumption::Timers,
    },
    Property {
        id: "S14",
        statement: "a loss with a statement in flight that may have become durable is reported as ambiguous and never retried; work inside a transaction before its COMMIT is known lost",
        plain: "you are told whenever a statement may have taken effect",
        assumption: Assumption::Hostile,
    },
    Property {
        id: "S15",
        statement: "among states that want a session and are not held there is no cycle in which time passes and no dial starts",
        plain: "relink never sits idle while somebody wants a connection",
        assumption: Assumption::Timers,
    },
    Property {
        id: "S16",
        statement: "each slot is always exactly one of free, dialing, owned, closing",
        plain: "the pool does not shrink: no place is ever lost",
        assumption: Assumption::Hostile,
    },
    Property {
        id: "S17",
        statement: "no session is leased with an open transaction or an unread answer of an earlier borrower",
        plain: "nobody inherits another's transaction",
        assumption: Assumption::AskedOnce,
    },
    Property {
        id: "S18",
        statement: "sessions, dialing and closing included, never exceed max_size, plus one hedged dial for each endpoint after the first and at most one asker per endpoint",
        plain: "the pool stays within its size",
        assumption: Assumption::Hostile,
    },
    Property {
        id: "S19",
        statement: "generations never fall; a clock that stands still or jumps never by itself declares a session lost",
        plain: "a suspended client wakes without cutting healthy sessions",
        assumption: Assumption::AnswersInTime,
    },
    Property {
        id: "L1",
        statement: "◇□(one good endpoint) ⇒ ◇□ every wanted link online, surely",
        plain: "when the server is back, every connection comes back",
        assumption: Assumption::OneGoodEndpoint,
    },
    Property {
        id: "L2",
        statement: "◇□(server up) ⇒ ◇□ all of N processes online, almost surely, against a server of capacity C < N that sheds, rejects at a cost, queues or collapses",
        plain: "a whole fleet comes back: no lockstep, no livelock",
        assumption: Assumption::FleetFits,
    },
    Property {
        id: "L2q",
        statement: "the worst-case expected time until all N are online is finite, and printed",
        plain: "and it comes back soon, not merely some day",
        assumption: Assumption::FleetFits,
    },
    Property {
        id: "L3",
        statement: "◇□(the primary is host k, the others answer their role truthfully) ⇒ ◇□(every lease granted is on host k); where a standby is preferred: ◇□(it answers each dial at once and keeps its sessions) ⇒ ◇□(no session is opened with the primary)",
        plain: "after a failover leases go to the new primary",
        assumption: Assumption::OnePrimary,
    },
    Property {
        id: "L4",
        statement: "every waiter with a deadline is served or told by then; under L1's assumption, if leases are returned, the head waiter is served",
        plain: "nobody waits for ever",
        assumption: Assumption::LeasesReturn,
    },
    Property { id: "L5", statement: "a drain ends", plain: "close() returns", assumption: Assumption::Ends },
    Property {
        id: "L6",
        statement: "a silent peer that a caller waits on is noticed within B3, or within 2·question_deadline of the last answer that it is too early to tell, if its endpoint refuses no dial meanwhile",
        plain: "a dead socket does not hold its caller for ever",
        assumption: Assumption::Timers,
    },
];
