//! Worlds that have a name.

use relink::Span;

use super::world::{Kind, Overflow, Story, World};

/// A world that has a name.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// As a user writes it.
    pub name: &'static str,
    /// What happens, in a line.
    pub about: &'static str,
    world: fn(World) -> World,
}

impl Scenario {
    /// The scenario of that name, in any case.
    pub fn find(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|scenario| scenario.name.eq_ignore_ascii_case(name))
    }

    /// What it simulates, unless told otherwise.
    pub fn world(&self) -> World {
        (self.world)(World::default())
    }
}

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    Scenario { name: "s1", about: "refused for 30 s; a full listen queue drops SYNs", world: |world| world },
    Scenario {
        name: "s2",
        about: "as s1, but whoever finds the queue full is rejected, which costs a fifth of a set-up",
        world: |world| World { overflow: Overflow::Reject, ..world },
    },
    Scenario {
        name: "s3",
        about: "as s1, with a queue of 20 s: longer than most clients are patient",
        world: |world| World { capacity_per_s: 200, queue: 4_096, ..world },
    },
    Scenario {
        name: "s4",
        about: "a black hole: as s1, but the server is silent instead of refusing",
        world: |world| World { kind: Kind::Silence, ..world },
    },
    Scenario {
        name: "s5",
        about: "as s1, but whoever finds the queue full gets RST",
        world: |world| World { overflow: Overflow::Rst, ..world },
    },
    Scenario {
        name: "small-fleet",
        about: "as s1, for 1000 lone connections that never meet: p50 and p99 are those of one",
        world: |world| World { clients: 1_000, slots: 1, capacity_per_s: 1_000_000, ..world },
    },
    Scenario {
        name: "max-connections",
        about: "as s1, but a fifth of the fleet finds no room; recovered means that the room is full",
        world: |world| World { max_connections: Some(world.clients / 5 * 4), ..world },
    },
    Scenario {
        name: "flap",
        about: "one process, and a server that accepts and ends each session after 0.5 s, for 10 min",
        // After 10 min of it the windows are at their longest: 30 s, up to 42 s with jitter, and 30 s on trial.
        world: |world| World {
            clients: 16,
            kind: Kind::Flap,
            outage: Span::from_secs(600),
            horizon: Some(Span::from_secs(720)),
            ..world
        },
    },
    Scenario {
        name: "rolling-restart",
        about: "200 pods of 16 connections are replaced one after the other within 10 min",
        world: |world| World {
            clients: 3_200,
            capacity_per_s: 200,
            story: Story::RollingRestart,
            outage: Span::from_secs(600),
            ..world
        },
    },
    Scenario {
        name: "pgbouncer-restart",
        about: "300 pods of 16 connections lose a PgBouncer that is back after 2 s, with a short queue and fast logins",
        world: |world| World { clients: 4_800, capacity_per_s: 2_000, queue: 128, outage: Span::from_secs(2), ..world },
    },
    Scenario {
        name: "failover",
        about: "200 pods of 16 connections, three nodes: the primary vanishes, another is promoted after 15 s, and \
                after 15 s more the first is back as a standby",
        world: |world| World {
            clients: 3_200,
            capacity_per_s: 200,
            story: Story::Failover,
            kind: Kind::Silence,
            outage: Span::from_secs(15),
            ..world
        },
    },
];
