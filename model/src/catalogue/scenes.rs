//! Every world that the catalogue is checked in, with its seeded bugs.

use relink::{Backoff, Checked, Policy};

use super::{property::catalogued, report::Level, sweeps};
use crate::{
    bounds,
    check::{Case, Expected, Limit, Stopped, explore},
    claim::{self, Claim, Claims, Finding},
    fleet::{
        self, Fleet,
        server::Server,
        world::{SERVERS, growing, hard},
    },
    pacing, reduce, worlds,
};

/// A world to be explored, as it is or with a mistake in it.
pub struct Scene {
    /// The world's name in reports.
    pub world: String,
    /// The properties that it judges.
    pub judges: Vec<&'static str>,
    /// The mistake, if there is one.
    pub seed: Option<Seed>,
    /// Explores all of it and judges every claim.
    pub explore: Box<dyn Fn(Limit) -> Result<Vec<Finding>, Stopped> + Send + Sync>,
}

/// A mistake put in on purpose.
#[derive(Clone, Debug)]
pub struct Seed {
    /// What is done wrong.
    pub bug: String,
    /// The property that must be found false.
    pub caught_by: &'static str,
}

impl Scene {
    /// For the progress of a run.
    pub(super) fn name(&self) -> String {
        match &self.seed {
            Some(seed) => format!("{}, with the bug {}", self.world, seed.bug),
            None => self.world.clone(),
        }
    }

    fn new<M: Claims + Send + Sync + 'static>(world: String, model: M, seed: Option<Seed>) -> Self {
        let mut judges: Vec<&'static str> = model.claims().iter().filter_map(Claim::judges).map(catalogued).collect();
        judges.dedup();
        Self { world, judges, seed, explore: Box::new(move |limit| claim::check(&model, limit)) }
    }
}

/// The scenes for a policy: its worlds, and those of the default policy with a mistake each.
pub(super) fn of(policy: &Policy, level: Level) -> Vec<Scene> {
    let mut scenes = processes(policy, level);
    scenes.extend(pools(policy, level));
    scenes.extend(fleets(policy, level));
    scenes.extend(herds(policy, level));
    scenes.extend(sweeps::of(level));
    scenes.extend(seeds());
    scenes.extend(sweeps::seeds(level));
    scenes
}

/// Worlds of one process and its pacer.
fn processes(policy: &Policy, level: Level) -> Vec<Scene> {
    let mut all = vec![
        ("a process of 1", pacing::one_endpoint(1, 1, None)),
        ("a process of 2", pacing::one_endpoint(2, 1, None)),
        ("the first of two endpoints is good", pacing::endpoint_set(2, 0, Backoff::Relink, None)),
        ("the second of two endpoints is good", pacing::endpoint_set(2, 1, Backoff::Relink, None)),
        ("a process with a short memory", pacing::short_memory(None)),
    ];
    if level == Level::Full {
        all.push(("a process of 3, two dials at once", pacing::one_endpoint(3, 2, None)));
        all.push(("a process of 3, three dials at once", pacing::one_endpoint(3, 3, None)));
        all.push(("the last of three endpoints is good", pacing::endpoint_set(3, 2, Backoff::Relink, None)));
    }
    let shaped = all.into_iter().filter_map(|(name, world)| Some((name, world?.shaped(policy)?)));
    shaped.map(|(name, world)| Scene::new(name.to_owned(), world, None)).collect()
}

/// Worlds of a whole pool: the pacer, the links, the leases and those who wait.
fn pools(policy: &Policy, level: Level) -> Vec<Scene> {
    let mut all = vec![worlds::one_link(None), worlds::small_pool(None), worlds::fail_over(None)];
    all.extend([worlds::silent_peer(None), worlds::jumping_clock(None)]);
    if level == Level::Full {
        all.extend([worlds::pool_of_two(None), worlds::changing_pool(None), worlds::two_endpoints(None)]);
    }
    let shaped = all.into_iter().flatten().filter_map(|world| world.shaped(policy));
    shaped.map(|world| Scene::new(world.name.to_owned(), world, None)).collect()
}

/// Fleets against every server that cannot serve all at once.
fn fleets(policy: &Policy, level: Level) -> Vec<Scene> {
    let sizes: &[(usize, u64)] = if level == Level::Full { &[(2, 8), (3, 8), (4, 6)] } else { &[(2, 8), (3, 8)] };
    let mut scenes = Vec::new();
    for (count, elapsed_max) in sizes {
        for (name, server) in SERVERS {
            // The largest of three states of its kind is left to the full level.
            if level == Level::Quick && *count == 3 && name.starts_with("sheds") {
                continue;
            }
            let small = small_of(policy, *elapsed_max);
            let fleet = small.check().ok().and_then(|small| Fleet::new(*count, &small, server));
            scenes
                .extend(fleet.map(|fleet| Scene::new(format!("{count} processes, a server that {name}"), fleet, None)));
        }
    }
    scenes
}

