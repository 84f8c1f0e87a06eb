//! The committed diagrams are what the machines draw of themselves today.

use relink_model::diagram::{Machine, dot, mermaid, svg};

#[test]
fn the_diagrams_are_up_to_date() {
    insta::assert_snapshot!("link_mermaid", mermaid(Machine::Link));
    insta::assert_snapshot!("pacer_mermaid", mermaid(Machine::Pacer));
    insta::assert_snapshot!("link_dot", dot(Machine::Link));
    insta::assert_snapshot!("pacer_dot", dot(Machine::Pacer));
}

#[test]
fn the_readme_shows_the_diagram_of_today() {
    let readme = include_str!("../../README.md");
    let drawing = mermaid(Machine::Link);
    assert!(readme.contains(&drawing), "put this into README.md:\n{drawing}");
}

#[test]
fn a_diagram_fits_on_one_screen() {
    for machine in [Machine::Link, Machine::Pacer] {
        let edges = mermaid(machine).lines().filter(|line| line.contains("-->")).count();
        assert!((5..=30).contains(&edges), "{machine:?} has {edges} edges");
    }
}

#[test]
fn every_state_has_its_place_in_the_picture_and_every_event_its_arrow() {
    for machine in [Machine::Link, Machine::Pacer] {
        let (text, picture) = (dot(machine), svg(machine).expect("it is laid out"));
        let declared = text.lines().filter(|line| line.contains("shape=box")).count();
        // Boxes and arrows.
        assert_eq!(picture.matches("<rect").count(), declared, "{machine:?}");
        assert_eq!(picture.matches("<path").count(), text.matches(" -> ").count(), "{machine:?}");
        for edge in text.lines().filter_map(|line| line.split_once(" -> ")) {
            let named = |name: &str| text.contains(&format!("    {name} [shape="));
            let (from, rest) = (edge.0.trim(), edge.1);
            assert!(named(from) && named(rest.split(' ').next().unwrap_or(rest)), "{from} -> {rest}");
            let events = rest.split('"').nth(1).unwrap_or_default().split("\\n");
            assert!(events.clone().all(|event| picture.contains(event)), "{rest}");
        }
    }
}
