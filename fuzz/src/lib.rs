//! The bodies of the fuzz targets, shared by libFuzzer and by the replay of the corpus on stable.

#[path = "../../tests/harness/mod.rs"]
mod harness;
#[path = "../../tests/machines/mod.rs"]
mod machines;

use harness::{Bytes, Harness};
use relink::{Evidence, Fault, Phase, Policy, Severity, Span, Time, link::Link, postgres::TABLE};

/// A pool, a world that may do anything, and the promises after each step; then a recovery.
pub fn pool(bytes: &[u8]) {
    let mut bytes = Bytes::new(bytes);
    let mut harness = Harness::new(&mut bytes);
    harness.play(&mut bytes);
    harness.recover();
}

/// One link under any events at any times: nobody else's dial is ever adopted, and the end is the end.
pub fn link(bytes: &[u8]) {
    let policy = machines::policy(|_: &mut Policy| {});
    let (mut bytes, mut link) = (Bytes::new(bytes), Link::Idle);
    while !bytes.is_empty() {
        let events = machines::named_link_events(&link);
        let (name, event) = events[bytes.below(events.len())];
        let now = Time::from_millis(u64::from(bytes.byte()).pow(3));
        let (next, command) = link.step(&policy, now, event);
        let granted = matches!(event, relink::link::Event::Granted { .. });
        assert!(next.dial().is_none() || next.dial() == link.dial() || granted, "{name}: {link:?} -> {next:?}");
        assert!(link != Link::Closed || next == Link::Closed, "{name}: {next:?}");
        let closes = matches!(command, Some(relink::link::Command::Close(_)));
        assert!(!name.ends_with('*') || (next == link && (command.is_none() || closes)), "{name}: {link:?}");
        link = next;
    }
}

/// A policy file of any bytes: refused with a reason, or the same after a round trip and within its bounds.
pub fn policy(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let policy = match Policy::from_toml(text) {
        Ok(policy) => policy,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let written = policy.to_toml().expect("what was read can be written");
    assert_eq!(Policy::from_toml(&written).expect("what was written can be read"), policy, "{written}");
    match policy.check() {
        Ok(checked) => {
            let window = checked.down_window(Span::from_secs(bytes.len() as u64));
            for chance in [0, u64::MAX / 2, u64::MAX] {
                let wait = checked.jitter(window, chance);
                assert!(checked.jitter_lo.of(window) <= wait && wait <= checked.jitter_hi.of(window), "{wait:?}");
            }
        }
        Err(error) => assert!(error.broken().iter().all(|broken| !broken.fix.is_empty()), "{error}"),
    }
}

/// Any evidence: the class fits the phase, and nothing that ended a commit is told as anything but ambiguous.
pub fn classify(bytes: &[u8]) {
    let mut bytes = Bytes::new(bytes);
    let phase = Phase::ALL[bytes.below(Phase::ALL.len())];
    let row = |bytes: &mut Bytes<'_>| &TABLE[bytes.below(TABLE.len())];
    let mut evidence = Evidence::new(phase);
    // Half of the facts are taken from rows of the table, so that the rows are met at all.
    let state: String = (0..5).map(|_| char::from(b'0' + bytes.byte() % 43)).collect();
    let (code, text, kind) = (row(&mut bytes), row(&mut bytes), row(&mut bytes));
    evidence.sqlstate = match bytes.below(3) {
        0 => None,
        1 => Some(&state),
        _ => code.sqlstate.as_deref().filter(|code| code.len() == 5),
    };
    evidence.severity = (bytes.below(2) == 1).then(|| Severity::ALL[bytes.below(Severity::ALL.len())]);
    evidence.message = text.message.as_deref().filter(|_| bytes.below(2) == 1);
    evidence.io_kind = kind.io_kind.as_deref().filter(|_| bytes.below(2) == 1);
    evidence.errno = kind.errno.filter(|_| bytes.below(2) == 1);
    evidence.closed = bytes.below(2) == 1;
    let verdict = relink::classify(&[], TABLE, &evidence);
    assert!(!verdict.source.is_empty(), "{evidence:?}");
    match phase {
        Phase::Connect => {
            let impossible = [Fault::Lost, Fault::Ambiguous, Fault::Retryable, Fault::Query];
            assert!(!impossible.contains(&verdict.fault), "{evidence:?}: {verdict:?}");
        }
        Phase::Commit if evidence.ended() => assert_eq!(verdict.fault, Fault::Ambiguous, "{evidence:?}"),
        Phase::Idle | Phase::Query if evidence.ended() => {
            let alive = [Fault::WrongRole, Fault::Retryable, Fault::Query];
            assert!(!alive.contains(&verdict.fault), "{evidence:?}: {verdict:?}");
        }
        Phase::Idle | Phase::Query | Phase::Commit => {}
    }
}
