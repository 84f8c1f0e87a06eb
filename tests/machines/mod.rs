//! Representative states of the machines, reached by running them, and every event that there is.
#![allow(dead_code, reason = "each test binary uses its own part")]

use relink::{
    Backoff, DialId, Fault, LeaseId, Policy, Ratio, Span, Time, Work,
    link::{Command, Event, Link, Session},
    pacer::{self, Pacer},
    policy::Checked,
};

/// The dial, session and lease that the representative states have; and another of each.
pub(crate) const DIAL: DialId = DialId::new(3, 1);
pub(crate) const OTHER: DialId = DialId::new(9, 2);
pub(crate) const LEASE: LeaseId = LeaseId(4);
pub(crate) const OTHER_LEASE: LeaseId = LeaseId(8);

pub(crate) fn policy(change: impl FnOnce(&mut Policy)) -> Checked {
    let mut policy = Policy::default();
    policy.lease_warn = Some(Span::from_secs(10));
    // The numbers that these tests reckon with, whatever the defaults are.
    (policy.jitter_hi, policy.kd) = (Ratio::from_millionths(1_500_000), Ratio::from_millionths(80_000));
    policy.connect_deadline = Span::from_secs(2);
    change(&mut policy);
    policy.check().unwrap_or_else(|_| panic!("a policy that may be had"))
}

pub(crate) fn policies() -> Vec<Checked> {
    let (base, cap) = (Span::from_secs(1), Span::from_secs(8));
    let backoffs = [
        Backoff::Relink,
        Backoff::Constant { wait: cap },
        Backoff::Exponential { base, cap },
        Backoff::FullJitter { base, cap },
        Backoff::EqualJitter { base, cap },
        Backoff::DecorrelatedJitter { base, cap },
        Backoff::Grpc,
    ];
    backoffs
        .into_iter()
        .map(|backoff| {
            policy(|policy| {
                policy.backoff = backoff;
                policy.max_dials = 2;
            })
        })
        .collect()
}

pub(crate) fn chances() -> [u64; 5] {
    [0, 1, u64::MAX / 3, u64::MAX / 2, u64::MAX]
}

fn ms(ms: u64) -> Time {
    Time::from_millis(ms)
}

/// Each state of a link with its name. Those with a timeout come twice: not yet due at 50 s, and due.
pub(crate) fn named_link_states(policy: &Checked) -> Vec<(&'static str, Link)> {
    let late = ms(49_900);
    let dialed = |at: Time| Event::Dialed { dial: DIAL, stable_at: at, retire_at: at + Span::from_secs(60) };
    let granted = |deadline| Event::Granted { dial: DIAL, deadline, topology: 1 };
    let run =
        |now: Time, events: &[Event]| events.iter().fold(Link::Idle, |link, event| link.step(policy, now, *event).0);
    let online = |at| [Event::Wanted, granted(at + Span::from_secs(5)), dialed(at)];
    let on = |at: Time, more: &[Event]| run(at, &[&online(at)[..], more].concat());
    let then = |at: Time, link: Link, event| link.step(policy, at, event).0;
    let statement = |at, durable| Event::Worked { lease: LEASE, work: Work::Statement { durable }, heard_at: at };
    let lent = Event::Lent { lease: LEASE };
    let leased = |at| on(at, &[lent]);
    let busy = |at| on(at, &[lent, statement(at, true)]);
    let suspect = |at: Time, seen| then(seen, busy(at), statement(at, true));
    let again = |at: Time, seen, over| then(over, suspect(at, seen), Event::Elapsed);
    let stop = Event::Stopped { deadline: ms(60_000) };
    let old = Event::Dialed { dial: DIAL, stable_at: late, retire_at: ms(50_000) };
    let doubted = Event::Doubted { topology: 2 };
    vec![
        ("idle", Link::Idle),
        ("waiting", run(late, &[Event::Wanted])),
        ("held", run(late, &[Event::Wanted, Event::HeldBack { fault: Fault::Denied }])),
        ("dialing", run(late, &[Event::Wanted, granted(ms(54_900))])),
        ("dialing, due", run(late, &[Event::Wanted, granted(ms(50_000))])),
        (
            "dialing, its transport due",
            Link::Dialing { dial: DIAL, deadline: ms(54_900), topology: 1, connect_by: ms(50_000) },
        ),
        ("dialing, accepted", run(late, &[Event::Wanted, granted(ms(54_900)), Event::Accepted { dial: DIAL }])),
        ("online", on(late, &[])),
        ("online, used", on(late, &[lent, Event::Returned { lease: LEASE, work: Work::AtRest }])),
        ("online, due", run(late, &[Event::Wanted, granted(ms(54_900)), old])),
        ("leased, at rest", leased(late)),
        ("leased, too long", leased(ms(30_000))),
        (
            "leased, in transaction",
            on(late, &[lent, Event::Worked { lease: LEASE, work: Work::InTransaction, heard_at: late }]),
        ),
        ("leased, statement", on(late, &[lent, statement(late, false)])),
        ("leased, durable", busy(late)),
        ("leased, to be looked at", busy(ms(48_000))),
        ("suspected", suspect(ms(48_000), ms(49_500))),
        ("suspected, asked", then(late, suspect(ms(48_000), ms(49_500)), Event::Questioned { asker: 1 })),
        ("suspected, due", suspect(ms(40_000), ms(48_000))),
        ("suspected again", again(ms(40_000), ms(47_500), ms(49_500))),
        ("suspected again, due", again(ms(40_000), ms(45_000), ms(47_000))),
        ("draining, retired", then(late, busy(late), Event::Retired)),
        ("draining, stopped", then(late, busy(late), stop)),
        ("draining, due", then(late, busy(late), Event::Stopped { deadline: ms(50_000) })),
        ("probing", on(late, &[doubted])),
        ("probing, due", on(ms(40_000), &[doubted])),
        ("probing, asks about others", on(late, &[Event::Engaged { topology: 2 }])),
        ("probing, reset", on(late, &[lent, Event::Returned { lease: LEASE, work: Work::InTransaction }])),
        ("closing a session", on(late, &[Event::Retired])),
        ("closing a session, due", on(ms(40_000), &[Event::Retired])),
        ("closing a dial", run(late, &[Event::Wanted, granted(ms(54_900)), Event::Unwanted])),
        ("closed", run(late, &[stop])),
    ]
}

