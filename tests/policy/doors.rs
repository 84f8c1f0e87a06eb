//! Files and the environment: what is read, what is refused and how it is said.

use relink::policy::{LoadError, Rule};
use relink::{Backoff, Fault, OnDown, Policy, Span, Validate};

use super::{ms, ratio, with};

fn refused(text: &str) -> String {
    Policy::from_toml(text).unwrap_err().to_string()
}

fn env_refused(name: &str, value: &str) -> String {
    Policy::default().with_env([(name, value)]).unwrap_err().to_string()
}

#[test]
fn every_form_of_a_value_is_read() {
    let policy = Policy::from_toml(
        r#"
        backoff = { kind = "decorrelated_jitter", base = "100ms", cap = "30s" }
        kd = 0.05
        g = 3
        replace_jitter = 0
        max_size = 8
        give_up_dials = 10
        idle_max = "never"
        on_down = "fail_fast"
        validate = "always"

        [assume]
        clients = 5_000
        reject_cost = 0.2

        [[fault]]
        phase = "connect"
        sqlstate = "53300"
        fault = "Overloaded"
        "#,
    )
    .unwrap();
    assert_eq!(policy.backoff, Backoff::DecorrelatedJitter { base: ms(100), cap: ms(30_000) });
    assert_eq!((policy.kd, policy.g), (ratio("0.05"), ratio("3")));
    assert_eq!((policy.replace_jitter, policy.max_size), (Span::ZERO, 8));
    assert_eq!((policy.give_up_dials, policy.idle_max), (Some(10), None));
    assert_eq!((policy.on_down, policy.validate), (OnDown::FailFast, Validate::Always));
    assert_eq!((policy.assume.clients, policy.assume.reject_cost), (Some(5_000), Some(ratio("0.2"))));
    let [Rule { fault: Fault::Overloaded, sqlstate: Some(code), .. }] = policy.fault.as_slice() else {
        panic!("{:?}", policy.fault)
    };
    assert_eq!(code, "53300");
    assert_eq!(Policy::from_toml(&policy.to_toml().unwrap()).unwrap(), policy);
    assert!(policy.check().is_ok());
}

#[test]
fn both_plain_backoffs_are_words() {
    for (word, backoff) in [("relink", Backoff::Relink), ("grpc", Backoff::Grpc)] {
        assert_eq!(Policy::from_toml(&format!("backoff = {word:?}")).unwrap().backoff, backoff);
        assert!(with(|p| p.backoff = backoff).to_toml().unwrap().contains(&format!("backoff = {word:?}\n")));
    }
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    for (text, near) in [
        ("max_sise = 8", "max_size"),
        ("dial_deadine = \"1s\"", "dial_deadline"),
        ("faults = []", "fault"),
        ("assume = { client = 3 }", "assume.clients"),
        ("[assumed]", "assume"),
    ] {
        let said = refused(text);
        assert!(
            said.ends_with(&format!("is not a setting; write {near}, the nearest name there is, or remove it")),
            "{said}"
        );
    }
}

#[test]
fn a_key_like_none_that_is_known_is_told_none() {
    let fix = "is not a setting; remove it; the settings are the fields of relink::Policy";
    for text in ["password = \"hunter2\"", "assume = { colour = 3 }", "colour = 1"] {
        let said = refused(text);
        assert!(said.ends_with(fix) && !said.contains("hunter2"), "{said}");
    }
    assert!(env_refused("RELINK_PASSWORD", "hunter2").ends_with(fix));
}

