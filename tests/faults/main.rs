//! Every observed fault goes through the classifier; overrides, texts, I/O errors and unknown codes too.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that meets the unforeseen has failed")]

mod driver;
mod expected;
mod overrides;

use std::collections::BTreeSet;

use expected::EXPECTED;
use relink::{Does, Evidence, Fault, Phase, Session, Severity, Verdict, classify, postgres::TABLE};
use serde::Deserialize;

/// One row of `tests/data/postgres_faults.json`.
#[derive(Deserialize)]
struct Row {
    fault: String,
    recommended_class: String,
    sqlstate: Option<String>,
    severity: Option<String>,
    message: Option<String>,
    routine: Option<String>,
    errno: Option<i32>,
    io_kind: Option<String>,
    #[serde(default)]
    closed: bool,
}

impl Row {
    fn evidence(&self, phase: Phase) -> Evidence<'_> {
        Evidence {
            phase,
            sqlstate: self.sqlstate.as_deref(),
            severity: self.severity.as_deref().map(|text| text.parse().unwrap()),
            message: self.message.as_deref(),
            routine: self.routine.as_deref(),
            errno: self.errno,
            io_kind: self.io_kind.as_deref(),
            closed: self.closed,
        }
    }
}

fn observed() -> Vec<Row> {
    serde_json::from_str(include_str!("../data/postgres_faults.json")).unwrap()
}

#[test]
fn every_observed_row_is_listed_and_every_listed_row_was_observed() {
    let observed = observed();
    assert_eq!(observed.len(), 167);
    let seen: BTreeSet<_> = observed.iter().map(|row| row.fault.as_str()).collect();
    let listed: BTreeSet<_> = EXPECTED.iter().map(|row| row.row).collect();
    assert_eq!(seen, listed);
    assert_eq!(listed.len(), EXPECTED.len(), "a row is listed twice");
}

#[test]
fn every_observed_error_has_the_class_expected_of_it() {
    let mut errors = 0;
    for row in observed() {
        let expected = EXPECTED.iter().find(|expected| expected.row == row.fault).unwrap();
        let Some((phase, fault)) = expected.error else {
            assert!(row.message.is_none(), "{}: reported an error", row.fault);
            continue;
        };
        errors += 1;
        let verdict = classify(&[], TABLE, &row.evidence(phase));
        assert_eq!((verdict.fault, verdict.known), (fault, true), "{} by {:?}", row.fault, verdict.source);
    }
    assert_eq!(errors, 138);
}

#[test]
fn a_reason_stands_exactly_where_the_recommended_class_is_not_followed() {
    for row in observed() {
        let expected = EXPECTED.iter().find(|expected| expected.row == row.fault).unwrap();
        let Some((_, fault)) = expected.error else { continue };
        let recommended = if row.recommended_class == "ReadOnly" { "WrongRole" } else { &row.recommended_class };
        assert_eq!(expected.differs.is_none(), recommended.parse() == Ok(fault), "{}", row.fault);
    }
}

#[test]
fn no_text_of_the_server_changes_the_class() {
    for text in ["由于管理员命令中断联接", "", "connection closed", "query_wait_timeout", "invalid column"] {
        for row in observed() {
            let expected = EXPECTED.iter().find(|expected| expected.row == row.fault).unwrap();
            let Some((phase, fault)) = expected.error else { continue };
            // PgBouncer sends no routine and does not localise.
            if row.routine.is_none() {
                continue;
            }
            let evidence = Evidence { message: Some(text), ..row.evidence(phase) };
            assert_eq!(classify(&[], TABLE, &evidence).fault, fault, "{} said as {text:?}", row.fault);
        }
    }
}

fn server(phase: Phase, sqlstate: &str, severity: Option<Severity>) -> Verdict<'static> {
    classify(&[], TABLE, &Evidence { sqlstate: Some(sqlstate), severity, ..Evidence::new(phase) })
}

fn system(phase: Phase, io_kind: &str, errno: Option<i32>) -> Fault {
    classify(&[], TABLE, &Evidence { io_kind: Some(io_kind), errno, ..Evidence::new(phase) }).fault
}

const ERROR: Option<Severity> = Some(Severity::Error);
const FATAL: Option<Severity> = Some(Severity::Fatal);

