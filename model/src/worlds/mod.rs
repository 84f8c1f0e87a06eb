//! Small closed worlds in which the production machines are put through everything that can happen.
//!
//! A world is a `stateright` [`Model`]: its states hold a production [`Pool`](relink::pool::Pool), seen
//! from a [`Frame`](relink::Frame) whose present is [`NOW`], and a [`Ghost`](ghost::Ghost) that knows what the pool does not. Its
//! transitions call [`Pool::step`](relink::pool::Pool::step) and nothing else of relink's decisions.
//!
//! * [`one_link`]: a single connection, which is a pool of one, with everything that can befall it.
//! * [`pool_of_two`]: two places, three who come, wait, cancel, leave unclean or never come back.
//! * [`changing_pool`]: two places, two who come, while the pool is paused, resumed and resized.
//! * [`two_endpoints`]: one place, two endpoints: order, hedging, a hold of one and of both.
//!
//! Assumed: the driver tells of a due timer before time passes on (a lag of nothing, in ticks of a
//! millisecond), carries out every order, and gives each answer under the name it belongs to. Answers may come at any
//! time, after they are of use, or never; duplicates, answers to earlier questions and to what is forgotten, and words
//! of those who are no borrowers any more are played in every state (S6). Chance is an adversary: it takes every outcome
//! of every draw.
//!
//! Not covered: more than two places or endpoints, lifetimes, idle retirement and long-lease reports, askers, clocks
//! that jump, real policies (the windows here are a few milliseconds), and anything that must happen *eventually*.

pub mod bug;
pub mod ghost;
pub mod law;
mod tell;
pub mod world;

use std::time::Instant;

use relink::{Checked, Fault, Policy, Ratio, Span, Time, Validate, Work};
use stateright::{Expectation, Model};

use crate::check::{self, Form, Limit, Stopped};

use bug::Bug;
use world::World;

/// The present, as every state of a world calls it: late enough for the longest memory, `elapsed_max`.
pub const NOW: Time = Time::from_millis(64);

/// Words of chance, equally far apart: of a draw with up to five outcomes they give every one.
pub const WORDS: [u64; 5] = {
    const TENTH: u64 = u64::MAX / 10;
    [TENTH, 3 * TENTH, 5 * TENTH + 1, 7 * TENTH + 1, 9 * TENTH + 1]
};

const fn ms(ms: u64) -> Span {
    Span::from_millis(ms)
}

/// A policy in which a tick of 1 ms is as much as matters: windows of a few ticks, every class of outcome.
pub fn reduced(max_size: u16) -> Policy {
    let half = Ratio::from_millionths(500_000);
    let mut policy = Policy::default();
    policy.w0 = ms(2);
    policy.jitter_lo = half;
    policy.jitter_hi = Ratio::from_millionths(1_500_000);
    policy.kd = half;
    policy.capd = ms(4);
    policy.ka = Ratio::ONE;
    policy.s = half;
    policy.cap0 = ms(4);
    policy.kcap = half;
    policy.elapsed_max = ms(8);
    policy.replace_jitter = ms(1);
    policy.hedge_after = ms(1);
    policy.stable_for = ms(3);
    policy.dial_deadline = ms(2);
    policy.dial_deadline_max = ms(4);
    policy.refusals_max = 2;
    policy.max_size = max_size;
    policy.max_idle = max_size;
    policy.min_idle = 1;
    policy.waiters_max = 8;
    policy.validate = Validate::Never;
    policy.stale_after = ms(0);
    policy.probe_deadline = ms(2);
    policy.reset_deadline = ms(2);
    policy.close_deadline = ms(2);
    policy.drain_deadline = ms(2);
    policy.lifetime_max = None;
    policy.idle_max = None;
    policy.lease_warn = None;
    policy.patience = None;
    policy.grace = ms(1);
    policy.question_deadline = ms(1);
    policy
}

/// The reduced policy, smaller still: no window beyond `w0`, where two of everything take the room.
fn smaller(mut policy: Policy) -> Policy {
    policy.elapsed_max = ms(4);
    policy.capd = ms(2);
    policy.stable_for = ms(2);
    policy.dial_deadline_max = ms(2);
    policy.close_deadline = ms(1);
    policy.reset_deadline = ms(1);
    policy.drain_deadline = ms(1);
    policy.replace_jitter = ms(0);
    policy
}

/// A world of a policy; `None` if the policy breaks a rule, the bug's policy included.
fn around(name: &'static str, policy: Policy, endpoints: u8, bug: Option<Bug>) -> Option<World> {
    let driven = bug.map_or_else(|| policy.clone(), |bug| bug.policy(&policy));
    let judged: Checked = policy.check().ok()?;
    Some(World {
        name,
        policy: judged,
        driven: driven.check().ok()?,
        endpoints,
        borrowers: 1,
        acquire: ms(3),
        faults: &[Fault::Refused],
        works: &[],
        returns: &[Work::AtRest, Work::InTransaction],
        words: &WORDS,
        accepts: false,
        demotion: false,
        renewal: false,
        stop: true,
        pause: false,
        sizes: &[],
        bug,
    })
}

