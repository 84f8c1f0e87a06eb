//! `relink classify` as a user runs it: its answers, its refusals, its exit codes.
#![expect(clippy::unwrap_used, reason = "a test that meets the unforeseen has failed")]

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::{Value, json};

fn relink(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_relink")).args(["classify", "postgres"]).args(args).output().unwrap()
}

fn answer(args: &[&str]) -> Value {
    let output = relink(&[args, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The exit code and the one error that a refused call prints.
fn refusal(args: &[&str]) -> (i32, String) {
    let output = relink(args);
    assert!(output.stdout.is_empty(), "{args:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("error:")).count(), 1, "{text}");
    (output.status.code().unwrap(), text)
}

/// A file of one test's own, removed with the value.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn the_answer_is_one_object_of_five_keys() {
    let output = relink(&["--sqlstate", "57P04", "--severity", "FATAL", "--json"]);
    let expected = "{\"fault\":\"Lost\",\"known\":true,\"does\":\"next_endpoint\",\"session\":\"dead\",\
                    \"source\":\"observed: l3 DROP DATABASE on the primary, connection on the standby [idle]\"}\n";
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

#[test]
fn the_facts_and_the_phase_decide() {
    for (args, fault, does, session) in [
        (&["--sqlstate", "53300"][..], "Overloaded", "overload", "dead"),
        (&["--sqlstate", "25006", "--severity", "error"], "WrongRole", "confirm_role", "usable"),
        (&["--sqlstate", "0A000", "--severity", "ERROR"], "WrongRole", "confirm_role", "usable"),
        (&["--phase", "connect", "--sqlstate", "28P01"], "Denied", "hold", "dead"),
        (&["--phase", "connect", "--sqlstate", "3D000"], "Misconfigured", "hold", "dead"),
        (&["--phase", "connect", "--sqlstate", "57P03"], "Starting", "backoff", "dead"),
        (&["--sqlstate", "40001", "--severity", "ERROR"], "Retryable", "retry_transaction", "usable"),
        (&["--sqlstate", "40001", "--severity", "fatal"], "Lost", "next_endpoint", "dead"),
        (&["--sqlstate", "57014"], "Query", "callers", "usable"),
        (&["--in-commit", "--message", "connection closed"], "Ambiguous", "report_ambiguous", "dead"),
        (&["--phase", "commit", "--io-kind", "ConnectionReset"], "Ambiguous", "report_ambiguous", "dead"),
        (&["--phase", "idle", "--io-kind", "ConnectionReset"], "Lost", "next_endpoint", "dead"),
        (&["--phase", "connect", "--io-kind", "permissiondenied"], "WrongRole", "next_endpoint", "dead"),
        (&["--sqlstate", "08P01", "--message", "query_wait_timeout"], "Overloaded", "overload", "dead"),
    ] {
        let answer = answer(args);
        assert_eq!(answer["known"], json!(true), "{args:?}");
        assert_eq!([&answer["fault"], &answer["does"], &answer["session"]], [fault, does, session], "{args:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_bare_errno_is_enough() {
    for (errno, fault) in [("111", "Refused"), ("104", "Refused"), ("110", "Unreachable"), ("13", "Unreachable")] {
        assert_eq!(answer(&["--phase", "connect", "--errno", errno])["fault"], fault, "{errno}");
    }
    assert_eq!(answer(&["--errno", "104"])["fault"], "Lost");
}

#[test]
fn an_unknown_code_is_decided_by_a_stated_default() {
    let fatal = answer(&["--sqlstate", "zz999", "--severity", "Panic"]);
    assert_eq!([&fatal["fault"], &fatal["known"]], [&json!("Lost"), &json!(false)]);
    let error = answer(&["--sqlstate", "ZZ999", "--severity", "ERROR"]);
    assert_eq!([&error["fault"], &error["session"]], ["Query", "usable"]);
}

#[test]
fn rules_of_a_policy_file_come_first_and_the_rest_of_it_is_left_alone() {
    let file = File::new(
        "policy.toml",
        "w0 = \"500ms\"\n[[fault]]\nsqlstate = \"57P01\"\nfault = \"Starting\"\nsource = \"ours\"\n\
         [assume]\nclients = 1000\n",
    );
    let changed = answer(&["--sqlstate", "57P01", "--rules", file.path()]);
    assert_eq!([&changed["fault"], &changed["source"]], ["Starting", "ours"]);
    assert_eq!(answer(&["--sqlstate", "57P05", "--rules", file.path()])["fault"], "Lost");
    let none = File::new("no_rows.toml", "[assume]\nclients = 1000\n");
    assert_eq!(answer(&["--sqlstate", "57P01", "--rules", none.path()])["fault"], "Lost");
}

#[test]
fn bad_usage_is_one_error_that_names_the_value_the_rule_and_the_fix() {
    for (args, said) in [
        (&["--phase", "comit", "--errno", "1"][..], ["'comit'", "did you mean \"commit\"?"]),
        (&["--severity", "FATAAL", "--errno", "1"], ["'FATAAL'", "did you mean \"FATAL\"?"]),
        (&["--sqlstate", "57P0"], ["'57P0'", "five characters"]),
        (&["--sqlstate", "57P0é"], ["'57P0é'", "five characters"]),
        (&["--io-kind", "ConnectionRest"], ["'ConnectionRest'", "did you mean \"ConnectionReset\"?"]),
        (&["--errno", "many"], ["'many'", "a whole number above 0, of 32 bits: give one such as 104"]),
        (&["--errno", "-104"], ["'-104'", "give one such as 104"]),
        (&[], ["no evidence given", "--sqlstate"]),
        (&["--phase", "commit"], ["no evidence given", "--io-kind"]),
        (&["--in-commit", "--phase", "idle", "--errno", "1"], ["--in-commit", "--phase"]),
    ] {
        let (code, text) = refusal(args);
        assert_eq!(code, 2, "{args:?}: {text}");
        for part in said {
            assert!(text.contains(part), "{args:?}: {text}");
        }
    }
}

#[test]
fn a_bad_rules_file_and_a_missing_one_are_bad_usage() {
    for (name, text, said) in [
        ("key.toml", "[[fault]]\nsqlsate = \"57P01\"\nfault = \"Lost\"\n", "did you mean \"sqlstate\"?"),
        ("everything.toml", "[[fault]]\nphase = \"query\"\nfault = \"Lost\"\n", "matches everything"),
        ("shape.toml", "fault = \"Lost\"\n", "line 1"),
        ("syntax.toml", "[[fault]]\nfault = \n", "line 2: not TOML"),
        ("secret.toml", "password = \"hunter2\n", "line 1: not TOML"),
        ("key_of_a_policy.toml", "max_sise = 8\n", "line 1: max_sise: is not a setting; write max_size"),
    ] {
        let file = File::new(name, text);
        let (code, text) = refusal(&["--errno", "1", "--rules", file.path()]);
        assert_eq!(code, 2, "{text}");
        assert!(text.contains(file.path()) && text.contains(said) && !text.contains("hunter2"), "{text}");
    }
    let (code, text) = refusal(&["--errno", "1", "--rules", "/nowhere/policy.toml"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("/nowhere/policy.toml"), "{text}");
}

#[test]
fn text_for_people_is_aligned_and_plain_where_no_terminal_is() {
    let output = relink(&["--sqlstate", "57P05"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let columns: Vec<_> = text.lines().map(|line| line.split_at(9).0.trim_end()).collect();
    assert_eq!(columns, ["fault", "does", "session", "source"]);
    assert!(text.starts_with("fault    lost\n"), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
}
