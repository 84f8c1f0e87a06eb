//! What each answer teaches a pacer, in milliseconds: one scenario for each rule, with the least chance unless it says so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects by failing")]

use relink::{
    Backoff, Checked, DialId, Fault, Frame, Policy, Ratio, Span, Time,
    pacer::{Command, Delays, Event, Next, Pacer, Phase},
};

#[test]
fn a_ramp_after_overload_waits_between_its_dials_and_no_other_dial_does() {
    let mut desk = Desk::new(1, |policy| policy.max_dials = 2);
    let dial = desk.dial(0, 0);
    desk.fail(dial, Fault::Overloaded);
    assert_eq!((desk.pacer.phase(0), desk.over(), desk.wait()), (Phase::Overloaded, 500, 250));
    let lead = desk.dial(250, 0);
    assert_eq!(desk.wait(), 0, "one dial at a time is spaced by its answer");
    desk.ok(lead);
    assert_eq!((desk.pacer.phase(0), desk.over(), desk.wait()), (Phase::Settling, 250, 125));
    desk.dial(375, 0);
    assert_eq!(desk.wait(), 125);
    desk.dial(500, 0);
    assert_eq!(desk.wait(), 0, "there is no room for a third");
}

#[test]
fn overload_grows_to_its_ceiling() {
    let mut desk = Desk::new(1, |_| {});
    let mut windows = Vec::new();
    for _ in 0..5 {
        let dial = desk.dial(desk.pacer.not_before(0).as_millis(), 0);
        desk.fail(dial, Fault::Overloaded);
        windows.push(desk.over());
    }
    assert_eq!(windows, [500, 1_000, 2_000, 4_000, 5_000]);
}

#[test]
fn only_silence_after_a_greeting_doubles_the_deadline_of_the_next_dial() {
    let mut desk = Desk::new(1, |_| {});
    let mut deadlines = Vec::new();
    for fault in
        [Fault::Overloaded, Fault::TimedOut, Fault::TimedOut, Fault::TimedOut, Fault::TimedOut, Fault::TimedOut]
    {
        let (dial, deadline) = desk.asked(desk.pacer.not_before(0).as_millis(), 0).unwrap();
        deadlines.push((deadline - desk.now).as_millis());
        desk.fail(dial, fault);
    }
    assert_eq!(deadlines, [5_000, 5_000, 10_000, 20_000, 40_000, 60_000]);
}

#[test]
fn an_outage_that_has_grown_as_old_as_it_counts_teaches_nothing_more() {
    let mut desk = Desk::new(1, |_| {});
    let mut seen = Vec::new();
    for hour in 1..=20 {
        let dial = desk.dial(hour * 3_600_000, 0);
        desk.fail(dial, Fault::TimedOut);
        let origin = Time::from_millis(3_600_000);
        let frame = Frame { now: desk.now, origin, dials: &[], leases: &[], topology: 0 };
        seen.push(desk.pacer.seen_from(&desk.policy, &frame));
    }
    assert_ne!(seen.first(), seen.last());
    assert_eq!(seen.pop(), seen.pop(), "neither its windows nor its deadline, nor what is counted for them");
}

#[test]
fn the_deadline_is_as_before_once_an_outage_is_forgotten_unless_its_last_answer_was_a_fault() {
    for (fault, deadline) in [(None, 5_000), (Some(Fault::Refused), 10_000)] {
        let mut desk = Desk::new(1, |policy| policy.max_dials = 2);
        let dial = desk.dial(0, 0);
        desk.fail(dial, Fault::TimedOut);
        let dial = desk.dial(1_000, 0);
        desk.ok(dial);
        if let Some(fault) = fault {
            let dial = desk.dial(2_000, 0);
            desk.fail(dial, fault);
        }
        let (_, ends) = desk.asked(100_000, 0).unwrap();
        assert_eq!(((ends - desk.now).as_millis(), desk.pacer.outage_since()), (deadline, None), "{fault:?}");
    }
}

#[test]
fn a_server_never_seen_is_waited_for_longer_and_one_that_was_seen_is_overloaded() {
    let mut desk = Desk::new(1, |_| {});
    let dial = desk.dial(0, 0);
    desk.fail(dial, Fault::Unreachable);
    let dial = desk.dial(100_000, 0);
    desk.fail(dial, Fault::Unreachable);
    assert_eq!((desk.pacer.phase(0), desk.over(), desk.wait()), (Phase::Down, 0, 7_500), "half of ka · 100 s");
    let dial = desk.dial(200_000, 0);
    desk.fail(dial, Fault::Refused);
    assert_eq!((desk.pacer.phase(0), desk.over(), desk.wait()), (Phase::Down, 0, 8_000), "half of kd · 200 s");
    let dial = desk.dial(208_000, 0);
    desk.fail(dial, Fault::Unreachable);
    assert_eq!((desk.pacer.phase(0), desk.over()), (Phase::Overloaded, 16_640));
}

