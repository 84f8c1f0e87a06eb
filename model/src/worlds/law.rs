//! The laws that hold in every state, and how each is judged.

use relink::{
    DialId, Fault, LeaseId, Time, Work, link,
    link::Link,
    pool::{ASKERS, Command, Event, Tally},
};

use super::{
    NOW, finally,
    ghost::{About, Line},
    witness::witnesses,
    world::{State, World},
};
use crate::{check::Form, claim::Claim};

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
    /// A loss is reported as ambiguous if, and only if, a statement that may be durable was in flight. Where sessions die in
    /// silence: no statement is carried out whose caller was told that it was not.
    S14,
    /// Each place is free, dialing, owned or closing, and what it waits for exists.
    S16,
    /// No lease of a session that an earlier borrower left unclean.
    S17,
    /// Dials and sessions never exceed `max_size`, plus one hedge for each endpoint after the first, plus one asker for each
    /// endpoint.
    S18,
    /// Generations never fall; a clock that stands still or jumps ends no session whose answers all came in time.
    S19,
    /// A session that dies in silence while a borrower waits on it is noticed within
    /// `patience + 2·question_deadline`, or `2·question_deadline` after the last answer that it is too early to tell.
    L6,
    /// No cycle in which time passes and no dial starts, while a link wants a session and the set is not held.
    S15,
    /// If from some time on the good endpoint serves every dial and question by its deadline, nothing is lost or closed
    /// on purpose, and what was ordered to end does, every wanted session is there from some time on.
    L1,
    /// If no more failovers come, and servers answer with the role that they have or had when they were asked, only
    /// finitely many leases begin on a host that is not the primary. Where a primary may be replaced without its knowledge:
    /// that begin there though the latest had been met. Where a standby is preferred: if from some time on it answers each dial
    /// at once and keeps its sessions, only finitely many sessions are opened with the primary.
    L3,
    /// As L1 assumes, and if leases are returned, nobody gives up and no more demotions are seen: whoever is first
    /// among those who wait is served. (That nobody waits beyond the own deadline is S13.)
    L4,
    /// If whatever was ordered to end is gone by its deadline, a stopped pool closes.
    L5,
}

impl Law {
    /// What is judged at every step of every world.
    pub const SAFETY: [Self; 16] = [
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
        Self::S19,
        Self::L6,
    ];

    /// What must finally happen, judged in the worlds that say so.
    pub const FINALLY: [Self; 5] = [Self::S15, Self::L1, Self::L3, Self::L4, Self::L5];

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
            Self::S19 => "S19",
            Self::L6 => "L6",
            Self::S15 => "S15",
            Self::L1 => "L1",
            Self::L3 => "L3",
            Self::L4 => "L4",
            Self::L5 => "L5",
        }
    }

    /// Whether something happens in a world that the law is about, so that it does not hold there in vain.
    fn speaks_of(self, world: &World) -> bool {
        match self {
            Self::S7 => world.faults.contains(&Fault::Misconfigured),
            Self::S8 | Self::S9 => world.demotion || world.fenced,
            Self::S14 => !world.works.is_empty() && world.jump.is_none(),
            Self::S17 => world.returns.iter().any(|work| *work != Work::AtRest),
            Self::S19 => world.jump.is_some(),
            Self::L6 => world.silence.is_some(),
            Self::S1 | Self::S5 | Self::S6 | Self::S10 | Self::S11 | Self::S12 | Self::S13 => true,
            Self::S16 | Self::S18 => true,
            Self::S15 | Self::L1 | Self::L3 | Self::L4 | Self::L5 => world.finally.contains(&self),
        }
    }

    /// As a claim. Its predicates are plain functions, because that is what the checker takes.
    fn claim(self) -> Claim<World> {
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
            Self::S19 => |_, state| state.keeps(Self::S19),
            Self::L6 => |_, state| state.keeps(Self::L6),
            Self::S15 => return Claim::new(self.name(), finally::dials()),
            Self::L1 => return Claim::new(self.name(), finally::comes_online()),
            Self::L3 => return Claim::new(self.name(), finally::follows_the_role()),
            Self::L4 => return Claim::new(self.name(), finally::serves()),
            Self::L5 => return Claim::new(self.name(), finally::ends()),
        };
        Claim::new(self.name(), Form::Always(holds))
    }
}

impl State {
    fn keeps(&self, law: Law) -> bool {
        self.ghost.broken != Some(law)
    }
}

/// Every law and every witness of a world.
pub(super) fn claims(world: &World) -> Vec<Claim<World>> {
    let judged = Law::SAFETY.iter().filter(|law| law.speaks_of(world)).chain(world.finally);
    let mut all: Vec<_> = judged.map(|law| law.claim()).collect();
    all.push(Claim::new(
        "no other law is broken",
        Form::Always(|world: &World, state: &State| state.ghost.broken.is_none_or(|law| law.speaks_of(world))),
    ));
    if world.bug.is_none() {
        all.extend(witnesses(world));
    }
    all
}

