//! The committed diagrams are what the machines draw of themselves today.

use relink_model::diagram::{Machine, dot, mermaid};

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
