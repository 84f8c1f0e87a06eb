//! The invariants of a state and the laws of a step, by name.

/// What must hold of every state, or of every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// A state of a pacer: something settles if, and only if, an outage is on record and a session is online.
    Settling,
    /// A state of a pacer: whatever an outage teaches is remembered only while it is on record, and it began in the past.
    Memory,
    /// A state of a pacer: the window of overload is within its ceiling at the outage's age, the rung within the ladder, the deadline's
    /// doublings within what the ceiling of deadlines needs.
    Ceilings,
    /// A state of a pacer: at least one dial is allowed, and no more are allowed or in flight than `max_dials`.
    Flights,
    /// A state of a pacer: no serial that it remembers is younger than the next.
    Names,
    /// A state of a pacer: so many refusals of one credential generation hold the endpoint.
    Refusals,
    /// No dial starts while one is in flight that is neither answered nor abandoned; after a success, `max_dials`.
    S1,
    /// The time before which no dial starts never moves earlier, and none starts before it.
    S3,
    /// After a failed dial or an unstable loss the next starts no earlier than `lo·max(w0, w_down, w_over)` later.
    S3Floor,
    /// The outage's age never decreases.
    S4a,
    /// The window of overload falls only on a success, and at most by the factor `s`.
    S4b,
    /// The outage is forgotten only when it has settled.
    S4c,
    /// What was opened is owned until it is gone; a late success is closed.
    S5,
    /// A late, duplicate or stale answer changes nothing.
    S6,
    /// No dial of a held endpoint, and only a renewal ends the hold.
    S7,
    /// The evidence of role is as old as the question.
    S8,
    /// Whoever waits has a timer armed or an answer outstanding.
    S10,
    /// After a stop nothing is begun.
    S11,
    /// A lease ends by its return, by the loss of its session, or at its own deadline, and changes no hands.
    S12,
    /// No dial outlives its deadline, and no deadline the policy's.
    S13,
    /// Another origin of time and other names change the times and the names, and nothing else.
    Relabel,
}

impl Law {
    /// The claim that it is in a report: the property of the catalogue, or what the induction rests on.
    pub const fn claim(self) -> &'static str {
        match self {
            Self::Settling => "every step keeps what settles",
            Self::Memory => "every step keeps an outage's memory to the outage",
            Self::Ceilings => "every step keeps within the ceilings",
            Self::Flights => "every step keeps the dials within max_dials",
            Self::Names => "every step keeps the names in order",
            Self::Refusals => "every step holds what refused too often",
            Self::Relabel => "every step is the same at other times and under other names",
            Self::S1 => "S1",
            Self::S3 | Self::S3Floor => "S3",
            Self::S4a => "S4a",
            Self::S4b => "S4b",
            Self::S4c => "S4c",
            Self::S5 => "S5",
            Self::S6 => "S6",
            Self::S7 => "S7",
            Self::S8 => "S8",
            Self::S10 => "S10",
            Self::S11 => "S11",
            Self::S12 => "S12",
            Self::S13 => "S13",
        }
    }
}
