//! One scenario each for what the pacer once did wrong, or could.

use relink::{
    Backoff, DialId, Fault, Pacer, Policy, Span, Time,
    pacer::{Command, Event, Phase},
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

fn policy(change: impl FnOnce(&mut Policy)) -> Checked {
    let mut policy = Policy::default();
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
