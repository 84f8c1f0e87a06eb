//! The laws of one step of a link.

use relink::{
    Checked, DialId, LeaseId, Span, Time,
    link::{Command, Event, Lease, Link, Session},
};

use super::{Bug, Law, link::NOW};

pub(super) type Next = (Link, Option<Command>);

/// A step, as a bug has it.
pub(super) fn step(policy: &Checked, link: Link, now: Time, event: Event, bug: Option<Bug>) -> Next {
    let next = link.step(policy, now, event);
    bug.map_or(next, |bug| bug.of_link(link, now, event, next))
}

/// The first law that the step from `link` at `event` breaks.
pub(super) fn broken(policy: &Checked, link: Link, event: Event, bug: Option<Bug>) -> Option<Law> {
    let step = |link: Link, now, event| step(policy, link, now, event, bug);
    let next = step(link, NOW, event);
    let laws: [(Law, bool); 8] = [
        (Law::S6, is_inert(link, event, next)),
        (Law::S5, is_owned(link, event, next)),
        (Law::S8, is_dated(link, event, next.0)),
        (Law::S10, has_a_timer(policy, link, next)),
        (Law::S11, is_ended(link, event, next.0)),
        (Law::S12, keeps_the_lease(policy, link, event, next.0)),
        (Law::S13, keeps_the_deadline(link, event, next.0)),
        (Law::Relabel, is_relabelled(link, event, next, step)),
    ];
    laws.iter().find(|(_, holds)| !holds).map(|(law, _)| *law)
}

/// What an event is about, if it is about one name: whether the state has that name.
pub(super) fn is_foreign(link: Link, event: Event) -> bool {
    let other = |dial: DialId| link.dial() != Some(dial);
    let lends = |lease: LeaseId| link.lease().is_none_or(|own| own.id != lease);
    match event {
        Event::Accepted { dial } | Event::DialFailed { dial } | Event::Dialed { dial, .. } => other(dial),
        Event::Lost { dial } | Event::Gone { dial } => other(dial),
        Event::Proved { dial, by } | Event::Unproved { dial, by } | Event::Unheard { dial, by } => {
            other(dial) || link.question() != Some(by)
        }
        Event::FoundAlive { dial, by } | Event::Undecided { dial, by } | Event::FoundDead { dial, by } => {
            other(dial) || link.question() != Some(by)
        }
        Event::Worked { lease, .. } | Event::Returned { lease, .. } => lends(lease),
        Event::Wanted | Event::Unwanted | Event::Granted { .. } | Event::HeldBack { .. } | Event::Renewed => false,
        Event::Lent { .. } | Event::Doubted { .. } | Event::Retired | Event::Stopped { .. } | Event::Elapsed => false,
        Event::Engaged { .. } | Event::Questioned { .. } | Event::Reopened | Event::Spared => false,
    }
}

fn is_inert(link: Link, event: Event, (after, command): Next) -> bool {
    let closes = matches!(event, Event::Dialed { .. });
    !is_foreign(link, event) || after == link && (closes || command.is_none())
}

/// A late success is closed; and what a state had, the next one has, unless it has ended or never was there.
fn is_owned(link: Link, event: Event, (after, command): Next) -> bool {
    let own = |dial| link.dial() == Some(dial);
    let late = !matches!(event, Event::Dialed { dial, .. } if !own(dial) && command != Some(Command::Close(dial)));
    let gone = matches!(event, Event::Gone { dial } if matches!(link, Link::Closing { .. }) && own(dial));
    let failed = matches!(event, Event::DialFailed { dial } if link.session().is_none() && own(dial));
    let ended = gone || failed;
    let ends = matches!(command, Some(Command::Abort(_) | Command::Close(_)));
    let closing = matches!(after, Link::Closing { .. }) && !matches!(link, Link::Closing { .. });
    late && (ended || link.dial().is_none() || after.dial() == link.dial()) && (!closing || ends)
}

/// The evidence of a session is as old as the dial or the question that brought it.
fn is_dated(link: Link, event: Event, after: Link) -> bool {
    let asked = match (link, event) {
        (Link::Dialing { topology, .. }, Event::Dialed { .. }) => Some(topology),
        (Link::Probing { topology, .. }, Event::Proved { .. }) if matches!(after, Link::Online { .. }) => {
            Some(topology)
        }
        _ => link.session().map(|session| session.topology),
    };
    after.session().is_none_or(|session| Some(session.topology) == asked)
}

