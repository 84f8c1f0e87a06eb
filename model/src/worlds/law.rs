//! The laws that hold in every state, and the states that must be reachable so that none holds in vain.

use relink::{
    DialId, Fault, LeaseId, Time, Work, link,
    link::Link,
    pool::{Command, Event, Tally},
};
use stateright::Property;

use super::{
    NOW,
    ghost::{About, Evidence, Line},
    world::{State, World},
};

/// The safety properties of the design's catalogue that these worlds judge, by its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Law {
    /// No dial starts while the endpoint has one that is neither answered nor abandoned.
    S1,
    /// Every open session has one owner, or its end was ordered, once.
    S5,
    /// A late, duplicate or stale answer changes nothing but the closing of what it brought.
    S6,
    /// After a fatal fault, no dial to that endpoint until a renewal.
    S7,
    /// No lease on evidence of role that was being collected when a demotion was observed.
    S8,
    /// No lease of a session that was open when a demotion was observed, until it is asked again.
    S9,
    /// Whatever wants something has a timer armed or an answer outstanding, and no due timer is left due.
    S10,
    /// After stop no dial and no lease begins, at the drain deadline the end of everything has been
    /// ordered; nothing else ends a lease whose session is not lost or declared lost.
    S11,
    /// One borrower a session, first come first served, no lease of what is asked or closed, everybody told once.
    S12,
    /// No dial outlives its deadline, and no wait its own.
    S13,
    /// A loss is reported as ambiguous if, and only if, a statement that may be durable was in flight.
    S14,
    /// Each place is free, dialing, owned or closing, and what it waits for exists.
    S16,
    /// No lease of a session that an earlier borrower left unclean.
    S17,
    /// Dials and sessions never exceed `max_size`, plus one hedge for each endpoint after the first.
    S18,
}

impl Law {
    /// Every law, in order.
    pub const ALL: [Self; 14] = [
        Self::S1,
        Self::S5,
        Self::S6,
        Self::S7,
        Self::S8,
        Self::S9,
        Self::S10,
        Self::S11,
        Self::S12,
        Self::S13,
        Self::S14,
        Self::S16,
        Self::S17,
        Self::S18,
    ];

    /// The name in the catalogue.
    pub const fn name(self) -> &'static str {
        match self {
            Self::S1 => "S1",
            Self::S5 => "S5",
            Self::S6 => "S6",
            Self::S7 => "S7",
            Self::S8 => "S8",
            Self::S9 => "S9",
            Self::S10 => "S10",
            Self::S11 => "S11",
            Self::S12 => "S12",
            Self::S13 => "S13",
            Self::S14 => "S14",
            Self::S16 => "S16",
            Self::S17 => "S17",
            Self::S18 => "S18",
        }
    }

    /// As a property: a plain function for each, because that is what the trait takes.
    fn property(self) -> Property<World> {
        let holds: fn(&World, &State) -> bool = match self {
            Self::S1 => |_, state| state.keeps(Self::S1),
            Self::S5 => |_, state| state.keeps(Self::S5),
            Self::S6 => |world, state| state.keeps(Self::S6) && stale_answers_are_void(world, state),
            Self::S7 => |_, state| state.keeps(Self::S7),
            Self::S8 => |_, state| state.keeps(Self::S8),
            Self::S9 => |_, state| state.keeps(Self::S9),
            Self::S10 => |_, state| state.keeps(Self::S10),
            Self::S11 => |_, state| state.keeps(Self::S11),
            Self::S12 => |_, state| state.keeps(Self::S12),
            Self::S13 => |_, state| state.keeps(Self::S13),
            Self::S14 => |_, state| state.keeps(Self::S14),
            Self::S16 => |_, state| state.keeps(Self::S16),
            Self::S17 => |_, state| state.keeps(Self::S17),
            Self::S18 => |_, state| state.keeps(Self::S18),
        };
        Property::always(self.name(), holds)
    }
}

impl State {
    fn keeps(&self, law: Law) -> bool {
        self.ghost.broken != Some(law)
    }
}

/// Every law and every witness of a world.
pub(super) fn properties(world: &World) -> Vec<Property<World>> {
    let mut all: Vec<_> = Law::ALL.into_iter().map(Law::property).collect();
    if world.bug.is_none() {
        all.extend(witnesses(world));
    }
    all
}