#[test]
fn a_classic_policy_learns_no_overload() {
    let (base, cap) = (Span::from_secs(1), Span::from_secs(9));
    let mut desk = Desk::new(1, |policy| policy.backoff = Backoff::Exponential { base, cap });
    let dial = desk.dial(0, 0);
    desk.fail(dial, Fault::Overloaded);
    assert_eq!((desk.pacer.phase(0), desk.over(), desk.wait()), (Phase::Down, 0, 1_000));
}

#[test]
fn after_a_flap_the_lead_session_has_to_live_before_the_next_dial_and_the_next_one_has_not() {
    let mut desk = Desk::new(1, |policy| policy.max_dials = 3);
    let dial = desk.dial(0, 0);
    desk.fail(dial, Fault::Refused);
    let dial = desk.dial(250, 0);
    desk.ok(dial);
    assert_eq!(desk.wait(), 0, "nothing has flapped");
    desk.tell(20_000, Event::Lost { endpoint: 0, unstable: true });
    assert_eq!((desk.pacer.phase(0), desk.wait()), (Phase::Down, 800), "half of kd · 20 s");
    let lead = desk.dial(25_000, 0);
    desk.ok(lead);
    assert_eq!(desk.wait(), 2_000, "kd · 25 s");
    let next = desk.dial(27_000, 0);
    desk.ok(next);
    assert_eq!(desk.wait(), 0);
}

#[test]
fn an_outage_settles_with_its_first_session_and_anew_after_a_failure() {
    let mut desk = Desk::new(1, |policy| policy.max_dials = 2);
    let first = desk.dial(0, 0);
    desk.ok(first);
    assert_eq!((desk.pacer.outage_since(), desk.settles()), (None, None), "there is no outage");
    assert_eq!((desk.pacer.phase(0), desk.pacer.phase(1)), (Phase::Up, Phase::Up));
    desk.tell(0, Event::Lost { endpoint: 0, unstable: false });
    assert_eq!((desk.pacer.outage_since(), desk.settles()), (Some(Time::ZERO), None));
    let dial = desk.dial(1_000, 0);
    desk.fail(dial, Fault::Overloaded);
    assert_eq!(desk.settles(), None);
    let dial = desk.dial(2_000, 0);
    desk.ok(dial);
    assert_eq!(desk.settles(), Some(32_750), "stable_for, and twice hi · 250 ms for the ramp");
    let dial = desk.dial(3_000, 0);
    desk.ok(dial);
    assert_eq!(desk.settles(), Some(32_750));
    let dial = desk.dial(4_000, 0);
    desk.fail(dial, Fault::Refused);
    assert_eq!(desk.settles(), Some(34_376), "anew, and twice hi · 125 ms, rounded up");
    assert!(desk.pacer.at(Time::from_millis(34_375)).outage_since().is_some());
    assert_eq!(desk.pacer.at(Time::from_millis(34_376)).outage_since(), None);
    desk.tell(5_000, Event::Retired { endpoint: 0 });
    assert_eq!(desk.settles(), Some(34_376), "one session is left");
    desk.tell(5_000, Event::Retired { endpoint: 0 });
    assert_eq!(desk.settles(), None);
}

#[test]
fn a_loss_settles_while_a_session_is_left_and_not_after_the_last() {
    let mut desk = Desk::new(1, |policy| policy.max_dials = 2);
    for _ in 0..2 {
        let dial = desk.dial(0, 0);
        desk.ok(dial);
    }
    desk.tell(1_000, Event::Lost { endpoint: 0, unstable: false });
    assert_eq!(desk.settles(), Some(31_000));
    desk.tell(2_000, Event::Lost { endpoint: 0, unstable: false });
    assert_eq!(desk.settles(), None);
}

