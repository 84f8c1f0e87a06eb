//! Storm and SPIN, which share no code with this crate, say of the fleets what our checker says, and SPIN says it of
//! processes as well.
//!
//! `./tests/run independent` installs both and runs this. Without `RELINK_STORM` (a Python that has stormpy) and `spin`
//! each test says that it was skipped; with `RELINK_STORM` set, nothing is skipped.

#![expect(clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

use std::{env, ffi::OsString, fs, fs::File, io::BufWriter, path::Path, path::PathBuf, process::Command};

use relink::{Backoff, Fault, Policy, Span};
use relink_model::{
    check::{Case, Chance, Form, Graph, Limit, explore},
    claim::Claims,
    export::{self, OF_A_FLEET, OF_A_PROCESS, Questions},
    fleet::{
        Fleet,
        server::Server,
        world::{
            Bug, QUEUE, RECOVERS, SERVERS, collapses, growing, hard, rejects, with_fixed_patience, without_jitter,
        },
    },
    pacing::{self, world::World},
};

fn fleet(count: usize, policy: Policy, server: Server) -> Fleet {
    let policy = policy.check().expect("the reduced policy is valid");
    Fleet::new(count, &policy, server).expect("a process of a reduced policy has few states")
}

fn graph(fleet: &Fleet) -> Graph<'_, Fleet> {
    explore(fleet, Limit::default()).expect("it fits")
}

fn room(name: &str) -> PathBuf {
    let room = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&room).expect("the target directory is ours");
    room
}

fn create(path: &Path) -> BufWriter<File> {
    BufWriter::new(File::create(path).expect("the target directory is ours"))
}