#[test]
fn a_value_of_the_wrong_form_is_refused_with_its_line_and_the_default() {
    for (text, said) in [
        (
            "kd = 0.1\nw0 = \"5 parsecs\"",
            "line 2: w0 = \"5 parsecs\": must be a length of time such as \"250ms\", \"5s\", \"30m\" or \"1h\"; write w0 = \"500ms\", the default",
        ),
        (
            "w0 = 500",
            "line 1: w0 = 500: must be a length of time such as \"250ms\", \"5s\", \"30m\" or \"1h\"; write w0 = \"500ms\", the default",
        ),
        (
            "max_size = -1",
            "line 1: max_size = -1: must be a whole number from 0 to 65535; write max_size = 16, the default",
        ),
        (
            "max_size = 65536",
            "line 1: max_size = 65536: must be a whole number from 0 to 65535; write max_size = 16, the default",
        ),
        (
            "max_size = \"8\"",
            "line 1: max_size = \"8\": must be a whole number from 0 to 65535; write max_size = 16, the default",
        ),
        (
            "kd = -0.1",
            "line 1: kd = -0.1: must be a decimal number from 0 to 4294.967295, such as 0.08; write kd = 0.085, the default",
        ),
        (
            "kd = nan",
            "line 1: kd = nan: must be a decimal number from 0 to 4294.967295, such as 0.08; write kd = 0.085, the default",
        ),
        (
            "kd = 4295",
            "line 1: kd = 4295: must be a decimal number from 0 to 4294.967295, such as 0.08; write kd = 0.085, the default",
        ),
        (
            "patience = false",
            "line 1: patience = false: must be \"never\" or a length of time such as \"250ms\", \"5s\", \"30m\" or \"1h\"; write patience = \"1s\", the default",
        ),
        (
            "on_down = \"panic\"",
            "line 1: on_down = \"panic\": must be \"wait\" or \"fail_fast\"; write on_down = \"wait\", the default",
        ),
        (
            "validate = true",
            "line 1: validate = true: must be \"stale\", \"always\" or \"never\"; write validate = \"stale\", the default",
        ),
        (
            "[assume]\nclients = \"many\"",
            "line 2: assume.clients = \"many\": must be a whole number from 0 to 4294967295; correct assume.clients or leave it out",
        ),
        ("assume = 3", "line 1: assume: must be a table; write [assume] and below it clients = 5000"),
    ] {
        assert_eq!(refused(text), format!("policy text: policy refused: {said}"));
    }
}

#[test]
fn a_backoff_is_refused_unless_whole() {
    for value in [
        "\"fulljitter\"",
        "{ kind = \"full_jitter\" }",
        "{ kind = \"constant\", wait = \"1s\", cap = \"1s\" }",
        "{}",
        "3",
    ] {
        let said = refused(&format!("backoff = {value}"));
        assert!(said.contains(&format!("backoff = {value}: must be \"relink\", \"grpc\"")), "{said}");
        assert!(said.ends_with("write backoff = \"relink\", the default"), "{said}");
    }
}

#[test]
fn a_wrong_fault_row_is_refused_by_its_number_and_line() {
    let said = refused("[[fault]]\nfault = \"Lost\"\n[[fault]]\nsql_state = \"53300\"\nfault = \"Lost\"");
    assert!(
        said.contains("line 1: fault[0]: [[fault]]: the rule with fault Lost matches everything: name at least"),
        "{said}"
    );
    assert!(
        said.contains("line 3: fault[1]: unknown key of [[fault]] \"sql_state\": did you mean \"sqlstate\"?"),
        "{said}"
    );
    assert!(refused("fault = 3").contains("fault: must be rows of a table; write [[fault]]"));
}

#[test]
fn all_that_is_wrong_in_a_file_is_told_in_the_order_of_its_lines() {
    let said = refused("w0 = 1\nmax_size = 1.5\nbogus = 1\ncapd = true");
    let at: Vec<_> = ["line 1: w0", "line 2: max_size", "line 3: bogus", "line 4: capd"]
        .iter()
        .map(|part| said.find(part))
        .collect();
    assert!(said.starts_with("policy text: policy refused, 4 rules broken:\n"), "{said}");
    assert!(at.iter().all(Option::is_some) && at.is_sorted(), "{said}");
}