/// Judges a state as it is, after every step.
pub(super) fn judge(world: &World, state: &mut State) {
    let State { pool, ghost, .. } = state;
    let all = || pool.links().iter().chain(pool.askers());
    let owners = |dial: DialId| all().filter(move |link| link.session().is_some_and(|s| s.dial == dial));
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
    let noticed = ghost.borrowers.iter().all(|borrower| borrower.noticed_by >= NOW);
    // A clock that has jumped is late for everything, until the timers were served.
    let punctual = world.jump.is_none() || world.timeout_of(pool, ghost) > NOW;
    let in_order = pool.queue().eq(ghost.queue.iter().map(|waiter| waiter.lease));
    let askers =
        |endpoint: u8| ghost.peers.iter().filter(move |peer| peer.slot == ASKERS + u16::from(endpoint)).count();
    let held = ghost.peers.iter().filter(|peer| peer.slot < ASKERS).count() <= room
        && (0..world.endpoints).all(|endpoint| askers(endpoint) <= 1);
    let placed = every_place_is_accounted_for(state);
    let awake = nothing_sleeps_for_ever(world, state);
    for (holds, law) in [
        (owned, Law::S5),
        (told && (ended || !punctual), Law::S11),
        (in_order, Law::S12),
        (in_time || !punctual, Law::S13),
        (placed, Law::S16),
        (held, Law::S18),
        (awake, Law::S10),
        (noticed, Law::L6),
    ] {
        state.ghost.must(holds, law);
    }
}

fn every_place_is_accounted_for(State { pool, ghost, .. }: &State) -> bool {
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
    let agrees = pool.links().iter().chain(pool.askers()).all(|link| exists(link) && is_used(link));
    tally == pool.tally() && agrees
}

fn nothing_sleeps_for_ever(world: &World, State { pool, ghost, .. }: &State) -> bool {
    let dialing = ghost.peers.iter().any(|peer| peer.line == Line::Dialing);
    let awake = |link: &Link| match link {
        Link::Waiting => dialing || world.next_dial_at(pool) < Time::NEVER,
        Link::Held { .. } => pool.pacer().held().is_some(),
        Link::Dialing { .. } | Link::Probing { .. } | Link::Closing { .. } => link.timeout(&world.policy) < Time::NEVER,
        // Nobody waits for the answer of a session that has ended.
        Link::Suspected { deadline, asker, .. } => {
            *deadline < Time::NEVER && asker.is_none_or(|asker| pool.link(asker).session().is_some())
        }
        Link::Idle | Link::Online { .. } | Link::Leased { .. } | Link::Draining { .. } | Link::Closed => true,
    };
    // Somebody waits while no link does anything for anybody.
    let idle = |link: &Link| matches!(link, Link::Idle | Link::Online { .. } | Link::Closed);
    let in_vain = !ghost.queue.is_empty() && !ghost.paused && pool.links().iter().all(idle);
    pool.links().iter().chain(pool.askers()).all(awake) && !in_vain
}

/// Plays every answer that is not outstanding, and looks for a difference.
fn stale_answers_are_void(world: &World, state: &State) -> bool {
    if state.ghost.broken.is_some() || state.pool.timeout(&world.driven) <= NOW {
        return true;
    }
    let forgotten = (0..world.endpoints).map(|endpoint| DialId::new(0, endpoint));
    let dials: Vec<DialId> = state.ghost.peers.iter().map(|peer| peer.dial).chain(forgotten).collect();
    let leases = state.pool.queue().chain(state.ghost.borrowers.iter().map(|borrower| borrower.lease));
    let leases: Vec<LeaseId> = leases.chain([LeaseId(0)]).collect();
    let slots = (0..).take(state.pool.links().len()).chain((ASKERS..).take(state.pool.askers().len()));
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
fn answers(slot: u16, dial: DialId, by: Time) -> [Event; 6] {
    [
        Event::Proved { slot, dial, by },
        Event::Unproved { slot, dial, by, fault: Fault::WrongRole },
        Event::Unheard { slot, dial, by },
        Event::FoundAlive { slot, dial, by },
        Event::Undecided { slot, dial, by },
        Event::FoundDead { slot, dial, by },
    ]
}

/// Everything that a borrower of that name may say.
fn words(slot: u16, lease: LeaseId) -> [Event; 4] {
    let work = Work::Statement { durable: true };
    [
        Event::Worked { slot, lease, work, heard_at: NOW },
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
        Event::Unheard { slot, dial, by } => matches!(asked(slot, dial, by), Some(About::Role { .. })),
        Event::FoundAlive { slot, dial, by }
        | Event::Undecided { slot, dial, by }
        | Event::FoundDead { slot, dial, by } => asked(slot, dial, by) == Some(About::Alive),
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
