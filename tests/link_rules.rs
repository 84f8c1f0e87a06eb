//! What a link does at each answer of its own and at the edge of each deadline, state by state.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use relink::{
    Checked, DialId, Fault, LeaseId, Policy, Span, Time, Work,
    link::{Command, Event, Lease, Link, Session},
};

const DIAL: DialId = DialId::new(3, 1);
const LATE: DialId = DialId::new(2, 0);
const LEASE: LeaseId = LeaseId(4);
/// Every deadline below is then, unless it says so.
const DUE: Time = Time::from_millis(50_000);
const BEFORE: Time = Time::from_millis(49_999);
const LATER: Time = Time::from_millis(60_000);

const SESSION: Session = Session { dial: DIAL, stable_at: Time::ZERO, retire_at: DUE, topology: 1 };
const LASTING: Session = Session { retire_at: Time::NEVER, ..SESSION };
const RESTING: Lease = Lease { id: LEASE, work: Work::AtRest, warn_at: Time::NEVER, heard_at: Time::ZERO };
const STATEMENT: Work = Work::Statement { durable: true };
/// Patience with it ends when it is due.
const BUSY: Lease = Lease { work: STATEMENT, heard_at: Time::from_millis(49_000), ..RESTING };
const CLOSING: Link = Link::Closing { dial: DIAL, deadline: Time::from_millis(51_000), opened: true };
const ABORTING: Link = Link::Closing { dial: DIAL, deadline: Time::from_millis(51_000), opened: false };

/// The default policy: 1 s of patience and to close, 2 s to probe, to reset and to ask, 10 min idle.
fn policy() -> Checked {
    Policy::default().check().unwrap()
}

/// What the link becomes, and what it commands.
fn at(now: Time, link: Link, event: Event) -> (Link, Option<Command>) {
    link.step(&policy(), now, event)
}

/// Nothing before it is due; and then this, which is foretold if it ends a lease.
fn falls_due(link: Link, then: (Link, Option<Command>)) {
    assert_eq!(link.timeout(&policy()), DUE, "{link:?}");
    assert_eq!(at(BEFORE, link, Event::Elapsed), (link, None), "{link:?}");
    assert_eq!(at(DUE, link, Event::Elapsed), then, "{link:?}");
    let ends = link.lease().is_some() && then.0.lease().is_none();
    assert_eq!((link.is_doomed(BEFORE), link.is_doomed(DUE)), (false, ends), "{link:?}");
}

/// A success of another dial is closed, a repeated one of its own is none.
fn closes_what_comes_late(link: Link) {
    let dialed = |dial| Event::Dialed { dial, stable_at: DUE, retire_at: DUE };
    assert_eq!(at(DUE, link, dialed(LATE)), (link, Some(Command::Close(LATE))), "{link:?}");
    if link.session().is_some() {
        assert_eq!(at(DUE, link, dialed(DIAL)), (link, None), "{link:?}");
    }
}

fn closed() -> (Link, Option<Command>) {
    (CLOSING, Some(Command::Close(DIAL)))
}

fn aborted() -> (Link, Option<Command>) {
    (CLOSING, Some(Command::Abort(DIAL)))
}

#[test]
fn without_a_session_it_waits_is_held_or_ends() {
    let (idle, waiting, held) = (Link::Idle, Link::Waiting, Link::Held { fault: Fault::Denied });
    let stop = Event::Stopped { deadline: LATER };
    for (link, event, next) in [
        (idle, Event::Wanted, waiting),
        (idle, stop, Link::Closed),
        (waiting, Event::Unwanted, idle),
        (waiting, Event::Retired, idle),
        (waiting, Event::HeldBack { fault: Fault::Denied }, held),
        (waiting, stop, Link::Closed),
        (held, Event::Renewed, waiting),
        (held, Event::Unwanted, idle),
        (held, Event::Retired, idle),
        (held, stop, Link::Closed),
    ] {
        assert_eq!(at(DUE, link, event), (next, None), "{link:?}, {event:?}");
    }
    for link in [idle, waiting, held, Link::Closed] {
        assert_eq!((link.timeout(&policy()), link.dial(), link.silence()), (Time::NEVER, None, None));
        closes_what_comes_late(link);
    }
    // Its transport has to be up within 2.25 s, and within its one deadline.
    for (deadline, connect_by) in [(LATER, 52_250), (Time::from_millis(51_000), 51_000)] {
        let connect_by = Time::from_millis(connect_by);
        let dialing = Link::Dialing { dial: DIAL, deadline, topology: 3, connect_by };
        assert_eq!(at(DUE, waiting, Event::Granted { dial: DIAL, deadline, topology: 3 }), (dialing, None));
    }
}

