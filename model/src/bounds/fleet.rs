//! B5: the fleet from which a policy can livelock, because what the server spends on refusing it is all it has.

use relink::{Checked, Fault, Policy, Span, Time};

use super::outage::Outage;

/// B5: connections of a fleet whose dials alone, each at its longest mean wait, use up the assumed capacity:
/// `P·C·W⁺/ρ`, rounded down. `None` unless both capacity and reject cost are assumed, or where a reject costs nothing.
///
/// Each of the `P` connections of a process waits with the others: the process dials once in `W⁺`.
pub fn fleet_max(policy: &Checked) -> Option<u64> {
    let capacity = u128::from(policy.assume.capacity_per_s?);
    let cost = u128::from(policy.assume.reject_cost?.as_millionths());
    let (least, most) = longest_waits(policy)?;
    // The mean of a uniform wait, twice over, in milliseconds; the cost in millionths.
    let twice = u128::from(least.as_millis()) + u128::from(most.as_millis());
    let clients = (u128::from(policy.slots()) * capacity * twice * 1_000_000).checked_div(2 * 1_000 * cost)?;
    u64::try_from(clients).ok()
}

/// (hi − lo)·W⁺: how far apart the longest waits of two processes can be drawn, after overloaded answers that came together. A
/// network that may hold back a dial for so long can bring them together again for ever; a test of the fleets finds no
/// other limit. Zero without jitter.
pub fn spread(policy: &Checked) -> Option<Span> {
    longest_waits(policy).map(|(least, most)| most - least)
}

/// The shortest and the longest draw of the longest wait that a policy knows: in the oldest outage that
/// counts as older, after as many overloaded answers as teach anything.
pub(super) fn longest_waits(policy: &Checked) -> Option<(Span, Span)> {
    let policy = never_giving_up(policy)?;
    let mut run = Outage::begin(&policy, u64::MAX);
    let mut now = run.next().max(Time::ZERO + policy.elapsed_max);
    let mut waits = (Span::ZERO, Span::ZERO);
    while run.start(now) {
        let least = run.clone().fail(now, Fault::Overloaded, 0) - now;
        let next = run.fail(now, Fault::Overloaded, u64::MAX);
        if (least, next - now) == waits {
            break;
        }
        waits = (least, next - now);
        now = next;
    }
    Some(waits)
}

/// The same policy without its end; `None` never in practice, because no rule speaks of it.
fn never_giving_up(policy: &Checked) -> Option<Checked> {
    let mut policy = Policy::from(policy.clone());
    policy.give_up_dials = None;
    policy.give_up_after = None;
    policy.check().ok()
}
