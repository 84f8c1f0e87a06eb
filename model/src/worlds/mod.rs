//! Small closed worlds in which the production machines are put through everything that can happen.
//!
//! A world is a `stateright` [`Model`](stateright::Model): its states hold a production [`Pool`](relink::pool::Pool), seen
//! from a [`Frame`](relink::Frame) whose present is [`NOW`], and a [`Ghost`](ghost::Ghost) that knows what the pool does not. Its
//! transitions call [`Pool::step`](relink::pool::Pool::step) and nothing else of relink's decisions.
//!
//! * [`one_link`]: a single connection, which is a pool of one, with everything that can befall it.
//! * [`pool_of_two`]: two places, three who come, wait, cancel, leave unclean or never come back; [`small_pool`]: two who do.
//! * [`changing_pool`]: two places, two who come, while the pool is paused, resumed and resized.
//! * [`two_endpoints`]: one place, two endpoints: order, hedging, a hold of one and of both.
//! * [`silent_peer`]: a session that dies without a word under its borrower (L6), whose statement may come to the server when
//!   its caller has been told of the loss (S14).
//! * [`idle_asker`]: the same with a second place, whose idle session asks about the first.
//! * [`jumping_clock`]: a clock that stands still or jumps while every session lives (S19).
//! * [`fail_over`]: two endpoints that take turns at being the primary (L3).
//! * [`replaced_primary`]: two endpoints, of which the first is replaced as the primary without its knowledge, and known by its
//!   timeline (S9, L3).
//! * [`preferred_standby`]: a primary and a standby that may be down, for who would rather have the standby (L1, L3).
//!
//! Assumed: the driver tells of a due timer before time passes on (a lag of nothing, in ticks of a
//! millisecond), carries out every order, and gives each answer under the name it belongs to. Answers may come at any
//! time, after they are of use, or never; duplicates, answers to earlier questions and to what is forgotten, and words
//! of those who are no borrowers any more are played in every state (S6). Chance is an adversary: it takes every outcome
//! of every draw. What must happen in the end ([`law::Law::FINALLY`]) says itself what it assumes.
//!
//! Not covered: more than two places or endpoints, lifetimes, idle retirement and long-lease reports, real policies
//! (the windows here are a few milliseconds).
//!
//! * [`one_link`]: no pause, no other size.
//! * [`pool_of_two`]: statements, demotions, fatal faults.
//! * [`changing_pool`]: the end after a pause for ever; what must happen in the end is judged in the pools that do not change.
//! * [`two_endpoints`]: the stop, jitter; L1 with the second endpoint good, the first hostile. A dial of the good one that is
//!   slow but within the ceiling of the dial deadline is judged by the worlds of [`pacing`](crate::pacing).
//! * [`silent_peer`]: whoever waits on the dead session does not cancel; an endpoint that refuses the asker, so that its
//!   sessions are spared; a pause, in which no asker may be dialed, so that they are spared too; the stop, after which nobody
//!   is asked about: a lease is cut at the drain deadline; how long a real server takes to know that it is dead.
//! * [`idle_asker`]: the same, dials that fail, and dials and closes that take time.
//! * [`jumping_clock`]: answers that had not come before the jump, lost sessions, a clock that runs backwards.
//! * [`replaced_primary`]: a second promotion; a server that does not tell its timeline, or had told it before the promotion;
//!   other events between an answer of the new primary and what is told of the old ones.
//! * [`preferred_standby`]: endpoints that change their roles; for L3, sessions that are closed on purpose, and a standby whose
//!   dial is overtaken by one of the primary.
//! * [`fail_over`]: a session that is lent without being asked, as `validate = "stale"` lends one that was in use within
//!   `stale_after`: it may be on the old primary until somebody's statement shows it.

mod adversary;
pub mod bug;
mod finally;
pub mod ghost;
pub mod law;
mod rerun;
mod show;
mod tell;
mod witness;
pub mod world;

