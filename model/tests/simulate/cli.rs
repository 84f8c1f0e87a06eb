//! What the command prints and writes, and what it refuses.

use std::process::{Command, Output};

use relink_model::simulate::{self, Contender, World};
use serde_json::Value;

fn relink(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_relink")).arg("simulate").args(args).output().unwrap()
}

fn json(args: &[&str]) -> Value {
    let output = relink(args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "nobody watches, so there is no progress to show");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The object without the one figure that is measured rather than simulated.
fn simulated(mut object: Value) -> Value {
    let measured = object.as_object_mut().unwrap().remove("events_per_s");
    assert!(measured.unwrap().as_f64().unwrap() > 0.0);
    object
}

const SMALL: [&str; 6] = ["--clients", "1600", "--capacity", "100", "--queue", "50"];

const FIELDS: [&str; 18] = [
    "clients",
    "slots",
    "capacity_per_s",
    "outage_s",
    "policy",
    "recovered",
    "makespan_s",
    "makespan_ratio",
    "p50_s",
    "p99_s",
    "dials_per_slot_outage",
    "dials_per_slot_after",
    "peak_offered_ratio_first_s",
    "peak_offered_ratio_after_10s",
    "wasted_work",
    "events",
    "events_per_s",
    "seed",
];

#[test]
fn the_same_seed_gives_the_same_object_and_another_seed_another() {
    let with = |seed| simulated(json(&[&SMALL[..], &["--json", "--seed", seed]].concat()));
    assert_eq!(with("7").to_string(), with("7").to_string());
    assert_ne!(with("7")["events"], with("8")["events"]);
}

#[test]
fn one_run_is_an_object_with_the_documented_fields_and_several_are_an_array() {
    let one = json(&[&SMALL[..], &["--json"]].concat());
    let fields: Vec<_> = one.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = FIELDS.to_vec();
    expected.sort_unstable();
    assert_eq!(fields, expected);
    assert_eq!(
        (&one["clients"], &one["slots"], &one["outage_s"], &one["policy"]),
        (&1600.into(), &16.into(), &30.0.into(), &"relink".into())
    );

    let all = json(&[&SMALL[..], &["--json", "--seeds", "2", "--compare", "relink,full"]].concat());
    let rows: Vec<_> = all.as_array().unwrap().iter().map(|row| (row["policy"].clone(), row["seed"].clone())).collect();
    assert_eq!(
        rows,
        [("relink", 1), ("relink", 2), ("full", 1), ("full", 2)].map(|(name, seed)| (name.into(), seed.into()))
    );
}

#[test]
fn a_fleet_that_is_not_back_by_the_horizon_has_no_makespan() {
    let late = json(&[&SMALL[..], &["--json", "--horizon", "42s"]].concat());
    assert_eq!(late["recovered"], false);
    for field in ["makespan_s", "makespan_ratio", "p99_s"] {
        assert!(late[field].is_null(), "{field}: {late}");
    }
    // 16 s of set-ups are needed, and 12 s were given: more than half, and less than all.
    assert!(late["p50_s"].is_f64(), "{late}");
    let sooner = json(&[&SMALL[..], &["--json", "--horizon", "35s"]].concat());
    assert!(sooner["p50_s"].is_null(), "{sooner}");
}

#[test]
fn a_fifth_finds_no_room_in_a_smaller_fleet_too() {
    let twin = ["--scenario", "max-connections", "--clients", "4096", "--capacity", "40", "--queue", "40", "--json"];
    let twin = json(&twin);
    let ideal_s = twin["makespan_s"].as_f64().unwrap() / twin["makespan_ratio"].as_f64().unwrap();
    assert!((ideal_s - 3_276.0 / 40.0).abs() < 0.01, "room for {} of 4096", ideal_s * 40.0);
}

#[test]
fn misuse_ends_with_code_2_and_a_line_that_names_what_was_wrong() {
    for (args, named) in [
        (&["--clients", "17"][..], "multiple of the slots, as 32 is"),
        (&["--clients", "abc"], "'abc' for '--clients <N>': write a whole number from 0 to 4294967295"),
        (&["--slots", "70000"], "write a whole number from 0 to 65535"),
        (&["--seed", "-1"], "write a whole number from 0 to 18446744073709551615"),
        (&["--slots", "0"], "--slots 0"),
        (&["--capacity", "0"], "--capacity 0"),
        (&["--outage", "5 parsecs"], "--outage"),
        (&["--horizon", "10s"], "--horizon"),
        (&["--kind", "maybe"], "--kind"),
        (&["--reject-cost", "11"], "--reject-cost 11"),
        (&["--patience", "0"], "--patience 0: policy refused"),
        (&["--outage", "-5s"], "`-5s` is not a length of time"),
        (&["--seed", "18446744073709551615", "--seeds", "2"], "must begin at 18446744073709551614 or below"),
        (&["--policy", "exponentail"], "did you mean \"exponential\"?"),
        (&["--policy", "full", "--compare", "relink"], "cannot be used with"),
        (&["--scenario", "s9"], "s9"),
        (
            &["--scenario", "rolling-restart", "--kind", "silence"],
            "--kind silence: in a rolling restart no server is away",
        ),
        (&["--seeds", "0"], "--seeds"),
    ] {
        let output = relink(args);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(output.stdout.is_empty());
        assert!(text.lines().next().unwrap().contains(named), "{args:?}: {text}");
    }
}

#[test]
fn a_file_that_cannot_be_written_ends_with_code_3_and_its_name() {
    for (flag, path) in
        [("--csv", "/nowhere/figures.csv"), ("--plot", "/nowhere/storm.svg"), ("--report", "/dev/null/page")]
    {
        let output = relink(&[&SMALL[..], &[flag, path]].concat());
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.starts_with(&format!("error: {flag} {path}: cannot be written: ")), "{text}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_memory_that_is_foretold_is_what_a_run_takes() {
    for slots in ["1", "16"] {
        let args = ["--clients", "320000", "--slots", slots, "--outage", "1ms", "--horizon", "2ms"];
        let table = String::from_utf8(relink(&args).stdout).unwrap();
        let peak = table.lines().last().unwrap().strip_prefix("memory at its peak: ").unwrap();
        let peak: f64 = peak.strip_suffix(" MB").unwrap().parse().unwrap();
        let slots = slots.parse().unwrap();
        let world = World { clients: 320_000, slots, ..World::default() };
        let foretold = simulate::memory(&world, &Contender::named("relink", slots, None).unwrap().unwrap()) as f64
            / f64::from(1 << 20);
        // The program itself takes some, whatever it simulates.
        assert!((-0.1 * foretold..20.0).contains(&(peak - foretold)), "{slots}: {peak} MB, and {foretold} foretold");
    }
}

#[test]
fn the_table_the_csv_and_the_object_say_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("figures.csv");
    let args = [&SMALL[..], &["--csv", file.to_str().unwrap()]].concat();
    let table = String::from_utf8(relink(&args).stdout).unwrap();
    let object = json(&[&SMALL[..], &["--json"]].concat());
    let makespan = object["makespan_s"].as_f64().unwrap();
    assert!(table.contains(&format!(" {makespan:.2} ")), "{table}");

    let mut reader = csv::Reader::from_path(file).unwrap();
    assert_eq!(reader.headers().unwrap(), FIELDS.to_vec());
    let row = reader.records().next().unwrap().unwrap();
    assert_eq!(row.get(6).unwrap().parse::<f64>().unwrap(), makespan);
}

#[test]
fn pictures_have_a_panel_for_each_policy_and_the_page_needs_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let plot = |name: &str| relink(&[&SMALL[..], &["--compare", "relink,full", "--plot", &file(name)]].concat());
    assert_eq!(plot("storm.svg").status.code(), Some(0));
    let svg = std::fs::read_to_string(file("storm.svg")).unwrap();
    for panel in ["relink: all back", "with full jitter: all back"] {
        assert_eq!(svg.matches(panel).count(), 1, "{panel}");
    }
    assert_eq!(plot("storm.png").status.code(), Some(0));
    assert!(std::fs::read(file("storm.png")).unwrap().starts_with(b"\x89PNG"));
    assert_eq!(plot("storm.gif").status.code(), Some(2));
    assert_eq!(plot("nowhere/storm.svg").status.code(), Some(3));

    let report = file("report");
    assert_eq!(relink(&[&SMALL[..], &["--report", &report]].concat()).status.code(), Some(0));
    let page = std::fs::read_to_string(format!("{report}/index.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("--clients 1600"));
    let elsewhere = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!elsewhere.contains("http") && !elsewhere.contains("src="), "it loads something");
}

#[test]
fn a_policy_can_come_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("relink.toml");
    std::fs::write(&file, "w0 = \"2s\"\nkd = 0.2\n").unwrap();
    let file = file.to_str().unwrap();
    let slow = json(&[&SMALL[..], &["--json", "--policy", file]].concat());
    let own = json(&[&SMALL[..], &["--json"]].concat());
    assert_eq!(slow["policy"], file);
    assert!(slow["dials_per_slot_outage"].as_f64() < own["dials_per_slot_outage"].as_f64());
}
