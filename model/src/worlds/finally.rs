//! What must happen in the end in a world of a pool, as cycles that there must not be.
//!
//! What is assumed of those around the pool is a set of transitions that a run keeps to from some moment on, so it costs no
//! state: "if this is kept up, that comes" says that no cycle of such transitions goes on without it. Only what
//! goes on while time passes, or while leases begin, is a fault: a run that never leaves an instant owes nobody anything.
//! [`witnesses`] shows that such transitions exist, so that no law holds in vain.

use relink::{
    DialId,
    link::Link,
    pool::{Event, Tally},
};
use stateright::Model;

use super::{
    NOW,
    ghost::{Ghost, Line, Peer},
    law::Law,
    world::{Action, State, World},
};
use crate::{check::Form, claim::Claim};

/// S15: no cycle in which time passes and no dial starts, while a link wants a session and the set is not held.
pub(super) fn dials() -> Form<World> {
    Form::NoCycle {
        within: |_, state| is_running(state) && wants(state) && state.pool.pacer().held().is_none(),
        along: |world, from, action, to| !starts_a_dial(world, from, action, to),
        through: |_, _, action, _| passes(action),
    }
}

/// L1: under a kept promise, no cycle in which time passes while a wanted session is missing.
pub(super) fn comes_online() -> Form<World> {
    Form::NoCycle {
        within: is_good,
        along: keeps_the_promise,
        through: |world, from, action, _| passes(action) && !is_whole(world, from),
    }
}

/// L3: no cycle without a failover in which a lease begins on another host than the primary. Where a standby is preferred:
/// no cycle in which a session is opened with the primary, though the standby answers each dial at once and keeps its sessions.
pub(super) fn follows_the_role() -> Form<World> {
    Form::NoCycle {
        within: |_, _| true,
        along: |world, from, action, _| match world.prefers {
            Some(_) => answers_at_once(from, action, STANDBY),
            None => !matches!(action, Action::FailOver | Action::Promote),
        },
        through: |_, _, _, to| to.ghost.misled,
    }
}

/// The endpoint of the standby, where one is preferred.
const STANDBY: u8 = 1;

/// Whether a step is one of a world in which an endpoint answers each dial before anything else happens and loses no session,
/// whatever the others do, and no session is closed on purpose: one that is may be replaced in the same instant, and so again.
fn answers_at_once(from: &State, action: &Action, endpoint: u8) -> bool {
    let here = |dial: DialId| dial.endpoint() == endpoint;
    if from.ghost.peers.iter().any(|peer| here(peer.dial) && peer.line == Line::Dialing) {
        return matches!(action, Action::Tell(Event::Dialed { dial, .. }, _) if here(*dial));
    }
    match action {
        Action::Tell(Event::Lost { dial, .. }, _) => !here(*dial),
        Action::Tell(Event::Discarded { .. } | Event::Ended { .. }, _) => false,
        Action::Tell(..) | Action::Tick | Action::Jump | Action::Work(..) => true,
        Action::Die(_) | Action::Arrive | Action::FailOver | Action::Promote => true,
    }
}

/// L4: under a kept promise, no cycle in which somebody waits while time passes, and nobody is served. As leases are
/// returned and none begins, there are none on such a cycle.
pub(super) fn serves() -> Form<World> {
    Form::NoCycle {
        within: |world, state| is_good(world, state) && state.ghost.borrowers.is_empty(),
        along: |world, from, action, to| {
            let retreats = matches!(action, Action::Tell(Event::GaveUp { .. } | Event::Demoted, _));
            keeps_the_promise(world, from, action, to) && !retreats
        },
        through: |_, from, action, _| passes(action) && !from.ghost.queue.is_empty(),
    }
}

/// L5: no cycle in which time passes between the stop and the end, if what was ordered to end is gone by its deadline.
pub(super) fn ends() -> Form<World> {
    Form::NoCycle {
        within: |_, state| is_ending(state),
        along: |world, from, action, _| !matches!(action, Action::Tell(Event::Elapsed, _)) || !overstays(world, from),
        through: |_, _, action, _| passes(action),
    }
}