use relink::{Checked, Fault, Policy, Ratio, Span, Time, Validate, Work};

use bug::Bug;
use law::Law;
use world::World;

/// The present, as every state of a world calls it: late enough for the longest memory, `elapsed_max`.
pub const NOW: Time = Time::from_millis(64);

/// Words of chance, equally far apart: of a draw with up to five outcomes they give every one.
pub(crate) const FIFTHS: [u64; 5] = {
    const TENTH: u64 = u64::MAX / 10;
    [TENTH, 3 * TENTH, 5 * TENTH + 1, 7 * TENTH + 1, 9 * TENTH + 1]
};

/// Of a draw with up to three outcomes.
const THIRDS: [u64; 3] = [0, u64::MAX / 2, u64::MAX];

/// Of a draw with up to two outcomes.
const EITHER: [u64; 2] = [0, u64::MAX];

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
    policy.cap0 = ms(2);
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
        words: &FIFTHS,
        accepts: false,
        demotion: false,
        renewal: false,
        stop: true,
        pause: false,
        sizes: &[],
        silence: None,
        prompt: false,
        jump: None,
        roles: false,
        fenced: false,
        prefers: None,
        good: 0,
        finally: &[],
        bug,
    })
}

/// One link and its pacer, as a pool of one: late, lost and repeated answers, sessions that die at any moment, a
/// borrower with a statement in flight who may never come back, demotion, a fatal fault and renewals, the end.
pub fn one_link(bug: Option<Bug>) -> Option<World> {
    let mut world = around("one link", reduced(1), 1, bug)?;
    world.faults = &[Fault::Refused, Fault::Overloaded, Fault::Misconfigured];
    world.works = &[Work::AtRest, Work::Statement { durable: true }, Work::Statement { durable: false }];
    world.accepts = true;
    world.demotion = true;
    world.renewal = true;
    world.finally = &[Law::S15, Law::L1, Law::L4, Law::L5];
    Some(world)
}

/// Two places and one endpoint: three borrowers come, wait, cancel, leave unclean or never come back; the end.
pub fn pool_of_two(bug: Option<Bug>) -> Option<World> {
    let world = World { borrowers: 3, ..small_pool(bug)? };
    Some(World { name: "a pool of 2", returns: &[Work::AtRest, Work::InTransaction], ..world })
}

/// The same with two borrowers, who leave sessions clean.
pub fn small_pool(bug: Option<Bug>) -> Option<World> {
    let mut world = around("a small pool of 2", smaller(reduced(2)), 1, bug)?;
    world.words = &THIRDS;
    world.borrowers = 2;
    world.acquire = ms(2);
    world.returns = &[Work::AtRest];
    world.finally = &[Law::S15, Law::L1, Law::L4, Law::L5];
    Some(world)
}

/// Two places, of which one may be taken away and given back; pauses; two who come, wait, cancel or never come back.
pub fn changing_pool(bug: Option<Bug>) -> Option<World> {
    let mut world = around("a changing pool of 2", steady(smaller(reduced(2))), 1, bug)?;
    world.words = &THIRDS;
    world.borrowers = 2;
    world.acquire = ms(2);
    world.returns = &[Work::AtRest];
    world.pause = true;
    world.sizes = &[2, 1];
    Some(world)
}

/// No jitter of the waits, where it is not what matters: its draws are played out in the worlds of pacing.
fn steady(mut policy: Policy) -> Policy {
    (policy.jitter_lo, policy.jitter_hi) = (Ratio::ONE, Ratio::ONE);
    policy
}

/// Smaller still: windows of a tick, where two endpoints take the room.
fn smallest(mut policy: Policy) -> Policy {
    policy.w0 = ms(1);
    policy.capd = ms(1);
    policy.cap0 = ms(1);
    policy.elapsed_max = ms(1);
    policy.stable_for = ms(1);
    policy
}