/// Judges a state as it is, after every step.
pub(super) fn judge(world: &World, state: &mut State) {
    let State { pool, ghost } = state;
    let owners = |dial: DialId| pool.links().iter().filter(move |link| link.session().is_some_and(|s| s.dial == dial));
    let owned = ghost.peers.iter().filter(|peer| peer.line == Line::Open).all(|peer| {
        owners(peer.dial).count() == 1 && pool.link(peer.slot).session().is_some_and(|s| s.dial == peer.dial)
    });
    let told =
        ghost.borrowers.iter().all(|borrower| pool.link(borrower.slot).lease().is_some_and(|l| l.id == borrower.lease));
    let room = usize::from(world.policy.max_size) + usize::from(world.endpoints) - 1;
    let in_time = ghost.peers.iter().all(|peer| peer.line != Line::Dialing || peer.deadline >= NOW)
        && ghost.queue.iter().all(|waiter| waiter.deadline >= NOW);
    let ended = ghost.stopped.is_none_or(|deadline| {
        let over = ghost.peers.iter().all(|peer| matches!(peer.line, Line::Aborting | Line::Closing));
        NOW <= deadline || over && ghost.borrowers.is_empty()
    });
    let in_order = pool.queue().eq(ghost.queue.iter().map(|waiter| waiter.lease));
    let held = ghost.peers.len() <= room;
    let placed = every_place_is_accounted_for(state);
    let awake = nothing_sleeps_for_ever(world, state);
    for (holds, law) in [
        (owned, Law::S5),
        (told && ended, Law::S11),
        (in_order, Law::S12),
        (in_time, Law::S13),
        (placed, Law::S16),
        (held, Law::S18),
        (awake, Law::S10),
    ] {
        state.ghost.must(holds, law);
    }
}

fn every_place_is_accounted_for(State { pool, ghost }: &State) -> bool {
    let mut tally = Tally::default();
    for link in pool.links() {
        *match link {
            Link::Idle => &mut tally.idle,
            Link::Waiting | Link::Held { .. } => &mut tally.waiting,
            Link::Dialing { .. } => &mut tally.dialing,
            Link::Online { .. } => &mut tally.online,
            Link::Leased { .. } | Link::Suspected { .. } | Link::Draining { .. } => &mut tally.leased,
            Link::Probing { .. } => &mut tally.probing,
            Link::Closing { .. } => &mut tally.closing,
            Link::Closed => &mut tally.closed,
        } += 1;
    }
    let exists = |link: &Link| link.dial().is_none_or(|dial| ghost.peer(dial).is_some());
    let is_used = |link: &Link| link.lease().is_none_or(|lease| ghost.borrowers.iter().any(|b| b.lease == lease.id));
    let agrees = pool.links().iter().all(|link| exists(link) && is_used(link));
    tally == pool.tally() && agrees
}

fn nothing_sleeps_for_ever(world: &World, State { pool, ghost }: &State) -> bool {
    let dialing = ghost.peers.iter().any(|peer| peer.line == Line::Dialing);
    let awake = |link: &Link| match link {
        Link::Waiting => dialing || world.next_dial_at(pool) < Time::NEVER,
        Link::Held { .. } => pool.pacer().held().is_some(),
        Link::Dialing { .. } | Link::Probing { .. } | Link::Closing { .. } | Link::Suspected { .. } => {
            link.timeout(&world.policy) < Time::NEVER
        }
        Link::Idle | Link::Online { .. } | Link::Leased { .. } | Link::Draining { .. } | Link::Closed => true,
    };
    // Somebody waits while no link does anything for anybody.
    let idle = |link: &Link| matches!(link, Link::Idle | Link::Online { .. } | Link::Closed);
    let in_vain = !ghost.queue.is_empty() && !ghost.paused && pool.links().iter().all(idle);
    pool.links().iter().all(awake) && !in_vain
}