#[test]
fn no_error_repeats_what_may_be_a_secret() {
    for text in [
        "password = \"hunter2\"",
        "[assume]\npassword = \"hunter2\"",
        "w0 = \"1s\"\npassword = \"hunter2",
        "password = hunter2",
    ] {
        let error = Policy::from_toml(text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    let error = Policy::default().with_env([("RELINK_PASSWORD", "hunter2")]).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

#[test]
fn an_error_repeats_only_the_beginning_of_a_long_text() {
    let long = "x".repeat(10_000);
    for text in [format!("{long} = 1"), format!("w0 = \"{long}\""), format!("w0 = \"\"\"\n{long}\"\"\"")] {
        let said = refused(&text);
        assert!(said.len() < 400 && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn a_text_that_is_not_toml_is_refused_with_its_line() {
    let error = Policy::from_toml("w0 = \"1s\"\nkd = = 3\n").unwrap_err();
    assert!(matches!(&error, LoadError::Syntax { line: 2, .. }), "{error:?}");
    assert!(error.to_string().starts_with("policy text: line 2: not TOML: "), "{error}");
}

#[test]
fn the_environment_is_refused_by_the_names_of_its_variables() {
    for (name, value, said) in [
        (
            "RELINK_W0",
            "fast",
            "RELINK_W0 = fast: must be a length of time such as \"250ms\", \"5s\", \"30m\" or \"1h\"; write RELINK_W0 = \"500ms\", the default",
        ),
        (
            "RELINK_MAX_SIZE",
            "",
            "RELINK_MAX_SIZE: must be a whole number from 0 to 65535; write RELINK_MAX_SIZE = 16, the default",
        ),
        (
            "RELINK_MAX_SISE",
            "8",
            "RELINK_MAX_SISE: is not a setting; write RELINK_MAX_SIZE, the nearest name there is, or remove it",
        ),
        (
            "RELINK_ASSUME_CLIENT",
            "8",
            "RELINK_ASSUME_CLIENT: is not a setting; write RELINK_ASSUME_CLIENTS, the nearest name there is, or remove it",
        ),
        (
            "RELINK_ASSUME_CLIENTS",
            "-8",
            "RELINK_ASSUME_CLIENTS = -8: must be a whole number from 0 to 4294967295; correct RELINK_ASSUME_CLIENTS or leave it out",
        ),
    ] {
        assert_eq!(env_refused(name, value), format!("environment: policy refused: {said}"));
    }
    assert!(env_refused("RELINK_max_size", "8").contains("RELINK_max_size: is not a setting"));
    assert_eq!(
        env_refused("RELINK_FAULT", "[]"),
        "environment: policy refused: RELINK_FAULT: fault rows are written in files only; name the file in RELINK_POLICY",
    );
}

#[test]
fn the_environment_may_write_a_table_as_a_file_does() {
    let policy = Policy::default().with_env([("RELINK_BACKOFF", r#"{ kind = "constant", wait = "2s" }"#)]).unwrap();
    assert_eq!(policy.backoff, Backoff::Constant { wait: ms(2_000) });
}

#[test]
fn code_comes_after_the_environment_the_file_and_the_defaults() {
    let path = std::env::temp_dir().join(format!("relink-policy-{}.toml", std::process::id()));
    std::fs::write(&path, "w0 = \"100ms\"\nkd = 0.1\nmax_size = 5\n").unwrap();
    let vars = [
        ("RELINK_KD", "0.2".into()),
        ("RELINK_MAX_SIZE", "6".into()),
        ("RELINK_POLICY", path.clone().into_os_string()),
    ];
    let loaded = Policy::from_env(vars);
    std::fs::remove_file(&path).unwrap();
    let checked = loaded.unwrap().into_builder().max_size(7).check().unwrap();
    assert_eq!((checked.w0, checked.kd, checked.max_size), (ms(100), ratio("0.2"), 7));
    assert_eq!(checked.capd, Policy::default().capd);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Policy::from_file("no/such/relink.toml").unwrap_err();
    let why = "No such file or directory (os error 2); name a text file in TOML that this process may read";
    assert_eq!(error.to_string(), format!("no/such/relink.toml: cannot be read as a policy: {why}"));
    assert!(std::error::Error::source(&error).is_none(), "its words are in the text already");
    let error = Policy::from_env([("RELINK_POLICY", "no/such/relink.toml")]).unwrap_err();
    assert!(matches!(error, LoadError::Read { .. }));
}

#[test]
fn a_file_that_is_refused_is_named() {
    let path = std::env::temp_dir().join(format!("relink-refused-{}.toml", std::process::id()));
    std::fs::write(&path, "\nmax_sise = 5\n").unwrap();
    let error = Policy::from_file(&path);
    std::fs::remove_file(&path).unwrap();
    let said = error.unwrap_err().to_string();
    assert!(said.starts_with(&format!("{}: policy refused: line 2: max_sise", path.display())), "{said}");
}
