//! `relink replay` as a user runs it: a run that is the machine's, one that is not, and what is no record at all.
#![expect(clippy::unwrap_used, reason = "a test that meets the unforeseen has failed")]

use std::{fs, path::PathBuf, process::Command};

use relink::{
    DialId, Fault, LeaseId, Policy, Span, Time,
    adapter::{Record, Step},
    pool::{self, Event, Pool},
};

#[test]
fn a_run_of_the_machine_replays_and_can_be_told() {
    let (code, out, _) = replay("run", &run(), &["--story"]);
    assert_eq!(code, 0);
    assert!(out.contains("replays: 5 steps of 2.004 s, 3 dials; at the end: sessions 1, still in an outage"), "{out}");
    assert!(out.contains("2000 ms  Elapsed"), "{out}");
}

#[test]
fn the_first_step_that_is_not_the_machines_is_shown() {
    let mut changed = run();
    changed.steps.get_mut(3).unwrap().commands.clear();
    let (code, out, err) = replay("changed", &changed, &[]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("step 3: Elapsed at 2000 ms commanded nothing, and the machine commands [Dial"), "{err}");
}

#[test]
fn what_is_no_record_is_refused_with_one_line() {
    let mut empty_set = run();
    empty_set.endpoints = 9;
    let (code, _, err) = replay("nine", &empty_set, &[]);
    assert_eq!(code, 2);
    assert!(err.contains("names 9 endpoints, and a set has 1 to 8"), "{err}");
    let mut impossible = run();
    impossible.policy.w0 = Span::ZERO;
    let (code, _, err) = replay("impossible", &impossible, &[]);
    assert_eq!(code, 2);
    assert!(err.contains("w0"), "{err}");
    let (code, _, err) = replay_text("text", "what?", &[]);
    assert_eq!(code, 2);
    assert!(err.contains("is no record of a run"), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
}

/// A pool that is refused, dials again when it is time, and serves the one who waits.
fn run() -> Record {
    let policy = Policy::default();
    let checked = policy.clone().check().unwrap();
    let mut record = Record { policy, endpoints: 1, steps: Vec::new() };
    let mut machine = Pool::new(&checked, 1);
    let mut tell = |now: u64, event: Event| {
        let (now, chance, mut commands) = (Time::from_millis(now), u64::MAX / 3, Vec::new());
        machine.step(&checked, now, event, chance, &mut commands);
        record.steps.push(Step { now, event, chance, commands: commands.clone() });
        commands
    };
    let (slot, dial) = dial(&tell(0, Event::Resumed));
    tell(5, Event::Asked { lease: LeaseId(1), deadline: Time::from_millis(10_000) });
    tell(9, Event::DialFailed { slot, dial, fault: Fault::Refused });
    let (slot, dial) = self::dial(&tell(2_000, Event::Elapsed));
    tell(2_004, Event::Dialed { slot, dial });
    record
}

fn dial(commands: &[pool::Command]) -> (u16, DialId) {
    let dial = commands.iter().find_map(|command| match command {
        pool::Command::Dial { slot, dial } => Some((*slot, *dial)),
        pool::Command::Link { .. } | pool::Command::Grant { .. } => None,
        pool::Command::Refuse { .. } | pool::Command::Report { .. } => None,
    });
    dial.unwrap()
}

fn replay(name: &str, record: &Record, more: &[&str]) -> (i32, String, String) {
    replay_text(name, &serde_json::to_string(record).unwrap(), more)
}

/// The exit code, standard output and standard error.
fn replay_text(name: &str, text: &str, more: &[&str]) -> (i32, String, String) {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("replay-{name}.json"));
    fs::write(&path, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_relink")).arg("replay").arg(&path).args(more).output().unwrap();
    fs::remove_file(&path).unwrap();
    let words = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), words(output.stdout), words(output.stderr))
}
