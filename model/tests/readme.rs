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
