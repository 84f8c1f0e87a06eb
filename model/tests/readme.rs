//! What README says of the proof is what the catalogue says.

#![expect(clippy::expect_used, reason = "a test may fail loudly")]

use relink_model::catalogue::property::{Assumption, PROPERTIES};

const README: &str = include_str!("../../README.md");

/// The cells of the table whose first head is this.
fn table(head: &str) -> Vec<Vec<&'static str>> {
    let from = README.find(&format!("\n| {head} |")).expect("README has the table");
    let lines = README[from..].trim_start().lines().take_while(|line| line.starts_with('|'));
    lines.skip(2).map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn readme_assumes_of_every_property_what_the_catalogue_assumes() {
    let told: Vec<(&str, &str)> = table("property")
        .iter()
        .flat_map(|row| row[0].split(", ").map(|id| (id, row[2])).collect::<Vec<_>>())
        .collect();
    let mut known: Vec<(&str, String)> =
        PROPERTIES.iter().map(|property| (property.id, property.assumption.letter().to_string())).collect();
    let place = |id: &str| told.iter().position(|(told, _)| *told == id);
    known.sort_by_key(|(id, _)| place(id));
    assert_eq!(told, known.iter().map(|(id, letter)| (*id, letter.as_str())).collect::<Vec<_>>());
    for assumption in Assumption::ALL {
        let line = format!("\n- {}: {}\n", assumption.letter(), assumption.text());
        assert!(README.contains(&line), "README does not say{line}");
    }
}

/// A number as README writes it: `1 792 816`.
fn told(number: usize) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned());
    groups.collect::<Vec<_>>().join(" ")
}

/// Every number with a thousand's mark in the calls of that helper in a test's source, as the tests pin them.
fn pinned(source: &str, helper: &str) -> Vec<usize> {
    let call = format!("{helper}(");
    // A classic backoff, and a world that is made smaller for the test, are not in the table.
    let shipped = |line: &&str| !line.contains("classic(") && !line.contains("world.map(");
    let calls = source.lines().filter(|line| line.trim_start().starts_with(&call)).filter(shipped);
    let numbers = calls.flat_map(|line| line.split(|letter: char| letter != '_' && !letter.is_ascii_digit()));
    numbers.filter(|number| number.contains('_')).filter_map(|number| number.replace('_', "").parse().ok()).collect()
}

#[test]
fn readme_tells_the_states_that_the_tests_pin() {
    let cells: Vec<String> = table("world").iter().map(|row| row[2].to_owned()).collect();
    let numbers = || cells.iter().flat_map(|cell| cell.split(|letter: char| letter != ' ' && !letter.is_ascii_digit()));
    let has = |states: usize| {
        let told = told(states);
        assert!(numbers().any(|number| number.trim() == told), "README does not tell {told}: {cells:?}");
    };
    let pools = pinned(include_str!("worlds.rs"), "holds");
    let processes = pinned(include_str!("pacing.rs"), "holds");
    assert!(pools.len() >= 8 && processes.len() >= 7, "{pools:?}, {processes:?}");
    pools.into_iter().chain(processes).for_each(has);
    // Of the fleets of the quick level the smallest and the largest.
    let fleets = pinned(include_str!("fleet.rs"), "every_fleet_recovers");
    let quick = fleets.get(..12).expect("two and three processes, six servers each");
    [quick.iter().min(), quick.iter().max()].into_iter().flatten().copied().for_each(has);
}
