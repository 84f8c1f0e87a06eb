//! `relink check` as a user runs it: silly policies are told what is wrong, in words and by exit codes.
#![expect(clippy::unwrap_used, reason = "a test that meets the unforeseen has failed")]

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;

/// A folder of one test's own, removed with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("check-{name}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn policy(&self, text: &str) -> String {
        let file = self.0.join("policy.toml");
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn relink(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_relink")).arg("check").args(args).output().unwrap()
}

/// The exit code, and what was printed to both.
fn told(args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = relink(args);
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn object(args: &[&str]) -> (i32, Value) {
    let (code, out, _) = told(&[args, &["--json"]].concat());
    (code, serde_json::from_str(&out).unwrap())
}

#[test]
fn a_policy_without_jitter_is_falsified_with_a_lasso() {
    let folder = Folder::new("lockstep");
    let policy = folder.policy("jitter_lo = 1.0\njitter_hi = 1.0\n");
    let (code, out, err) = told(&["--policy", &policy, "--only", "L2"]);
    assert_eq!(code, 1, "{err}");
    assert!(out.contains("L2 falsified in 2 processes, a server that collapses"), "{out}");
    assert!(out.contains("and from here for ever:"), "{out}");
    assert!(out.contains("no jitter"), "{out}");
    let cost: Vec<&str> = out.lines().filter(|line| line.starts_with("2 processes, a server that queues ")).collect();
    assert!(matches!(*cost, [line] if line.matches(" M").count() == 2), "{cost:?}");
    assert!(err.starts_with("error: a property is falsified"), "{err}");
}

#[test]
fn a_fleet_too_big_for_a_hard_ceiling_is_falsified_and_its_size_told() {
    let folder = Folder::new("ceiling");
    let fleet = |clients: u32| {
        let assume = "slots = 16\ncapacity_per_s = 1000\nreject_cost = 0.2\n";
        folder.policy(&format!("kcap = 0.0\n[assume]\nclients = {clients}\n{assume}"))
    };
    let (code, out, _) = told(&["--policy", &fleet(4_000_000), "--only", "L2"]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("clients = 4000000, and from 2280000 on (B5)"), "{out}");
    let (code, out, _) = told(&["--policy", &fleet(1_000_000), "--only", "L2"]);
    assert_eq!(code, 0, "{out}");
}

#[test]
fn a_policy_that_breaks_a_rule_is_refused_before_anything_is_explored() {
    let folder = Folder::new("rules");
    for (text, says) in [
        ("w0 = '10s'\ncapd = '5s'\n", "capd = \"5s\": must be at least w0, which is \"10s\""),
        ("dial_deadline = '0s'\n", "dial_deadline = \"0\": must be from"),
        ("jitter_low = 0.5\n", "jitter_lo"),
    ] {
        let (code, out, err) = told(&["--policy", &folder.policy(text)]);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert_eq!(err.lines().count(), 1, "{err}");
        assert!(err.contains(says), "{err}");
    }
}

#[test]
fn bad_usage_names_what_there_is() {
    let (code, out, err) = told(&["--only", "S1,S99"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("S99") && err.contains("choose from S1, S2, S2b"), "{err}");
    let (code, out, err) = told(&["--policy", "/nowhere/policy.toml"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("/nowhere/policy.toml"), "{err}");
}

#[test]
fn what_cannot_be_written_is_refused_before_anything_is_explored() {
    let folder = Folder::new("unwritable");
    let file = folder.policy("");
    for (flag, path, says) in [("--junit", "/", "cannot write /: Is a directory"), ("--report", &*file, "cannot write")]
    {
        // All properties at this level would take minutes.
        let (code, out, err) = told(&["--level", "full", flag, path]);
        assert_eq!((code, out.as_str()), (3, ""), "{err}");
        assert!(err.contains(says) && err.contains(path), "{err}");
    }
}

#[test]
fn json_is_one_object_with_a_row_for_each_property_and_world() {
    let (code, report) = object(&["--only", "S3,L2", "--seeded"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["verdict"], "holds");
    assert_eq!(report["level"], "quick");
    assert!(report["policy"].is_object());
    assert!(report["not_proved"].as_array().unwrap().iter().all(Value::is_string));
    let rows = report["properties"].as_array().unwrap();
    for row in rows {
        for field in ["id", "statement", "plain", "assumption", "world", "verdict"] {
            assert!(row[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {row}");
        }
        assert!(row["states"].as_u64().unwrap() > 1 && row["transitions"].as_u64().unwrap() > 1, "{row}");
        assert!(row["seconds"].as_f64() >= row["explored"].as_f64() && row["witness"] == true, "{row}");
        let ms = row["seconds"].to_string();
        assert!(ms.split_once('.').is_none_or(|(_, digits)| digits.len() <= 3), "{ms}");
        assert!(row["bytes"].as_u64() > row["states"].as_u64(), "{row}");
    }
    for id in ["S3", "L2"] {
        let seeded: Vec<&Value> =
            rows.iter().filter(|row| row["id"] == id).flat_map(|row| row["seeded"].as_array().unwrap()).collect();
        assert!(!seeded.is_empty(), "{id} has no seeded bug");
        for bug in seeded {
            assert!(bug["bug"].is_string() && bug["caught_by"].as_array().unwrap().iter().any(|by| by == id), "{bug}");
            assert!(bug["about"].as_str().unwrap().ends_with('.') && bug["world"].is_string(), "{bug}");
            assert!(!bug["story"]["stem"].as_array().unwrap().is_empty(), "{bug}");
        }
    }
    let world = &rows.iter().find(|row| row["world"] == "a process of 1").unwrap();
    assert_eq!(world["explore"], "process-of-1");
    let reduced = report["reduced"].as_array().unwrap();
    let one = reduced.iter().find(|one| one["worlds"].as_array().unwrap().contains(&world["world"])).unwrap();
    assert_eq!((&one["policy"]["w0"], &one["policy"]["elapsed_max"]), (&"2ms".into(), &"12ms".into()), "{one}");
}

#[test]
fn the_latency_that_a_fleet_bears_is_told_of_the_policys_own_numbers() {
    let folder = Folder::new("latency");
    for (text, spread) in [("", "270.003s"), ("jitter_lo = 0.99\njitter_hi = 1.0\n", "3s"), ("kcap = 0.1\n", "81s")] {
        let (code, out, _) = told(&["--policy", &folder.policy(text), "--only", "L2q"]);
        assert_eq!(code, 0, "{out}");
        assert!(out.contains(&format!("which is {spread} with your numbers")), "{out}");
    }
}

#[test]
fn a_world_that_does_not_fit_is_open_and_the_verdict_undecided() {
    let (code, report) = object(&["--only", "L1,L2q", "--seeded", "--memory", "2MB"]);
    assert_eq!((code, &report["verdict"]), (3, &"undecided".into()), "{report}");
    let rows = report["properties"].as_array().unwrap();
    let found = |world: &str| rows.iter().find(|row| row["world"] == world).unwrap();
    assert_eq!(found("a herd of 3, a server that sheds")["verdict"], "holds");
    for world in ["one link", "a process with a short memory, with the bug fix patience"] {
        let Some(row) = rows.iter().find(|row| row["world"] == world) else { panic!("{world}: {report}") };
        assert_eq!(
            (&row["verdict"], &row["id"], &row["seeded"]),
            (&"open".into(), &"L1".into(), &Value::Array(vec![]))
        );
        let reason = row["reason"].as_str().unwrap();
        assert!(reason.starts_with("stopped at ") && reason.ends_with("more than the limit of 2000000"), "{reason}");
    }
    let (code, out, err) = told(&["--only", "L2q", "--memory", "much"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("write a whole number with MB, GB"), "{err}");
}

#[test]
fn files_are_written_for_reviewers_and_for_ci_servers() {
    let folder = Folder::new("files");
    let policy = folder.policy("jitter_lo = 1.0\njitter_hi = 1.0\n");
    let (report, junit) = (folder.0.join("report"), folder.0.join("out/junit.xml"));
    let (report, junit) = (report.to_str().unwrap(), junit.to_str().unwrap());
    let (code, ..) = told(&["--policy", &policy, "--only", "L2", "--report", report, "--junit", junit]);
    assert_eq!(code, 1);
    let page = fs::read_to_string(folder.0.join("report/REPORT.md")).unwrap();
    for part in [
        "Verdict: **falsified**",
        "```mermaid\nsequenceDiagram",
        "loop for ever",
        "| fleet-of-3-queues |",
        "- all of them: `w0` 500ms → 1ms; `kd` 0.085 → 0.5;",
        "## What is not proved",
        "## Independent verdicts",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!folder.0.join("report/SEEDED.md").exists(), "no bug was asked for");
    let xml = fs::read_to_string(junit).unwrap();
    assert!(xml.contains("failures=\"") && xml.contains("falsified") && xml.contains("classname=\"L2\""), "{xml}");
}

#[test]
fn every_seeded_bug_is_told_with_the_run_that_shows_it() {
    let folder = Folder::new("seeded");
    let (code, ..) = told(&["--only", "S3", "--seeded", "--report", folder.0.to_str().unwrap()]);
    assert_eq!(code, 0);
    let [page, runs] = ["REPORT.md", "SEEDED.md"].map(|name| fs::read_to_string(folder.0.join(name)).unwrap());
    let row = "| S3 | hurry on success | A success pulls the next dial forward. | a process of 2, two dials at once | ";
    assert!(page.contains(row), "{page}");
    let told =
        "## S3: hurry on success\n\nA success pulls the next dial forward. In a process of 2, two dials at once;";
    assert!(runs.contains(told), "{runs}");
    assert_eq!(runs.matches("\n## S3: ").count(), runs.matches("```text\n      0  ").count(), "{runs}");
}

#[test]
fn a_file_that_cannot_be_written_is_told() {
    let folder = Folder::new("unwritable");
    let file = folder.policy("");
    let (code, _, err) = told(&["--only", "L2q", "--junit", &format!("{file}/junit.xml")]);
    assert_eq!(code, 3);
    assert!(err.contains("cannot write") && err.contains("junit.xml"), "{err}");
}
