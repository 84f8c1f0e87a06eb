//! The worlds by name, for the commands that work on one: looking into it, exporting it.

use relink::Backoff;

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

const fn world(name: &'static str, about: &'static str, build: fn() -> Option<World>) -> Named {
    Named { name, about, build }
}

/// Every world that has a name: pools, processes, fleets.
pub static WORLDS: [Named; 25] = [
    world("one-link", "one link and its pacer: everything that can befall a connection", || {
        pool(worlds::one_link(None))
    }),
    world("pool-of-two", "two places; three who come, wait, cancel, leave unclean or never come back", || {
        pool(worlds::pool_of_two(None))
    }),
    world("small-pool", "two places and one endpoint; two borrowers, who leave sessions clean", || {
        pool(worlds::small_pool(None))
    }),
    world("changing-pool", "two places and two borrowers, while the pool is paused, resumed and resized", || {
        pool(worlds::changing_pool(None))
    }),
    world("two-endpoints", "one place and two endpoints: their order, hedged dials, holds", || {
        pool(worlds::two_endpoints(None))
    }),
    world(
        "silent-peer",
        "one session that may die in silence under a statement, and a server that is asked about it",
        || pool(worlds::silent_peer(None)),
    ),
    world("jumping-clock", "one place whose sessions live, and a clock that stands still, ticks or jumps", || {
        pool(worlds::jumping_clock(None))
    }),
    world("fail-over", "one place and two endpoints that take turns at being the primary", || {
        pool(worlds::fail_over(None))
    }),
    world("process-of-1", "one place that wants a session, one endpoint", || process(pacing::one_endpoint(1, 1, None))),
    world("process-of-2", "two places that want a session each, one endpoint", || {
        process(pacing::one_endpoint(2, 1, None))
    }),
    world("process-of-3", "three places, one endpoint, up to two dials at once", || {
        process(pacing::one_endpoint(3, 2, None))
    }),
    world("first-is-good", "one place and two endpoints, of which the first may keep its promise", || {
        process(pacing::endpoint_set(2, 0, Backoff::Relink, None))
    }),
    world("second-is-good", "one place and two endpoints, of which the second may keep its promise", || {
        process(pacing::endpoint_set(2, 1, Backoff::Relink, None))
    }),
    world("short-memory", "two places of sixteen, whose waits outlast the memory of an outage", || {
        process(pacing::short_memory(None))
    }),
    world("fleet-sheds", "two processes, a server that sheds what it cannot serve", || fleet(2, Server::sheds(1))),
    world("fleet-hangs", "two processes, a server that collapses without a word", || {
        fleet(2, collapses(relink::Fault::Unreachable))
    }),
    world("fleet-accepts", "two processes, a server that collapses after it has accepted", || {
        fleet(2, collapses(relink::Fault::TimedOut))
    }),
    world("fleet-rejects", "two processes, a server to which a reject is work", || fleet(2, rejects(1, 1, 8))),
    world("fleet-queues", "two processes, a server whose queue is longer than a dial's patience", || fleet(2, QUEUE)),
    world("fleet-of-3-rejects", "three processes, a server to which a reject is work", || fleet(3, rejects(1, 1, 8))),
    world("herd-sheds", "three processes lose all at once; a server that sheds", || herd(3, Server::sheds(1))),
    world("herd-hangs", "three processes lose all at once; a server that collapses without a word", || {
        herd(3, collapses(relink::Fault::Unreachable))
    }),
    world("herd-accepts", "three processes lose all at once; a server that collapses after accepting", || {
        herd(3, collapses(relink::Fault::TimedOut))
    }),
    world("herd-rejects", "three processes lose all at once; a server to which a reject is work", || {
        herd(3, rejects(1, 1, 8))
    }),
    world("herd-queues", "three processes lose all at once; a server with a long queue", || herd(3, QUEUE)),
];

fn pool(world: Option<worlds::world::World>) -> Option<World> {
    world.map(|world| World::Pool(Box::new(world)))
}

fn process(world: Option<pacing::world::World>) -> Option<World> {
    world.map(|world| World::Process(Box::new(world)))
}

/// Processes whose sessions are open and stable; the server may go down and come back at any time.
fn fleet(count: usize, server: Server) -> Option<World> {
    let fleet = Fleet::new(count, &growing(8).check().ok()?, server)?;
    Some(World::Fleet(Box::new(fleet)))
}

/// Processes that lose their sessions together, of a server that stays up.
fn herd(count: usize, server: Server) -> Option<World> {
    let fleet = Fleet::new(count, &growing(8).check().ok()?, server)?.herd();
    Some(World::Fleet(Box::new(fleet)))
}