#[test]
fn a_dial_is_answered_given_up_or_falls_due() {
    let dialing = |deadline, connect_by| Link::Dialing { dial: DIAL, deadline, topology: 1, connect_by };
    let (connecting, asking) = (dialing(LATER, DUE), dialing(DUE, Time::NEVER));
    let abort = (ABORTING, Some(Command::Abort(DIAL)));
    assert_eq!((connecting.silence(), asking.silence()), (Some(Fault::Unreachable), Some(Fault::TimedOut)));
    for link in [connecting, asking] {
        falls_due(link, abort);
        closes_what_comes_late(link);
        let online = Link::Online { session: SESSION, since: DUE, proved: true };
        let dialed = Event::Dialed { dial: DIAL, stable_at: Time::ZERO, retire_at: DUE };
        assert_eq!(at(DUE, link, dialed), (online, None));
        assert_eq!(at(DUE, link, Event::DialFailed { dial: DIAL }), (Link::Waiting, None));
        for event in [Event::Unwanted, Event::Retired, Event::Stopped { deadline: LATER }] {
            assert_eq!(at(DUE, link, event), abort, "{event:?}");
        }
    }
    assert_eq!(at(DUE, connecting, Event::Accepted { dial: DIAL }), (dialing(LATER, Time::NEVER), None));
}

#[test]
fn what_is_being_closed_is_gone_or_aborted_again() {
    let closing = |opened| Link::Closing { dial: DIAL, deadline: DUE, opened };
    let (gone, failed) = (Event::Gone { dial: DIAL }, Event::DialFailed { dial: DIAL });
    let dialed = Event::Dialed { dial: DIAL, stable_at: DUE, retire_at: DUE };
    falls_due(closing(true), aborted());
    falls_due(closing(false), (ABORTING, Some(Command::Abort(DIAL))));
    for link in [closing(true), closing(false)] {
        closes_what_comes_late(link);
        assert_eq!(link.silence(), None);
        assert_eq!(at(DUE, link, gone), (Link::Idle, None));
    }
    // An aborted dial may fail by itself, or open a session, once.
    assert_eq!(at(DUE, closing(false), failed), (Link::Idle, None));
    assert_eq!(at(DUE, closing(false), dialed), closed());
    for event in [failed, dialed] {
        assert_eq!(at(DUE, closing(true), event), (closing(true), None), "{event:?}");
    }
}

#[test]
fn a_free_session_is_lent_asked_or_closed() {
    let online = Link::Online { session: SESSION, since: DUE, proved: false };
    falls_due(online, closed());
    let idle = Link::Online { session: LASTING, since: DUE, proved: true };
    let over = DUE + Span::from_secs(600);
    assert_eq!(idle.timeout(&policy()), over);
    assert_eq!(at(over, idle, Event::Elapsed).1, Some(Command::Close(DIAL)));
    closes_what_comes_late(online);
    let lease = Lease { warn_at: DUE + Span::from_secs(60), heard_at: DUE, ..RESTING };
    assert_eq!(at(DUE, online, Event::Lent { lease: LEASE }), (Link::Leased { session: SESSION, lease }, None));
    let by = DUE + Span::from_secs(2);
    let probing = Link::Probing { session: SESSION, deadline: by, topology: 2 };
    assert_eq!(at(DUE, online, Event::Doubted { topology: 2 }), (probing, Some(Command::Probe { dial: DIAL, by })));
    assert_eq!(at(DUE, online, Event::Engaged { topology: 2 }), (probing, Some(Command::Inquire { dial: DIAL, by })));
    let stop = Event::Stopped { deadline: LATER };
    for event in [Event::Lost { dial: DIAL }, Event::Unwanted, Event::Retired, stop] {
        assert_eq!(at(DUE, online, event), closed(), "{event:?}");
    }
    assert_eq!(online.silence(), None);
}