/// How long the worst of all orders of events keeps a thundering herd waiting, in the mean of its own draws.
fn herds(policy: &Policy, level: Level) -> Vec<Scene> {
    let count = if level == Level::Full { 4 } else { 3 };
    let herd = |(name, server): (&str, Server)| {
        let small = small_of(policy, 8).check().ok()?;
        let fleet = Fleet::new(count, &small, server)?.herd();
        let world = format!("a herd of {count}, a server that {name}");
        let explore = move |limit| expected(&fleet, limit).map(|finding| vec![finding]);
        Some(Scene { world, judges: vec!["L2q"], seed: None, explore: Box::new(explore) })
    };
    SERVERS.into_iter().filter_map(herd).collect()
}

/// The longest that a value iteration may be away from the truth, as a share of it.
const PRECISION: f64 = 1e-6;

fn expected(fleet: &Fleet, limit: Limit) -> Result<Finding, Stopped> {
    let graph = explore(fleet, limit)?;
    let found = graph.expected(Fleet::all_online, Fleet::ticks, Case::Worst, PRECISION);
    let numbers = match found {
        Expected { converged: false, lower, .. } => format!("not computed: at least {lower:.1} ticks"),
        Expected { upper, .. } if upper.is_infinite() => "never, in the worst of orders".to_owned(),
        Expected { upper, .. } => format!("all online after {upper:.1} ticks in the mean, in the worst of orders"),
    };
    Ok(Finding {
        model: fleet.name(),
        claim: "L2q",
        witness: false,
        states: graph.states(),
        transitions: graph.transitions(),
        seconds: graph.seconds(),
        holds: found.converged && found.upper.is_finite(),
        story: None,
        numbers: Some(numbers),
    })
}

/// The small policy of a fleet that is on the same side of the limit as the user's: one whose dials fit into the
/// server's capacity if theirs do, one whose dials do not if theirs do not.
fn small_of(policy: &Policy, elapsed_max: u64) -> Policy {
    let fits = fits(policy);
    let small = match (reduce::has_hard_ceiling(policy), fits) {
        (true, true) => hard(4),
        (true, false) => hard(2),
        (false, true) => growing(elapsed_max),
        (false, false) => growing(4),
    };
    let mut small = reduce::shaped(policy, &small);
    if !fits && policy.backoff != Backoff::Relink {
        small.capd = small.w0;
        small = reduce::shaped(policy, &small);
    }
    small
}

/// Whether the fleet that the policy assumes is below B5; true where it assumes none.
pub(super) fn fits(policy: &Policy) -> bool {
    let most = policy.clone().check().ok().and_then(|checked: Checked| bounds::fleet_max(&checked));
    match (policy.assume.clients, most) {
        (Some(clients), Some(most)) => u64::from(clients) < most,
        (Some(_) | None, None) | (None, Some(_)) => true,
    }
}

/// Every seeded bug, in the world where it shows.
fn seeds() -> Vec<Scene> {
    let seed = |bug: String, caught_by: &'static str| Some(Seed { bug, caught_by: catalogued(caught_by) });
    let processes = pacing::bug::Bug::ALL.into_iter().filter_map(|bug| {
        Some(Scene::new("one process".to_owned(), pacing::seeded(bug)?, seed(words(&bug), bug.breaks().name())))
    });
    let pools = worlds::bug::Bug::ALL.into_iter().filter_map(|bug| {
        let world = worlds::seeded(bug)?;
        Some(Scene::new(world.name.to_owned(), world, seed(words(&bug), bug.breaks().name())))
    });
    let fleets = fleet::world::Bug::ALL.into_iter().filter_map(|bug| {
        let (count, policy, server) = bug.shows();
        let fleet = Fleet::new(count, &policy.check().ok()?, server)?;
        Some(Scene::new(format!("{count} processes"), fleet, seed(words(&bug), "L2")))
    });
    processes.chain(pools).chain(fleets).collect()
}

/// `DialPerIdleLink` as `dial per idle link`.
pub(super) fn words(bug: &impl std::fmt::Debug) -> String {
    let mut words = String::new();
    for letter in format!("{bug:?}").chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}
