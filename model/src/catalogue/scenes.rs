//! Every world that the catalogue is checked in, with its seeded bugs.

use std::time::Instant;

use relink::{Backoff, Checked, Policy, Span};

use super::{property::catalogued, report::Level, sweeps};
use crate::{
    bounds,
    check::{Case, Expected, Limit, Stopped, explore},
    claim::{self, Claim, Claims, Finding},
    fleet::{
        self, Fleet,
        world::{SERVERS, growing, hard},
    },
    named::{Named, World, named, titled},
    pacing, reduce, worlds,
};

/// A world to be explored, as it is or with a mistake in it.
pub struct Scene {
    /// The world's name in reports.
    pub world: String,
    /// Its name as `relink explore` and `relink export` take it, if it is one of theirs.
    pub explored: Option<&'static str>,
    /// What it runs in the place of the user's policy; `None` where it has several policies of its own.
    pub policy: Option<Policy>,
    /// The properties that it judges.
    pub judges: Vec<&'static str>,
    /// The mistake, if there is one.
    pub seed: Option<Seed>,
    /// Explores all of it and judges every claim.
    pub explore: Box<dyn Fn(Limit) -> Result<Vec<Finding>, Unknown> + Send + Sync>,
}

/// Why nothing is known of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// It was not explored to its end.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// Its policy would break a rule, or the states of a process would be too many.
    #[error("there is no such world for a policy of this shape")]
    Unbuilt,
}

/// A mistake put in on purpose.
#[derive(Clone, Debug)]
pub struct Seed {
    /// Its name.
    pub bug: String,
    /// What is done wrong.
    pub about: &'static str,
    /// The property that must be found false.
    pub caught_by: &'static str,
    /// The world, where it is not just the scene's with less in it; else empty.
    pub world: String,
    /// The file of its code.
    pub source: &'static str,
}

impl Seed {
    pub(super) fn of(
        bug: &impl std::fmt::Debug,
        about: &'static str,
        breaks: &'static str,
        source: &'static str,
    ) -> Self {
        Self { bug: words(bug), about, caught_by: catalogued(breaks), world: String::new(), source }
    }
}

impl Scene {
    /// For the progress of a run.
    pub(super) fn name(&self) -> String {
        match &self.seed {
            Some(seed) => format!("{}, with the bug {}", self.world, seed.bug),
            None => self.world.clone(),
        }
    }

    fn new<M: Claims + Send + Sync + 'static>(named: &'static Named, model: M, seed: Option<Seed>) -> Self {
        let (policy, judges) = (Some(model.driven().clone()), judges(&model));
        Self::of(named, policy, judges, seed, move |limit| Ok(claim::check(&model, limit)?))
    }

    /// One that there is not for a policy of this shape: what it would judge is open.
    pub(super) fn unbuilt(named: &'static Named, judges: Vec<&'static str>) -> Self {
        Self::of(named, None, judges, None, |_| Err(Unknown::Unbuilt))
    }

    /// How long a herd is kept waiting.
    fn herd(named: &'static Named, fleet: Fleet) -> Self {
        let policy = Some(Policy::from(fleet.policy().clone()));
        Self::of(named, policy, vec!["L2q"], None, move |limit| Ok(expected(&fleet, limit)?))
    }

    fn of(
        named: &'static Named,
        policy: Option<Policy>,
        judges: Vec<&'static str>,
        seed: Option<Seed>,
        explore: impl Fn(Limit) -> Result<Vec<Finding>, Unknown> + Send + Sync + 'static,
    ) -> Self {
        Self {
            world: named.title.to_owned(),
            explored: Some(named.name),
            policy,
            judges,
            seed,
            explore: Box::new(explore),
        }
    }
}

/// The scenes for a policy: the worlds of a level, and those of the default policy with a mistake each.
pub(super) fn of(policy: &Policy, level: Level) -> Vec<Scene> {
    let names = names(level);
    let mut scenes: Vec<Scene> = names.iter().filter_map(|name| shaped(named(name)?, policy)).collect();
    scenes.extend(sweeps::of(level));
    scenes.extend(seeds().into_iter().filter(|seed| seed.explored.is_some_and(|world| names.contains(&world))));
    scenes.extend(sweeps::seeds(level));
    scenes
}

