//! Whatever a policy says can be written and read back: as TOML, as JSON, and as an environment.

use proptest::prelude::*;
use relink::policy::Assume;
use relink::{Backoff, OnDown, Policy, Ratio, Span, Validate};

use super::{ms, with};

proptest! {
    #[test]
    fn a_policy_is_read_back_from_its_toml(policy in policies()) {
        let text = policy.to_toml().unwrap();
        prop_assert_eq!(Policy::from_toml(&text).unwrap(), policy, "{}", text);
    }

    #[test]
    fn a_policy_is_read_back_from_its_json(policy in policies()) {
        let text = serde_json::to_string(&policy).unwrap();
        prop_assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy);
    }

    #[test]
    fn a_policy_is_read_back_from_an_environment_with_its_values(policy in policies()) {
        let table: toml::Table = policy.to_toml().unwrap().parse().unwrap();
        let settings = table.iter().filter(|(key, _)| *key != "assume" && *key != "fault");
        let facts = table.get("assume").and_then(toml::Value::as_table).into_iter().flatten();
        let vars = settings.map(|(key, value)| variable(key, value));
        let vars = vars.chain(facts.map(|(fact, value)| variable(&format!("assume_{fact}"), value)));
        prop_assert_eq!(Policy::default().with_env(vars).unwrap(), policy);
    }

    #[test]
    fn no_text_makes_reading_panic(text in ".*") {
        let _ = Policy::from_toml(&text);
        let _ = Policy::default().with_env([("RELINK_W0", &text), ("RELINK_BACKOFF", &text), ("RELINK_KD", &text), ("RELINK_PATIENCE", &text)]);
        let _ = Policy::default().with_env([(format!("RELINK_{text}"), "1")]);
    }

    #[test]
    fn no_value_of_a_known_key_makes_reading_or_checking_panic(
        key in prop::sample::select([Policy::KEYS, &["assume", "fault", "assume.clients"]].concat()),
        value in prop_oneof![
            any::<i64>().prop_map(|n| n.to_string()),
            any::<f64>().prop_map(|n| format!("{n:?}")),
            "\"[0-9]{1,25}(ms|s|m|h|d)?\"",
            "(\\[|\\{|\"|'|never|true|kind|base|cap|=|,|1979-05-27| ){0,8}",
        ],
    ) {
        let checked = Policy::from_toml(&format!("{key} = {value}")).ok().and_then(|policy| policy.check().ok());
        let _ = checked.map(|p| (p.warnings(), p.cap(Span::FOREVER), p.jitter(Span::FOREVER, u64::MAX)));
    }
}

/// As one would write it: texts bare, all else as in a file.
fn variable(key: &str, value: &toml::Value) -> (String, String) {
    let text = value.as_str().map_or_else(|| value.to_string(), Into::into);
    (format!("RELINK_{}", key.to_uppercase()), text)
}

fn spans() -> impl Strategy<Value = Span> {
    prop_oneof![Just(Span::ZERO), (0_u64..5_000).prop_map(ms), (0_u64..4_000_000_000).prop_map(ms)]
}

fn ratios() -> impl Strategy<Value = Ratio> {
    prop_oneof![0..=3_000_000_u32, any::<u32>()].prop_map(Ratio::from_millionths)
}

fn backoffs() -> impl Strategy<Value = Backoff> {
    prop_oneof![
        Just(Backoff::Relink),
        Just(Backoff::Grpc),
        spans().prop_map(|wait| Backoff::Constant { wait }),
        (spans(), spans()).prop_map(|(base, cap)| Backoff::Exponential { base, cap }),
        (spans(), spans()).prop_map(|(base, cap)| Backoff::FullJitter { base, cap }),
        (spans(), spans()).prop_map(|(base, cap)| Backoff::EqualJitter { base, cap }),
        (spans(), spans()).prop_map(|(base, cap)| Backoff::DecorrelatedJitter { base, cap }),
    ]
}

prop_compose! {
    fn assumptions()(
        clients in any::<Option<u32>>(),
        slots in any::<Option<u16>>(),
        capacity_per_s in any::<Option<u32>>(),
        reject_cost in prop::option::of(ratios()),
    ) -> Assume {
        let mut assume = Assume::default();
        assume.clients = clients;
        assume.slots = slots;
        assume.capacity_per_s = capacity_per_s;
        assume.reject_cost = reject_cost;
        assume
    }
}

prop_compose! {
    /// Any policy at all, checked or not: one value of each form at least, in every state it can have.
    fn policies()(
        backoff in backoffs(),
        (w0, stable_for, hedge_after) in (spans(), spans(), spans()),
        (jitter_lo, kd, kcap) in (ratios(), ratios(), ratios()),
        (max_dials, max_size, waiters_max) in any::<(u8, u16, u32)>(),
        give_up_dials in any::<Option<u32>>(),
        (patience, idle_max) in (prop::option::of(spans()), prop::option::of(spans())),
        on_down in prop_oneof![Just(OnDown::Wait), Just(OnDown::FailFast)],
        validate in prop_oneof![Just(Validate::Stale), Just(Validate::Always), Just(Validate::Never)],
        assume in assumptions(),
    ) -> Policy {
        with(|p| {
            p.backoff = backoff;
            (p.w0, p.stable_for, p.hedge_after) = (w0, stable_for, hedge_after);
            (p.jitter_lo, p.kd, p.kcap) = (jitter_lo, kd, kcap);
            (p.max_dials, p.max_size, p.waiters_max) = (max_dials, max_size, waiters_max);
            p.give_up_dials = give_up_dials;
            (p.patience, p.idle_max) = (patience, idle_max);
            (p.on_down, p.validate) = (on_down, validate);
            p.assume = assume;
        })
    }
}