fn output(command: &mut Command) -> String {
    let output = command.output().expect("the tool starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// The Python that has stormpy.
fn storm() -> Option<OsString> {
    let python = env::var_os("RELINK_STORM");
    if python.is_none() {
        println!("skipped: no RELINK_STORM names a Python with stormpy; ./tests/run independent installs one");
    }
    python
}

struct Found {
    states: usize,
    /// How likely the adversary can keep a fleet from recovering.
    lost: f64,
    ticks: f64,
}

fn asked_of_storm(python: &OsString, name: &str, fleet: &Fleet) -> Found {
    let (file, graph) = (room("storm").join(format!("{name}.drn")), graph(fleet));
    export::storm(fleet, &graph, &OF_A_FLEET, &mut create(&file)).expect("it is written");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/storm.py");
    let said = output(Command::new(python).arg(script).arg(&file));
    let numbers: Vec<f64> = said.lines().filter_map(|line| line.parse().ok()).collect();
    let [states, _, lost, ticks] = *numbers.as_slice() else { panic!("Storm said {said}") };
    assert_eq!(states.to_string(), graph.states().to_string(), "{name}");
    Found { states: graph.states(), lost, ticks }
}

#[test]
fn storm_says_of_every_fleet_whether_it_recovers_almost_surely() {
    let Some(python) = storm() else { return };
    let right = SERVERS.map(|(name, server)| (name, 2, growing(8), server));
    let wrong = [
        ("no jitter", 2, without_jitter(growing(8)), collapses(Fault::TimedOut)),
        ("hard ceiling of 2", 3, hard(2), rejects(1, 1, 8)),
        ("hard ceiling of 1", 3, hard(1), rejects(2, 1, 8)),
        ("fixed patience", 3, with_fixed_patience(hard(1)), QUEUE),
        ("growing patience", 3, hard(1), QUEUE),
    ];
    let mut broken = 0;
    for (name, count, policy, server) in right.into_iter().chain(wrong) {
        let fleet = fleet(count, policy, server);
        let holds = graph(&fleet).judge(&RECOVERS).holds();
        let found = asked_of_storm(&python, name, &fleet);
        println!("{name}: {} states, lost with probability {}", found.states, found.lost);
        assert_eq!(found.lost < 1e-6, holds, "{name}");
        broken += usize::from(!holds);
    }
    assert_eq!(broken, 3);
}

#[test]
fn storm_finds_the_same_worst_case_times() {
    let Some(python) = storm() else { return };
    let classic = |backoff| {
        let mut policy = growing(8);
        policy.backoff = backoff;
        policy
    };
    let (base, cap) = (Span::from_millis(1), Span::from_millis(4));
    let herds = [
        ("relink", 3, growing(8), rejects(1, 1, 8)),
        ("relink of four", 4, growing(8), rejects(2, 1, 8)),
        ("full jitter", 3, classic(Backoff::FullJitter { base, cap }), rejects(1, 1, 8)),
        ("equal jitter", 3, classic(Backoff::EqualJitter { base, cap }), rejects(1, 1, 8)),
        ("metastable", 3, hard(2), rejects(1, 1, 32)),
        ("metastable of four", 4, hard(1), rejects(2, 1, 32)),
        ("collapse", 3, growing(8), collapses(Fault::TimedOut)),
        ("queue", 3, growing(8), QUEUE),
        ("lost", 3, hard(1), rejects(1, 1, 8)),
    ];
    for (name, count, policy, server) in herds {
        let fleet = fleet(count, policy, server).herd();
        let ours = graph(&fleet).expected(Fleet::all_online, Fleet::ticks, Case::Worst, 1e-6);
        let found = asked_of_storm(&python, name, &fleet);
        println!("{name}: {} states, {} ticks, ours {} to {}", found.states, found.ticks, ours.lower, ours.upper);
        assert!(ours.converged);
        let same = if ours.lower.is_infinite() {
            found.ticks.is_infinite()
        } else {
            // Storm stops once a sweep changes less than 10⁻⁶ of a value.
            found.ticks > ours.lower * 0.999 && found.ticks < ours.upper * 1.001
        };
        assert!(same, "{name}");
    }
}

/// What our checker and SPIN both have to say.
#[derive(Debug, PartialEq)]
struct Said {
    states: usize,
    /// Whatever the coins do.
    recovers: bool,
    /// Nothing, where nothing is asked of every state.
    safe: Option<bool>,
}

fn spin_is_there() -> bool {
    let there = Command::new("spin").arg("-V").output().is_ok();
    if !there {
        assert!(env::var_os("RELINK_STORM").is_none(), "spin is not there");
        println!("skipped: there is no spin; ./tests/run independent installs it");
    }
    there
}

fn asked_of_spin<M: Chance>(name: &str, model: &M, ask: &Questions<M>) -> Said {
    let room = room(&format!("spin {name}"));
    let graph = explore(model, Limit::default()).expect("it fits");
    let [mut text, mut tables] = ["fleet.pml", "tables.h"].map(|file| create(&room.join(file)));
    export::spin(model, &graph, ask, "tables.h", &mut text, &mut tables).expect("it is written");
    drop((text, tables));
    output(Command::new("spin").args(["-a", "fleet.pml"]).current_dir(&room));
    // A path is never longer than the states of the graph and of the claim's automaton, each in two rounds.
    let depth = format!("-m{}", graph.states() * 8 + 1_000);
    let compile = |defined: &str| {
        output(Command::new("cc").args(["-O1", "-w", defined, "-o", "pan", "pan.c"]).current_dir(&room));
    };
    let pan = |asked: &[&str]| {
        let said = output(Command::new(room.join("pan")).arg(&depth).args(asked).current_dir(&room));
        assert!(!said.contains("max search depth too small") && !said.contains("out of memory"), "{said}");
        said
    };
    compile("-DNOCLAIM");
    // Where a law is broken nothing happens any more: that is no mistake of the text.
    let explored = pan(&["-E"]);
    let states = explored.lines().find_map(|line| line.trim().strip_suffix(" states, stored"));
    let states: usize = states.and_then(|states| states.trim().parse().ok()).expect("SPIN counts its states");
    compile("-UNOCLAIM");
    let holds = |claim: &str| pan(&["-a", "-N", claim]).contains("errors: 0");
    // SPIN's own first state, before the model's, is one more.
    Said { states: states - 1, recovers: holds("recovers"), safe: ask.safe.map(|_| holds("safe")) }
}

#[test]
fn spin_says_of_every_fleet_whether_it_recovers_whatever_the_coins_do() {
    if !spin_is_there() {
        return;
    }
    let (_, unjittered, collapse) = Bug::NoJitter.shows();
    let enough = Server::Collapses { capacity: 2, fault: Fault::Overloaded };
    let fleets = [
        ("sheds", fleet(2, growing(8), Server::sheds(1))),
        ("rejects", fleet(2, growing(8), rejects(1, 1, 8))),
        ("collapses", fleet(2, growing(8), collapses(Fault::TimedOut))),
        ("no jitter", fleet(2, unjittered.clone(), collapse)),
        ("no jitter, room for all", fleet(2, unjittered, enough)),
        ("hard ceiling, a herd", fleet(3, hard(1), rejects(1, 1, 8)).herd()),
        ("queues", fleet(2, growing(8), QUEUE)),
    ];
    let mut broken = 0;
    for (name, fleet) in fleets {
        let fleet = fleet.without_coin();
        let graph = graph(&fleet);
        let ours = Said { states: graph.states(), recovers: graph.judge(&RECOVERS).holds(), safe: None };
        println!("{name}: {ours:?}");
        assert_eq!(asked_of_spin(name, &fleet, &OF_A_FLEET), ours, "{name}");
        broken += usize::from(!ours.recovers);
    }
    assert_eq!(broken, 4);
}

#[test]
fn spin_says_of_a_process_whether_it_is_safe_and_comes_back() {
    if !spin_is_there() {
        return;
    }
    let processes = [
        ("process of 1", pacing::one_endpoint(1, 1, None), (true, true)),
        // S3, after which nothing happens; and L1, which is no matter of a single state.
        ("lower floor", pacing::seeded(pacing::bug::Bug::LowerFloor), (true, false)),
        ("fix patience", pacing::seeded(pacing::bug::Bug::FixPatience), (false, true)),
    ];
    for (name, world, (recovers, safe)) in processes {
        let world = world.expect("the reduced policy is valid");
        let graph = explore(&world, Limit::default()).expect("it fits");
        let claims = world.claims();
        let judged = |is: fn(&Form<World>) -> bool| {
            claims.iter().filter(|claim| is(&claim.form)).all(|claim| graph.judge(&claim.form).holds())
        };
        let ours = Said {
            states: graph.states(),
            recovers: judged(|form| matches!(form, Form::Persists { .. })),
            safe: Some(judged(|form| matches!(form, Form::Always(_)))),
        };
        println!("{name}: {ours:?}");
        assert_eq!((ours.recovers, ours.safe), (recovers, Some(safe)), "{name}");
        assert_eq!(asked_of_spin(name, &world, &OF_A_PROCESS), ours, "{name}");
    }
}