/// Entering a state that waits for an answer arms its timer, for as long as the policy says.
fn has_a_timer(policy: &Checked, link: Link, (after, command): Next) -> bool {
    let within = |longest: Span| {
        let due = after.timeout(policy);
        due != Time::NEVER && due <= NOW + longest
    };
    let named = |by: Time| after.question() == Some(by);
    match command {
        // The question ends when the suspicion does, however late it is put, unless that is over.
        Some(Command::Ask { by, .. }) => {
            let (ends, over) = (link.timeout(policy) == by, link.timeout(policy) < NOW);
            named(by) && (ends || over && within(policy.question_deadline))
        }
        Some(Command::Inquire { by, .. }) => named(by) && within(policy.question_deadline),
        Some(Command::Probe { by, .. }) => named(by) && within(policy.probe_deadline),
        Some(Command::Reset { by, .. }) => named(by) && within(policy.reset_deadline),
        Some(Command::Abort(_) | Command::Close(_)) if after != link => within(policy.close_deadline),
        Some(Command::Abort(_) | Command::Close(_) | Command::Look(_) | Command::Warn(_)) | None => {
            let asks_nothing_new = after == link || after.question() == link.question() || after.question().is_none();
            let suspects = matches!((link, after), (_, Link::Suspected { deadline, .. })
                if !matches!(link, Link::Suspected { deadline: before, .. } if before == deadline));
            asks_nothing_new && (!suspects || within(policy.question_deadline))
        }
    }
}

fn is_ended(link: Link, event: Event, after: Link) -> bool {
    let Event::Stopped { deadline } = event else { return true };
    match after {
        Link::Closed => link.dial().is_none(),
        Link::Closing { .. } => link.lease().is_none(),
        Link::Draining { deadline: ends, .. } => ends <= deadline,
        Link::Idle | Link::Waiting | Link::Held { .. } | Link::Dialing { .. } | Link::Online { .. } => false,
        Link::Leased { .. } | Link::Suspected { .. } | Link::Probing { .. } => false,
    }
}

fn keeps_the_lease(policy: &Checked, link: Link, event: Event, after: Link) -> bool {
    let (before, now) = (link.lease().map(|lease| lease.id), after.lease().map(|lease| lease.id));
    let lent = if let (Event::Lent { lease }, Link::Online { .. }) = (event, link) { Some(lease) } else { before };
    // At its own deadline: cut in a drain, declared lost after two questions.
    let cut = matches!(link, Link::Draining { .. } | Link::Suspected { again: true, .. });
    let told = matches!(event, Event::Returned { .. } | Event::Lost { .. } | Event::FoundDead { .. });
    let over = told || event == Event::Elapsed && cut && link.timeout(policy) <= NOW;
    now == lent || now.is_none() && over
}

fn keeps_the_deadline(link: Link, event: Event, after: Link) -> bool {
    match (link, after) {
        (Link::Waiting, Link::Dialing { deadline, .. }) => {
            matches!(event, Event::Granted { deadline: granted, .. } if granted == deadline)
        }
        (Link::Dialing { deadline: before, .. }, Link::Dialing { deadline, .. }) => {
            before == deadline && (event != Event::Elapsed || NOW < deadline)
        }
        (_, Link::Dialing { .. }) => false,
        _ => true,
    }
}

const LATER: Span = Span::from_millis(1 << 40);

fn is_relabelled(link: Link, event: Event, next: Next, step: impl Fn(Link, Time, Event) -> Next) -> bool {
    // At the end of time there is no later, and after the last generation no other.
    let (Some(other), Some(then)) = (relabel(link), relabel_event(event)) else { return true };
    let command = next.1.map(relabel_command);
    relabel(next.0).is_none_or(|after| step(other, NOW + LATER, then) == (after, command))
}

fn late(time: Time) -> Option<Time> {
    match time {
        Time::NEVER => Some(time),
        _ if time.as_millis() > 1 << 62 => None,
        _ => Some(time + LATER),
    }
}

fn named(dial: DialId) -> DialId {
    DialId::new(dial.serial() + 1_000, dial.endpoint())
}

fn generation(topology: u32) -> Option<u32> {
    topology.checked_add(1_000)
}

fn session_as(session: Session) -> Option<Session> {
    Some(Session {
        dial: named(session.dial),
        stable_at: late(session.stable_at)?,
        retire_at: late(session.retire_at)?,
        topology: generation(session.topology)?,
    })
}