pub(crate) fn link_states(policy: &Checked) -> Vec<Link> {
    named_link_states(policy).into_iter().map(|(_, link)| link).collect()
}

/// Every event of a link, with the identity that the state has and, with a *, with another.
pub(crate) fn named_link_events(link: &Link) -> Vec<(&'static str, Event)> {
    let (stable_at, retire_at) = (ms(80_000), ms(150_000));
    let (by, earlier) = (link.question().unwrap_or(ms(52_000)), ms(1_000));
    let durable = Work::Statement { durable: true };
    vec![
        ("wanted", Event::Wanted),
        ("unwanted", Event::Unwanted),
        ("granted", Event::Granted { dial: DIAL, deadline: ms(55_000), topology: 2 }),
        ("held back", Event::HeldBack { fault: Fault::Misconfigured }),
        ("renewed", Event::Renewed),
        ("accepted", Event::Accepted { dial: DIAL }),
        ("accepted*", Event::Accepted { dial: OTHER }),
        ("dialed", Event::Dialed { dial: DIAL, stable_at, retire_at }),
        ("dialed*", Event::Dialed { dial: OTHER, stable_at, retire_at }),
        ("dial failed", Event::DialFailed { dial: DIAL }),
        ("dial failed*", Event::DialFailed { dial: OTHER }),
        ("lent", Event::Lent { lease: LEASE }),
        ("worked", Event::Worked { lease: LEASE, work: durable, heard_at: ms(49_900) }),
        ("worked, silent", Event::Worked { lease: LEASE, work: durable, heard_at: ms(48_000) }),
        ("worked*", Event::Worked { lease: OTHER_LEASE, work: durable, heard_at: ms(48_000) }),
        ("returned, at rest", Event::Returned { lease: LEASE, work: Work::AtRest }),
        ("returned, in transaction", Event::Returned { lease: LEASE, work: Work::InTransaction }),
        ("returned*", Event::Returned { lease: OTHER_LEASE, work: Work::AtRest }),
        ("doubted", Event::Doubted { topology: 2 }),
        ("engaged", Event::Engaged { topology: 2 }),
        ("questioned", Event::Questioned { asker: 1 }),
        ("reopened", Event::Reopened),
        ("spared", Event::Spared),
        ("proved", Event::Proved { dial: DIAL, by }),
        ("proved*", Event::Proved { dial: OTHER, by }),
        ("proved, earlier*", Event::Proved { dial: DIAL, by: earlier }),
        ("unproved", Event::Unproved { dial: DIAL, by }),
        ("unproved*", Event::Unproved { dial: OTHER, by }),
        ("unproved, earlier*", Event::Unproved { dial: DIAL, by: earlier }),
        ("unheard", Event::Unheard { dial: DIAL, by }),
        ("unheard*", Event::Unheard { dial: OTHER, by }),
        ("unheard, earlier*", Event::Unheard { dial: DIAL, by: earlier }),
        ("found alive", Event::FoundAlive { dial: DIAL, by }),
        ("found alive*", Event::FoundAlive { dial: OTHER, by }),
        ("found alive, earlier*", Event::FoundAlive { dial: DIAL, by: earlier }),
        ("undecided", Event::Undecided { dial: DIAL, by }),
        ("undecided*", Event::Undecided { dial: OTHER, by }),
        ("undecided, earlier*", Event::Undecided { dial: DIAL, by: earlier }),
        ("found dead", Event::FoundDead { dial: DIAL, by }),
        ("found dead*", Event::FoundDead { dial: OTHER, by }),
        ("found dead, earlier*", Event::FoundDead { dial: DIAL, by: earlier }),
        ("lost", Event::Lost { dial: DIAL }),
        ("lost*", Event::Lost { dial: OTHER }),
        ("gone", Event::Gone { dial: DIAL }),
        ("gone*", Event::Gone { dial: OTHER }),
        ("retired", Event::Retired),
        ("stopped", Event::Stopped { deadline: ms(52_000) }),
        ("elapsed", Event::Elapsed),
    ]
}

