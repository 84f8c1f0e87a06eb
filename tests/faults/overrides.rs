//! Rows of the policy: they come before the table, in the API and in TOML, and are refused helpfully.

use relink::{BadRule, Evidence, Fault, Phase, Rule, Severity, classify, postgres::TABLE};
use serde::Deserialize;

#[derive(Debug, Deserialize, serde::Serialize)]
struct File {
    fault: Vec<Rule>,
}

fn rules(toml: &str) -> Vec<Rule> {
    toml::from_str::<File>(toml).unwrap().fault
}

fn refusal(row: &str) -> String {
    toml::from_str::<File>(&format!("[[fault]]\n{row}\n")).unwrap_err().to_string()
}

#[test]
fn a_row_of_the_api_comes_before_the_table() {
    let mine = [Rule { sqlstate: Some("57P01".into()), ..Rule::new(Fault::Starting, "our restarts are short") }];
    let evidence = Evidence { sqlstate: Some("57P01"), ..Evidence::new(Phase::Query) };
    assert_eq!(classify(&[], TABLE, &evidence).fault, Fault::Lost);
    let verdict = classify(&mine, TABLE, &evidence);
    assert_eq!((verdict.fault, verdict.known, verdict.source), (Fault::Starting, true, "our restarts are short"));
}

#[test]
fn a_row_of_the_policy_file_comes_before_the_table() {
    let mine = rules(
        r#"
        [[fault]]
        phase = "connect"
        message = "Name or service not known"
        fault = "misconfigured"

        [[fault]]
        sqlstate = "XX"
        severity = "error"
        routine = "citus_reconnect"
        fault = "Retryable"
        source = "our extension"

        [[fault]]
        errno = 113
        io_kind = "HostUnreachable"
        fault = "wrong role"
        "#,
    );
    let name = Evidence {
        message: Some("failed to lookup address information: Name or service not known"),
        io_kind: Some("Uncategorized"),
        ..Evidence::new(Phase::Connect)
    };
    assert_eq!(classify(&mine, TABLE, &name).fault, Fault::Misconfigured);
    let extension = Evidence {
        sqlstate: Some("XX000"),
        severity: Some(Severity::Error),
        routine: Some("citus_reconnect"),
        ..Evidence::new(Phase::Query)
    };
    let verdict = classify(&mine, TABLE, &extension);
    assert_eq!((verdict.fault, verdict.source), (Fault::Retryable, "our extension"));
    let other = Evidence { routine: Some("elog"), ..extension };
    assert_eq!(classify(&mine, TABLE, &other).fault, Fault::Query, "every matcher must match");
    let route = Evidence { errno: Some(113), io_kind: Some("HostUnreachable"), ..Evidence::new(Phase::Connect) };
    assert_eq!(classify(&mine, TABLE, &route).fault, Fault::WrongRole);
}

#[test]
fn the_first_of_two_rows_wins() {
    let mine =
        rules("[[fault]]\nsqlstate=\"P0001\"\nfault=\"Retryable\"\n[[fault]]\nsqlstate=\"P0\"\nfault=\"Lost\"\n");
    let verdict =
        |code| classify(&mine, TABLE, &Evidence { sqlstate: Some(code), ..Evidence::new(Phase::Query) }).fault;
    assert_eq!((verdict("P0001"), verdict("P0002")), (Fault::Retryable, Fault::Lost));
}

#[test]
fn a_row_without_a_phase_cannot_hide_an_ambiguous_commit() {
    let fatal = Evidence { sqlstate: Some("XX000"), severity: Some(Severity::Fatal), ..Evidence::new(Phase::Commit) };
    let hides = rules("[[fault]]\nsqlstate = \"XX000\"\nfault = \"Retryable\"\n");
    assert_eq!(classify(&hides, TABLE, &fatal).fault, Fault::Ambiguous);
    let insists = rules("[[fault]]\nsqlstate = \"XX000\"\nphase = \"commit\"\nfault = \"Retryable\"\n");
    assert_eq!(classify(&insists, TABLE, &fatal).fault, Fault::Retryable);
}

#[test]
fn rows_survive_being_written_and_read_again() {
    let before = File { fault: TABLE.to_vec() };
    let after: File = toml::from_str(&toml::to_string(&before).unwrap()).unwrap();
    assert_eq!(before.fault, after.fault);
}

#[test]
fn a_misspelt_word_is_refused_with_the_nearest_known_one() {
    for (row, said) in [
        ("sqlsate = \"57P01\"\nfault = \"Lost\"", ["\"sqlsate\"", "did you mean \"sqlstate\"?"]),
        ("sqlstate = \"57P01\"\nfault = \"Lots\"", ["\"Lots\"", "did you mean \"Lost\"?"]),
        ("sqlstate = \"57P01\"\nphase = \"comit\"\nfault = \"Lost\"", ["\"comit\"", "did you mean \"commit\"?"]),
        ("severity = \"FATL\"\nfault = \"Lost\"", ["\"FATL\"", "did you mean \"FATAL\"?"]),
        ("io_kind = \"ConectionReset\"\nfault = \"Lost\"", ["\"ConectionReset\"", "did you mean \"ConnectionReset\"?"]),
        ("sqlstate = \"57p01\"\nfault = \"Lost\"", ["\"57p01\"", "give five of 0-9 and A-Z"]),
        ("sqlstate = \"57P0\"\nfault = \"Lost\"", ["\"57P0\"", "a class (\"57\")"]),
        ("severity = \"zebra\"\nfault = \"Lost\"", ["\"zebra\"", "the known ones are PANIC, FATAL"]),
    ] {
        let refusal = refusal(row);
        for part in said {
            assert!(refusal.contains(part), "{row}: {refusal}");
        }
    }
    assert!(!refusal("severity = \"zebra\"\nfault = \"Lost\"").contains("did you mean"));
}

#[test]
fn a_row_that_matches_everything_or_nothing_is_refused() {
    assert!(refusal("fault = \"Lost\"").contains("fault Lost matches everything: name at least one of sqlstate"));
    assert!(refusal("phase = \"query\"\nfault = \"Lost\"").contains("matches everything in phase query"));
    assert!(
        refusal("errno = 0\nfault = \"Lost\"").contains("errno 0 is not an error number: give a whole number above 0")
    );
    assert!(refusal("message = \"\"\nfault = \"Lost\"").contains("part of every message"));
    assert!(refusal("sqlstate = \"57P01\"\nerrno = 104\nfault = \"Lost\"").contains("matches nothing"));
    assert!(refusal("sqlstate = \"none\"\nseverity = \"FATAL\"\nfault = \"Lost\"").contains("matches nothing"));
    assert!(refusal("sqlstate = \"57P01\"").contains("has no `fault`"));
    let bare = Rule::new(Fault::Lost, "");
    assert!(matches!(bare.check(), Err(BadRule::MatchesEverything { phase: None, fault: Fault::Lost })));
}