/// One link and its pacer, as a pool of one: late, lost and repeated answers, sessions that die at any moment, a
/// borrower with a statement in flight who may never come back, suspicion, demotion, a fatal fault and renewals, the end.
pub fn one_link(bug: Option<Bug>) -> Option<World> {
    let mut policy = reduced(1);
    policy.patience = Some(ms(1));
    let mut world = around("one_link", policy, 1, bug)?;
    world.faults = &[Fault::Refused, Fault::Overloaded, Fault::Misconfigured];
    world.works = &[Work::AtRest, Work::Statement { durable: true }, Work::Statement { durable: false }];
    world.accepts = true;
    world.demotion = true;
    world.renewal = true;
    Some(world)
}

/// Two places and one endpoint: borrowers come, wait, cancel, leave unclean or never come back; the end.
pub fn pool_of_two(bug: Option<Bug>) -> Option<World> {
    let policy = smaller(reduced(2));
    let mut world = around("pool_of_two", policy, 1, bug)?;
    world.borrowers = 3;
    world.acquire = ms(2);
    Some(world)
}

/// Two places, of which one may be taken away and given back; pauses; two who come, wait, cancel or never come back.
pub fn changing_pool(bug: Option<Bug>) -> Option<World> {
    let mut world = around("changing_pool", smaller(reduced(2)), 1, bug)?;
    world.borrowers = 2;
    world.acquire = ms(2);
    world.returns = &[Work::AtRest];
    world.pause = true;
    world.sizes = &[2, 1];
    Some(world)
}

/// One place and two endpoints: their order, a hedged dial, a hold of one and of both, a renewal.
pub fn two_endpoints(bug: Option<Bug>) -> Option<World> {
    let mut policy = smaller(reduced(1));
    policy.w0 = ms(1);
    policy.capd = ms(1);
    policy.cap0 = ms(1);
    policy.elapsed_max = ms(1);
    policy.stable_for = ms(1);
    let mut world = around("two_endpoints", policy, 2, bug)?;
    world.faults = &[Fault::Refused, Fault::Misconfigured];
    world.renewal = true;
    world.acquire = ms(1);
    world.returns = &[Work::AtRest];
    world.stop = false;
    Some(world)
}

/// What a checker found of one property of one world.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The world.
    pub world: &'static str,
    /// The property: a law, or a state that must be reachable.
    pub property: &'static str,
    /// Distinct states of the world, all of them judged.
    pub states: usize,
    /// How long the whole world took.
    pub seconds: f64,
    /// Whether the law holds, or the state was reached.
    pub holds: bool,
    /// What happened on the way to the broken law or to the state that must be reachable.
    pub witness: Vec<String>,
}

/// Checks every property of a world in every reachable state.
///
/// # Errors
///
/// [`Stopped`] if the world does not fit into the default [`Limit`].
pub fn check(world: &World) -> Result<Vec<Verdict>, Stopped> {
    let started = Instant::now();
    let graph = check::explore(world, Limit::default())?;
    let found = |property: &stateright::Property<World>| match property.expectation {
        Expectation::Always => match graph.judge(&Form::Always(property.condition)) {
            check::Verdict::Falsified(found) => (false, Some(found.stem)),
            verdict @ (check::Verdict::Holds | check::Verdict::Unreached) => (verdict.holds(), None),
        },
        Expectation::Sometimes => {
            let state = graph.find(property.condition);
            (state.is_some(), state.and_then(|id| graph.path_to(id)))
        }
        Expectation::Eventually => (graph.judge(&Form::Eventually { goal: property.condition }).holds(), None),
    };
    let judged: Vec<_> = world.properties().iter().map(|property| (property.name, found(property))).collect();
    let (states, seconds) = (graph.states(), started.elapsed().as_secs_f64());
    let verdict = |(property, (holds, path)): (_, (_, Option<check::Path<World>>))| {
        let steps = path.map(|path| path.steps).unwrap_or_default();
        let witness = steps.iter().map(|(_, action)| format!("{action:?}")).collect();
        Verdict { world: world.name, property, states, seconds, holds, witness }
    };
    Ok(judged.into_iter().map(verdict).collect())
}

/// Checks every world.
///
/// # Errors
///
/// As [`check()`].
pub fn check_all() -> Result<Vec<Verdict>, Stopped> {
    let worlds: [fn(Option<Bug>) -> Option<World>; 4] = [one_link, pool_of_two, changing_pool, two_endpoints];
    let worlds = worlds.into_iter().filter_map(|world| world(None));
    worlds.map(|world| check(&world)).try_fold(Vec::new(), |mut all, verdicts| {
        all.extend(verdicts?);
        Ok(all)
    })
}
