//! The states that a world must reach, or its laws would hold of nothing.

use relink::{Backoff, Fault, Work, link::Link};

use super::{
    finally,
    ghost::{About, Evidence, Ghost, Line, Peer},
    world::{State, World},
};
use crate::claim::Claim;

fn some_link(state: &State, is: impl Fn(&Link) -> bool) -> bool {
    state.pool.links().iter().any(is)
}

/// Every witness of a world.
pub(super) fn witnesses(world: &World) -> Vec<Claim<World>> {
    let of_this =
        [dials(world), borrowers(world), endpoints(world), ends(world), roles(world), finally::witnesses(world)];
    always().into_iter().chain(of_this.into_iter().flatten()).collect()
}

/// What every world must reach.
fn always() -> Vec<Claim<World>> {
    vec![
        Claim::<World>::reaches("online", |_, state| some_link(state, |link| matches!(link, Link::Online { .. }))),
        Claim::<World>::reaches("leased", |_, state| some_link(state, |link| matches!(link, Link::Leased { .. }))),
        Claim::<World>::reaches("a waiter while dialing", |_, state| {
            !state.ghost.queue.is_empty() && some_link(state, |link| matches!(link, Link::Dialing { .. }))
        }),
        Claim::<World>::reaches("an outage that settles", |_, state| state.pool.pacer().settles_at().is_some()),
    ]
}

/// What becomes of dials that are given up, where they take time.
fn dials(world: &World) -> Vec<Claim<World>> {
    if world.prompt {
        return Vec::new();
    }
    vec![
        Claim::<World>::reaches("an abandoned dial", |_, state| {
            state.ghost.peers.iter().any(|peer| peer.line == Line::Aborting)
        }),
        Claim::<World>::reaches("closing what came late", |_, state| {
            some_link(state, |link| {
                matches!(link, Link::Closing { dial, opened: true, .. }
                if state.ghost.peer(*dial).is_some_and(|peer| peer.late))
            })
        }),
    ]
}

/// What borrowers do to each other, and to the pool's size.
fn borrowers(world: &World) -> Vec<Claim<World>> {
    let mut all = Vec::new();
    if world.returns.len() > 1 {
        all.push(Claim::<World>::reaches("an unclean session being reset", |_, state| {
            state
                .ghost
                .peers
                .iter()
                .any(|peer| peer.dirty && peer.question.is_some_and(|asked| asked.about == About::Reset))
        }));
    }
    if world.pause {
        all.push(Claim::<World>::reaches("a waiter in a pause beside a session", |_, state| {
            let online = some_link(state, |link| matches!(link, Link::Online { .. }));
            state.ghost.paused && online && !state.ghost.queue.is_empty()
        }));
    }
    if world.sizes.len() > 1 {
        all.push(Claim::<World>::reaches("more sessions lent than there are places", |_, state| {
            state.pool.max_size() < 2 && state.ghost.borrowers.len() > 1
        }));
    }
    if world.borrowers > 1 {
        all.push(Claim::<World>::reaches("two waiters", |_, state| state.ghost.queue.len() > 1));
        all.push(Claim::<World>::reaches("two leases", |_, state| state.ghost.borrowers.len() > 1));
    }
    all
}

/// What endpoints answer, and which of them are held.
fn endpoints(world: &World) -> Vec<Claim<World>> {
    let mut all = Vec::new();
    if world.endpoints > 1 {
        all.push(Claim::<World>::reaches("a hedged dial", |_, state| {
            state.ghost.peers.iter().filter(|peer| peer.line == Line::Dialing).count() > 1
        }));
    }
    if world.endpoints > 1 && world.faults.contains(&Fault::Misconfigured) {
        all.push(Claim::<World>::reaches("one endpoint held", |_, state| {
            state.ghost.fatal != 0 && state.pool.pacer().held().is_none()
        }));
    }
    if world.faults.contains(&Fault::Misconfigured) {
        all.push(Claim::<World>::reaches("held", |_, state| state.pool.pacer().held().is_some()));
    }
    if world.faults.contains(&Fault::Overloaded) && world.policy.backoff == Backoff::Relink {
        all.push(Claim::<World>::reaches("overloaded", |_, state| {
            state.pool.pacer().phase(0) == relink::pacer::Phase::Overloaded
        }));
    }
    all
}

