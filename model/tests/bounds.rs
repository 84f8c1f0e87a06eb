//! The bounds of a policy: pinned figures, every run of short outages, and `relink bounds` as a user runs it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that meets the unforeseen has failed")]

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    process::{Command, Output},
};

use relink::{
    Checked, DialId, Fault, Frame, Policy, Ratio, Span, Time,
    pacer::{self, Pacer},
};
use relink_model::bounds::{Bounds, Class, outage_dials_closed, outage_dials_max, recovery_max_overloaded};
use serde_json::Value;

const fn ms(ms: u64) -> Span {
    Span::from_millis(ms)
}

const fn secs(s: u64) -> Span {
    Span::from_secs(s)
}

/// The policy whose figures a prototype computed before there was this crate: `jitter_hi` 1.5, `kd` 0.1, `ka` 0.5 and one slot.
fn prototype(deadline: Span, deadline_max: Span) -> Checked {
    let policy = Policy::builder().kd(Ratio::from_millionths(100_000)).ka(Ratio::from_millionths(500_000)).max_size(1);
    let policy = policy.jitter_hi(Ratio::from_millionths(1_500_000));
    policy.dial_deadline(deadline).dial_deadline_max(deadline_max).connect_deadline(secs(3)).check().unwrap()
}

#[test]
fn the_most_dials_of_an_outage_are_those_of_the_prototype() {
    let policy = prototype(secs(5), secs(60));
    let outages = [200, 500, 1_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 3_600_000].map(ms);
    let dials = outages.map(|outage| outage_dials_max(&policy, outage).unwrap());
    assert_eq!(dials, [1, 2, 4, 20, 35, 57, 71, 86, 104, 124, 324]);
    let closed = outages.map(|outage| (outage_dials_closed(&policy, outage).unwrap() * 10.0).floor() / 10.0);
    assert_eq!(closed, [1.8, 3.0, 5.0, 21.0, 35.2, 57.7, 71.9, 86.1, 104.9, 124.9, 324.9]);
}

#[test]
fn the_latest_recovery_by_class_is_that_of_the_prototype() {
    // Class, the dial's deadlines (3 s of them until it is accepted), the outage, ours and our closed form, in ms. The
    // prototype's figures, on its lattice: 4498, 45000, 7850, 27600, 48000, 32950, 59950, 59950, 119900, 203000.
    let rows = [
        (Class::Refused, (3, 3), 30, 4_499, 4_500),
        (Class::Refused, (3, 3), 300, 44_999, 45_000),
        (Class::RefusedLate, (3, 3), 30, 7_949, 7_950),
        (Class::BlackHole, (3, 3), 30, 27_749, 27_750),
        (Class::BlackHole, (3, 3), 57, 47_999, 48_000),
        (Class::BlackHoleSeen, (3, 3), 30, 32_999, 33_000),
        (Class::Rejected, (30, 30), 30, 59_999, 60_000),
        (Class::Anything, (30, 120), 30, 59_999, 60_000),
        (Class::Anything, (30, 120), 60, 119_999, 120_000),
        (Class::Anything, (30, 120), 120, 193_799, 240_000),
    ];
    for (class, (deadline, deadline_max), outage, lag, closed) in rows {
        let policy = prototype(secs(deadline), secs(deadline_max));
        assert_eq!(class.worst_run(&policy, secs(outage)).unwrap().lag, ms(lag), "{class:?} {outage}");
        assert_eq!(class.closed_form(&policy, secs(outage)), Some(ms(closed)), "{class:?} {outage}");
    }
}

/// Every run through an outage of a class on the 1 ms lattice, whatever the waits and the delays of the answers: the
/// latest recovery for every outage up to `longest` ms.
fn exhaustive(policy: &Checked, longest: u64, answers: impl Fn(&Pacer, u64) -> BTreeSet<(Fault, u64)>) -> Vec<u64> {
    let mut lags = vec![0; usize::try_from(longest).unwrap() + 1];
    let mut pacer = Pacer::new(1);
    (pacer, _) = pacer.step(policy, Time::ZERO, pacer::Event::Dialed { dial: DialId::new(0, 0) }, 0);
    (pacer, _) = pacer.step(policy, Time::ZERO, pacer::Event::Lost { endpoint: 0, unstable: false }, 0);
    // What may be under way, by the time at which the next dial starts.
    let mut waiting: BTreeMap<u64, HashSet<Pacer>> = BTreeMap::new();
    for probe in 0..=policy.w0.as_millis() {
        waiting.entry(probe).or_default().insert(pacer);
        note(&mut lags, 0, probe);
    }
    while let Some((started, pacers)) = waiting.pop_first().filter(|(started, _)| *started < longest) {
        let mut failed = HashSet::new();
        for pacer in pacers {
            for (fault, at) in answers(&pacer, started) {
                failed.insert(fail(policy, pacer, Time::from_millis(started), fault, at));
            }
        }
        for (least, most, at) in failed {
            let (first, last) = (least.not_before(0).as_millis(), most.not_before(0).as_millis());
            note(&mut lags, started + 1, last);
            for next in (first..=last).take_while(|next| *next < longest) {
                assert!(at <= first);
                waiting.entry(next).or_default().insert(least);
            }
        }
    }
    lags
}