#[test]
fn a_lease_works_returns_or_drains() {
    let leased = |lease| Link::Leased { session: SESSION, lease };
    let link = leased(RESTING);
    closes_what_comes_late(link);
    let worked = Event::Worked { lease: LEASE, work: STATEMENT, heard_at: DUE };
    assert_eq!(at(DUE, link, worked), (leased(Lease { work: STATEMENT, heard_at: DUE, ..RESTING }), None));
    let returned = |work| Event::Returned { lease: LEASE, work };
    let online = Link::Online { session: SESSION, since: BEFORE, proved: false };
    assert_eq!(at(BEFORE, link, returned(Work::AtRest)), (online, None));
    assert_eq!(at(DUE, link, returned(Work::AtRest)), closed(), "its life is over");
    for work in [Work::InTransaction, STATEMENT] {
        let by = DUE + Span::from_secs(2);
        let probing = Link::Probing { session: SESSION, deadline: by, topology: 1 };
        assert_eq!(at(DUE, link, returned(work)), (probing, Some(Command::Reset { dial: DIAL, by })), "{work:?}");
    }
    assert_eq!(at(DUE, link, Event::Lost { dial: DIAL }), closed());
    let draining = |deadline| Link::Draining { session: SESSION, lease: RESTING, deadline };
    assert_eq!(at(DUE, link, Event::Retired), (draining(Time::NEVER), None));
    assert_eq!(at(DUE, link, Event::Stopped { deadline: LATER }), (draining(LATER), None));
    assert_eq!(link.silence(), None);
}

#[test]
fn a_lease_is_looked_at_and_one_held_for_long_reported_once() {
    let leased = |lease| Link::Leased { session: LASTING, lease };
    let look = Some(Command::Look(LEASE));
    let seen = Lease { heard_at: DUE, ..RESTING };
    falls_due(leased(Lease { warn_at: DUE, ..seen }), (leased(seen), Some(Command::Warn(LEASE))));
    falls_due(leased(BUSY), (leased(Lease { heard_at: DUE, ..BUSY }), look));
    let both = Lease { warn_at: DUE, ..BUSY };
    falls_due(leased(both), (leased(Lease { heard_at: DUE, ..both }), look));
}

#[test]
fn a_statement_is_suspected_when_it_was_silent_for_the_patience() {
    let leased = |lease| Link::Leased { session: LASTING, lease };
    let seen = |now, heard_at| at(now, leased(RESTING), Event::Worked { lease: LEASE, work: STATEMENT, heard_at });
    assert_eq!(seen(BEFORE, BUSY.heard_at), (leased(BUSY), None));
    let deadline = DUE + Span::from_secs(2);
    let suspected = Link::Suspected { session: LASTING, lease: BUSY, deadline, again: false, asker: None };
    assert_eq!(seen(DUE, BUSY.heard_at), (suspected, None));
    assert_eq!(seen(BEFORE, LATER), (leased(Lease { heard_at: BEFORE, ..BUSY }), None), "what is to come is now");
    for work in [Work::AtRest, Work::InTransaction] {
        let rests = Event::Worked { lease: LEASE, work, heard_at: Time::ZERO };
        assert_eq!(at(DUE, leased(BUSY), rests), (leased(Lease { work, heard_at: DUE, ..BUSY }), None), "{work:?}");
    }
}