/// Plays every answer that is not outstanding, and looks for a difference.
fn stale_answers_are_void(world: &World, state: &State) -> bool {
    if state.ghost.broken.is_some() || world.timeout(state) <= NOW {
        return true;
    }
    let forgotten = (0..world.endpoints).map(|endpoint| DialId::new(0, endpoint));
    let dials: Vec<DialId> = state.ghost.peers.iter().map(|peer| peer.dial).chain(forgotten).collect();
    let leases = state.pool.queue().chain(state.ghost.borrowers.iter().map(|borrower| borrower.lease));
    let leases: Vec<LeaseId> = leases.chain([LeaseId(0)]).collect();
    let slots = 0..u16::try_from(state.pool.links().len()).unwrap_or(u16::MAX);
    // One copy will do: as long as the law holds, no answer changes it.
    let (mut pool, mut out) = (state.pool.clone(), Vec::new());
    let of_dials = slots.clone().flat_map(|slot| {
        // To an earlier question, and to the one that is open.
        let questions = [Some(NOW), state.pool.link(slot).question()].into_iter().flatten();
        let answered =
            dials.iter().flat_map(move |dial| questions.clone().flat_map(move |by| answers(slot, *dial, by)));
        dials.iter().flat_map(move |dial| facts(slot, *dial)).chain(answered)
    });
    let of_leases = slots.flat_map(|slot| leases.iter().flat_map(move |lease| words(slot, *lease)));
    of_dials.chain(of_leases).all(|event| {
        if is_outstanding(state, event) {
            return true;
        }
        out.clear();
        world.step(&mut pool, &state.ghost, event, 0, &mut out);
        pool == state.pool && out.iter().all(|command| closes(*command, event))
    })
}

/// Everything that may be said of a dial or session of that name in that place.
fn facts(slot: u16, dial: DialId) -> [Event; 5] {
    [
        Event::Accepted { slot, dial },
        Event::Dialed { slot, dial },
        Event::DialFailed { slot, dial, fault: Fault::Misconfigured },
        Event::Lost { slot, dial, fault: Fault::Lost },
        Event::Gone { slot, dial },
    ]
}

/// Every answer to the question of that name.
fn answers(slot: u16, dial: DialId, by: Time) -> [Event; 4] {
    [
        Event::Proved { slot, dial, by },
        Event::Unproved { slot, dial, by, fault: Fault::WrongRole },
        Event::FoundAlive { slot, dial, by },
        Event::FoundDead { slot, dial, by },
    ]
}

/// Everything that a borrower of that name may say.
fn words(slot: u16, lease: LeaseId) -> [Event; 4] {
    let work = Work::Statement { durable: true };
    [
        Event::Worked { slot, lease, work },
        Event::Returned { slot, lease, work },
        Event::Ended { slot, lease, work },
        Event::Discarded { slot, lease },
    ]
}

fn closes(command: Command, event: Event) -> bool {
    match (command, event) {
        (Command::Link { command: link::Command::Close(closed), .. }, Event::Dialed { dial, .. }) => closed == dial,
        _ => false,
    }
}

/// Whether the world owes this answer, so that it is not stale.
fn is_outstanding(state: &State, event: Event) -> bool {
    let peer = |slot: u16, dial: DialId| state.ghost.peer(dial).filter(|peer| peer.slot == slot);
    let line = |slot, dial| peer(slot, dial).map(|peer| peer.line);
    let asked = |slot, dial, by| {
        peer(slot, dial).and_then(|peer| peer.question).filter(|question| question.by == by).map(|asked| asked.about)
    };
    let lent = |slot, lease| state.ghost.borrowers.iter().any(|held| (held.slot, held.lease) == (slot, lease));
    match event {
        Event::Accepted { slot, dial } | Event::Dialed { slot, dial } | Event::DialFailed { slot, dial, .. } => {
            matches!(line(slot, dial), Some(Line::Dialing | Line::Aborting))
        }
        Event::Proved { slot, dial, by } | Event::Unproved { slot, dial, by, .. } => {
            matches!(asked(slot, dial, by), Some(About::Role { .. } | About::Reset))
        }
        Event::FoundAlive { slot, dial, by } | Event::FoundDead { slot, dial, by } => {
            asked(slot, dial, by) == Some(About::Alive)
        }
        Event::Lost { slot, dial, .. } => line(slot, dial) == Some(Line::Open),
        Event::Gone { slot, dial } => matches!(line(slot, dial), Some(Line::Aborting | Line::Closing)),
        Event::Worked { slot, lease, .. }
        | Event::Returned { slot, lease, .. }
        | Event::Ended { slot, lease, .. }
        | Event::Discarded { slot, lease } => lent(slot, lease),
        Event::Asked { .. }
        | Event::GaveUp { .. }
        | Event::Demoted
        | Event::Renewed
        | Event::Resized { .. }
        | Event::Paused
        | Event::Resumed => true,
        Event::Stopped { .. } | Event::Elapsed => true,
    }
}

fn some_link(state: &State, is: impl Fn(&Link) -> bool) -> bool {
    state.pool.links().iter().any(is)
}

