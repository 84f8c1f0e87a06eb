//! The catalogue: every property by its name, the worlds in which it is checked, and what was found.
//!
//! [`check`] takes a user's policy. Its own numbers are held against every rule first; the worlds of states then use a
//! small policy of the same shape ([`crate::reduce`]), and whatever rests on the numbers themselves (the size of the fleet,
//! the bounds) is computed from them as they are.

mod page;
pub mod policies;
pub mod property;
pub mod report;
pub mod run;
pub mod scenes;
pub mod story;
mod sweeps;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use relink::{
    Policy, Validate,
    policy::{Assume, PolicyError},
};

use crate::{
    bounds,
    check::{Limit, Stopped},
    claim::Finding,
    reduce,
};
use property::{PROPERTIES, Property, catalogued, property};
use report::{Level, Report, Row, Seeded, Verdict};
use scenes::{Scene, Seed, Unknown};

/// What to check.
#[derive(Clone, Debug)]
pub struct Options {
    /// How much.
    pub level: Level,
    /// Whether every seeded bug is put in as well.
    pub seeded: bool,
    /// Only these properties; all of them if empty.
    pub only: Vec<&'static str>,
    /// How much memory may be taken, by all the worlds that are explored at once. One that does not fit beside the others is
    /// explored again alone; one that does not fit alone is open.
    pub limit: Limit,
    /// How many worlds are explored at once.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Self { level: Level::Quick, seeded: false, only: Vec::new(), limit: Limit::default(), threads }
    }
}

/// How far a check is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Worlds in all, those with a seeded bug included.
    pub worlds: usize,
    /// Worlds that are done.
    pub done: usize,
    /// The world that is begun.
    pub world: String,
}

/// Checks a policy against every property.
///
/// # Errors
/// When the policy breaks a rule: nothing is explored.
pub fn check(policy: &Policy, options: &Options, progress: &(dyn Fn(Progress) + Sync)) -> Result<Report, PolicyError> {
    policy.clone().check()?;
    let wanted = |id: &str| options.only.is_empty() || options.only.contains(&id);
    let mut scenes = scenes::of(policy, options.level);
    scenes.retain(|scene| match scene.seed {
        Some(ref seed) => options.seeded && wanted(seed.caught_by),
        None => scene.judges.iter().any(|id| wanted(id)),
    });
    let findings = explore(&scenes, options, progress);
    let mut rows: Vec<Row> = Vec::new();
    for (scene, found) in scenes.iter().zip(&findings) {
        let found = match found {
            Ok(found) => found,
            Err(why) => {
                rows.extend(open(scene, *why).filter(|row| wanted(&row.id)));
                continue;
            }
        };
        match &scene.seed {
            None => rows.extend(judged(scene, found).into_iter().filter(|row| wanted(&row.id))),
            Some(seed) => {
                let here = |row: &Row| row.id == seed.caught_by && row.world == scene.world;
                let place = rows.iter().position(here).or_else(|| rows.iter().position(|row| row.id == seed.caught_by));
                if let Some(row) = place.and_then(|place| rows.get_mut(place)) {
                    row.seeded.push(caught(scene, seed, found));
                }
            }
        }
    }
    for known in PROPERTIES.iter().filter(|known| wanted(known.id)) {
        if rows.iter().all(|row| row.id != known.id) {
            let reason = Some("no world judges it at this level".to_owned());
            rows.push(Row { reason, ..Row::of(known, "-") });
        }
    }
    if let Some(told) = beyond_the_fleet(policy) {
        rows.iter_mut()
            .filter(|row| row.id == "L2" && row.verdict == Verdict::Falsified)
            .for_each(|row| row.reason = Some(told.clone()));
    }
    let place = |row: &Row| PROPERTIES.iter().position(|known| known.id == row.id);
    rows.sort_by_key(place);
    let judged = scenes.iter().filter(|scene| scene.seed.is_none());
    let reduced = policies::reduced(judged.filter_map(|scene| Some((scene.world.as_str(), scene.policy.as_ref()?))));
    Ok(Report::new(policy.clone(), options.level, reduced, rows, not_proved(policy, options.level)))
}