#[test]
fn a_suspected_session_is_asked_about_twice() {
    let leased = |lease| Link::Leased { session: LASTING, lease };
    let suspected = |deadline, again, asker| Link::Suspected { session: LASTING, lease: BUSY, deadline, again, asker };
    let (nobody, asker) = (None, Some(3));
    let alive = Lease { heard_at: BEFORE, ..BUSY };
    for asker in [nobody, asker] {
        falls_due(suspected(DUE, false, asker), (suspected(DUE + Span::from_secs(2), true, nobody), None));
        falls_due(suspected(DUE, true, asker), aborted());
    }
    for again in [false, true] {
        let ask = Some(Command::Ask { dial: DIAL, by: DUE });
        let (open, put) = (suspected(DUE, again, nobody), suspected(DUE, again, asker));
        for now in [BEFORE, DUE] {
            assert_eq!(at(now, open, Event::Questioned { asker: 3 }), (put, ask), "until its time is past");
        }
        assert_eq!(at(BEFORE, put, Event::Questioned { asker: 4 }), (put, None), "once");
        assert_eq!(at(BEFORE, put, Event::Reopened), (open, None), "the time goes on");
        let (late, by) = (suspected(BEFORE, again, nobody), DUE + Span::from_secs(2));
        let anew = (suspected(by, again, asker), Some(Command::Ask { dial: DIAL, by }));
        assert_eq!(
            at(DUE, late, Event::Questioned { asker: 3 }),
            anew,
            "a clock that has jumped takes no time from it"
        );
        assert_eq!((open.question(), put.question()), (None, Some(DUE)));
        assert_eq!(put.silence(), again.then_some(Fault::TimedOut));
        closes_what_comes_late(put);
        let (found_alive, found_dead) =
            (Event::FoundAlive { dial: DIAL, by: DUE }, Event::FoundDead { dial: DIAL, by: DUE });
        let undecided = Event::Undecided { dial: DIAL, by: DUE };
        for answer in [found_alive, undecided, found_dead] {
            assert_eq!(at(BEFORE, open, answer), (open, None), "nothing was asked");
        }
        assert_eq!(at(BEFORE, put, found_alive), (leased(alive), None));
        assert_eq!(at(BEFORE, put, undecided), (suspected(BEFORE + Span::from_secs(2), false, nobody), None), "anew");
        assert_eq!(at(BEFORE, open, Event::Spared), (leased(alive), None));
        let (ended, command) = at(BEFORE, put, found_dead);
        assert!(matches!(ended, Link::Closing { opened: true, .. }), "{ended:?}");
        assert_eq!(command, Some(Command::Abort(DIAL)));
        let silent = Event::Worked { lease: LEASE, work: STATEMENT, heard_at: BUSY.heard_at };
        assert_eq!(at(DUE, put, silent), (put, None), "still silent");
        let heard = Event::Worked { lease: LEASE, work: STATEMENT, heard_at: BEFORE };
        assert_eq!(at(BEFORE, put, heard), (leased(alive), None));
    }
    assert_eq!(at(BEFORE, leased(BUSY), Event::Spared), (leased(BUSY), None), "nothing was suspected");
}

#[test]
fn a_drain_ends_with_its_lease_or_at_its_deadline() {
    let draining = |lease, deadline| Link::Draining { session: LASTING, lease, deadline };
    let link = draining(BUSY, DUE);
    falls_due(link, aborted());
    closes_what_comes_late(link);
    let worked = Event::Worked { lease: LEASE, work: Work::InTransaction, heard_at: LATER };
    let heard = Lease { work: Work::InTransaction, heard_at: BEFORE, ..BUSY };
    assert_eq!(at(BEFORE, link, worked), (draining(heard, DUE), None));
    assert_eq!(at(DUE, link, Event::Returned { lease: LEASE, work: Work::InTransaction }), closed());
    assert_eq!(at(DUE, link, Event::Lost { dial: DIAL }), closed());
    for (deadline, ends) in [(BEFORE, BEFORE), (LATER, DUE)] {
        assert_eq!(at(BEFORE, link, Event::Stopped { deadline }), (draining(BUSY, ends), None));
    }
    assert_eq!(link.silence(), None);
}

#[test]
fn a_probe_is_answered_or_falls_due() {
    let link = Link::Probing { session: LASTING, deadline: DUE, topology: 2 };
    falls_due(link, aborted());
    closes_what_comes_late(link);
    let session = Session { topology: 2, ..LASTING };
    let online = Link::Online { session, since: BEFORE, proved: true };
    assert_eq!(at(BEFORE, link, Event::Proved { dial: DIAL, by: DUE }), (online, None));
    let stop = Event::Stopped { deadline: LATER };
    let unproved = Event::Unproved { dial: DIAL, by: DUE };
    for event in [unproved, Event::Lost { dial: DIAL }, Event::Unwanted, Event::Retired, stop] {
        assert_eq!(at(DUE, link, event), closed(), "{event:?}");
    }
    let unheard = at(DUE, link, Event::Unheard { dial: DIAL, by: DUE });
    assert_eq!(unheard, aborted(), "nobody says goodbye to a peer that is silent");
    assert_eq!(link.silence(), Some(Fault::TimedOut));
}
