//! `relink simulate`: what it prints, and the simulator held against theory and the proven bounds.
#![expect(clippy::unwrap_used, reason = "a test that meets the unforeseen has failed")]

use std::process::{Command, Output};

use relink::{Backoff, Fault, Policy, Ratio, Span};
use relink_model::{
    bounds,
    simulate::{self, Contender, Figures, Kind, NAMES, Outcome, Overflow, Resends, SCENARIOS, Service, Story, World},
};
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

fn world(clients: u32, slots: u16, capacity_per_s: u32, queue: u32) -> World {
    World { clients, slots, capacity_per_s, queue, ..World::default() }
}

fn run(world: &World, contender: &Contender) -> Outcome {
    world.check().unwrap();
    simulate::run(world, contender, 1, &mut |_| {})
}

fn figures(world: &World, name: &str) -> Figures {
    run(world, &Contender::named(name, world.slots, None).unwrap().unwrap()).figures
}

/// Lone connections that wait U(0, 2·window) after each failure, and for a dial as long as `patience`.
fn fixed_window(window: Span, patience: Span) -> Contender {
    let mut policy = Policy::default();
    policy.backoff = Backoff::FullJitter { base: window * 2, cap: window * 2 };
    policy.dial_deadline = patience;
    policy.dial_deadline_max = patience;
    Contender::new("fixed window".into(), policy, 1, None).unwrap()
}

#[test]
fn a_listen_queue_for_everybody_and_patience_reach_the_physical_limit() {
    for service in [Service::Fifo, Service::Shared] {
        let world = World { service, ..world(2_000, 1, 100, 2_000) };
        let patient = Contender::named("relink", 1, Some(Span::from_secs(60))).unwrap().unwrap();
        let figures = run(&world, &patient).figures;
        assert!(figures.makespan_ratio.unwrap() < 1.05, "{figures:?}");
        // A few dial in the very millisecond of the return and are still refused.
        assert!((figures.dials_per_slot_after - 1.0).abs() < 0.01, "{figures:?}");
        assert!(figures.wasted_work < 1e-9, "{figures:?}");
    }
}

/// Whoever is not served dials once a window, and ever fewer are left: ∫(N − C·t)/W dt = N²/(2CW).
#[test]
fn fixed_windows_cost_clients_over_twice_capacity_and_window_dials_each() {
    for (clients, capacity, window_s) in [(20_000, 100, 10), (10_000, 100, 5), (20_000, 50, 10)] {
        let world = World { overflow: Overflow::Rst, ..world(clients, 1, capacity, 16) };
        let figures = run(&world, &fixed_window(Span::from_secs(window_s), Span::from_secs(5))).figures;
        let expected = f64::from(clients) / (2.0 * f64::from(capacity) * window_s as f64);
        let found = figures.dials_per_slot_after;
        assert!(figures.recovered);
        assert!((found / expected - 1.0).abs() < 0.15, "{found} dials, expected {expected}");
    }
}

/// T1: rejections cost ρ each, and keep a server busy for ever if ρ·N/W ≥ C. The queue is short, because a rejection
/// that waits in it makes the window longer.
#[test]
fn costly_rejections_livelock_from_the_predicted_fleet_on() {
    let (capacity, window_s, cost_percent) = (50, 10, 20);
    let threshold = capacity * window_s * 100 / cost_percent;
    let recovered = |percent: u32| {
        let world = World {
            overflow: Overflow::Reject,
            reject_cost: Ratio::from_millionths(cost_percent * 10_000),
            horizon: Some(Span::from_secs(1_800)),
            ..world(threshold * percent / 100, 1, capacity, 5)
        };
        let contender = fixed_window(Span::from_secs(window_s.into()), Span::from_secs(5));
        (run(&world, &contender).figures.recovered, figures(&world, "relink").recovered)
    };
    assert_eq!(recovered(85), (true, true));
    assert_eq!(recovered(115), (false, true), "relink's ceiling grows with the outage");
}

/// What a hint would be worth: whoever is told when there will be room needs no window of its own.
#[test]
fn a_server_that_says_when_to_come_back_is_not_dialed_in_vain() {
    let with = |overflow| World { overflow, ..world(4_800, 16, 20, 20) };
    let figures = |overflow, name| figures(&with(overflow), name);
    assert!(!figures(Overflow::Reject, "full").recovered);
    assert!(figures(Overflow::Hint, "full").recovered);
    let (rejected, hinted) = (figures(Overflow::Reject, "relink"), figures(Overflow::Hint, "relink"));
    assert!(hinted.recovered && rejected.recovered, "{hinted:?}, {rejected:?}");
    assert!(hinted.dials_per_slot_after < rejected.dials_per_slot_after, "{hinted:?}, {rejected:?}");
}

/// T2: a queue longer than the clients are patient is full of those who are gone, if N/W ≥ C.
#[test]
fn a_queue_longer_than_patience_livelocks_as_predicted() {
    let (capacity, queue_s, window_s) = (50, 20, 10);
    let recovered = |offered_percent: u32, patience_s| {
        let clients = offered_percent * capacity * window_s / 100;
        let world = World { horizon: Some(Span::from_secs(900)), ..world(clients, 1, capacity, capacity * queue_s) };
        run(&world, &fixed_window(Span::from_secs(window_s.into()), Span::from_secs(patience_s))).figures.recovered
    };
    assert!(!recovered(500, 5), "a queue of 20 s and a patience of 5 s");
    assert!(recovered(80, 5), "fewer dials than the server can set up");
    assert!(recovered(500, 25), "patience beyond the queue");
    let relink = figures(&world(2_496, 16, 50, 1_000), "relink");
    assert!(relink.recovered && relink.wasted_work < 0.9, "{relink:?}");
}

