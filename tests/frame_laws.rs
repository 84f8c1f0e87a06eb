//! What a frame keeps of times and names, and that it loses the rest: two machines that differ by an origin look alike.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::wildcard_enum_match_arm,
    reason = "a test says what it expects by failing, and drives the machines with small numbers"
)]

mod machines;

use machines::{link_states, pacer_states, policies, policy, rename_link, shift_link};
use relink::{
    DialId, Fault, Frame, LeaseId, Span, Time, Validate,
    link::{Link, Session},
};

const NOW: u64 = 1_000;
const ORIGIN: u64 = 500;
/// Further from the beginning of time than any policy here looks back.
const LATE: Time = Time::from_millis(1_000_000);

fn ms(ms: u64) -> Time {
    Time::from_millis(ms)
}

fn frame<'a>(dials: &'a [DialId], leases: &'a [LeaseId]) -> Frame<'a> {
    Frame { now: ms(NOW), origin: ms(ORIGIN), dials, leases, topology: 7 }
}

#[test]
fn a_time_to_come_is_as_far_ahead_and_one_that_has_come_is_now() {
    let frame = frame(&[], &[]);
    let seen = [ms(0), ms(NOW), ms(NOW + 30), Time::NEVER].map(|at| frame.due(at));
    assert_eq!(seen, [ms(ORIGIN), ms(ORIGIN), ms(ORIGIN + 30), Time::NEVER]);
}

#[test]
fn a_time_of_the_past_is_as_far_back_as_anybody_looks() {
    let frame = frame(&[], &[]);
    let since = |at| frame.since(ms(at), Span::from_millis(20)).as_millis();
    assert_eq!([NOW - 90, NOW - 5, NOW, NOW + 30].map(since), [ORIGIN - 20, ORIGIN - 5, ORIGIN, ORIGIN + 30]);
    let long = Span::from_millis(800);
    assert_eq!(frame.since(ms(0), long), Time::ZERO, "no further back than there is time");
}

#[test]
fn names_are_their_places_and_forgotten_ones_are_none() {
    let dials = [DialId::new(3, 0), DialId::new(5, 1), DialId::new(9, 0)];
    let frame = frame(&dials, &[LeaseId(4), LeaseId(8)]);
    assert_eq!([0, 3, 4, 5, 6, 9, 10].map(|serial| frame.serial(serial)), [1, 1, 2, 2, 3, 3, 4]);
    assert_eq!(frame.dial(DialId::new(5, 1)), DialId::new(2, 1));
    assert_eq!(frame.dial(DialId::new(7, 1)), DialId::new(0, 1));
    assert_eq!([4, 8, 5].map(|lease| frame.lease(LeaseId(lease))), [LeaseId(1), LeaseId(2), LeaseId(0)]);
    assert_eq!([6, 7, 8].map(|topology| frame.generation(topology)), [0, 1, 0]);
}

#[test]
fn a_dial_is_named_by_its_serial_and_its_endpoint() {
    for serial in [0, 1, 2, 1 << 40, (1 << 61) - 1] {
        for endpoint in 0..8 {
            let dial = DialId::new(serial, endpoint);
            assert_eq!((dial.serial(), dial.endpoint()), (serial, endpoint));
        }
    }
}

#[test]
fn a_link_looks_the_same_at_another_time_and_under_other_names() {
    let (policy, by) = (policy(|_| {}), Span::from_secs(86_400));
    let seen = |link: Link, now, dial: DialId, lease: LeaseId, topology| {
        link.seen_from(&policy, &Frame { now, origin: LATE, dials: &[dial], leases: &[lease], topology })
    };
    let (dial, lease, now) = (machines::DIAL, machines::LEASE, ms(50_000));
    for link in link_states(&policy) {
        let other = rename_link(shift_link(link, by));
        let named = other.dial().unwrap_or(dial);
        let lent = other.lease().map_or(lease, |lease| lease.id);
        for topology in [1, 2] {
            let here = seen(link, now, dial, lease, topology);
            assert_eq!(here, seen(other, now + by, named, lent, topology + 1_000), "{link:?}");
            assert_eq!(std::mem::discriminant(&here), std::mem::discriminant(&link));
            // The state's own names are known, and so is how far ahead its timeout is.
            assert_eq!(here.dial().map(|dial| dial.serial()), link.dial().map(|_| 1));
            assert_eq!(here.lease().map(|lease| lease.id), link.lease().map(|_| LeaseId(1)));
            let ahead = |link: Link, from| (link.timeout(&policy) != Time::NEVER).then(|| link.timeout(&policy) - from);
            assert_eq!(ahead(here, LATE), ahead(link, now), "{link:?}");
        }
    }
}

#[test]
fn an_answer_of_this_moment_is_told_from_one_of_the_past_where_evidence_is_asked_for() {
    let session = Session { dial: machines::DIAL, stable_at: ms(0), retire_at: Time::NEVER, topology: 7 };
    let ages = |validate| {
        let policy = policy(|policy| {
            (policy.validate, policy.stale_after, policy.idle_max) = (validate, Span::ZERO, None);
        });
        [NOW, NOW - 1, NOW - 9].map(|since| {
            let link = Link::Online { session, since: ms(since), proved: true };
            match link.seen_from(&policy, &frame(&[machines::DIAL], &[])) {
                Link::Online { since, .. } => ORIGIN - since.as_millis(),
                other => panic!("{other:?}"),
            }
        })
    };
    assert_eq!(ages(Validate::Stale), [0, 1, 1]);
    assert_eq!(ages(Validate::Never), [0, 0, 0]);
}

#[test]
fn a_pacer_looks_the_same_at_another_time() {
    for policy in policies() {
        let by = Span::from_secs(86_400);
        let plain = pacer_states(&policy, ms(1));
        let shifted = pacer_states(&policy, ms(1) + by);
        for ((pacer, now), (moved, then)) in plain.into_iter().zip(shifted) {
            let dials = [DialId::new(0, 0), DialId::new(1, 0)];
            let seen = |pacer: relink::pacer::Pacer, now| {
                pacer.seen_from(&policy, &Frame { now, origin: LATE, dials: &dials, leases: &[], topology: 0 })
            };
            assert_eq!(seen(pacer, now), seen(moved, then));
            let next = |pacer: relink::pacer::Pacer, now: Time| pacer.next(false).at.max(now) - now;
            assert_eq!(next(seen(pacer, now), LATE), next(pacer, now));
        }
    }
}

#[test]
fn the_silence_of_a_dial_is_kept_while_it_is_in_flight() {
    use relink::pacer::{Event, Pacer};
    let policy = policy(|_| {});
    let known = [DialId::new(0, 0)];
    let seen = |pacer: Pacer| pacer.seen_from(&policy, &frame(&known, &[]));
    let (silent, _) = Pacer::new(2).step(&policy, ms(NOW - 100), Event::Requested { endpoint: 0 }, 0);
    assert_eq!(seen(silent).next(false).at, ms(ORIGIN + 150), "hedge_after, of which 100 ms have passed");
    // Once it is answered, when it was dialed makes no difference.
    let answered = |ago| {
        let (asked, _) = Pacer::new(2).step(&policy, ms(NOW - ago), Event::Requested { endpoint: 0 }, 0);
        let failed = Event::Failed { dial: known[0], fault: Fault::Refused };
        seen(asked.step(&policy, ms(NOW), failed, 0).0)
    };
    assert_eq!(answered(100), answered(7));
}