#[test]
fn a_loss_is_replaced_at_once_beside_a_healthy_session_alone() {
    let lost = Event::Lost { endpoint: 0, unstable: false };
    let mut desk = Desk::new(1, |policy| policy.max_dials = 4);
    for _ in 0..4 {
        let dial = desk.dial(0, 0);
        desk.ok(dial);
    }
    desk.tell_by(1_000, lost, u64::MAX);
    assert_eq!(desk.wait(), 50, "three are healthy");
    let dial = desk.dial(1_050, 0);
    desk.fail(dial, Fault::Refused);
    desk.tell_by(10_000, lost, u64::MAX);
    assert_eq!(desk.wait(), 500, "the last answer was a fault");
    // The outage is forgotten, and so is that fault: there is a session.
    desk.tell_by(50_000, lost, u64::MAX);
    assert_eq!(desk.wait(), 50);
    desk.tell_by(50_100, lost, u64::MAX);
    assert_eq!(desk.wait(), 500, "it was the last one");
}

#[test]
fn so_many_dials_of_an_outage_are_the_end_and_those_before_it_are_not_counted() {
    let mut desk = Desk::new(2, |policy| policy.give_up_dials = Some(2));
    let mut held = Vec::new();
    for ms in [0, 1_000, 2_000] {
        let dial = desk.dial(ms, 0);
        desk.fail(dial, Fault::Refused);
        held.push(desk.pacer.held());
    }
    assert_eq!(held, [None, None, Some(Fault::Refused)]);
}

#[test]
fn patience_does_not_end_beside_a_session_nor_where_a_dial_is_in_flight() {
    let mut desk = Desk::new(2, |policy| policy.give_up_dials = Some(1));
    let session = desk.dial(0, 1);
    desk.ok(session);
    for ms in [0, 1_000, 2_000] {
        let dial = desk.dial(ms, 0);
        desk.fail(dial, Fault::Refused);
    }
    assert_eq!(desk.pacer.phase(0), Phase::Down);
    desk.tell(3_000, Event::Retired { endpoint: 1 });
    desk.dial(3_000, 1);
    let dial = desk.dial(3_000, 0);
    desk.fail(dial, Fault::Refused);
    assert_eq!((desk.pacer.phase(0), desk.pacer.phase(1)), (Phase::Held, Phase::Settling));
}

#[test]
fn refused_credentials_hold_at_the_last_refusal_and_a_renewal_buys_one_try() {
    let mut desk = Desk::new(1, |_| {});
    let deny = |desk: &mut Desk| {
        let dial = desk.dial(desk.now.as_millis() + 60_000, 0);
        desk.fail(dial, Fault::Denied);
        desk.pacer.held()
    };
    let held = [deny(&mut desk), deny(&mut desk), deny(&mut desk)];
    assert_eq!(held, [None, None, Some(Fault::Denied)]);
    assert_eq!((desk.pacer.phase(0), desk.pacer.credentials()), (Phase::Held, 0));
    desk.tell(desk.now.as_millis(), Event::Renewed);
    assert_eq!((desk.pacer.phase(0), desk.pacer.credentials()), (Phase::Down, 1));
    assert_eq!(deny(&mut desk), Some(Fault::Denied));
    desk.tell(desk.now.as_millis(), Event::Renewed);
    assert_eq!(desk.pacer.credentials(), 2);
    let dial = desk.dial(desk.now.as_millis() + 60_000, 0);
    desk.fail(dial, Fault::Misconfigured);
    assert_eq!(desk.pacer.held(), Some(Fault::Misconfigured));
    desk.tell(desk.now.as_millis(), Event::Renewed);
    let held = [deny(&mut desk), deny(&mut desk), deny(&mut desk)];
    assert_eq!(held, [None, None, Some(Fault::Denied)], "what was misconfigured had refused nobody");
}

#[test]
fn a_dial_with_the_old_credentials_holds_nothing() {
    let mut desk = Desk::new(1, |policy| policy.refusals_max = 1);
    for fault in [Fault::Denied, Fault::Misconfigured] {
        let old = desk.dial(desk.now.as_millis() + 60_000, 0);
        desk.tell(desk.now.as_millis(), Event::Renewed);
        desk.fail(old, fault);
        assert_eq!(desk.pacer.held(), None, "{fault}");
    }
    let new = desk.dial(desk.now.as_millis() + 60_000, 0);
    desk.fail(new, Fault::Denied);
    assert_eq!(desk.pacer.held(), Some(Fault::Denied));
}