/// A dial may start at `next`, and the one before it started before `from`.
fn note(lags: &mut [u64], from: u64, next: u64) {
    for (outage, lag) in (from..=next).zip(lags.iter_mut().skip(usize::try_from(from).unwrap())) {
        *lag = (*lag).max(next - outage);
    }
}

/// Every answer that a class may give to a dial that starts now.
fn answers(policy: &Checked, class: Class, pacer: &Pacer, started: u64) -> BTreeSet<(Fault, u64)> {
    let (dial, deadline) = granted(policy, pacer, started);
    let deadline = deadline.as_millis();
    let all = |fault, from| (from..=deadline).map(move |at| (fault, at));
    let connect_by = deadline.min(started + policy.connect_deadline.as_millis());
    let unreachable = || (started..=connect_by).map(|at| (Fault::Unreachable, at));
    match class {
        Class::Refused => BTreeSet::from([(Fault::Refused, started)]),
        Class::BlackHoleSeen if dial.serial() == 0 => BTreeSet::from([(Fault::Refused, started)]),
        Class::RefusedLate => all(Fault::Refused, started).collect(),
        Class::BlackHole | Class::BlackHoleSeen => unreachable().collect(),
        Class::Rejected => all(Fault::Overloaded, started).collect(),
        Class::Anything => {
            let at_any_time = [Fault::Refused, Fault::Overloaded];
            at_any_time
                .into_iter()
                .flat_map(|fault| all(fault, started))
                .chain(unreachable())
                .chain(all(Fault::TimedOut, deadline))
                .collect()
        }
    }
}

/// The dial that starts now, and its deadline.
fn granted(policy: &Checked, pacer: &Pacer, started: u64) -> (DialId, Time) {
    match pacer.step(policy, Time::from_millis(started), pacer::Event::Requested { endpoint: 0 }, 0).1 {
        Some(pacer::Command::Dial { dial, deadline }) => (dial, deadline),
        None => panic!("a dial that is due is granted"),
    }
}

/// The dial fails: the same state with the shortest and with the longest wait, and when that was.
fn fail(policy: &Checked, pacer: Pacer, started: Time, fault: Fault, at: u64) -> (Pacer, Pacer, u64) {
    let now = Time::from_millis(at);
    let (flying, dial) = pacer.step(policy, started, pacer::Event::Requested { endpoint: 0 }, 0);
    let Some(pacer::Command::Dial { dial, .. }) = dial else { panic!("a dial that is due is granted") };
    let [least, most] = [0, u64::MAX].map(|chance| {
        let failed = flying.step(policy, now, pacer::Event::Failed { dial, fault }, chance).0;
        // Names apart it is what other runs come to; but whether it was the first matters to a class.
        let frame = Frame { now, origin: now, dials: &[DialId::new(0, 0)], leases: &[], topology: 0 };
        failed.seen_from(policy, &frame)
    });
    (least, most, at)
}

/// Windows of a few milliseconds, so that every run can be tried.
fn small(cap0: u64, deadline_max: u64) -> Checked {
    let policy = Policy::builder().w0(ms(4)).capd(ms(30)).cap0(ms(cap0)).elapsed_max(ms(2_000)).max_size(1);
    let policy = policy
        .kd(Ratio::from_millionths(100_000))
        .dial_deadline(ms(6))
        .dial_deadline_max(ms(deadline_max))
        .connect_deadline(ms(4));
    policy.replace_jitter(ms(4)).stable_for(secs(30)).check().unwrap()
}

#[test]
fn no_run_of_a_short_outage_recovers_later_than_said() {
    for (policy, longest) in [(small(20, 24), 110), (small(8, 6), 110)] {
        for class in Class::ALL {
            let all = exhaustive(&policy, longest, |pacer, started| answers(&policy, class, pacer, started));
            let mut missed = 0;
            for (outage, lag) in (0..=longest).zip(all) {
                let outage = ms(outage);
                let run = class.worst_run(&policy, outage).unwrap().lag.as_millis();
                let closed = class.closed_form(&policy, outage).unwrap().as_millis();
                assert!(run <= lag && lag <= closed, "{class:?} {outage}: {run}, {lag}, {closed}");
                missed += u64::from(run < lag);
            }
            assert_eq!(missed, 0, "{class:?}: a run is later than the one that is told");
        }
    }
}

#[test]
fn a_silent_peer_is_found_back_within_the_bound() {
    for policy in [small(20, 24), small(8, 6), small(4, 12), small(30, 48)] {
        let silent = |pacer: &Pacer, started| {
            let deadline = granted(&policy, pacer, started).1;
            BTreeSet::from([(Fault::TimedOut, deadline.as_millis())])
        };
        for (outage, lag) in (0..=250).zip(exhaustive(&policy, 250, silent)) {
            let bound = recovery_max_overloaded(&policy, ms(outage)).as_millis();
            assert!(lag <= bound, "{outage} ms: {lag} > {bound}");
        }
    }
}