/// One place and two endpoints: their order, a hedged dial, a hold of one and of both, a renewal.
pub fn two_endpoints(bug: Option<Bug>) -> Option<World> {
    let mut world = around("two endpoints", steady(smallest(smaller(reduced(1)))), 2, bug)?;
    world.words = &EITHER;
    world.faults = &[Fault::Refused, Fault::Misconfigured];
    world.renewal = true;
    world.acquire = ms(1);
    world.returns = &[Work::AtRest];
    world.stop = false;
    world.good = 1;
    world.finally = &[Law::S15, Law::L1];
    Some(world)
}

/// One place, one session that may die in silence while its borrower waits for an answer, an asker that is dialed to ask
/// about it, and a server that says that it is dead, or nothing, or once that it is too early to tell, and refuses no dial:
/// to refuse one is not to be silent.
pub fn silent_peer(bug: Option<Bug>) -> Option<World> {
    Some(World { faults: &[Fault::TimedOut], ..silent("a silent peer", 1, ms(2), bug)? })
}

/// A world in which a session may die in silence, and is asked about when its caller has waited for `patience`.
fn silent(name: &'static str, places: u16, patience: Span, bug: Option<Bug>) -> Option<World> {
    let mut policy = smallest(smaller(reduced(places)));
    policy.dial_deadline = ms(1);
    policy.dial_deadline_max = ms(1);
    policy.patience = Some(patience);
    let mut world = around(name, steady(policy), 1, bug)?;
    world.words = &EITHER;
    world.acquire = ms(1);
    world.works = &[Work::AtRest, Work::Statement { durable: true }];
    world.returns = &[Work::AtRest];
    world.stop = false;
    world.silence = Some(patience + ms(1) * 2);
    Some(world)
}

/// Two places, one of them idle more often than not: a session that may die in silence while its borrower waits for an
/// answer is asked about through the idle one. Dials and closes have their answers in the moment in which they begin: those
/// that take time are in [`silent_peer`].
pub fn idle_asker(bug: Option<Bug>) -> Option<World> {
    Some(World { faults: &[], prompt: true, ..silent("an idle asker", 2, ms(1), bug)? })
}

/// One place whose sessions live, and whose questions are all answered well; the clock stands still, ticks or jumps.
pub fn jumping_clock(bug: Option<Bug>) -> Option<World> {
    let mut policy = smaller(reduced(1));
    policy.patience = Some(ms(2));
    policy.validate = Validate::Always;
    let mut world = around("a jumping clock", policy, 1, bug)?;
    world.words = &THIRDS;
    world.works = &[Work::AtRest, Work::Statement { durable: true }];
    world.stop = false;
    world.demotion = true;
    world.jump = Some(ms(60));
    Some(world)
}

/// One place and two endpoints that take turns at being the primary; sessions are asked for their role before each lease.
pub fn fail_over(bug: Option<Bug>) -> Option<World> {
    let mut policy = smallest(smaller(reduced(1)));
    policy.dial_deadline = ms(1);
    policy.dial_deadline_max = ms(1);
    policy.probe_deadline = ms(1);
    policy.validate = Validate::Always;
    let mut world = around("a failover", steady(policy), 2, bug)?;
    world.words = &EITHER;
    world.faults = &[];
    world.acquire = ms(1);
    world.returns = &[Work::AtRest];
    world.stop = false;
    world.roles = true;
    world.finally = &[Law::L3];
    Some(world)
}

/// One place and two endpoints: the first is the primary until the second is promoted, and then still believes that it is.
/// Sessions are not asked before a lease unless something speaks against them; primaries tell their timelines.
pub fn replaced_primary(bug: Option<Bug>) -> Option<World> {
    let mut policy = smallest(smaller(reduced(1)));
    policy.dial_deadline = ms(1);
    policy.dial_deadline_max = ms(1);
    policy.probe_deadline = ms(1);
    let mut world = around("a replaced primary", steady(policy), 2, bug)?;
    world.words = &EITHER;
    world.faults = &[];
    world.acquire = ms(1);
    world.returns = &[Work::AtRest];
    world.stop = false;
    world.roles = true;
    world.fenced = true;
    world.finally = &[Law::L3];
    Some(world)
}