pub(crate) fn link_events(link: &Link) -> Vec<Event> {
    named_link_events(link).into_iter().map(|(_, event)| event).collect()
}

/// Every event that names something else than this link has.
pub(crate) fn stale_link_events(link: &Link) -> Vec<Event> {
    let events = named_link_events(link).into_iter();
    events.filter(|(name, _)| name.ends_with('*')).map(|(_, event)| event).collect()
}

/// How to bring a fresh pacer of two endpoints into each phase; the second word says with what behind it.
pub(crate) fn pacer_runs() -> Vec<(&'static str, Vec<(u64, pacer::Event)>)> {
    use pacer::Event::{Dialed, Failed, Lost, Requested};
    let ask = |after| (after, Requested { endpoint: 0 });
    let ok = |serial| (10, Dialed { dial: DialId::new(serial, 0) });
    let fail = |serial, fault| (10, Failed { dial: DialId::new(serial, 0), fault });
    let lost = |unstable| (1_000, Lost { endpoint: 0, unstable });
    vec![
        ("up, new", vec![]),
        ("up, dialing", vec![ask(0)]),
        ("up, online", vec![ask(0), ok(0)]),
        ("settling, first probe", vec![ask(0), ok(0), lost(false)]),
        ("settling, one of two lost", vec![ask(0), ok(0), ask(0), ok(1), lost(false)]),
        ("settling, online again", vec![ask(0), fail(0, Fault::Refused), ask(60_000), ok(1)]),
        ("down, refused", vec![ask(0), fail(0, Fault::Refused)]),
        ("down, dialing", vec![ask(0), fail(0, Fault::Refused), ask(60_000)]),
        ("down, flapped", vec![ask(0), fail(0, Fault::Refused), ask(60_000), ok(1), lost(true)]),
        ("down, denied twice", vec![ask(0), fail(0, Fault::Denied), ask(60_000), fail(1, Fault::Denied), ask(60_000)]),
        ("overloaded", vec![ask(0), fail(0, Fault::Overloaded)]),
        ("overloaded, dialing", vec![ask(0), fail(0, Fault::TimedOut), ask(60_000)]),
        ("held", vec![ask(0), fail(0, Fault::Misconfigured)]),
    ]
}

/// Runs one of [`pacer_runs`] from `start`.
pub(crate) fn run_pacer(policy: &Checked, start: Time, run: &[(u64, pacer::Event)]) -> (Pacer, Time) {
    let begin = (Pacer::new(2).at(start), start);
    run.iter().fold(begin, |(pacer, now), (after, event)| {
        let now = now + Span::from_millis(*after);
        (pacer.step(policy, now, *event, u64::MAX / 2).0, now)
    })
}