fn lease_as(lease: Lease) -> Option<Lease> {
    let (warn_at, heard_at) = (late(lease.warn_at)?, late(lease.heard_at)?);
    Some(Lease { id: LeaseId(lease.id.0 + 1_000), work: lease.work, warn_at, heard_at })
}

fn relabel(link: Link) -> Option<Link> {
    Some(match link {
        Link::Idle | Link::Waiting | Link::Held { .. } | Link::Closed => link,
        Link::Dialing { dial, deadline, topology, connect_by } => Link::Dialing {
            dial: named(dial),
            deadline: late(deadline)?,
            topology: generation(topology)?,
            connect_by: late(connect_by)?,
        },
        Link::Online { session, since, proved } => {
            Link::Online { session: session_as(session)?, since: late(since)?, proved }
        }
        Link::Leased { session, lease } => Link::Leased { session: session_as(session)?, lease: lease_as(lease)? },
        Link::Suspected { session, lease, deadline, again, asker } => {
            let (session, lease) = (session_as(session)?, lease_as(lease)?);
            Link::Suspected { session, lease, deadline: late(deadline)?, again, asker }
        }
        Link::Draining { session, lease, deadline } => {
            Link::Draining { session: session_as(session)?, lease: lease_as(lease)?, deadline: late(deadline)? }
        }
        Link::Probing { session, deadline, topology } => {
            Link::Probing { session: session_as(session)?, deadline: late(deadline)?, topology: generation(topology)? }
        }
        Link::Closing { dial, deadline, opened } => {
            Link::Closing { dial: named(dial), deadline: late(deadline)?, opened }
        }
    })
}

fn relabel_event(event: Event) -> Option<Event> {
    let lease_named = |lease: LeaseId| LeaseId(lease.0 + 1_000);
    Some(match event {
        Event::Granted { dial, deadline, topology } => {
            Event::Granted { dial: named(dial), deadline: late(deadline)?, topology: generation(topology)? }
        }
        Event::Dialed { dial, stable_at, retire_at } => {
            Event::Dialed { dial: named(dial), stable_at: late(stable_at)?, retire_at: late(retire_at)? }
        }
        Event::Accepted { dial } => Event::Accepted { dial: named(dial) },
        Event::DialFailed { dial } => Event::DialFailed { dial: named(dial) },
        Event::Lost { dial } => Event::Lost { dial: named(dial) },
        Event::Gone { dial } => Event::Gone { dial: named(dial) },
        Event::Lent { lease } => Event::Lent { lease: lease_named(lease) },
        Event::Worked { lease, work, heard_at } => {
            Event::Worked { lease: lease_named(lease), work, heard_at: late(heard_at)? }
        }
        Event::Returned { lease, work } => Event::Returned { lease: lease_named(lease), work },
        Event::Doubted { topology } => Event::Doubted { topology: generation(topology)? },
        Event::Engaged { topology } => Event::Engaged { topology: generation(topology)? },
        Event::Proved { dial, by } => Event::Proved { dial: named(dial), by: late(by)? },
        Event::Unproved { dial, by } => Event::Unproved { dial: named(dial), by: late(by)? },
        Event::Unheard { dial, by } => Event::Unheard { dial: named(dial), by: late(by)? },
        Event::FoundAlive { dial, by } => Event::FoundAlive { dial: named(dial), by: late(by)? },
        Event::Undecided { dial, by } => Event::Undecided { dial: named(dial), by: late(by)? },
        Event::FoundDead { dial, by } => Event::FoundDead { dial: named(dial), by: late(by)? },
        Event::Stopped { deadline } => Event::Stopped { deadline: late(deadline)? },
        Event::Wanted | Event::Unwanted | Event::HeldBack { .. } | Event::Renewed => event,
        Event::Questioned { .. } | Event::Reopened | Event::Spared | Event::Retired | Event::Elapsed => event,
    })
}

fn relabel_command(command: Command) -> Command {
    match command {
        Command::Abort(dial) => Command::Abort(named(dial)),
        Command::Close(dial) => Command::Close(named(dial)),
        Command::Probe { dial, by } => Command::Probe { dial: named(dial), by: by + LATER },
        Command::Reset { dial, by } => Command::Reset { dial: named(dial), by: by + LATER },
        Command::Inquire { dial, by } => Command::Inquire { dial: named(dial), by: by + LATER },
        Command::Ask { dial, by } => Command::Ask { dial: named(dial), by: by + LATER },
        Command::Look(lease) => Command::Look(LeaseId(lease.0 + 1_000)),
        Command::Warn(lease) => Command::Warn(LeaseId(lease.0 + 1_000)),
    }
}