#[test]
fn the_same_code_means_different_things_in_different_phases() {
    for (code, severity, expected) in [
        ("42501", ERROR, [Fault::Denied, Fault::Query, Fault::Query]),
        ("55000", ERROR, [Fault::Denied, Fault::WrongRole, Fault::WrongRole]),
        ("22023", ERROR, [Fault::Misconfigured, Fault::Query, Fault::Query]),
        ("0A000", ERROR, [Fault::Misconfigured, Fault::WrongRole, Fault::WrongRole]),
        ("25006", ERROR, [Fault::WrongRole, Fault::WrongRole, Fault::WrongRole]),
        ("57P01", FATAL, [Fault::Starting, Fault::Lost, Fault::Ambiguous]),
        ("57P04", FATAL, [Fault::Misconfigured, Fault::Lost, Fault::Ambiguous]),
        ("40001", ERROR, [Fault::Refused, Fault::Retryable, Fault::Retryable]),
        ("40001", FATAL, [Fault::Refused, Fault::Lost, Fault::Ambiguous]),
        ("40P01", FATAL, [Fault::Refused, Fault::Lost, Fault::Ambiguous]),
        ("40003", ERROR, [Fault::Refused, Fault::Ambiguous, Fault::Ambiguous]),
        ("08007", None, [Fault::Refused, Fault::Ambiguous, Fault::Ambiguous]),
        ("08006", FATAL, [Fault::Refused, Fault::Lost, Fault::Ambiguous]),
        ("08006", ERROR, [Fault::Refused, Fault::Query, Fault::Ambiguous]),
        ("08P01", ERROR, [Fault::Refused, Fault::Query, Fault::Query]),
        ("53300", FATAL, [Fault::Overloaded, Fault::Overloaded, Fault::Overloaded]),
        ("53200", ERROR, [Fault::Overloaded, Fault::Overloaded, Fault::Overloaded]),
        ("53200", FATAL, [Fault::Overloaded, Fault::Overloaded, Fault::Ambiguous]),
        ("57P03", FATAL, [Fault::Starting, Fault::Starting, Fault::Starting]),
        ("3D000", FATAL, [Fault::Misconfigured, Fault::Misconfigured, Fault::Ambiguous]),
        ("3D000", ERROR, [Fault::Misconfigured, Fault::Query, Fault::Query]),
        ("23505", ERROR, [Fault::Refused, Fault::Query, Fault::Query]),
    ] {
        let [connect, query, commit] = expected;
        for (phase, fault) in [(Phase::Connect, connect), (Phase::Query, query), (Phase::Commit, commit)] {
            let verdict = server(phase, code, severity);
            assert_eq!((verdict.fault, verdict.known), (fault, true), "{code} {severity:?} in {phase:?}");
        }
    }
}

#[test]
fn the_protocol_violation_of_a_real_server_is_told_by_its_routine() {
    let evidence = Evidence { sqlstate: Some("08P01"), severity: FATAL, ..Evidence::new(Phase::Connect) };
    let real = Evidence { routine: Some("ProcessStartupPacket"), ..evidence };
    assert_eq!(classify(&[], TABLE, &real).fault, Fault::Misconfigured);
    let pooler = Evidence { message: Some("die Datenbank startet gerade"), ..evidence };
    assert_eq!(classify(&[], TABLE, &pooler).fault, Fault::Refused, "never held for words not understood");
}

#[test]
fn a_server_that_refuses_the_poolers_own_dial_is_understood_in_english() {
    for (text, fault) in [
        ("sorry, too many clients already", Fault::Overloaded),
        ("remaining connection slots are reserved for roles with the SUPERUSER attribute", Fault::Overloaded),
        ("the database system is starting up", Fault::Starting),
    ] {
        let evidence = Evidence { sqlstate: Some("08P01"), message: Some(text), ..Evidence::new(Phase::Connect) };
        assert_eq!(classify(&[], TABLE, &evidence).fault, fault, "{text}");
    }
}

#[test]
fn the_kinds_of_io_error_are_told_apart_by_phase_and_number() {
    use Phase::{Commit, Connect, Idle, Query};
    for (kind, errno, connect) in [
        ("ConnectionRefused", Some(111), Fault::Refused),
        ("ConnectionReset", Some(104), Fault::Refused),
        ("UnexpectedEof", None, Fault::Refused),
        ("BrokenPipe", Some(32), Fault::Refused),
        ("TimedOut", None, Fault::Unreachable),
        ("TimedOut", Some(110), Fault::Unreachable),
        ("HostUnreachable", Some(113), Fault::Unreachable),
        ("NetworkUnreachable", Some(101), Fault::Unreachable),
        ("InvalidInput", Some(22), Fault::Unreachable),
        ("InvalidInput", None, Fault::Misconfigured),
        ("PermissionDenied", Some(13), Fault::Unreachable),
        ("PermissionDenied", None, Fault::WrongRole),
        ("Uncategorized", None, Fault::Unreachable),
        ("Uncategorized", Some(24), Fault::Overloaded),
        ("Other", None, Fault::Misconfigured),
    ] {
        assert_eq!(system(Connect, kind, errno), connect, "{kind} {errno:?}");
        assert_eq!(system(Idle, kind, errno), Fault::Lost, "{kind} {errno:?}");
        assert_eq!(system(Query, kind, errno), Fault::Lost, "{kind} {errno:?}");
        assert_eq!(system(Commit, kind, errno), Fault::Ambiguous, "{kind} {errno:?}");
    }
}