/// How leases and pools end: cut, stopped, or fallen silent.
fn ends(world: &World) -> Vec<Claim<World>> {
    let mut all = Vec::new();
    if world.stop {
        all.push(Claim::<World>::reaches("closed", |_, state| state.pool.is_closed()));
        all.push(Claim::<World>::reaches("draining", |_, state| {
            some_link(state, |link| matches!(link, Link::Draining { .. }))
        }));
    }
    if !world.works.is_empty() {
        all.push(Claim::<World>::reaches("a statement that may be durable", |_, state| {
            state.ghost.borrowers.iter().any(|borrower| borrower.work == Work::Statement { durable: true })
        }));
    }
    if world.silence.is_some() {
        all.push(Claim::<World>::reaches("a statement is carried out after its loss was told", |_, state| {
            state.ghost.appeared
        }));
    }
    if world.policy.patience.is_some() && world.policy.max_size > 1 {
        all.push(Claim::<World>::reaches("an idle session that asks", |_, state| {
            let asks =
                |link: &Link, place| matches!(link, Link::Suspected { asker: Some(asker), .. } if *asker == place);
            let mut idle = state.pool.links().iter().zip(0..).filter(|(link, _)| matches!(link, Link::Probing { .. }));
            idle.any(|(_, place)| some_link(state, |link| asks(link, place)))
        }));
    }
    if world.policy.patience.is_some() {
        all.push(Claim::<World>::reaches("an asker that asks", |_, state| {
            state.pool.askers().iter().any(|link| matches!(link, Link::Probing { .. }))
        }));
        all.push(Claim::<World>::reaches("suspected", |_, state| {
            some_link(state, |link| matches!(link, Link::Suspected { again: false, asker: Some(_), .. }))
        }));
        if world.jump.is_none() {
            all.push(Claim::<World>::reaches("suspected twice", |_, state| {
                some_link(state, |link| matches!(link, Link::Suspected { again: true, .. }))
            }));
        }
    }
    all
}

/// What becomes of the evidence of role.
fn roles(world: &World) -> Vec<Claim<World>> {
    let mut all = Vec::new();
    if world.roles {
        all.push(Claim::<World>::reaches("a lease on the second primary", |_, state| {
            let Ghost { primary, borrowers, .. } = &state.ghost;
            *primary == 1 && borrowers.iter().any(|held| held.dial.endpoint() == *primary)
        }));
    }
    if world.roles && !world.fenced {
        all.push(Claim::<World>::reaches("a lease begins on a host that is not the primary", |_, state| {
            state.ghost.misled
        }));
    }
    if world.prefers.is_some() {
        all.push(Claim::<World>::reaches("a session of a primary that is not preferred", |_, state| {
            state.ghost.misled
        }));
        all.push(Claim::<World>::reaches("a lease on the standby that is", |_, state| {
            state.ghost.borrowers.iter().any(|held| held.dial.endpoint() != state.ghost.primary)
        }));
    }
    if world.fenced {
        all.push(Claim::<World>::reaches("a lease on a replaced primary that nothing shows to be one", |_, state| {
            let Ghost { primary, split, met, borrowers, .. } = &state.ghost;
            *split && !*met && borrowers.iter().any(|held| held.dial.endpoint() != *primary)
        }));
        all.push(Claim::<World>::reaches("a session of a replaced primary when the latest is met", |_, state| {
            let Ghost { primary, split, met, peers, .. } = &state.ghost;
            let is_old = |peer: &Peer| peer.line == Line::Open && peer.dial.endpoint() != *primary;
            *split && *met && peers.iter().any(is_old)
        }));
        all.push(Claim::<World>::reaches("a dial of a replaced primary that is known", |_, state| {
            let Ghost { primary, split, met, peers, .. } = &state.ghost;
            let is_old = |peer: &Peer| peer.line == Line::Dialing && peer.dial.endpoint() != *primary;
            *split && *met && peers.iter().any(is_old)
        }));
    }
    if world.demotion {
        all.push(Claim::<World>::reaches("asked for its role", |_, state| {
            state
                .ghost
                .peers
                .iter()
                .any(|peer| peer.question.is_some_and(|asked| matches!(asked.about, About::Role { .. })))
        }));
        all.push(Claim::<World>::reaches("demoted", |_, state| {
            state.ghost.peers.iter().any(|peer| peer.evidence == Evidence::Demoted)
        }));
        all.push(Claim::<World>::reaches("demoted while dialing", |_, state| {
            state.ghost.peers.iter().any(|peer| peer.line == Line::Open && peer.evidence == Evidence::Older)
        }));
    }
    all
}
