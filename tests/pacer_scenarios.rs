//! One scenario each for what the pacer once did wrong, or could.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a test says what it expects by failing, and drives the machines with small numbers"
)]

use relink::{
    Backoff, DialId, Fault, Policy, Ratio, Span, Time,
    pacer::{Command, Event, Pacer, Phase},
    policy::Checked,
};

#[test]
fn an_endpoint_outside_the_set_changes_nothing() {
    let policy = policy(|_| {});
    let pacer = Pacer::new(2).at(Time::from_millis(1));
    let dial = DialId::new(0, 7);
    for event in [
        Event::Requested { endpoint: 7 },
        Event::Dialed { dial },
        Event::Failed { dial, fault: Fault::Refused },
        Event::Abandoned { dial },
        Event::Lost { endpoint: 7, unstable: true },
        Event::Lost { endpoint: 7, unstable: false },
        Event::Retired { endpoint: 7 },
    ] {
        assert_eq!(pacer.step(&policy, Time::from_millis(1), event, 0), (pacer, None), "{event:?}");
    }
}

#[test]
fn a_classic_policy_is_down_and_not_overloaded() {
    let policy = policy(|policy| policy.backoff = Backoff::FullJitter { base: second(1), cap: second(9) });
    let (pacer, dial) = dialed(&policy, Pacer::new(1), 0);
    let (pacer, _) = pacer.step(&policy, Time::ZERO, Event::Failed { dial, fault: Fault::Refused }, 0);
    assert_eq!(pacer.phase(0), Phase::Down);
}

#[test]
fn giving_up_a_dial_does_not_climb_a_classic_ladder() {
    let policy = policy(|policy| policy.backoff = Backoff::Exponential { base: second(1), cap: second(9) });
    let (pacer, dial) = dialed(&policy, Pacer::new(1), 0);
    let (pacer, _) = pacer.step(&policy, Time::ZERO, Event::Abandoned { dial }, 0);
    let then = pacer.not_before(0);
    let (pacer, dial) = dialed(&policy, pacer, then.as_millis());
    let (pacer, _) = pacer.step(&policy, then, Event::Failed { dial, fault: Fault::Refused }, 0);
    assert_eq!(pacer.not_before(0) - then, second(1), "the first failure waits for the base");
}

#[test]
fn every_failed_dial_waits_for_the_whole_window_also_one_that_teaches_nothing() {
    let policy = policy(|policy| policy.max_dials = 2);
    // A session first, so that two dials may be in flight, and then an outage of ten minutes.
    let (pacer, lead) = dialed(&policy, Pacer::new(1), 0);
    let (pacer, _) = pacer.step(&policy, Time::ZERO, Event::Dialed { dial: lead }, 0);
    let (pacer, first) = dialed(&policy, pacer, 0);
    let (pacer, second_dial) = dialed(&policy, pacer, 0);
    let (pacer, _) = pacer.step(&policy, Time::ZERO, Event::Lost { endpoint: 0, unstable: false }, 0);
    let late = Time::from_millis(600_000);
    let refused = |dial| Event::Failed { dial, fault: Fault::Refused };
    let (pacer, _) = pacer.step(&policy, late, refused(first), 0);
    let later = late + second(10);
    let (pacer, _) = pacer.step(&policy, later, refused(second_dial), 0);
    let least = policy.jitter_lo.of(policy.down_window(second(610)));
    assert!(pacer.not_before(0) >= later + least, "{:?} is less than {least:?} after {later:?}", pacer.not_before(0));
}

#[test]
fn dials_given_up_are_not_followed_by_as_many_at_one_instant() {
    let policy = policy(|policy| policy.max_dials = 2);
    let (pacer, lead) = dialed(&policy, Pacer::new(1), 0);
    let (pacer, _) = pacer.step(&policy, Time::ZERO, Event::Dialed { dial: lead }, 0);
    let (pacer, first) = dialed(&policy, pacer, 0);
    let (pacer, second_dial) = dialed(&policy, pacer, 0);
    let (pacer, _) = pacer.step(&policy, Time::ZERO, Event::Abandoned { dial: first }, 0);
    let (pacer, _) = pacer.step(&policy, Time::ZERO, Event::Abandoned { dial: second_dial }, 0);
    let (pacer, _) = dialed(&policy, pacer, 250);
    let again = pacer.step(&policy, Time::from_millis(250), Event::Requested { endpoint: 0 }, 0);
    assert_eq!(again, (pacer, None), "S2: no success has paid for a second one");
}

#[test]
fn an_outage_is_given_up_also_after_longer_than_the_clamp_of_its_age() {
    let policy = policy(|policy| policy.give_up_after = Some(second(7_200)));
    let (pacer, dial) = dialed(&policy, Pacer::new(1), 0);
    let refused = |dial| Event::Failed { dial, fault: Fault::Refused };
    let (pacer, _) = pacer.step(&policy, Time::ZERO, refused(dial), 0);
    let (pacer, dial) = dialed(&policy, pacer, 7_100_000);
    let (pacer, _) = pacer.step(&policy, Time::from_millis(7_199_999), refused(dial), 0);
    assert_eq!(pacer.held(), None);
    let (pacer, dial) = dialed(&policy, pacer, 7_300_000);
    let (pacer, _) = pacer.step(&policy, Time::from_millis(7_300_000), refused(dial), 0);
    assert_eq!(pacer.held(), Some(Fault::Refused));
}

fn policy(change: impl FnOnce(&mut Policy)) -> Checked {
    let mut policy = Policy::default();
    // The numbers that these tests reckon with, whatever the defaults are.
    (policy.jitter_hi, policy.kd) = (Ratio::from_millionths(1_500_000), Ratio::from_millionths(80_000));
    change(&mut policy);
    policy.check().unwrap_or_else(|_| panic!("a policy that may be had"))
}

fn second(s: u64) -> Span {
    Span::from_secs(s)
}

fn dialed(policy: &Checked, pacer: Pacer, ms: u64) -> (Pacer, DialId) {
    match pacer.step(policy, Time::from_millis(ms), Event::Requested { endpoint: 0 }, 0) {
        (pacer, Some(Command::Dial { dial, .. })) => (pacer, dial),
        (pacer, None) => panic!("no dial at {ms}: {pacer:?}"),
    }
}