pub(crate) fn pacer_states(policy: &Checked, start: Time) -> Vec<(Pacer, Time)> {
    pacer_runs().iter().map(|(_, run)| run_pacer(policy, start, run)).collect()
}

/// Every event of a pacer, for its first endpoint; a failure once for each class.
pub(crate) fn pacer_events(_: &Pacer) -> Vec<pacer::Event> {
    use pacer::Event::{Abandoned, Dialed, Failed, Lost, Renewed, Requested, Retired};
    let dial = DialId::new(2, 0);
    let mut events = vec![
        Requested { endpoint: 0 },
        Dialed { dial },
        Abandoned { dial },
        Lost { endpoint: 0, unstable: false },
        Lost { endpoint: 0, unstable: true },
        Retired { endpoint: 0 },
        Renewed,
    ];
    events.extend(Fault::ALL.map(|fault| Failed { dial, fault }));
    events
}

fn shift(time: Time, by: Span) -> Time {
    time + by
}

/// The same link later. `NEVER` stays.
pub(crate) fn shift_link(link: Link, by: Span) -> Link {
    let session = |session: Session| Session {
        stable_at: shift(session.stable_at, by),
        retire_at: shift(session.retire_at, by),
        ..session
    };
    let lease = |lease: relink::link::Lease| relink::link::Lease {
        warn_at: shift(lease.warn_at, by),
        heard_at: shift(lease.heard_at, by),
        ..lease
    };
    match link {
        Link::Idle | Link::Waiting | Link::Held { .. } | Link::Closed => link,
        Link::Dialing { dial, deadline, topology, connect_by } => {
            Link::Dialing { dial, deadline: shift(deadline, by), topology, connect_by: shift(connect_by, by) }
        }
        Link::Online { session: of, since, proved } => {
            Link::Online { session: session(of), since: shift(since, by), proved }
        }
        Link::Leased { session: of, lease: to } => Link::Leased { session: session(of), lease: lease(to) },
        Link::Suspected { session: of, lease: to, deadline, again, asker } => {
            Link::Suspected { session: session(of), lease: lease(to), deadline: shift(deadline, by), again, asker }
        }
        Link::Draining { session: of, lease: to, deadline } => {
            Link::Draining { session: session(of), lease: lease(to), deadline: shift(deadline, by) }
        }
        Link::Probing { session: of, deadline, topology } => {
            Link::Probing { session: session(of), deadline: shift(deadline, by), topology }
        }
        Link::Closing { dial, deadline, opened } => Link::Closing { dial, deadline: shift(deadline, by), opened },
    }
}

pub(crate) fn shift_event(event: Event, by: Span) -> Event {
    match event {
        Event::Granted { dial, deadline, topology } => Event::Granted { dial, deadline: shift(deadline, by), topology },
        Event::Dialed { dial, stable_at, retire_at } => {
            Event::Dialed { dial, stable_at: shift(stable_at, by), retire_at: shift(retire_at, by) }
        }
        Event::Worked { lease, work, heard_at } => Event::Worked { lease, work, heard_at: shift(heard_at, by) },
        Event::Stopped { deadline } => Event::Stopped { deadline: shift(deadline, by) },
        Event::Proved { dial, by: question } => Event::Proved { dial, by: shift(question, by) },
        Event::Unproved { dial, by: question } => Event::Unproved { dial, by: shift(question, by) },
        Event::Unheard { dial, by: question } => Event::Unheard { dial, by: shift(question, by) },
        Event::FoundAlive { dial, by: question } => Event::FoundAlive { dial, by: shift(question, by) },
        Event::Undecided { dial, by: question } => Event::Undecided { dial, by: shift(question, by) },
        Event::FoundDead { dial, by: question } => Event::FoundDead { dial, by: shift(question, by) },
        other => other,
    }
}

pub(crate) fn shift_command(command: Command, by: Span) -> Command {
    match command {
        Command::Probe { dial, by: question } => Command::Probe { dial, by: shift(question, by) },
        Command::Reset { dial, by: question } => Command::Reset { dial, by: shift(question, by) },
        Command::Inquire { dial, by: question } => Command::Inquire { dial, by: shift(question, by) },
        Command::Ask { dial, by: question } => Command::Ask { dial, by: shift(question, by) },
        Command::Abort(_) | Command::Close(_) | Command::Look(_) | Command::Warn(_) => command,
    }
}