#[test]
fn the_endpoint_that_answered_last_is_asked_first_and_then_the_others_in_order() {
    let mut desk = Desk::new(4, |_| {});
    let dial = desk.dial(0, 2);
    desk.ok(dial);
    assert_eq!((desk.pacer.favourite(), desk.pacer.endpoints(), desk.pacer.online_at(2)), (2, 4, 1));
    // Each that has failed is passed over for a while.
    let mut order = Vec::new();
    for _ in 0..4 {
        let Next { at, endpoint } = desk.pacer.next(false);
        assert!(at <= desk.now);
        order.push(endpoint);
        let dial = desk.dial(0, endpoint);
        desk.fail(dial, Fault::Refused);
    }
    assert_eq!(order, [2, 0, 1, 3]);
    assert_eq!(desk.pacer.next(false), Next { at: Time::from_millis(250), endpoint: 2 }, "the first of equals");
}

#[test]
fn the_next_endpoint_is_due_when_the_one_before_has_been_silent_and_the_last_has_no_next() {
    let mut desk = Desk::new(2, |_| {});
    desk.dial(0, 0);
    assert_eq!(desk.pacer.next(false).at, Time::from_millis(250), "hedge_after");
    assert_eq!(desk.pacer.at(Time::from_millis(250)).next(false), Next { at: Time::ZERO, endpoint: 1 });
    desk.dial(250, 1);
    assert_eq!(desk.pacer.next(false).at, Time::NEVER, "only an answer can change anything");
}

#[test]
fn a_wait_without_a_fault_holds_up_the_endpoints_behind_unless_it_is_one_of_overload() {
    let mut desk = Desk::new(2, |_| {});
    let dial = desk.dial(0, 0);
    desk.tell_by(100, Event::Abandoned { dial }, u64::MAX);
    assert_eq!(desk.pacer.next(false), Next { at: Time::from_millis(850), endpoint: 0 });
    let mut desk = Desk::new(2, |_| {});
    let dial = desk.dial(0, 0);
    desk.fail(dial, Fault::Overloaded);
    let dial = desk.dial(250, 0);
    desk.ok(dial);
    assert_eq!(desk.wait(), 125);
    assert_eq!(desk.pacer.next(false), Next { at: Time::ZERO, endpoint: 1 });
}

#[test]
fn delays_alone_are_those_of_a_pacer() {
    let policy = Policy::default().check().unwrap();
    let waits = [0, u64::MAX].map(|chance| Delays::new().next(&policy, Span::from_secs(10), chance).as_millis());
    assert_eq!(waits, [425, 1_190]);
}

/// A pacer and its clock, told what its endpoints answer.
struct Desk {
    policy: Checked,
    pacer: Pacer,
    now: Time,
}

impl Desk {
    fn new(endpoints: u8, change: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = Policy::default();
        // The numbers that these tests reckon with, whatever the defaults are.
        (policy.jitter_hi, policy.kd) = (Ratio::from_millionths(1_500_000), Ratio::from_millionths(80_000));
        change(&mut policy);
        Self { policy: policy.check().unwrap(), pacer: Pacer::new(endpoints), now: Time::ZERO }
    }

    fn tell_by(&mut self, ms: u64, event: Event, chance: u64) -> Option<Command> {
        self.now = Time::from_millis(ms);
        let (next, command) = self.pacer.step(&self.policy, self.now, event, chance);
        self.pacer = next;
        command
    }

    fn tell(&mut self, ms: u64, event: Event) {
        assert_eq!(self.tell_by(ms, event, 0), None, "{event:?} at {ms}");
    }

    /// The dial that may start, and its deadline.
    fn asked(&mut self, ms: u64, endpoint: u8) -> Option<(DialId, Time)> {
        let command = self.tell_by(ms, Event::Requested { endpoint }, 0);
        command.map(|Command::Dial { dial, deadline }| (dial, deadline))
    }

    fn dial(&mut self, ms: u64, endpoint: u8) -> DialId {
        self.asked(ms, endpoint).expect("a dial").0
    }

    /// The dial is answered at once.
    fn ok(&mut self, dial: DialId) {
        self.tell(self.now.as_millis(), Event::Dialed { dial });
    }

    fn fail(&mut self, dial: DialId, fault: Fault) {
        self.tell(self.now.as_millis(), Event::Failed { dial, fault });
    }

    /// How long the first endpoint has to wait, from now.
    fn wait(&self) -> u64 {
        (self.pacer.not_before(0) - self.now).as_millis()
    }

    fn over(&self) -> u64 {
        self.pacer.overload(0).as_millis()
    }

    fn settles(&self) -> Option<u64> {
        self.pacer.settles_at().map(Time::as_millis)
    }
}
