//! Small closed worlds of one process around the production pacer: what it promises at every moment, and that it ends.
//!
//! A world is a `stateright` [`Model`](stateright::Model): its states hold a production
//! [`Pacer`](relink::pacer::Pacer), seen from a [`Frame`](relink::Frame) whose present is
//! [`NOW`](crate::worlds::NOW), and a [`Ghost`](ghost::Ghost) that keeps the accounts of the laws. Its transitions call
//! [`Pacer::step`](relink::pacer::Pacer::step) and [`Pacer::next`](relink::pacer::Pacer::next) and nothing else of
//! relink's decisions.
//!
//! * [`one_endpoint`]: one to three places that each want a session, up to three dials at once.
//! * [`endpoint_set`]: one place, two or three endpoints of which one may be good: order, hedging, holds.
//! * [`classic`]: one or two places under each classic backoff.
//! * [`short_memory`]: two places of sixteen, under a policy whose waits outlast the memory of an outage.
//!
//! The environment is an adversary without fairness or budget: any answer at any time until the deadline, sessions lost
//! stable or unstable, one by one or all in an instant, closed on purpose, dials given up, credentials renewed; and
//! chance takes every outcome of every draw (of gRPC's, which have up to 41 where a tick is a second, seven). For L1
//! it may promise, and take back, that one endpoint serves every dial within the dial deadline's ceiling
//! ([`Promise`]): nothing is claimed of a run in which it never promises for good. A slow dial of that endpoint is
//! one that was accepted in time; where the transport itself takes longer than `dial_deadline`, no deadline grows and
//! L1 does not hold. While the promise is kept nothing is closed on purpose either: what is retired again and again is
//! online again and again, and no more.
//!
//! Assumed: the driver starts a due dial, and ends one at its deadline, before time passes on. What was given up is
//! gone at once, so that its place dials the sooner.
//!
//! Which backoff keeps what: relink's own keeps every law. The classic ones keep S1, S7, S10, S15, and L1 with one
//! endpoint. Beside an endpoint that refuses at once, full jitter keeps L1 only almost surely: an adversary's draws
//! of no wait at all let that endpoint be dialed without end in one instant. S2, S3 and S4 are not theirs.
//!
//! Not covered: `give_up`, more than three places or endpoints, losses among several places of a set, and waits as
//! long as real ones (the windows here are a few milliseconds; a tick of gRPC's world is a second).

pub mod bug;
pub mod ghost;
pub mod law;
mod rerun;
mod show;
mod tell;
pub mod world;

use relink::{Backoff, Fault, Policy, Ratio, Span};

use crate::{reduce, worlds::reduced};
use bug::Bug;
use law::Law;
use world::{Promise, World};

/// Words of chance, equally far apart: of a draw with up to seven outcomes they give every one.
const SEVENTHS: [u64; 7] = {
    const PART: u64 = u64::MAX / 14;
    [PART, 3 * PART, 5 * PART, 7 * PART + 1, 9 * PART + 1, 11 * PART + 1, 13 * PART + 1]
};

/// Of a draw with up to nine outcomes.
const NINTHS: [u64; 9] = {
    const PART: u64 = u64::MAX / 18;
    [PART, 3 * PART, 5 * PART, 7 * PART, 9 * PART, 11 * PART, 13 * PART, 15 * PART, 17 * PART]
};

/// The outcomes of a draw from a window of one tick.
const EITHER: [u64; 2] = [0, u64::MAX];

/// Every lesson that a fault can teach, and both ways to be fatal.
const FAULTS: [Fault; 6] =
    [Fault::Refused, Fault::Unreachable, Fault::TimedOut, Fault::Overloaded, Fault::Denied, Fault::Misconfigured];

const fn ms(ms: u64) -> Span {
    Span::from_millis(ms)
}

/// One endpoint, 1 ..= 3 places, up to `max_dials` dials at once. It is good if it serves every dial within the
/// ceiling of the dial deadline, twice the deadline it starts from. With three places a dial is refused,
/// overloaded or silent, and nothing is closed on purpose or renewed.
pub fn one_endpoint(places: u16, max_dials: u8, bug: Option<Bug>) -> Option<World> {
    let mut policy = reduced(places);
    policy.max_dials = max_dials;
    // Long enough for the ceiling of an overload to grow, with one place.
    policy.elapsed_max = ms(12);
    let mut world = around("one_endpoint", policy, bug)?;
    world.accounts = true;
    if places > 2 {
        world.faults = &[Fault::Refused, Fault::Overloaded];
        world.renewal = false;
        world.retreat = false;
    }
    Some(world)
}

