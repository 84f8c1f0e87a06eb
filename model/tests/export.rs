//! `relink export` as a user runs it: what each tool is given is the graph, and what cannot be asked is refused.
#![expect(clippy::unwrap_used, reason = "a test that meets the unforeseen has failed")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use relink_model::{
    check::{Limit, explore},
    named::{WORLDS, World, named},
};

#[test]
fn every_named_world_can_be_built_and_every_name_is_its_own() {
    for world in &WORLDS {
        assert!(world.build().is_some(), "{}", world.name);
        assert_eq!(named(world.name).unwrap().about, world.about);
    }
}

#[test]
fn prism_is_given_the_states_the_chances_and_the_costs_of_the_graph() {
    let folder = room("prism");
    let (code, out, err) = export(&["herd-rejects", "--to", "prism", "--out", folder.to_str().unwrap()]);
    assert_eq!(code, 0, "{err}");
    let Some(World::Fleet(fleet)) = named("herd-rejects").unwrap().build() else { unreachable!() };
    let graph = explore(&*fleet, Limit::default()).unwrap();
    assert!(out.contains(&format!("{} states, {} transitions", graph.states(), graph.transitions())), "{out}");

    let transitions = words(&folder.join("herd-rejects.tra"));
    let (head, lines) = transitions.split_first().unwrap();
    let mut choices: BTreeMap<(u32, u32), (f64, usize)> = BTreeMap::new();
    for line in lines {
        let [from, name, to, chance] = line.as_slice() else { panic!("{line:?}") };
        let (from, to): (u32, u32) = (from.parse().unwrap(), to.parse().unwrap());
        assert!(graph.successors(from).contains(&to), "{line:?}");
        let (sum, ways) = choices.entry((from, name.parse().unwrap())).or_default();
        *sum += chance.parse::<f64>().unwrap();
        *ways += 1;
    }
    assert_eq!(*head, [graph.states(), choices.len(), lines.len()].map(|count| count.to_string()));
    assert!(choices.values().all(|(sum, _)| (sum - 1.0).abs() < 1e-9));
    let coins = choices.values().filter(|(_, ways)| *ways > 1).count();
    assert!(coins > 50, "{coins} draws");

    // A herd is over at the first moment when all are online; every cost is a tick's.
    let labels = fs::read_to_string(folder.join("herd-rejects.lab")).unwrap();
    let of =
        |label: char| labels.lines().skip(1).filter(move |line| line.split(' ').skip(1).any(|is| is.contains(label)));
    assert_eq!((of('0').count(), of('2').count()), (1, graph.states()));
    let online = (0..).map_while(|id| graph.state(id)).filter(|state| fleet.all_online(state)).count();
    assert_eq!(of('3').count(), online);
    let rewards = words(&folder.join("herd-rejects.trew"));
    assert_eq!(rewards.first().unwrap().last(), Some(&(rewards.len() - 1).to_string()));
    assert!(rewards.iter().skip(1).all(|line| line.last().unwrap() == "1"));
}

#[test]
fn the_other_tools_get_files_that_name_each_other() {
    let folder = room("others");
    let (code, out, _) = export(&["fleet-rejects", "--to", "promela", "--out", folder.to_str().unwrap()]);
    assert_eq!(code, 0);
    assert!(out.contains("spin -a fleet-rejects.pml"), "{out}");
    let text = fs::read_to_string(folder.join("fleet-rejects.pml")).unwrap();
    assert!(text.contains("#include \"fleet-rejects.h\"") && text.contains("ltl recovers"), "{text}");
    assert!(!text.contains("ltl safe") && !out.contains("-N safe"), "{out}");
    assert!(fs::read_to_string(folder.join("fleet-rejects.h")).unwrap().contains("static const unsigned to[]"));

    let (code, out, _) = export(&["process-of-1", "--to", "promela", "--out", folder.to_str().unwrap()]);
    assert_eq!(code, 0);
    assert!(out.contains("-a -N recovers && ./pan") && out.contains("-a -N safe"), "{out}");
    assert!(fs::read_to_string(folder.join("process-of-1.pml")).unwrap().contains("ltl safe { [] safe }"));

    let (code, out, _) = export(&["process-of-1", "--to", "storm", "--out", folder.to_str().unwrap()]);
    assert_eq!(code, 0);
    assert!(out.contains("storm --explicit-drn process-of-1.drn"), "{out}");
    assert!(fs::read_to_string(folder.join("process-of-1.drn")).unwrap().starts_with("@type: MDP"));
}

#[test]
fn what_cannot_be_exported_is_refused_with_the_reason() {
    let (code, _, err) = export(&["one-link", "--to", "prism"]);
    assert_eq!(code, 2);
    assert!(err.contains("one-link is the world of a pool"), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    let (code, _, err) = export(&["herd-reject", "--to", "prism"]);
    assert_eq!(code, 2);
    assert!(err.contains("invalid value 'herd-reject'") && err.contains("'herd-rejects'"), "{err}");
    let (code, out, _) = export(&[]);
    assert_eq!(code, 0);
    assert!(WORLDS.iter().all(|world| out.contains(world.name)), "{out}");
}

fn room(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("export-{name}"))
}

fn words(file: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(file).unwrap();
    text.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

/// The exit code, standard output and standard error.
fn export(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_relink")).arg("export").args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}
