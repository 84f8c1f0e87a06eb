//! A run of a world is a run of the production machine: what a counterexample's file says replays, and where a seeded bug
//! lied it does not.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that meets the unforeseen has failed")]

use relink_model::{
    catalogue::{
        run::{NotIts, Run, Strayed},
        story::{Story, Tell},
    },
    check::{Counterexample, Form, Limit, Path, Verdict, explore},
    claim,
    named::{WORLDS, World},
    pacing::{self, bug::Bug as Paced},
    worlds::{
        self,
        bug::Bug as Pooled,
        world::{State, World as Pool},
    },
};

const TRIES: usize = 500;

#[test]
fn every_walk_through_a_world_replays() {
    let (mut pools, mut processes) = (0, 0);
    for named in &WORLDS {
        for seed in 1..=20 {
            match named.build().unwrap() {
                World::Pool(pool) => pools += replayed(named.name, &walk(&*pool, seed)),
                World::Process(process) => processes += replayed(named.name, &walk(&*process, seed)),
                World::Fleet(_) => {}
            }
        }
    }
    assert!(pools > 2_000 && processes > 2_000, "{pools} steps of pools, {processes} of processes");
}

/// How many steps the machine took again, as the walk says.
fn replayed(world: &str, run: &Run) -> usize {
    let mut steps = 0;
    run.replay(|_, _, _| steps += 1).unwrap_or_else(|strayed| panic!("{world}: {strayed}"));
    assert_eq!(steps, run.steps());
    // Through a file it is the same.
    let read: Run = serde_json::from_str(&serde_json::to_string(run).unwrap()).unwrap();
    assert!(read == *run, "{world}");
    steps
}

/// Any way through a world: often to its end.
fn walk<M: Tell>(world: &M, mut seed: u64) -> Run {
    let (mut steps, mut actions) = (Vec::new(), Vec::new());
    let mut state = world.init_states().remove(0);
    for _ in 0..TRIES {
        actions.clear();
        world.actions(&state, &mut actions);
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if actions.is_empty() {
            break;
        }
        // Time passes as often as half of all else together, or nothing grows old.
        let passes = actions.iter().position(|action| world.passes(action) > 0);
        let any = usize::try_from((seed >> 33) % u64::try_from(actions.len()).unwrap()).unwrap();
        let place = passes.filter(|_| seed.is_multiple_of(3)).unwrap_or(any);
        let action = actions.swap_remove(place);
        if let Some(next) = world.next_state(&state, action.clone()) {
            steps.push((state, action));
            state = next;
        }
    }
    let found = Counterexample { stem: Path { steps, last: state }, cycle: Vec::new(), component: 1 };
    world.run(&found).unwrap()
}

#[test]
fn what_a_seeded_bug_makes_of_the_pacers_steps_is_not_the_pacers() {
    let lies = [
        (Paced::DrawFromZero, true),
        (Paced::LowerFloor, true),
        (Paced::HurryOnSuccess, true),
        (Paced::FixPatience, true),
        // The run ends where the lie shows in the state, before it would in a command.
        (Paced::ForgetOverload, false),
        // These keep from the machine what it should be told: each step that was taken is its own.
        (Paced::DropTimer, false),
        (Paced::Oversleep, false),
    ];
    for (bug, lies) in lies {
        let world = pacing::seeded(bug).unwrap();
        let found = claim::check(&world, Limit::default()).unwrap();
        let broken = found.into_iter().find(|one| !one.witness && one.claim == bug.breaks().name()).unwrap();
        let run = broken.story.and_then(|story| story.run).unwrap();
        match run.replay(|_, _, _| {}) {
            Err(NotIts::Pacer(Strayed::Step { .. })) if lies => {}
            Ok(_) if !lies => {}
            other => panic!("{bug:?}: {other:?}"),
        }
    }
}

#[test]
fn what_a_seeded_bug_makes_of_the_pools_steps_is_not_the_pools() {
    for bug in [Pooled::ForgetToClose, Pooled::UnobservedCommit] {
        let world = worlds::one_link(Some(bug)).unwrap();
        let graph = explore(&world, Limit::default()).unwrap();
        let Verdict::Falsified(found) =
            graph.judge(&Form::Always(|_: &Pool, state: &State| state.ghost.broken.is_none()))
        else {
            panic!("{bug:?} is not found")
        };
        let run = Story::of(&world, &found).run.unwrap();
        let strayed = run.replay(|_, _, _| {}).unwrap_err();
        assert!(strayed.to_string().contains("and the machine commands"), "{bug:?}: {strayed}");
    }
}