/// One place and a set of two or three endpoints, of which `good` may keep its promise; the others never promise.
/// With three, the accounts are not kept, nothing is renewed, and the others refuse, hold or stay silent: S2, S2b and
/// S4b have nothing to say there. With overloads too it would be larger than a world may be.
pub fn endpoint_set(endpoints: u8, good: u8, backoff: Backoff, bug: Option<Bug>) -> Option<World> {
    let mut policy = reduced(1);
    policy.backoff = backoff;
    policy.w0 = ms(1);
    policy.capd = ms(1);
    policy.cap0 = ms(1);
    policy.elapsed_max = ms(2);
    policy.stable_for = ms(1);
    policy.dial_deadline_max = ms(2);
    let mut world = around("endpoint_set", policy, bug)?;
    world.endpoints = endpoints;
    world.words = &EITHER;
    world.retreat = false;
    world.renewal = endpoints < 3;
    world.promise = Some(Promise { endpoint: good, within: ms(2) });
    world.accounts = endpoints < 3 && backoff == Backoff::Relink;
    world.faults = if endpoints < 3 {
        &[Fault::Refused, Fault::Unreachable, Fault::Overloaded, Fault::Misconfigured]
    } else {
        &[Fault::Refused, Fault::Misconfigured]
    };
    Some(world)
}

/// One endpoint, one or two places, a classic backoff; windows up to 4 ms are judged tick by tick. gRPC's numbers are
/// its own: a tick is a second there, and a wait ends at the first tick after it.
pub fn classic(backoff: Backoff, places: u16) -> Option<World> {
    let mut policy = reduced(places);
    policy.backoff = backoff;
    let tick = if backoff == Backoff::Grpc { 1_000 } else { 1 };
    policy.dial_deadline = policy.dial_deadline * tick;
    policy.dial_deadline_max = policy.dial_deadline_max * tick;
    policy.stable_for = policy.stable_for * tick;
    let mut world = around("classic", policy, None)?;
    world.tick = ms(tick);
    world.faults = &[Fault::Refused, Fault::TimedOut, Fault::Misconfigured];
    Some(world)
}

/// A policy whose waits outlast what settles an outage: sixteen places share a low ceiling of overload, and sessions are
/// stable at once. Patience that was forgotten with the outage would never be long enough.
pub fn short_memory(bug: Option<Bug>) -> Option<World> {
    let mut policy = reduced(16);
    policy.w0 = ms(8);
    policy.capd = ms(8);
    policy.cap0 = ms(8);
    policy.kcap = Ratio::from_millionths(0);
    policy.stable_for = ms(1);
    let mut world = around("short_memory", policy, bug)?;
    world.places = 2;
    world.words = &NINTHS;
    world.faults = &[Fault::TimedOut];
    Some(world)
}

/// The smallest world in which a bug shows: some need two places and two dials at once, a set, or a long outage.
pub fn seeded(bug: Bug) -> Option<World> {
    match bug {
        Bug::HoldTheSet => endpoint_set(2, 1, Backoff::Relink, Some(bug)),
        Bug::FixPatience => short_memory(Some(bug)),
        Bug::DialPerIdleLink | Bug::IgnoreTheStale | Bug::HurryOnSuccess => {
            let world = one_endpoint(2, 2, Some(bug))?;
            Some(World { faults: &[Fault::Refused], renewal: false, retreat: false, promise: None, ..world })
        }
        Bug::TrustTheUnstable | Bug::LowerFloor | Bug::DrawFromZero | Bug::HurryOnRenewal => {
            let world = one_endpoint(1, 1, Some(bug))?;
            Some(World { faults: &[Fault::Refused], promise: None, ..world })
        }
        Bug::RestartClock | Bug::ForgetOverload | Bug::ForgetOnSuccess | Bug::ForgetEarly => {
            one_endpoint(1, 1, Some(bug))
        }
        Bug::RetryFatal | Bug::DropTimer | Bug::Oversleep => one_endpoint(1, 1, Some(bug)),
    }
}

/// A world of a policy; `None` if the policy breaks a rule, the bug's policy included.
fn around(name: &'static str, policy: Policy, bug: Option<Bug>) -> Option<World> {
    let driven = bug.map_or_else(|| policy.clone(), |bug| bug.policy(&policy));
    let laws: &[Law] = if policy.backoff == Backoff::Relink { &Law::ALL } else { &Law::OF_ALL_BACKOFFS };
    Some(World {
        name,
        places: policy.max_size,
        endpoints: 1,
        faults: &FAULTS,
        words: &SEVENTHS,
        renewal: true,
        retreat: true,
        accounts: false,
        promise: Some(Promise { endpoint: 0, within: policy.dial_deadline_max }),
        laws,
        tick: ms(1),
        bug,
        policy: policy.check().ok()?,
        driven: driven.check().ok()?,
    })
}

impl World {
    /// The same world under a policy of a user's shape. Every law is judged, also of a backoff that promises less.
    pub fn shaped(self, of: &Policy) -> Option<Self> {
        let policy = reduce::shaped(of, &self.policy);
        let driven = self.bug.map_or_else(|| policy.clone(), |bug| bug.policy(&policy));
        Some(Self { policy: policy.check().ok()?, driven: driven.check().ok()?, ..self })
    }
}