fn dial(dial: DialId) -> DialId {
    DialId::new(dial.serial() + 1_000, dial.endpoint())
}

fn lease_id(lease: LeaseId) -> LeaseId {
    LeaseId(lease.0 + 1_000)
}

/// The same link under other names and generations.
pub(crate) fn rename_link(link: Link) -> Link {
    let session = |of: Session| Session { dial: dial(of.dial), topology: of.topology + 1_000, ..of };
    let lease = |of: relink::link::Lease| relink::link::Lease { id: lease_id(of.id), ..of };
    match link {
        Link::Idle | Link::Waiting | Link::Held { .. } | Link::Closed => link,
        Link::Dialing { dial: of, deadline, topology, connect_by } => {
            Link::Dialing { dial: dial(of), deadline, topology: topology + 1_000, connect_by }
        }
        Link::Online { session: of, since, proved } => Link::Online { session: session(of), since, proved },
        Link::Leased { session: of, lease: to } => Link::Leased { session: session(of), lease: lease(to) },
        Link::Suspected { session: of, lease: to, deadline, again, asker } => {
            Link::Suspected { session: session(of), lease: lease(to), deadline, again, asker }
        }
        Link::Draining { session: of, lease: to, deadline } => {
            Link::Draining { session: session(of), lease: lease(to), deadline }
        }
        Link::Probing { session: of, deadline, topology } => {
            Link::Probing { session: session(of), deadline, topology: topology + 1_000 }
        }
        Link::Closing { dial: of, deadline, opened } => Link::Closing { dial: dial(of), deadline, opened },
    }
}

pub(crate) fn rename_event(event: Event) -> Event {
    match event {
        Event::Granted { dial: of, deadline, topology } => {
            Event::Granted { dial: dial(of), deadline, topology: topology + 1_000 }
        }
        Event::Accepted { dial: of } => Event::Accepted { dial: dial(of) },
        Event::Dialed { dial: of, stable_at, retire_at } => Event::Dialed { dial: dial(of), stable_at, retire_at },
        Event::DialFailed { dial: of } => Event::DialFailed { dial: dial(of) },
        Event::Lent { lease } => Event::Lent { lease: lease_id(lease) },
        Event::Worked { lease, work, heard_at } => Event::Worked { lease: lease_id(lease), work, heard_at },
        Event::Returned { lease, work } => Event::Returned { lease: lease_id(lease), work },
        Event::Doubted { topology } => Event::Doubted { topology: topology + 1_000 },
        Event::Engaged { topology } => Event::Engaged { topology: topology + 1_000 },
        Event::Proved { dial: of, by } => Event::Proved { dial: dial(of), by },
        Event::Unproved { dial: of, by } => Event::Unproved { dial: dial(of), by },
        Event::Unheard { dial: of, by } => Event::Unheard { dial: dial(of), by },
        Event::FoundAlive { dial: of, by } => Event::FoundAlive { dial: dial(of), by },
        Event::Undecided { dial: of, by } => Event::Undecided { dial: dial(of), by },
        Event::FoundDead { dial: of, by } => Event::FoundDead { dial: dial(of), by },
        Event::Lost { dial: of } => Event::Lost { dial: dial(of) },
        Event::Gone { dial: of } => Event::Gone { dial: dial(of) },
        Event::Wanted | Event::Unwanted | Event::HeldBack { .. } | Event::Renewed | Event::Retired => event,
        Event::Questioned { .. } | Event::Reopened | Event::Spared | Event::Stopped { .. } | Event::Elapsed => event,
    }
}

pub(crate) fn rename_command(command: Command) -> Command {
    match command {
        Command::Abort(of) => Command::Abort(dial(of)),
        Command::Close(of) => Command::Close(dial(of)),
        Command::Probe { dial: of, by } => Command::Probe { dial: dial(of), by },
        Command::Reset { dial: of, by } => Command::Reset { dial: dial(of), by },
        Command::Inquire { dial: of, by } => Command::Inquire { dial: dial(of), by },
        Command::Ask { dial: of, by } => Command::Ask { dial: dial(of), by },
        Command::Look(lease) => Command::Look(lease_id(lease)),
        Command::Warn(lease) => Command::Warn(lease_id(lease)),
    }
}