#[test]
fn an_unknown_code_falls_to_the_stated_default_and_says_so() {
    for (phase, severity, fault) in [
        (Phase::Connect, FATAL, Fault::Refused),
        (Phase::Idle, FATAL, Fault::Lost),
        (Phase::Idle, None, Fault::Lost),
        (Phase::Query, FATAL, Fault::Lost),
        (Phase::Query, Some(Severity::Panic), Fault::Lost),
        (Phase::Query, ERROR, Fault::Query),
        (Phase::Query, None, Fault::Query),
        (Phase::Commit, FATAL, Fault::Ambiguous),
        (Phase::Commit, ERROR, Fault::Query),
        (Phase::Commit, None, Fault::Ambiguous),
    ] {
        for code in ["ZZ999", "57P06"] {
            let verdict = server(phase, code, severity);
            assert_eq!((verdict.fault, verdict.known), (fault, false), "{code} {severity:?} in {phase:?}");
            assert!(verdict.source.starts_with("default: "), "{}", verdict.source);
        }
    }
}

#[test]
fn a_closed_transport_is_a_loss_whatever_came_with_it() {
    for code in ["ZZ999", "40001", "25006", "23505"] {
        for (phase, fault) in [(Phase::Query, Fault::Lost), (Phase::Commit, Fault::Ambiguous)] {
            let evidence = Evidence { sqlstate: Some(code), closed: true, ..Evidence::new(phase) };
            assert_eq!(classify(&[], TABLE, &evidence).fault, fault, "{code} in {phase:?}");
        }
    }
}

#[test]
fn each_class_has_its_consequence() {
    let consequences: Vec<_> = Fault::ALL.map(|fault| fault.does(Phase::Query).as_str()).into();
    let expected = "next_endpoint next_endpoint next_endpoint backoff next_endpoint overload confirm_role hold hold \
                    report_ambiguous retry_transaction callers";
    assert_eq!(consequences, expected.split_whitespace().collect::<Vec<_>>());
    assert_eq!(Fault::WrongRole.does(Phase::Connect), Does::NextEndpoint, "the dial has asked already");
    for fault in Fault::ALL.into_iter().filter(|fault| *fault != Fault::WrongRole) {
        assert_eq!(fault.does(Phase::Connect), fault.does(Phase::Commit), "{fault}");
    }
}

#[test]
fn a_session_is_usable_only_if_nothing_says_that_it_has_ended() {
    let query = Evidence::new(Phase::Query);
    let error = Evidence { severity: ERROR, ..query };
    let usable = |fault: Fault, evidence: &Evidence<'_>| fault.session(evidence) == Session::Usable;
    for fault in [Fault::WrongRole, Fault::Retryable, Fault::Query] {
        assert!(usable(fault, &query) && usable(fault, &error));
        assert!(!usable(fault, &Evidence { severity: FATAL, ..query }));
        assert!(!usable(fault, &Evidence { closed: true, ..error }));
        assert!(!usable(fault, &Evidence { errno: Some(104), ..query }));
        assert!(!usable(fault, &Evidence { phase: Phase::Connect, ..error }));
    }
    assert!(usable(Fault::Overloaded, &error) && !usable(Fault::Overloaded, &query));
    for fault in Fault::ALL {
        let lives = [Fault::Overloaded, Fault::WrongRole, Fault::Retryable, Fault::Query].contains(&fault);
        assert_eq!(usable(fault, &error), lives, "{fault}");
    }
}

#[test]
fn every_row_of_the_table_is_well_formed_cites_its_source_and_can_be_the_first_to_match() {
    for (index, rule) in TABLE.iter().enumerate() {
        assert_eq!(rule.check(), Ok(()), "{rule:?}");
        assert!(!rule.source.is_empty());
        let some_code = rule.sqlstate.as_deref().filter(|state| *state != "none").map(|state| format!("{state:_<5}"));
        let evidence = Evidence {
            phase: rule.phase.unwrap_or(Phase::Query),
            sqlstate: some_code.as_deref(),
            severity: rule.severity,
            message: rule.message.as_deref(),
            routine: rule.routine.as_deref(),
            errno: rule.errno,
            io_kind: rule.io_kind.as_deref(),
            closed: false,
        };
        let first = TABLE.iter().position(|row| row.matches(&evidence));
        assert_eq!(first, Some(index), "an earlier row hides {rule:?}");
    }
}

#[test]
fn every_observation_that_a_row_cites_exists() {
    let observed = observed();
    for rule in TABLE {
        let Some((_, cited)) = rule.source.split_once("observed: ") else { continue };
        let mut words = cited.split([' ', ',', ';', ':']).filter(|word| is_id(word)).peekable();
        assert!(words.peek().is_some(), "no row named in {:?}", rule.source);
        for id in words {
            assert!(observed.iter().any(|row| row.fault.split(' ').next() == Some(id)), "no row {id}: {}", rule.source);
        }
    }
}

/// Whether it looks like the id of an observation: a letter, a number, perhaps one more letter.
fn is_id(word: &str) -> bool {
    let digits =
        word.trim_start_matches(|c: char| c.is_ascii_lowercase()).trim_end_matches(|c: char| c.is_ascii_lowercase());
    word.len() <= 4
        && word.starts_with(|c: char| c.is_ascii_lowercase())
        && !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
}