/// The states that a world must reach, or its laws would hold of nothing.
fn witnesses(world: &World) -> Vec<Property<World>> {
    let mut all = vec![
        Property::<World>::sometimes("online", |_, state| some_link(state, |link| matches!(link, Link::Online { .. }))),
        Property::<World>::sometimes("leased", |_, state| some_link(state, |link| matches!(link, Link::Leased { .. }))),
        Property::<World>::sometimes("a waiter while dialing", |_, state| {
            !state.ghost.queue.is_empty() && some_link(state, |link| matches!(link, Link::Dialing { .. }))
        }),
        Property::<World>::sometimes("an abandoned dial", |_, state| {
            state.ghost.peers.iter().any(|peer| peer.line == Line::Aborting)
        }),
        Property::<World>::sometimes("closing what came late", |_, state| {
            some_link(state, |link| {
                matches!(link, Link::Closing { dial, opened: true, .. }
                if state.ghost.peer(*dial).is_some_and(|peer| peer.late))
            })
        }),
        Property::<World>::sometimes("an outage that settles", |_, state| state.pool.pacer().settles_at().is_some()),
    ];
    if world.returns.len() > 1 {
        all.push(Property::<World>::sometimes("an unclean session being reset", |_, state| {
            state
                .ghost
                .peers
                .iter()
                .any(|peer| peer.dirty && peer.question.is_some_and(|asked| asked.about == About::Reset))
        }));
    }
    if world.pause {
        all.push(Property::<World>::sometimes("a waiter in a pause beside a session", |_, state| {
            let online = some_link(state, |link| matches!(link, Link::Online { .. }));
            state.ghost.paused && online && !state.ghost.queue.is_empty()
        }));
    }
    if world.sizes.len() > 1 {
        all.push(Property::<World>::sometimes("more sessions lent than there are places", |_, state| {
            state.pool.max_size() < 2 && state.ghost.borrowers.len() > 1
        }));
    }
    if world.endpoints > 1 {
        all.push(Property::<World>::sometimes("a hedged dial", |_, state| {
            state.ghost.peers.iter().filter(|peer| peer.line == Line::Dialing).count() > 1
        }));
        all.push(Property::<World>::sometimes("one endpoint held", |_, state| {
            state.ghost.fatal != 0 && state.pool.pacer().held().is_none()
        }));
    }
    if world.borrowers > 1 {
        all.push(Property::<World>::sometimes("two waiters", |_, state| state.ghost.queue.len() > 1));
        all.push(Property::<World>::sometimes("two leases", |_, state| state.ghost.borrowers.len() > 1));
    }
    if world.faults.contains(&Fault::Misconfigured) {
        all.push(Property::<World>::sometimes("held", |_, state| {
            some_link(state, |link| matches!(link, Link::Held { .. }))
        }));
    }
    if world.faults.contains(&Fault::Overloaded) {
        all.push(Property::<World>::sometimes("overloaded", |_, state| {
            state.pool.pacer().phase(0) == relink::pacer::Phase::Overloaded
        }));
    }
    if world.stop {
        all.push(Property::<World>::sometimes("closed", |_, state| state.pool.is_closed()));
        all.push(Property::<World>::sometimes("draining", |_, state| {
            some_link(state, |link| matches!(link, Link::Draining { .. }))
        }));
    }
    if !world.works.is_empty() {
        all.push(Property::<World>::sometimes("a statement that may be durable", |_, state| {
            state.ghost.borrowers.iter().any(|borrower| borrower.work == Work::Statement { durable: true })
        }));
    }
    if world.policy.patience.is_some() {
        all.push(Property::<World>::sometimes("suspected", |_, state| {
            some_link(state, |link| matches!(link, Link::Suspected { again: false, .. }))
        }));
        all.push(Property::<World>::sometimes("suspected twice", |_, state| {
            some_link(state, |link| matches!(link, Link::Suspected { again: true, .. }))
        }));
    }
    if world.demotion {
        all.push(Property::<World>::sometimes("asked for its role", |_, state| {
            state
                .ghost
                .peers
                .iter()
                .any(|peer| peer.question.is_some_and(|asked| matches!(asked.about, About::Role { .. })))
        }));
        all.push(Property::<World>::sometimes("demoted", |_, state| {
            state.ghost.peers.iter().any(|peer| peer.evidence == Evidence::Demoted)
        }));
        all.push(Property::<World>::sometimes("demoted while dialing", |_, state| {
            state.ghost.peers.iter().any(|peer| peer.line == Line::Open && peer.evidence == Evidence::Older)
        }));
    }
    all
}
