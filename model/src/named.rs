//! The worlds by name, for the commands that work on one: checking a policy in it, looking into it, exporting it.

use relink::{Backoff, Fault};

use crate::{
    fleet::{
        Fleet,
        server::Server,
        world::{QUEUE, collapses, growing, rejects},
    },
    pacing, worlds,
};

/// A world that has a name.
#[derive(Debug)]
pub struct Named {
    /// The name: small letters, digits and hyphens.
    pub name: &'static str,
    /// What it is called in reports.
    pub title: &'static str,
    /// What happens in it, in one line.
    pub about: &'static str,
    build: fn() -> Option<World>,
}

/// A world of any kind.
#[derive(Debug)]
pub enum World {
    /// A pool with all of its machines.
    Pool(Box<worlds::world::World>),
    /// One process around its pacer.
    Process(Box<pacing::world::World>),
    /// Several processes and one server.
    Fleet(Box<Fleet>),
}

impl Named {
    /// The world itself; `None` if its policy breaks a rule, which a test excludes.
    pub fn build(&self) -> Option<World> {
        (self.build)()
    }
}

/// The world of that name.
pub fn named(name: &str) -> Option<&'static Named> {
    WORLDS.iter().find(|world| world.name == name)
}

/// The world that reports call so.
pub fn titled(title: &str) -> Option<&'static Named> {
    WORLDS.iter().find(|world| world.title == title)
}

const fn world(name: &'static str, title: &'static str, about: &'static str, build: fn() -> Option<World>) -> Named {
    Named { name, title, about, build }
}