/// The states and steps that the laws of a world speak of.
pub(super) fn witnesses(world: &World) -> Vec<Claim<World>> {
    type Is = fn(&World, &State) -> bool;
    let all: [(Law, &'static str, Is); 5] = [
        (Law::S15, "time passes while a link wants a session", |world, state| {
            is_running(state) && wants(state) && some_step(world, state, |action, _| passes(action))
        }),
        (Law::L1, "a kept promise while a session is missing", |world, state| {
            is_good(world, state) && !is_whole(world, state) && is_kept_while_time_passes(world, state)
        }),
        // Where time leads nowhere else, it passes for ever.
        (Law::L1, "a promise kept for ever", |world, state| {
            let rests = |action: &Action, to: &State| passes(action) && to == state;
            is_good(world, state) && is_whole(world, state) && some_step(world, state, rests)
        }),
        (Law::L4, "a kept promise while somebody waits", |world, state| {
            let waits = !state.ghost.queue.is_empty() && state.ghost.borrowers.is_empty();
            waits && is_good(world, state) && is_kept_while_time_passes(world, state)
        }),
        (Law::L5, "time passes between the stop and the end", |world, state| {
            is_ending(state) && some_step(world, state, |action, _| passes(action))
        }),
    ];
    let judged = all.into_iter().filter(|(law, ..)| world.finally.contains(law));
    judged.map(|(_, name, is)| Claim::reaches(name, is)).collect()
}

fn some_step(world: &World, state: &State, is: impl Fn(&Action, &State) -> bool) -> bool {
    world.next_steps(state).iter().any(|(action, to)| is(action, to))
}

fn is_kept_while_time_passes(world: &World, state: &State) -> bool {
    some_step(world, state, |action, to| passes(action) && keeps_the_promise(world, state, action, to))
}

const fn passes(action: &Action) -> bool {
    matches!(action, Action::Tick | Action::Jump)
}

const fn is_running(state: &State) -> bool {
    let Ghost { stopped, paused, broken, .. } = &state.ghost;
    stopped.is_none() && !*paused && broken.is_none()
}

fn is_ending(state: &State) -> bool {
    state.ghost.stopped.is_some() && !state.pool.is_closed()
}

/// Running, and the endpoint that promises is not held.
fn is_good(world: &World, state: &State) -> bool {
    is_running(state) && state.ghost.fatal & (1 << world.good) == 0
}

fn wants(state: &State) -> bool {
    state.pool.links().iter().any(|link| matches!(link, Link::Waiting | Link::Dialing { .. }))
}

/// As many sessions as are wanted, or as there may be.
fn is_whole(world: &World, state: &State) -> bool {
    let Tally { online, leased, probing, .. } = state.pool.tally();
    let wanted = state.ghost.queue.len().max(usize::from(world.policy.min_idle));
    online + leased + probing >= state.pool.max_size() || usize::from(online + probing) >= wanted
}

/// Names are renumbered, but a dial that starts is the youngest of all.
fn starts_a_dial(world: &World, from: &State, action: &Action, to: &State) -> bool {
    let known = |dial| from.ghost.peer(dial).is_some();
    let ends = |event| matches!(event, Event::DialFailed { dial, .. } | Event::Gone { dial, .. } if known(dial));
    let ended = match action {
        Action::Tell(event, _) => world.told(from, *event).into_iter().flatten().any(ends),
        Action::Tick | Action::Jump | Action::Work(..) => false,
        Action::Die(_) | Action::Arrive | Action::FailOver | Action::Promote => false,
    };
    to.ghost.peers.len() + usize::from(ended) > from.ghost.peers.len()
}

/// Whether something that was ordered to end has not, and its deadline has come.
fn overstays(world: &World, state: &State) -> bool {
    let ordered = |line| matches!(line, Line::Aborting | Line::Closing);
    let late = |slot| state.pool.link(slot).timeout(&world.driven) <= NOW;
    state.ghost.peers.iter().any(|peer| ordered(peer.line) && late(peer.slot))
}

/// Whether a step is one of a world in which the good endpoint serves every dial by its deadline, every question is
/// answered well and in time, no session is lost or closed on purpose, wherever it is, and what was ordered to end is gone
/// by its deadline.
fn keeps_the_promise(world: &World, from: &State, action: &Action, _: &State) -> bool {
    let good = |dial: DialId| dial.endpoint() == world.good;
    let Action::Tell(event, _) = *action else {
        return matches!(action, Action::Tick | Action::Jump | Action::Work(..));
    };
    match event {
        Event::DialFailed { dial, .. } => {
            !good(dial) || from.ghost.peer(dial).is_none_or(|peer| peer.line != Line::Dialing)
        }
        Event::Lost { .. } | Event::Unproved { .. } | Event::Unheard { .. } => false,
        Event::Undecided { .. } | Event::FoundDead { .. } | Event::Ended { .. } => false,
        Event::Discarded { .. } | Event::Resized { .. } | Event::Paused | Event::Stopped { .. } => false,
        Event::Elapsed => {
            let unanswered = |peer: &Peer| {
                let late = from.pool.link(peer.slot).timeout(&world.driven) <= NOW;
                late && peer.line == Line::Dialing && good(peer.dial)
                    || peer.question.is_some_and(|asked| asked.by <= NOW)
            };
            // Nobody could be asked in time.
            let given_up =
                |link: &Link| matches!(link, Link::Suspected { again: true, deadline, .. } if *deadline <= NOW);
            !overstays(world, from)
                && !from.ghost.peers.iter().any(unanswered)
                && !from.pool.links().iter().any(given_up)
        }
        Event::Asked { .. } | Event::GaveUp { .. } | Event::Returned { .. } | Event::Accepted { .. } => true,
        Event::Dialed { .. } | Event::Proved { .. } | Event::Worked { .. } | Event::FoundAlive { .. } => true,
        Event::Gone { .. } | Event::Demoted | Event::Renewed | Event::Resumed => true,
    }
}