/// Explores every scene, each by one thread, the largest of their kind as they come.
fn explore(
    scenes: &[Scene],
    options: &Options,
    progress: &(dyn Fn(Progress) + Sync),
) -> Vec<Result<Vec<Finding>, Unknown>> {
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let found = Mutex::new(BTreeMap::new());
    let threads = options.threads.max(1);
    let share = Limit { bytes: options.limit.bytes / threads };
    let work = || {
        while let Some((place, scene)) = scenes.iter().enumerate().nth(next.fetch_add(1, Ordering::Relaxed)) {
            let world = scene.name();
            progress(Progress { worlds: scenes.len(), done: done.load(Ordering::Relaxed), world });
            let result = (scene.explore)(share);
            done.fetch_add(1, Ordering::Relaxed);
            found.lock().unwrap_or_else(PoisonError::into_inner).insert(place, result);
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let alone = |(scene, result): (&Scene, Result<Vec<Finding>, Unknown>)| match result {
        Err(Unknown::Stopped(Stopped::Memory { .. })) if share != options.limit => (scene.explore)(options.limit),
        _ => result,
    };
    scenes.iter().zip(found.into_values()).map(alone).collect()
}

/// The rows of a world of which nothing is known; with a mistake in it, of the property that was to find it.
fn open(scene: &Scene, why: Unknown) -> impl Iterator<Item = Row> {
    let judges = scene.seed.as_ref().map_or_else(|| scene.judges.clone(), |seed| vec![seed.caught_by]);
    let (world, explore) = (scene.name(), scene.explored.map(str::to_owned));
    judges.into_iter().filter_map(property).map(move |known| {
        let reason = Some(why.to_string());
        Row { explore: explore.clone(), reason, ..Row::of(known, &world) }
    })
}

/// What a world with a mistake in it has shown.
fn caught(scene: &Scene, seed: &Seed, found: &[Finding]) -> Seeded {
    let broken = || found.iter().filter(|one| !one.holds);
    let mut caught_by: Vec<String> = broken().map(|one| catalogued(one.claim).to_owned()).collect();
    caught_by.dedup();
    Seeded {
        bug: seed.bug.clone(),
        about: seed.about.to_owned(),
        caught_by,
        world: if seed.world.is_empty() { scene.world.clone() } else { seed.world.clone() },
        source: seed.source.to_owned(),
        story: broken().find(|one| catalogued(one.claim) == seed.caught_by).and_then(|one| one.story.clone()),
    }
}

/// A row for each property that a world judges.
fn judged(scene: &Scene, found: &[Finding]) -> Vec<Row> {
    // Beside its witnesses a world may have conditions of its own, without which its verdicts would say nothing.
    let condition = |one: &&Finding| one.witness || property(catalogued(one.claim)).is_none();
    let unreached: Vec<&str> = found.iter().filter(condition).filter(|one| !one.holds).map(|one| one.claim).collect();
    let row = |known: &'static Property| -> Option<Row> {
        let of_it: Vec<&Finding> =
            found.iter().filter(|one| !one.witness && catalogued(one.claim) == known.id).collect();
        let first = of_it.first()?;
        let broken = of_it.iter().find(|one| !one.holds);
        let vain = (!unreached.is_empty()).then(|| format!("holds in vain: {}", unreached.join(", ")));
        Some(Row {
            states: first.states,
            transitions: first.transitions,
            bytes: first.bytes,
            explored: first.seconds,
            seconds: first.seconds + of_it.iter().map(|one| one.judged).sum::<f64>(),
            verdict: if broken.is_some() { Verdict::Falsified } else { Verdict::Holds },
            reason: vain.or_else(|| first.numbers.clone()),
            witness: unreached.is_empty(),
            explore: scene.explored.map(str::to_owned),
            story: broken.and_then(|one| one.story.clone()).map(|story| story.named(known.id, &scene.world)),
            ..Row::of(known, &scene.world)
        })
    };
    scene.judges.iter().filter_map(|id| property(id)).filter_map(row).collect()
}

/// What to say where the assumed fleet is too large for the policy: its worlds are then as overloaded as it.
fn beyond_the_fleet(policy: &Policy) -> Option<String> {
    let most = bounds::fleet_max(&policy.clone().check().ok()?)?;
    let clients = policy.assume.clients.filter(|clients| u64::from(*clients) >= most)?;
    Some(format!(
        "[assume] clients = {clients}, and from {most} on (B5) refusing this fleet's dials takes all that the server has; \
         raise kcap, cap0 or capd, or have fewer processes"
    ))
}

/// What the verdicts do not say.
fn not_proved(policy: &Policy, level: Level) -> Vec<String> {
    let mut lines = reduce::told(policy);
    let Assume { clients, capacity_per_s, reject_cost, .. } = policy.assume;
    if clients.is_none() || capacity_per_s.is_none() || reject_cost.is_none() {
        let missing = "L2 for a fleet of your size: [assume] clients, slots, capacity_per_s and reject_cost state it";
        lines.push(missing.to_owned());
    }
    if let Some(spread) = policy.clone().check().ok().as_ref().and_then(bounds::spread) {
        let spread = Duration::from_millis(spread.as_millis());
        lines.push(format!(
            "L2 for dials that take long to arrive: it assumes less than (hi − lo)·W⁺, the spread of the longest wait, which is \
             {spread:?} with your numbers; in the worlds they arrive at once"
        ));
    }
    if policy.validate == Validate::Stale {
        let unasked = "L3 for a session that is lent unasked because it was in use within stale_after: it may be on the old primary \
                       until a statement shows it";
        lines.push(unasked.to_owned());
    }
    lines.extend(
        [
            "the adapter, the parsers of the protocol and the driver's client are tested, not proved",
            "more than two places, three endpoints or four processes; lifetimes and idle retirement",
            "probabilities: almost surely says nothing of how soon, and the expected times are those of the small policy",
            "that a kernel, a clock or a runtime keeps its promises: a due timeout is assumed to be delivered",
        ]
        .map(str::to_owned),
    );
    lines.extend(sweeps::left_out(level));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named::named;

    #[test]
    fn a_world_that_cannot_be_built_is_a_row_that_is_open() {
        let scene = Scene::unbuilt(named("one-link").unwrap(), vec!["S1", "L1"]);
        assert_eq!((scene.explore)(Limit::default()), Err(Unknown::Unbuilt));
        let rows: Vec<Row> = open(&scene, Unknown::Unbuilt).collect();
        let told: Vec<_> = rows.iter().map(|row| (row.id.as_str(), row.world.as_str(), row.verdict)).collect();
        assert_eq!(told, [("S1", "one link", Verdict::Open), ("L1", "one link", Verdict::Open)]);
        assert!(
            rows.iter().all(|row| row.reason.as_deref() == Some("there is no such world for a policy of this shape"))
        );
    }
}