#[test]
fn no_process_dials_more_often_than_the_bounds_allow() {
    for seed in 1..=200 {
        let contender = Contender::named("relink", 1, None).unwrap().unwrap();
        let of = |kind| {
            let world = World { kind, outage: Span::from_secs(30), ..world(1, 1, 1_000, 1_024) };
            simulate::run(&world, &contender, seed, &mut |_| {}).figures.dials_per_slot_outage
        };
        let refused = f64::from(bounds::dials_max(&contender.policy, Span::from_secs(30), Fault::Refused).unwrap());
        assert!(of(Kind::Refuse) <= refused, "seed {seed}");
        // No session ends the outage, so all the dials count, also those that opened one.
        let flapping = bounds::flapping_max(&contender.policy, Span::from_secs(30)) as f64;
        assert!(of(Kind::Flap) <= flapping, "seed {seed}");
    }
}

#[test]
fn one_process_is_back_within_its_bound_and_some_come_close() {
    let contender = Contender::named("relink", 1, None).unwrap().unwrap();
    let lag = bounds::recovery_max(&contender.policy, Span::from_secs(30)).as_millis() as f64 / 1e3;
    let world = world(1_000, 1, 1_000_000, 1_024);
    let slowest = run(&world, &contender).figures.makespan_s.unwrap();
    assert!(lag * 0.8 < slowest && slowest <= lag + 0.002, "{slowest} s, bound {lag} s");
}

/// As a kernel does it: measured on Linux 6.18, and RFC 6298.
#[test]
fn an_unanswered_syn_is_sent_again_in_the_rhythm_of_its_kernel() {
    let contender = Contender::named("constant", 1, Some(Span::from_secs(60))).unwrap().unwrap();
    let after_s = |resends| {
        let silent = World { kind: Kind::Silence, outage: Span::from_secs(50), resends, ..world(1, 1, 1_000, 1_024) };
        let bins = run(&silent, &contender).bins;
        let offered = bins.iter().enumerate().take(500).filter(|(_, bin)| bin.offered > 0);
        let places: Vec<_> = offered.map(|(place, _)| place).collect();
        places.iter().map(|place| (place - places[0]) / 10).collect::<Vec<_>>()
    };
    assert_eq!(after_s(Resends::Doubled), [0, 1, 3, 7, 15, 31]);
    assert_eq!(after_s(Resends::Linear), [0, 1, 2, 3, 4, 5, 7, 11, 19, 35]);
}

#[test]
fn a_server_never_has_more_sessions_than_it_admits() {
    let world = World { max_connections: Some(1_000), reject_cost: Ratio::default(), ..world(1_600, 16, 100, 50) };
    let outcome = run(&world, &Contender::named("relink", 16, None).unwrap().unwrap());
    let outage = outcome.bins.iter().skip(1);
    assert!(outage.map(|bin| bin.online).max().unwrap() <= 1_000);
    assert!(outcome.figures.recovered, "the room is full, which is all there is to get: {:?}", outcome.figures);
}

#[test]
fn every_policy_and_every_scenario_can_be_simulated() {
    for name in NAMES {
        let figures = figures(&world(320, 16, 100, 50), name);
        assert!(figures.recovered && figures.dials_per_slot_outage > 0.0, "{figures:?}");
    }
    for scenario in SCENARIOS {
        let base = scenario.world();
        base.check().unwrap();
        // A twin of the same length.
        let scale = (base.clients / 1_600).max(1);
        let world = World {
            clients: base.clients / scale / u32::from(base.slots) * u32::from(base.slots),
            capacity_per_s: (base.capacity_per_s / scale).max(1),
            queue: (base.queue / scale).max(1),
            max_connections: base.max_connections.map(|most| most / scale / 16 * 16),
            ..base
        };
        let figures = figures(&world, "relink");
        assert!(figures.recovered, "{}: {figures:?}", scenario.name);
        assert!(figures.dials_per_slot_after > 0.0 || base.story == Story::RollingRestart, "{figures:?}");
    }
}

#[test]
fn a_rolling_restart_replaces_every_session_once() {
    let world = World { story: Story::RollingRestart, outage: Span::from_secs(100), ..world(1_600, 16, 1_000, 128) };
    let figures = figures(&world, "relink");
    let dials = figures.dials_per_slot_outage + figures.dials_per_slot_after;
    assert!((dials - 1.0).abs() < 1e-6, "{figures:?}");
    assert!(figures.makespan_s.unwrap() < 1.0, "{figures:?}");
}

#[test]
fn a_failover_ends_at_the_promoted_node() {
    let world = World { story: Story::Failover, outage: Span::from_secs(10), ..world(160, 16, 100, 128) };
    for kind in [Kind::Refuse, Kind::Silence] {
        let figures = figures(&World { kind, ..world }, "relink");
        assert!(figures.recovered, "{kind:?}: {figures:?}");
        // Standbys are asked for their role in the meantime, which leads to no session.
        assert!(figures.wasted_work > 0.0, "{kind:?}: {figures:?}");
    }
}