/// One place, a primary and a standby, for who would rather have the standby: the primary is passed over once in 8 ms, and
/// keeps the promise of L1; L3 is of the standby. A dial of a silent standby, and its end, must be over within that time.
pub fn preferred_standby(bug: Option<Bug>) -> Option<World> {
    let mut policy = smallest(smaller(reduced(1)));
    policy.dial_deadline = ms(1);
    policy.dial_deadline_max = ms(1);
    let mut world = around("a preferred standby", steady(policy), 2, bug)?;
    world.words = &EITHER;
    world.acquire = ms(1);
    world.returns = &[Work::AtRest];
    world.stop = false;
    world.prefers = Some(ms(8));
    world.finally = &[Law::S15, Law::L1, Law::L3];
    Some(world)
}

/// The world where a bug shows: as small as it can be, and with no law of what must happen in the end but the bug's own.
pub fn seeded(bug: Bug) -> Option<World> {
    let small = |world: World| World { faults: &[Fault::Refused], stop: false, finally: &[], ..world };
    let one = small(one_link(Some(bug))?);
    let one = World { returns: &[Work::AtRest], works: &[], accepts: false, demotion: false, renewal: false, ..one };
    match bug {
        Bug::TwoDials => small_pool(Some(bug)).map(|world| World { returns: &[], ..small(world) }),
        Bug::GrantOutOfOrder | Bug::SecondBorrower => Some(World { borrowers: 2, ..one }),
        Bug::ForgetToClose | Bug::IgnoreNames | Bug::DropTimer | Bug::LosePermit | Bug::Oversize => Some(one),
        Bug::StretchDeadline => Some(World { accepts: true, ..one }),
        Bug::SkipReset => Some(World { returns: &[Work::InTransaction], ..one }),
        Bug::Oversleep => Some(World { finally: &[Law::S15], ..one }),
        Bug::RetryFatal => Some(World { faults: &[Fault::Misconfigured], ..one }),
        Bug::ForgetRenewal => {
            Some(World { faults: &[Fault::Misconfigured], renewal: true, finally: &[Law::L1], ..one })
        }
        Bug::DateByAnswer | Bug::ForgetDemotion => Some(World { demotion: true, ..one }),
        Bug::DoubtTheProof => Some(World { demotion: true, finally: &[Law::L4], ..one }),
        Bug::IgnoreStop => Some(World { stop: true, ..one }),
        // Who asks a pool that has ended and does not know it would be one more whom it fails.
        Bug::PauseAtStop => Some(World { stop: true, borrowers: 0, finally: &[Law::L5], ..one }),
        Bug::UnobservedCommit => Some(World { works: &[Work::AtRest, Work::Statement { durable: true }], ..one }),
        Bug::TimersFirst => jumping_clock(Some(bug)),
        Bug::NoPatience | Bug::NeverLook | Bug::SlowIsDead => silent_peer(Some(bug)),
        Bug::AnswerOldQuestion | Bug::BelieveTheVerdict => silent_peer(Some(bug)),
        Bug::LendTheAsker => {
            let works = &[Work::Statement { durable: true }];
            idle_asker(Some(bug)).map(|world| World { works, returns: &[], finally: &[], ..world })
        }
        Bug::TrustTheRole => fail_over(Some(bug)),
        Bug::ServeTheReplaced | Bug::HushThePromotion => replaced_primary(Some(bug)),
        Bug::PassOverForEver => preferred_standby(Some(bug)).map(|world| World { finally: &[Law::L1], ..world }),
        Bug::NeverPassOver => preferred_standby(Some(bug)).map(|world| World { finally: &[Law::L3], ..world }),
    }
}