/// Every world that has a name: pools, processes, fleets.
pub static WORLDS: [Named; 49] = [
    world("one-link", "one link", "one link and its pacer: everything that can befall a connection", || {
        pool(worlds::one_link(None))
    }),
    world(
        "pool-of-two",
        "a pool of 2",
        "two places; three who come, wait, cancel, leave unclean or never come back",
        || pool(worlds::pool_of_two(None)),
    ),
    world(
        "small-pool",
        "a small pool of 2",
        "two places and one endpoint; two borrowers, who leave sessions clean",
        || pool(worlds::small_pool(None)),
    ),
    world(
        "changing-pool",
        "a changing pool of 2",
        "two places and two borrowers, while the pool is paused, resumed and resized",
        || pool(worlds::changing_pool(None)),
    ),
    world("two-endpoints", "two endpoints", "one place and two endpoints: their order, hedged dials, holds", || {
        pool(worlds::two_endpoints(None))
    }),
    world(
        "silent-peer",
        "a silent peer",
        "one session that may die in silence under a statement, and a server that is asked about it",
        || pool(worlds::silent_peer(None)),
    ),
    world(
        "idle-asker",
        "an idle asker",
        "two places, and a session that dies without a word, asked about through the other",
        || pool(worlds::idle_asker(None)),
    ),
    world(
        "jumping-clock",
        "a jumping clock",
        "one place whose sessions live, and a clock that stands still, ticks or jumps",
        || pool(worlds::jumping_clock(None)),
    ),
    world("fail-over", "a failover", "one place and two endpoints that take turns at being the primary", || {
        pool(worlds::fail_over(None))
    }),
    world(
        "replaced-primary",
        "a replaced primary",
        "one place, and a primary that is replaced without its knowledge and known by its timeline",
        || pool(worlds::replaced_primary(None)),
    ),
    world(
        "preferred-standby",
        "a preferred standby",
        "one place, a primary, and a standby that may be down and is preferred",
        || pool(worlds::preferred_standby(None)),
    ),
    world("process-of-1", "a process of 1", "one place that wants a session, one endpoint", || {
        process(pacing::one_endpoint(1, 1, None))
    }),
    world("process-of-2", "a process of 2", "two places that want a session each, one endpoint", || {
        process(pacing::one_endpoint(2, 1, None))
    }),
    world(
        "process-of-3",
        "a process of 3, two dials at once",
        "three places, one endpoint, up to two dials at once",
        || process(pacing::one_endpoint(3, 2, None)),
    ),
    world(
        "three-dials",
        "a process of 3, three dials at once",
        "three places, one endpoint, up to three dials at once",
        || process(pacing::one_endpoint(3, 3, None)),
    ),
    world(
        "first-is-good",
        "the first of two endpoints is good",
        "one place and two endpoints, of which the first may keep its promise",
        || process(pacing::endpoint_set(2, 0, Backoff::Relink, None)),
    ),
    world(
        "second-is-good",
        "the second of two endpoints is good",
        "one place and two endpoints, of which the second may keep its promise",
        || process(pacing::endpoint_set(2, 1, Backoff::Relink, None)),
    ),
    world(
        "last-of-three",
        "the last of three endpoints is good",
        "one place and three endpoints, of which the last may keep its promise",
        || process(pacing::endpoint_set(3, 2, Backoff::Relink, None)),
    ),
    world(
        "short-memory",
        "a process with a short memory",
        "two places of sixteen, whose waits outlast the memory of an outage",
        || process(pacing::short_memory(None)),
    ),
    world(
        "fleet-sheds",
        "2 processes, a server that sheds",
        "two processes, a server that sheds what it cannot serve",
        || fleet(2, Server::sheds(1)),
    ),
    world(
        "fleet-hangs",
        "2 processes, a server that collapses, hanging",
        "two processes, a server that collapses without a word",
        || fleet(2, collapses(Fault::Unreachable)),
    ),
    world(
        "fleet-accepts",
        "2 processes, a server that collapses, accepting",
        "two processes, a server that collapses after it has accepted",
        || fleet(2, collapses(Fault::TimedOut)),
    ),
    world(
        "fleet-overloads",
        "2 processes, a server that collapses, rejecting",
        "two processes, a server that collapses and says so",
        || fleet(2, collapses(Fault::Overloaded)),
    ),
    world(
        "fleet-rejects",
        "2 processes, a server that rejects at a cost",
        "two processes, a server to which a reject is work",
        || fleet(2, rejects(1, 1, 8)),
    ),
    world(
        "fleet-queues",
        "2 processes, a server that queues",
        "two processes, a server whose queue is longer than a dial's patience",
        || fleet(2, QUEUE),
    ),
    world(
        "fleet-of-3-sheds",
        "3 processes, a server that sheds",
        "three processes, a server that sheds what it cannot serve",
        || fleet(3, Server::sheds(1)),
    ),
    world(
        "fleet-of-3-hangs",
        "3 processes, a server that collapses, hanging",
        "three processes, a server that collapses without a word",
        || fleet(3, collapses(Fault::Unreachable)),
    ),
    world(
        "fleet-of-3-accepts",
        "3 processes, a server that collapses, accepting",
        "three processes, a server that collapses after it has accepted",
        || fleet(3, collapses(Fault::TimedOut)),
    ),
    world(
        "fleet-of-3-overloads",
        "3 processes, a server that collapses, rejecting",
        "three processes, a server that collapses and says so",
        || fleet(3, collapses(Fault::Overloaded)),
    ),
    world(
        "fleet-of-3-rejects",
        "3 processes, a server that rejects at a cost",
        "three processes, a server to which a reject is work",
        || fleet(3, rejects(1, 1, 8)),
    ),
    world(
        "fleet-of-3-queues",
        "3 processes, a server that queues",
        "three processes, a server whose queue is longer than a dial's patience",
        || fleet(3, QUEUE),
    ),
    world(
        "fleet-of-4-sheds",
        "4 processes, a server that sheds",
        "four processes, a server that sheds what it cannot serve",
        || fleet(4, Server::sheds(1)),
    ),
    world(
        "fleet-of-4-hangs",
        "4 processes, a server that collapses, hanging",
        "four processes, a server that collapses without a word",
        || fleet(4, collapses(Fault::Unreachable)),
    ),
    world(
        "fleet-of-4-accepts",
        "4 processes, a server that collapses, accepting",
        "four processes, a server that collapses after it has accepted",
        || fleet(4, collapses(Fault::TimedOut)),
    ),
    world(
        "fleet-of-4-overloads",
        "4 processes, a server that collapses, rejecting",
        "four processes, a server that collapses and says so",
        || fleet(4, collapses(Fault::Overloaded)),
    ),
    world(
        "fleet-of-4-rejects",
        "4 processes, a server that rejects at a cost",
        "four processes, a server to which a reject is work",
        || fleet(4, rejects(1, 1, 8)),
    ),
    world(
        "fleet-of-4-queues",
        "4 processes, a server that queues",
        "four processes, a server whose queue is longer than a dial's patience",
        || fleet(4, QUEUE),
    ),
    world(
        "herd-sheds",
        "a herd of 3, a server that sheds",
        "three processes lose all at once; a server that sheds what it cannot serve",
        || herd(3, Server::sheds(1)),
    ),
    world(
        "herd-hangs",
        "a herd of 3, a server that collapses, hanging",
        "three processes lose all at once; a server that collapses without a word",
        || herd(3, collapses(Fault::Unreachable)),
    ),
    world(
        "herd-accepts",
        "a herd of 3, a server that collapses, accepting",
        "three processes lose all at once; a server that collapses after it has accepted",
        || herd(3, collapses(Fault::TimedOut)),
    ),
    world(
        "herd-overloads",
        "a herd of 3, a server that collapses, rejecting",
        "three processes lose all at once; a server that collapses and says so",
        || herd(3, collapses(Fault::Overloaded)),
    ),
    world(
        "herd-rejects",
        "a herd of 3, a server that rejects at a cost",
        "three processes lose all at once; a server to which a reject is work",
        || herd(3, rejects(1, 1, 8)),
    ),
    world(
        "herd-queues",
        "a herd of 3, a server that queues",
        "three processes lose all at once; a server whose queue is longer than a dial's patience",
        || herd(3, QUEUE),
    ),
    world(
        "herd-of-4-sheds",
        "a herd of 4, a server that sheds",
        "four processes lose all at once; a server that sheds what it cannot serve",
        || herd(4, Server::sheds(1)),
    ),
    world(
        "herd-of-4-hangs",
        "a herd of 4, a server that collapses, hanging",
        "four processes lose all at once; a server that collapses without a word",
        || herd(4, collapses(Fault::Unreachable)),
    ),
    world(
        "herd-of-4-accepts",
        "a herd of 4, a server that collapses, accepting",
        "four processes lose all at once; a server that collapses after it has accepted",
        || herd(4, collapses(Fault::TimedOut)),
    ),
    world(
        "herd-of-4-overloads",
        "a herd of 4, a server that collapses, rejecting",
        "four processes lose all at once; a server that collapses and says so",
        || herd(4, collapses(Fault::Overloaded)),
    ),
    world(
        "herd-of-4-rejects",
        "a herd of 4, a server that rejects at a cost",
        "four processes lose all at once; a server to which a reject is work",
        || herd(4, rejects(1, 1, 8)),
    ),
    world(
        "herd-of-4-queues",
        "a herd of 4, a server that queues",
        "four processes lose all at once; a server whose queue is longer than a dial's patience",
        || herd(4, QUEUE),
    ),
];

fn pool(world: Option<worlds::world::World>) -> Option<World> {
    world.map(|world| World::Pool(Box::new(world)))
}

fn process(world: Option<pacing::world::World>) -> Option<World> {
    world.map(|world| World::Process(Box::new(world)))
}

/// Processes whose sessions are open and stable; the server may go down and come back at any time.
fn fleet(count: usize, server: Server) -> Option<World> {
    let elapsed_max = if count > 3 { 6 } else { 8 };
    let fleet = Fleet::new(count, &growing(elapsed_max).check().ok()?, server)?;
    Some(World::Fleet(Box::new(fleet)))
}

/// Processes that lose their sessions together, of a server that stays up.
fn herd(count: usize, server: Server) -> Option<World> {
    let fleet = Fleet::new(count, &growing(8).check().ok()?, server)?.herd();
    Some(World::Fleet(Box::new(fleet)))
}