/// The named worlds of a level, in the order of a report.
fn names(level: Level) -> Vec<&'static str> {
    let larger: [&[&str]; 4] = match level {
        Level::Quick => [&[], &[], &[], &HERDS],
        Level::Full => [&LARGER_PROCESSES, &LARGER_POOLS, &LARGER_FLEETS, &LARGER_HERDS],
    };
    let [processes, pools, fleets, herds] = larger;
    [&PROCESSES, processes, &POOLS, pools, &FLEETS, fleets, herds].concat()
}

/// One process and its pacer.
const PROCESSES: [&str; 5] = ["process-of-1", "process-of-2", "first-is-good", "second-is-good", "short-memory"];
const LARGER_PROCESSES: [&str; 3] = ["process-of-3", "three-dials", "last-of-three"];

/// A whole pool: the pacer, the links, the leases and those who wait.
const POOLS: [&str; 6] = ["one-link", "small-pool", "fail-over", "silent-peer", "jumping-clock", "replaced-primary"];
const LARGER_POOLS: [&str; 5] = ["pool-of-two", "changing-pool", "two-endpoints", "preferred-standby", "idle-asker"];

/// Fleets against every server that cannot serve all at once. The largest of three states of its kind is left to the
/// full level.
const FLEETS: [&str; 11] = [
    "fleet-sheds",
    "fleet-hangs",
    "fleet-accepts",
    "fleet-overloads",
    "fleet-rejects",
    "fleet-queues",
    "fleet-of-3-hangs",
    "fleet-of-3-accepts",
    "fleet-of-3-overloads",
    "fleet-of-3-rejects",
    "fleet-of-3-queues",
];
const LARGER_FLEETS: [&str; 7] = [
    "fleet-of-3-sheds",
    "fleet-of-4-sheds",
    "fleet-of-4-hangs",
    "fleet-of-4-accepts",
    "fleet-of-4-overloads",
    "fleet-of-4-rejects",
    "fleet-of-4-queues",
];

/// Whom the worst of all orders of events keeps waiting: how long, in the mean of its own draws.
const HERDS: [&str; 6] = ["herd-sheds", "herd-hangs", "herd-accepts", "herd-overloads", "herd-rejects", "herd-queues"];
const LARGER_HERDS: [&str; 6] = [
    "herd-of-4-sheds",
    "herd-of-4-hangs",
    "herd-of-4-accepts",
    "herd-of-4-overloads",
    "herd-of-4-rejects",
    "herd-of-4-queues",
];

/// The properties that a world judges.
fn judges(model: &impl Claims) -> Vec<&'static str> {
    let mut judges: Vec<&'static str> = model.claims().iter().filter_map(Claim::judges).map(catalogued).collect();
    judges.dedup();
    judges
}

/// A named world under a policy of the user's shape.
fn shaped(named: &'static Named, policy: &Policy) -> Option<Scene> {
    let (built, judges) = match named.build()? {
        World::Pool(pool) => (pool.shaped(policy).map(|pool| Scene::new(named, pool, None)), judges(&*pool)),
        World::Process(process) => {
            let judges = judges(&*process);
            (process.shaped(policy).map(|process| Scene::new(named, process, None)), judges)
        }
        World::Fleet(fleet) => {
            let small = small_of(policy, fleet.policy().elapsed_max).check();
            let under = small.ok().and_then(|small| fleet.under(&small));
            if fleet.is_herd() {
                (under.map(|fleet| Scene::herd(named, fleet)), vec!["L2q"])
            } else {
                (under.map(|fleet| Scene::new(named, fleet, None)), judges(&*fleet))
            }
        }
    };
    Some(built.unwrap_or_else(|| Scene::unbuilt(named, judges)))
}

/// The longest that a value iteration may be away from the truth, as a share of it.
const PRECISION: f64 = 1e-6;

fn expected(fleet: &Fleet, limit: Limit) -> Result<Vec<Finding>, Stopped> {
    let graph = explore(fleet, limit)?;
    let begun = Instant::now();
    let found = graph.expected(Fleet::all_online, Fleet::ticks, Case::Worst, PRECISION);
    let numbers = match found {
        Expected { converged: false, lower, .. } => format!("not computed: at least {lower:.1} ticks"),
        Expected { upper, .. } if upper.is_infinite() => "never, in the worst of orders".to_owned(),
        Expected { upper, .. } => format!("all online after {upper:.1} ticks in the mean, in the worst of orders"),
    };
    let judged = Finding {
        model: fleet.name(),
        claim: "L2q",
        witness: false,
        states: graph.states(),
        transitions: graph.transitions(),
        bytes: graph.bytes(),
        seconds: graph.seconds(),
        judged: begun.elapsed().as_secs_f64(),
        holds: found.converged && found.upper.is_finite(),
        story: None,
        numbers: Some(numbers),
    };
    let witnesses = fleet.claims().into_iter().filter(|claim| claim.judges().is_none());
    Ok([judged].into_iter().chain(witnesses.map(|claim| claim::judge(fleet, &graph, &claim))).collect())
}

