//! `relink replay` as a user runs it: a run that is the machine's, one that is not, and what is no record at all.
#![expect(clippy::unwrap_used, reason = "a test that meets the unforeseen has failed")]

use std::{fs, path::PathBuf, process::Command};

use relink::{
    DialId, Fault, LeaseId, Policy, Span, Time,
    adapter::{Record, Step},
    pool::{self, Event, Pool},
};
use relink_model::catalogue::run::{Machine, Run};

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

#[test]
fn a_falsified_policy_leaves_a_run_that_replays() {
    // Jitter down to nothing: a failure may be followed at once by another dial.
    let folder = falsified("jitter", "backoff = { kind = \"full_jitter\", base = \"100ms\", cap = \"30s\" }\n", "S3");
    let text = fs::read_to_string(folder.join("S3-a-process-of-1.json")).unwrap();
    let (code, out, err) = replay_text("counterexample", &text, &[]);
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("S3 in a process of 1\n         0 ms  Requested { endpoint: 0 }\n"), "{out}");
    assert!(out.contains("replays: the machine does exactly this, in 3 steps"), "{out}");
    let page = fs::read_to_string(folder.join("REPORT.md")).unwrap();
    assert!(page.contains("sequenceDiagram") && page.contains("`relink replay S3-a-process-of-1.json`"), "{page}");

    let mut run: Run = serde_json::from_str(&text).unwrap();
    let Machine::Pacer(paced) = &mut run.record else { panic!("{text}") };
    paced.steps.last_mut().unwrap().command = None;
    let (code, out, err) = replay_text("tampered", &serde_json::to_string(&run).unwrap(), &[]);
    assert_eq!(code, 1);
    // What came before the divergence is told.
    assert!(out.contains("fault: Refused"), "{out}");
    assert!(
        err.contains("step 2: Requested { endpoint: 0 } at 1 ms commanded nothing, and the machine commands"),
        "{err}"
    );
}

#[test]
fn a_run_without_end_is_told_once_around() {
    let fixed = "dial_deadline = \"5s\"\ndial_deadline_max = \"5s\"\n";
    let folder = falsified("patience", fixed, "L1");
    let text = fs::read_to_string(folder.join("L1-a-process-of-1.json")).unwrap();
    let (code, out, err) = replay_text("lasso", &text, &[]);
    assert_eq!(code, 0, "{err}");
    let (_, cycle) = out.split_once("and from here for ever:\n").unwrap();
    assert!(cycle.contains("fault: TimedOut") && cycle.contains("  the end\n"), "{out}");
}

#[test]
fn a_falsified_pool_leaves_a_record_as_the_adapters_own() {
    // Nobody asks about a statement that waits on a silent peer.
    let folder = falsified("silence", "patience = \"never\"\n", "L6");
    let text = fs::read_to_string(folder.join("L6-a-silent-peer.json")).unwrap();
    let (code, out, err) = replay_text("pool", &text, &[]);
    assert_eq!(code, 0, "{err}");
    // Nobody looks what the borrower is doing.
    assert!(out.contains("→ Grant") && out.contains("the machine does exactly this"), "{out}");
    let run: Run = serde_json::from_str(&text).unwrap();
    let Machine::Pool(record) = run.record else { panic!("{text}") };
    let (code, out, _) = replay("pool-alone", &record, &[]);
    assert_eq!(code, 0);
    assert!(out.contains("replays: 3 steps"), "{out}");
}

/// The folder of a report on a policy that breaks this property.
fn falsified(name: &str, policy: &str, property: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("replay-{name}"));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("policy.toml");
    fs::write(&file, policy).unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_relink"));
    let output = check.args(["check", "--only", property, "--policy"]).arg(file).arg("--report").arg(&folder).output();
    assert_eq!(output.unwrap().status.code(), Some(1));
    folder
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
