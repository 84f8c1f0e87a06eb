//! Each rule, broken once: the error names the field, the value, the rule and the fix.

use relink::policy::PolicyError;
use relink::{Backoff, Policy, Ratio, Span};

use super::{ms, ratio, with};

fn refused(change: impl FnOnce(&mut Policy)) -> PolicyError {
    with(change).check().unwrap_err()
}

/// The one broken rule, as `field | value | rule | fix`.
fn only(change: impl FnOnce(&mut Policy)) -> String {
    let error = refused(change);
    let [broken] = error.broken() else { panic!("not one broken rule: {error}") };
    let message = error.to_string();
    for part in [&broken.field, &broken.value, &broken.rule, &broken.fix] {
        assert!(message.contains(part.as_str()), "{message} lacks {part}");
    }
    assert!(message.starts_with("policy refused: ") && !message.ends_with('.'), "{message}");
    format!("{} | {} | {} | {}", broken.field, broken.value, broken.rule, broken.fix)
}

/// A change of the defaults, and what is said about it.
struct Case(fn(&mut Policy), &'static str);

#[test]
fn the_defaults_pass_without_a_warning() {
    let checked = Policy::default().check().unwrap();
    assert_eq!(checked.warnings(), []);
    assert_eq!(Policy::from(checked), Policy::default());
}

/// Both sides of both ends of a range: the ends pass, one beyond is refused with the field, the value,
/// the range and the default.
macro_rules! ranges {
    ($($field:ident: $lo:expr, $hi:expr, beyond $beyond:expr, rule $range:literal, default $default:literal $(, with $other:ident = $value:expr)*;)*) => {
        $(#[test]
        fn $field() {
            for end in [$lo, $hi] {
                let error = with(|p| { $(p.$other = $value;)* p.$field = end; }).check().err();
                assert!(!mentions(error.as_ref(), stringify!($field), "must be from"), "{error:?}");
            }
            for (beyond, literal) in $beyond {
                let error = refused(|p| { $(p.$other = $value;)* p.$field = beyond; });
                let broken = error.broken().iter().find(|broken| broken.rule == concat!("must be from ", $range));
                let broken = broken.unwrap_or_else(|| panic!("{error}"));
                assert_eq!(broken.field, stringify!($field));
                assert_eq!(broken.value, literal);
                assert_eq!(broken.fix, concat!("write ", stringify!($field), " = ", $default, ", the default"));
            }
        })*

        /// No range of the table is without a test.
        const RANGED: &[&str] = &[$(stringify!($field)),*];
    };
}

fn mentions(error: Option<&PolicyError>, field: &str, rule: &str) -> bool {
    error.is_some_and(|error| error.broken().iter().any(|b| b.field == field && b.rule.starts_with(rule)))
}

mod range {
    use super::*;

    const DAY: u64 = 86_400_000;

    ranges! {
        w0: ms(1), ms(3_600_000), beyond [(ms(0), "\"0\""), (ms(3_600_001), "\"3600001ms\"")], rule "\"1ms\" to \"1h\"", default "\"500ms\"";
        jitter_lo: ratio("0"), ratio("10"), beyond [(ratio("10.000001"), "10.000001")], rule "0 to 10", default "0.5";
        jitter_hi: ratio("0"), ratio("10"), beyond [(ratio("10.000001"), "10.000001")], rule "0 to 10", default "1.4";
        kd: ratio("0"), ratio("1"), beyond [(ratio("1.000001"), "1.000001")], rule "0 to 1", default "0.085";
        capd: ms(1), ms(DAY), beyond [(ms(0), "\"0\""), (ms(DAY + 1), "\"86400001ms\"")], rule "\"1ms\" to \"24h\"", default "\"30s\"";
        ka: ratio("0"), ratio("1"), beyond [(ratio("1.5"), "1.5")], rule "0 to 1", default "0.15";
        g: ratio("1"), ratio("10"), beyond [(ratio("0.999999"), "0.999999"), (ratio("11"), "11")], rule "1 to 10", default "2";
        s: ratio("0.000001"), ratio("1"), beyond [(ratio("0"), "0"), (ratio("1.1"), "1.1")], rule "0.000001 to 1", default "0.5";
        cap0: ms(1), ms(DAY), beyond [(ms(0), "\"0\""), (ms(2 * DAY), "\"48h\"")], rule "\"1ms\" to \"24h\"", default "\"20s\"";
        kcap: ratio("0"), ratio("10"), beyond [(ratio("10.1"), "10.1")], rule "0 to 10", default "0.333333";
        elapsed_max: ms(1), ms(7 * DAY), beyond [(ms(0), "\"0\""), (ms(8 * DAY), "\"192h\"")], rule "\"1ms\" to \"168h\"", default "\"1h\"";
        max_dials: 1, 64, beyond [(0, "0"), (65, "65")], rule "1 to 64", default "1";
        replace_jitter: ms(0), ms(60_000), beyond [(ms(60_001), "\"60001ms\"")], rule "\"0\" to \"60s\"", default "\"50ms\"";
        hedge_after: ms(1), ms(3_600_000), beyond [(ms(0), "\"0\""), (ms(7_200_000), "\"2h\"")], rule "\"1ms\" to \"1h\"", default "\"250ms\"";
        stable_for: ms(1), ms(DAY), beyond [(ms(0), "\"0\""), (ms(2 * DAY), "\"48h\"")], rule "\"1ms\" to \"24h\"", default "\"30s\"";
        dial_deadline: ms(1), ms(3_600_000), beyond [(ms(0), "\"0\""), (ms(7_200_000), "\"2h\"")], rule "\"1ms\" to \"1h\"", default "\"5s\"";
        connect_deadline: ms(1), ms(3_600_000), beyond [(ms(0), "\"0\""), (ms(7_200_000), "\"2h\"")], rule "\"1ms\" to \"1h\"", default "\"2250ms\"";
        dial_deadline_max: ms(1), ms(3_600_000), beyond [(ms(0), "\"0\""), (ms(7_200_000), "\"2h\"")], rule "\"1ms\" to \"1h\"", default "\"60s\"";
        refusals_max: 1, 255, beyond [(0, "0")], rule "1 to 255", default "3";
        give_up_dials: Some(1), None, beyond [(Some(0), "0")], rule "1 to 4294967295", default "\"never\"";
        give_up_after: Some(ms(1)), None, beyond [(Some(ms(0)), "\"0\""), (Some(ms(31 * DAY)), "\"744h\"")], rule "\"1ms\" to \"720h\"", default "\"never\"";
        max_size: 1, 10_000, beyond [(0, "0"), (10_001, "10001")], rule "1 to 10000", default "16";
        min_idle: 0, 10_000, beyond [(10_001, "10001")], rule "0 to 10000", default "1";
        max_idle: 0, 10_000, beyond [(10_001, "10001")], rule "0 to 10000", default "16";
        waiters_max: 0, 1_000_000, beyond [(1_000_001, "1000001")], rule "0 to 1000000", default "1024";
        acquire_deadline: ms(1), ms(DAY), beyond [(ms(0), "\"0\""), (ms(2 * DAY), "\"48h\"")], rule "\"1ms\" to \"24h\"", default "\"30s\"";
        stale_after: ms(0), ms(30 * DAY), beyond [(ms(31 * DAY), "\"744h\"")], rule "\"0\" to \"720h\"", default "\"1s\"";
        probe_deadline: ms(1), ms(3_600_000), beyond [(ms(0), "\"0\""), (ms(7_200_000), "\"2h\"")], rule "\"1ms\" to \"1h\"", default "\"2s\"";
        reset_deadline: ms(1), ms(3_600_000), beyond [(ms(0), "\"0\""), (ms(7_200_000), "\"2h\"")], rule "\"1ms\" to \"1h\"", default "\"2s\"";
        close_deadline: ms(1), ms(3_600_000), beyond [(ms(0), "\"0\""), (ms(7_200_000), "\"2h\"")], rule "\"1ms\" to \"1h\"", default "\"1s\"";
        drain_deadline: ms(1), ms(DAY), beyond [(ms(0), "\"0\""), (ms(2 * DAY), "\"48h\"")], rule "\"1ms\" to \"24h\"", default "\"30s\"";
        lifetime_max: Some(ms(1)), None, beyond [(Some(ms(0)), "\"0\""), (Some(ms(31 * DAY)), "\"744h\"")], rule "\"1ms\" to \"720h\"", default "\"30m\"";
        lifetime_jitter: ratio("0"), ratio("0.999999"), beyond [(ratio("1"), "1")], rule "0 to 0.999999", default "0.1";
        idle_max: Some(ms(1)), None, beyond [(Some(ms(0)), "\"0\""), (Some(ms(31 * DAY)), "\"744h\"")], rule "\"1ms\" to \"720h\"", default "\"10m\"";
        lease_warn: Some(ms(1)), None, beyond [(Some(ms(0)), "\"0\""), (Some(ms(31 * DAY)), "\"744h\"")], rule "\"1ms\" to \"720h\"", default "\"60s\"";
        patience: Some(ms(1)), None, beyond [(Some(ms(0)), "\"0\""), (Some(ms(2 * DAY)), "\"48h\"")], rule "\"1ms\" to \"24h\"", default "\"1s\"";
        grace: ms(1), ms(3_600_000), beyond [(ms(0), "\"0\""), (ms(7_200_000), "\"2h\"")], rule "\"1ms\" to \"1h\"", default "\"1s\"", with patience = None;
        question_deadline: ms(1), ms(3_600_000), beyond [(ms(0), "\"0\""), (ms(7_200_000), "\"2h\"")], rule "\"1ms\" to \"1h\"", default "\"2s\"";
        keepalive_idle: ms(1_000), ms(32_767_000), beyond [(ms(0), "\"0\""), (ms(999), "\"999ms\""), (ms(32_768_000), "\"32768s\"")], rule "\"1s\" to \"32767s\"", default "\"4s\"";
        keepalive_interval: ms(1_000), ms(32_767_000), beyond [(ms(0), "\"0\""), (ms(32_768_000), "\"32768s\"")], rule "\"1s\" to \"32767s\"", default "\"2s\"";
        keepalive_count: 1, 127, beyond [(0, "0"), (128, "128")], rule "1 to 127", default "2";
        tcp_user_timeout: ms(1), ms(DAY), beyond [(ms(0), "\"0\""), (ms(2 * DAY), "\"48h\"")], rule "\"1ms\" to \"24h\"", default "\"8s\"";
        events_max: 1, 1_000_000, beyond [(0, "0"), (1_000_001, "1000001")], rule "1 to 1000000", default "1024";
    }

    #[test]
    fn every_setting_that_is_a_number_has_a_tested_range() {
        let choices = ["backoff", "on_down", "validate"];
        let numbers: Vec<_> = Policy::KEYS.iter().filter(|key| !choices.contains(key)).collect();
        assert_eq!(numbers, RANGED.iter().collect::<Vec<_>>());
    }
}

#[test]
fn relinks_pacing_needs_jitter_above_zero() {
    assert_eq!(
        only(|p| p.jitter_lo = ratio("0")),
        "jitter_lo | 0 | must be above 0, or a failed dial may be followed at once by the next | write jitter_lo = 0.5, the default",
    );
}

#[test]
fn no_upper_end_is_below_its_lower_end() {
    let cases: [Case; 8] = [
        Case(
            |p| p.jitter_hi = Ratio::from_millionths(400_000),
            "jitter_hi | 0.4 | must be at least jitter_lo, which is 0.5 | raise jitter_hi to 0.5 or lower jitter_lo to 0.4",
        ),
        Case(
            |p| p.capd = ms(499),
            "capd | \"499ms\" | must be at least w0, which is \"500ms\" | raise capd to \"500ms\" or lower w0 to \"499ms\"",
        ),
        Case(
            |p| p.cap0 = ms(499),
            "cap0 | \"499ms\" | must be at least w0, which is \"500ms\" | raise cap0 to \"500ms\" or lower w0 to \"499ms\"",
        ),
        Case(
            |p| p.elapsed_max = ms(499),
            "elapsed_max | \"499ms\" | must be at least w0, which is \"500ms\" | raise elapsed_max to \"500ms\" or lower w0 to \"499ms\"",
        ),
        Case(
            |p| p.dial_deadline_max = ms(4_999),
            "dial_deadline_max | \"4999ms\" | must be at least dial_deadline, which is \"5s\" | raise dial_deadline_max to \"5s\" or lower dial_deadline to \"4999ms\"",
        ),
        Case(
            |p| (p.max_size, p.min_idle) = (4, 5),
            "max_size | 4 | must be at least min_idle, which is 5 | raise max_size to 5 or lower min_idle to 4",
        ),
        Case(
            |p| p.max_idle = 0,
            "max_idle | 0 | must be at least min_idle, which is 1 | raise max_idle to 1 or lower min_idle to 0",
        ),
        Case(
            |p| p.patience = Some(ms(999)),
            "patience | \"999ms\" | must be at least grace, which is \"1s\" | raise patience to \"1s\" or lower grace to \"999ms\"",
        ),
    ];
    for Case(change, said) in cases {
        assert_eq!(only(change), said);
    }
}

#[test]
fn the_shortest_life_is_longer_than_it_takes_to_be_stable() {
    // 30 s less a tenth; and exactly 30 s is not longer.
    for (lifetime, shortest) in [(ms(30_000), "27s"), (Span::from_secs(33), "29700ms")] {
        let said = only(|p| p.lifetime_max = Some(lifetime));
        assert!(
            said.starts_with(&format!("lifetime_max | \"{lifetime}\" | less lifetime_jitter it is {shortest}")),
            "{said}"
        );
        assert!(said.contains("stable_for, 30s"), "{said}");
        assert!(said.ends_with("raise lifetime_max, lower stable_for, or write lifetime_max = \"never\""), "{said}");
    }
    let exactly = |p: &mut Policy| (p.lifetime_max, p.lifetime_jitter) = (Some(ms(30_000)), ratio("0"));
    assert!(with(exactly).check().is_err());
    assert!(with(|p| p.lifetime_max = Some(Span::from_secs(34))).check().is_ok());
    let neither = |p: &mut Policy| (p.lifetime_max, p.idle_max, p.stable_for) = (None, None, Span::from_secs(86_400));
    assert!(with(neither).check().is_ok());
}

#[test]
fn an_idle_session_lives_for_longer_than_it_takes_to_be_stable() {
    for idle in [Span::from_secs(1), Span::from_secs(30)] {
        assert_eq!(
            only(|p| p.idle_max = Some(idle)),
            format!(
                "idle_max | \"{idle}\" | must be longer than stable_for, 30s, or sessions that nobody uses never live to \
                 end an outage | raise idle_max, lower stable_for, or write idle_max = \"never\""
            ),
        );
    }
    assert!(with(|p| p.idle_max = Some(ms(30_001))).check().is_ok());
    assert!(
        with(|p| (p.idle_max, p.lifetime_max, p.stable_for) = (None, None, Span::from_secs(3_600))).check().is_ok()
    );
}

#[test]
fn keepalives_are_whole_seconds() {
    assert_eq!(
        only(|p| p.keepalive_idle = ms(4_500)),
        "keepalive_idle | \"4500ms\" | must be whole seconds, as the kernel counts | write keepalive_idle = \"5s\"",
    );
    assert_eq!(
        only(|p| p.keepalive_interval = ms(1_001)),
        "keepalive_interval | \"1001ms\" | must be whole seconds, as the kernel counts | write keepalive_interval = \"2s\"",
    );
}

#[test]
fn classic_backoffs_have_a_base_and_a_cap_above_it() {
    assert_eq!(
        only(|p| p.backoff = Backoff::Constant { wait: ms(0) }),
        "backoff.wait | \"0\" | must be from \"1ms\" to \"24h\" | write backoff.wait = \"1s\"",
    );
    let kinds: [fn(Span, Span) -> Backoff; 4] = [
        |base, cap| Backoff::Exponential { base, cap },
        |base, cap| Backoff::FullJitter { base, cap },
        |base, cap| Backoff::EqualJitter { base, cap },
        |base, cap| Backoff::DecorrelatedJitter { base, cap },
    ];
    for kind in kinds {
        assert_eq!(
            only(|p| p.backoff = kind(ms(0), ms(10))),
            "backoff.base | \"0\" | must be from \"1ms\" to \"24h\" | write backoff.base = \"100ms\"",
        );
        assert_eq!(
            only(|p| p.backoff = kind(ms(10), ms(9))),
            "backoff.cap | \"9ms\" | must be at least backoff.base, which is \"10ms\" | raise backoff.cap to \"10ms\" or lower backoff.base to \"9ms\"",
        );
        assert_eq!(
            only(|p| p.backoff = kind(ms(10), ms(86_400_001))),
            "backoff.cap | \"86400001ms\" | must be from \"1ms\" to \"24h\" | write backoff.cap = \"30s\"",
        );
        assert!(with(|p| p.backoff = kind(ms(10), ms(10))).check().is_ok());
    }
}

#[test]
fn assumptions_are_facts_that_can_be() {
    let cases: [Case; 6] = [
        Case(
            |p| p.assume.clients = Some(0),
            "assume.clients | 0 | must be from 1 to 1000000000 | correct assume.clients or leave it out",
        ),
        Case(
            |p| p.assume.slots = Some(0),
            "assume.slots | 0 | must be from 1 to 10000 | correct assume.slots or leave it out",
        ),
        Case(
            |p| p.assume.slots = Some(10_001),
            "assume.slots | 10001 | must be from 1 to 10000 | correct assume.slots or leave it out",
        ),
        Case(
            |p| p.assume.capacity_per_s = Some(0),
            "assume.capacity_per_s | 0 | must be from 1 to 1000000000 | correct assume.capacity_per_s or leave it out",
        ),
        Case(
            |p| p.assume.reject_cost = Some(Ratio::from_millionths(10_000_001)),
            "assume.reject_cost | 10.000001 | must be from 0 to 10 | correct assume.reject_cost or leave it out",
        ),
        Case(
            |p| (p.assume.clients, p.assume.slots) = (Some(4), Some(5)),
            "assume.clients | 4 | must be at least assume.slots, which is 5 | raise assume.clients to 5 or lower assume.slots to 4",
        ),
    ];
    for Case(change, said) in cases {
        assert_eq!(only(change), said);
    }
    assert_eq!(with(|p| p.assume.slots = Some(3)).check().unwrap().slots(), 3);
}

#[test]
fn all_broken_rules_are_told_at_once() {
    let error = refused(|p| (p.w0, p.max_size, p.events_max) = (ms(0), 0, 0));
    assert_eq!(
        error.to_string(),
        "policy refused, 4 rules broken:\n  \
         w0 = \"0\": must be from \"1ms\" to \"1h\"; write w0 = \"500ms\", the default\n  \
         max_size = 0: must be from 1 to 10000; write max_size = 16, the default\n  \
         events_max = 0: must be from 1 to 1000000; write events_max = 1024, the default\n  \
         max_size = 0: must be at least min_idle, which is 1; raise max_size to 1 or lower min_idle to 0",
    );
}

#[test]
fn a_small_pool_needs_only_its_size() {
    let checked = Policy::builder().max_size(4).check().unwrap();
    assert_eq!((checked.max_size, checked.max_idle), (4, 4));
    assert_eq!(checked.warnings(), []);
}

#[test]
fn what_is_allowed_but_dangerous_is_said_aloud() {
    let cases: [Case; 9] = [
        Case(|p| p.kcap = Ratio::default(), "kcap = 0: a ceiling that never grows"),
        Case(|p| p.elapsed_max = Span::from_secs(60), "kcap = 0.333333: a ceiling that never grows"),
        Case(
            |p| (p.w0, p.max_size, p.max_idle) = (Span::from_secs(20), 10_000, 10_000),
            "kcap = 0.333333: a ceiling that never grows",
        ),
        Case(|p| p.backoff = Backoff::Grpc, "backoff = \"grpc\": a ceiling that never grows"),
        Case(|p| p.jitter_lo = p.jitter_hi, "jitter_hi = 1.4: without jitter"),
        Case(|p| p.max_size = 64, "max_idle = 16: of up to 64 sessions"),
        Case(|p| p.patience = None, "patience = \"never\": a peer whose kernel answers"),
        Case(|p| p.grace = ms(99), "grace = \"99ms\": below 100ms"),
        Case(|p| p.tcp_user_timeout = ms(8_001), "tcp_user_timeout = \"8001ms\": on Linux it overrules keepalives"),
    ];
    for Case(change, said) in cases {
        let warnings = with(change).check().unwrap().warnings();
        let [warning] = warnings.as_slice() else { panic!("not one warning: {warnings:?}") };
        assert!(warning.to_string().starts_with(said), "{warning}");
        assert!(!warning.fix.is_empty());
    }
}
