//! The whole transition table, cell by cell, by running the step functions. A changed cell is a visible diff.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a test says what it expects by failing, and drives the machines with small numbers"
)]

mod machines;

use std::fmt::Write as _;

use machines::{named_link_events, named_link_states, pacer_events, pacer_runs, policy, run_pacer};
use relink::{
    Time,
    link::Link,
    pacer::{self, Pacer},
    policy::Checked,
};

#[test]
fn every_cell_of_the_link_is_as_reviewed() {
    let policy = policy(|_| {});
    let states = named_link_states(&policy);
    let mut table =
        String::from("Now is 50s. An event with a * names another dial, lease or question than the state has.\n");
    let mut cells = 0;
    for (name, link) in &states {
        let _ = writeln!(table, "\n{name}: {}", plain(link));
        for (what, event) in named_link_events(link) {
            cells += 1;
            let (next, command) = link.step(&policy, Time::from_millis(50_000), event);
            let next = if next == *link { "-".into() } else { plain(&next) };
            let command = command.map_or(String::new(), |command| format!("; {}", plain(&command)));
            let _ = writeln!(table, "  {what:<24} -> {next}{command}");
        }
    }
    assert_eq!(cells, states.len() * named_link_events(&Link::Idle).len());
    assert_eq!(table.lines().filter(|line| line.contains(" -> ")).count(), cells, "no cell is missing");
    insta::assert_snapshot!("link", table);
}

#[test]
fn every_state_and_every_event_of_the_link_has_its_cells() {
    let policy = policy(|_| {});
    let first = |text: String| text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned();
    let names = |all: Vec<String>| all.into_iter().map(first).collect::<std::collections::BTreeSet<_>>();
    let states = names(named_link_states(&policy).iter().map(|(_, link)| format!("{link:?}")).collect());
    let events = names(named_link_events(&Link::Idle).iter().map(|(_, event)| format!("{event:?}")).collect());
    // A new variant does not compile in `machines::rename_link` and `rename_event`; here it gets its cells.
    assert_eq!((states.len(), events.len()), (11, 27), "{states:?} {events:?}");
}

#[test]
fn every_cell_of_the_pacer_is_as_reviewed() {
    let policy = policy(|policy| policy.max_dials = 2);
    let runs = pacer_runs();
    let mut table = String::from("Endpoint 0 of two, chance one half; waits from now on.\n");
    let mut cells = 0;
    for (name, run) in &runs {
        let (pacer, now) = run_pacer(&policy, Time::from_millis(1_000), run);
        let _ = writeln!(table, "\n{name}: {}", shown(&pacer, &policy, now));
        for event in pacer_events(&pacer) {
            cells += 1;
            let (next, command) = pacer.step(&policy, now, event, u64::MAX / 2);
            let after = shown(&next, &policy, now);
            let after = if next == pacer { "-".into() } else { after };
            let command = command.map_or(String::new(), |pacer::Command::Dial { deadline, .. }| {
                format!("; Dial, at most {}", deadline - now)
            });
            let _ = writeln!(table, "  {:<32} -> {after}{command}", plain(&event));
        }
    }
    assert_eq!(cells, runs.len() * pacer_events(&Pacer::new(2)).len());
    insta::assert_snapshot!("pacer", table);
}

#[test]
fn every_phase_of_the_pacer_is_there() {
    let policy = policy(|policy| policy.max_dials = 2);
    for (name, run) in pacer_runs() {
        let (pacer, _) = run_pacer(&policy, Time::from_millis(1_000), &run);
        let phase = format!("{:?}", pacer.phase(0)).to_lowercase();
        assert!(name.starts_with(&phase), "{name} is {phase}");
    }
}

/// What of a pacer a reviewer wants to see change.
fn shown(pacer: &Pacer, policy: &Checked, now: Time) -> String {
    let wait = pacer.not_before(0) - now;
    let settles = pacer.settles_at().map_or(String::from("never"), |at| (at - now).to_string());
    let window = |field: &str| field_of(&format!("{pacer:?}"), field);
    let over = window("over").trim_start_matches("Span(").trim_end_matches(')').to_owned();
    format!(
        "{:?}, wait {wait}, over {over}ms, age {}, settles {settles}, allowed {}, doublings {}, online {}, dialing {}, held {}",
        pacer.phase(0),
        pacer.age(policy),
        window("allowed"),
        window("doublings"),
        pacer.online_at(0),
        pacer.in_flight(0),
        window("held"),
    )
}

/// The first field of that name: that of endpoint 0.
fn field_of(debug: &str, field: &str) -> String {
    let (_, rest) = debug.split_once(&format!(" {field}: ")).expect("a field of that name");
    rest.split([',', ' ']).next().unwrap_or_default().trim_end_matches('}').to_owned()
}

/// Debug without the noise.
fn plain(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    let text = text.replace("Time(18446744073709551615)", "never").replace("topology", "generation");
    let text = text.replace(&format!("{:?}", machines::DIAL), "d").replace(&format!("{:?}", machines::OTHER), "d*");
    let text =
        text.replace(&format!("{:?}", machines::LEASE), "l").replace(&format!("{:?}", machines::OTHER_LEASE), "l*");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("Time(") {
        let (ms, tail) = after.split_once(')').expect("a whole time");
        let _ = write!(out, "{before}{ms}ms");
        rest = tail;
    }
    out + rest
}