/// The small policy of a fleet that is on the same side of the limit as the user's: one whose dials fit into the
/// server's capacity if theirs do, one whose dials do not if theirs do not.
fn small_of(policy: &Policy, elapsed_max: Span) -> Policy {
    let fits = fits(policy);
    let small = match (reduce::has_hard_ceiling(policy), fits) {
        (true, true) => hard(4),
        (true, false) => hard(2),
        (false, true) => growing(elapsed_max.as_millis()),
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
    let processes = pacing::bug::Bug::ALL.into_iter().filter_map(|bug| {
        let world = pacing::seeded(bug)?;
        let named = named(match (world.name, world.places) {
            ("endpoint_set", _) => "second-is-good",
            ("short_memory", _) => "short-memory",
            (_, 1) => "process-of-1",
            _ => "process-of-2",
        })?;
        let dials = if world.policy.max_dials > 1 { ", two dials at once" } else { "" };
        let seed = Seed {
            world: format!("{}{dials}", named.title),
            ..Seed::of(&bug, bug.about(), bug.breaks().name(), "model/src/pacing/bug.rs")
        };
        Some(Scene::new(named, world, Some(seed)))
    });
    let pools = worlds::bug::Bug::ALL.into_iter().filter_map(|bug| {
        let world = worlds::seeded(bug)?;
        let seed = Seed::of(&bug, bug.about(), bug.breaks().name(), "model/src/worlds/bug.rs");
        Some(Scene::new(titled(world.name)?, world, Some(seed)))
    });
    let fleets = fleet::world::Bug::ALL.into_iter().filter_map(|bug| {
        let (count, policy, server) = bug.shows();
        let (kind, _) = SERVERS.into_iter().find(|(_, known)| *known == server)?;
        let fleet = Fleet::new(count, &policy.check().ok()?, server)?;
        let seed = Seed::of(&bug, bug.about(), "L2", "model/src/fleet/world.rs");
        Some(Scene::new(titled(&format!("{count} processes, a server that {kind}"))?, fleet, Some(seed)))
    });
    processes.chain(pools).chain(fleets).collect()
}

/// `DialPerIdleLink` as `dial per idle link`.
fn words(bug: &impl std::fmt::Debug) -> String {
    let mut words = String::new();
    for letter in format!("{bug:?}").chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named::WORLDS;

    #[test]
    fn every_world_that_has_a_name_is_checked() {
        let checked = [names(Level::Quick), names(Level::Full)].concat();
        assert!(checked.iter().all(|name| named(name).is_some()), "{checked:?}");
        assert!(WORLDS.iter().all(|world| checked.contains(&world.name)));
    }

    #[test]
    fn every_seeded_bug_has_the_row_of_its_property_in_its_world() {
        for level in [Level::Quick, Level::Full] {
            let (seeded, worlds): (Vec<_>, Vec<_>) =
                of(&Policy::default(), level).into_iter().partition(|scene| scene.seed.is_some());
            let all = pacing::bug::Bug::ALL.len() + worlds::bug::Bug::ALL.len() + fleet::world::Bug::ALL.len();
            // Two of the preferred standby and one of the idle asker, worlds of the full level.
            let larger = if level == Level::Quick { 3 } else { 0 };
            assert_eq!(seeded.len(), all - larger + sweeps::seeds(level).len());
            for (scene, seed) in seeded.iter().filter_map(|scene| Some((scene, scene.seed.as_ref()?))) {
                let judged = |world: &Scene| world.world == scene.world && world.judges.contains(&seed.caught_by);
                assert!(worlds.iter().any(judged), "{} of {}", seed.caught_by, scene.name());
                let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(seed.source);
                assert!(source.is_file(), "{source:?}");
            }
        }
    }
}