#[test]
fn what_has_no_bound_is_null_and_what_has_one_is_printed() {
    let classic = |kind: &str| Policy::from_toml(&format!("backoff = {kind}")).unwrap().check().unwrap();
    let full = Bounds::of(&classic(r#"{ kind = "full_jitter", base = "100ms", cap = "30s" }"#), &[secs(30)]);
    assert_eq!((full.dials[0].dials, full.dials[0].closed_form, full.rate_per_s), (None, None, None));
    assert_eq!(full.recovery[0].recovery_s, Some(29.999));
    let constant = Bounds::of(&classic(r#"{ kind = "constant", wait = "1s" }"#), &[secs(30)]);
    assert_eq!(constant.dials[0].dials, Some(30));

    let mut policy = Policy::default();
    policy.patience = None;
    policy.give_up_after = Some(secs(20));
    policy.assume.capacity_per_s = Some(1_000);
    policy.assume.reject_cost = Some(Ratio::from_millionths(200_000));
    let bounds = Bounds::of(&policy.clone().check().unwrap(), &[secs(10), secs(30)]);
    let refused: Vec<_> = bounds.recovery.iter().filter(|row| row.class == Class::Refused).collect();
    assert_eq!((refused[0].recovery_s, refused[0].closed_form_s), (Some(1.189), Some(1.19)));
    assert_eq!((refused[1].recovery_s, refused[1].closed_form_s), (None, None));
    assert_eq!((bounds.silence_s, bounds.silence_overload_s), (None, None));
    // 16 slots, 1000 set-ups a second, 0.95 of a window of 1200 s / √16 after an hour, and a fifth of a set-up each: 22.8
    // million, and the 280 that come of the window's shares being rounded up to millionths.
    assert_eq!((bounds.rate_per_s, bounds.clients), (Some(80), Some(22_800_280)));
    policy.assume.reject_cost = Some(Ratio::from_millionths(0));
    assert_eq!(Bounds::of(&policy.check().unwrap(), &[]).clients, None);
}

fn relink(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_relink")).arg("bounds").args(args).output().unwrap()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_object_has_these_keys_and_the_default_policy_these_bounds() {
    let output = relink(&["--outage", "10s", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(output.stderr));
    let row = |class, recovery, closed| {
        format!("{{\"outage_s\":10.0,\"class\":\"{class}\",\"recovery_s\":{recovery},\"closed_form_s\":{closed}}}")
    };
    let rows = [
        row("refused", "1.189", "1.19"),
        row("refused_late", "6.784", "6.785"),
        row("black_hole", "4.823", "4.824"),
        row("black_hole_seen", "9.249", "9.25"),
        row("rejected", "11.999", "12.0"),
        row("anything", "16.999", "17.0"),
    ];
    let expected = format!(
        "{{\"tick_s\":0.001,\"B1\":[{}],\"B2\":[{{\"outage_s\":10.0,\"dials\":37,\"closed_form\":CLOSED}}],\
         \"B3_s\":5.0,\"B3_overload_s\":485.005,\"B4_per_s\":80,\"B5_clients\":null}}\n",
        rows.join(",")
    );
    let answer = text(output.stdout);
    let object: Value = serde_json::from_str(&answer).unwrap();
    let closed = object["B2"][0]["closed_form"].as_f64().unwrap();
    assert!((closed - 37.28).abs() < 0.01, "{closed}");
    assert_eq!(answer, expected.replace("CLOSED", &closed.to_string()));
}

#[test]
fn the_tables_and_the_stories_are_read_by_people() {
    let tables = text(relink(&["--outage", "500ms,30s"]).stdout);
    insta::assert_snapshot!("tables", tables);
    let story = text(relink(&["--outage", "10s", "--trace"]).stdout);
    insta::assert_snapshot!("stories", story);
}

#[test]
fn misuse_is_one_error_and_exit_code_2() {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("bounds-bad-policy.toml");
    std::fs::write(&file, "w0 = \"2h\"").unwrap();
    let cases: [(&[&str], &str); 6] = [
        (&["--outage", "30"], "is not a length of time"),
        (&["--outage", "-1s"], "`-1s` is not a length of time"),
        (&["--outage", "25h"], "up to 24h"),
        (&["--policy", "no-such-file.toml"], "no-such-file.toml: cannot be read as a policy"),
        (&["--policy", file.to_str().unwrap()], "w0 = \"2h\": must be from \"1ms\" to \"1h\""),
        (&["--json", "--trace"], "cannot be used with"),
    ];
    for (args, says) in cases {
        let output = relink(args);
        let said = text(output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{args:?}: {said}");
        assert!(said.contains(says) && said.matches("error:").count() == 1, "{args:?}: {said}");
    }
    std::fs::remove_file(file).unwrap();
}
