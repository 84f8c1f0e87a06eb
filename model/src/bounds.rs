//! How many dials an outage can cost and how late recovery can be, from the production functions.
//!
//! Adversarial chance is a greedy choice here: waits grow with the outage's age and with chance, so
//! all-shortest jitter gives the most dials and all-longest the latest recovery (the exhaustive
//! search over every jitter on the 1 ms lattice agrees, see the catalogue).

use relink::{
    Checked, Fault, Span, Time,
    pacer::{Command, Event, Pacer},
};

/// B2: the most dials of one endpoint in an outage of `outage` that answers every dial at once with
/// `fault`. A dial at the very end of the outage is not in it.
///
/// ```
/// use relink::{Fault, Policy, Span};
/// let policy = Policy::default().check()?;
/// assert_eq!(relink_model::bounds::dials_max(&policy, Span::from_secs(10), Fault::Refused), 37);
/// # Ok::<(), relink::policy::PolicyError>(())
/// ```
pub fn dials_max(policy: &Checked, outage: Span, fault: Fault) -> u32 {
    let end = Time::ZERO + outage;
    let (mut pacer, _) = Pacer::new(1).step(policy, Time::ZERO, Event::Dialed { dial: relink::DialId::new(0, 0) }, 0);
    (pacer, _) = pacer.step(policy, Time::ZERO, Event::Lost { endpoint: 0, unstable: false }, 0);
    let mut dials = 0;
    loop {
        let now = pacer.next(false).at;
        if now >= end {
            return dials;
        }
        let (next, command) = pacer.step(policy, now, Event::Requested { endpoint: 0 }, 0);
        let Some(Command::Dial { dial, .. }) = command else { return dials };
        dials += 1;
        (pacer, _) = next.step(policy, now, Event::Failed { dial, fault }, 0);
    }
}

/// B1 of a server that refuses at once: from its return after `outage` to the start of the dial that
/// finds it, `hi·wd(outage)`.
pub fn recovery_max(policy: &Checked, outage: Span) -> Span {
    policy.jitter(policy.w0.max(policy.down_window(outage)), u64::MAX)
}

/// B1 of a peer that accepted and stayed silent, or rejected as overloaded: the dial in flight when it
/// heals has to reach its deadline, and then the longest wait that overload can have taught by then.
pub fn recovery_max_overloaded(policy: &Checked, outage: Span) -> Span {
    let (mut age, mut doublings, mut over) = (Span::ZERO, 0_u8, Span::ZERO);
    loop {
        let deadline = policy.dial_deadline_at(doublings);
        let down = policy.w0.max(policy.down_window(age + deadline));
        over = policy.g.of(over).max(down).min(policy.cap(age + deadline));
        let wait = down.max(over);
        let next = age + deadline + policy.jitter_lo.of(wait);
        if next >= outage {
            let heals_late = policy.down_window(outage + deadline).max(wait);
            return deadline + policy.jitter(heals_late, u64::MAX);
        }
        age = next;
        doublings = doublings.saturating_add(1);
    }
}

/// B1 of a server that is there and rejects every dial at once as overloaded: from its return after
/// `outage` to the start of the dial that finds it.
///
/// The shortest jitter fits the most rejections into the outage (window and age at the n-th grow with
/// every wait before it), and so many rejections at the age of the whole outage teach no less than
/// they did when they came; the last of them may have come just before the return.
///
/// ```
/// use relink::{Policy, Span};
/// let policy = Policy::default().check()?;
/// let lag = relink_model::bounds::recovery_max_rejected(&policy, Span::from_secs(10));
/// assert_eq!(lag, Span::from_millis(7_500)); // cap0 = 20 s, shared by √16 slots, times jitter_hi
/// # Ok::<(), relink::policy::PolicyError>(())
/// ```
pub fn recovery_max_rejected(policy: &Checked, outage: Span) -> Span {
    let down = policy.w0.max(policy.down_window(outage));
    let (mut age, mut least, mut most) = (Span::ZERO, Span::ZERO, Span::ZERO);
    while age < outage {
        least = policy.g.of(least).max(policy.down_window(age)).min(policy.cap(age));
        most = policy.g.of(most).max(down).min(policy.cap(outage));
        let wait = policy.jitter_lo.of(policy.w0.max(policy.down_window(age)).max(least));
        age = age + wait.max(Span::from_millis(1));
    }
    policy.jitter(down.max(most), u64::MAX)
}

/// S2b: the most dials of one endpoint in `interval` when no session ever becomes stable.
pub fn flapping_max(policy: &Checked, interval: Span) -> u64 {
    let slots = u64::from(policy.max_size);
    let gap = policy.jitter_lo.of(policy.w0).as_millis().max(1);
    slots + slots * interval.as_millis().div_ceil(gap)
}

#[cfg(test)]
mod tests {
    use relink::Policy;

    use super::*;

    /// The wait that is under way when a server that rejects every dial returns after `outage`.
    fn lag(policy: &Checked, outage: Span, mut chance: u64) -> Span {
        let end = Time::ZERO + outage;
        let mut pacer = Pacer::new(1);
        (pacer, _) = pacer.step(policy, Time::ZERO, Event::Dialed { dial: relink::DialId::new(0, 0) }, 0);
        (pacer, _) = pacer.step(policy, Time::ZERO, Event::Lost { endpoint: 0, unstable: false }, chance);
        loop {
            let now = pacer.next(false).at;
            if now >= end {
                return now - end;
            }
            // Knuth's multiplier (MMIX); every seventh wait as long, every third as short as can be.
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let jitter = if chance.is_multiple_of(7) {
                u64::MAX
            } else if chance.is_multiple_of(3) {
                0
            } else {
                chance
            };
            let (next, command) = pacer.step(policy, now, Event::Requested { endpoint: 0 }, jitter);
            let Some(Command::Dial { dial, .. }) = command else { panic!("a dial that is due is granted") };
            (pacer, _) = next.step(policy, now, Event::Failed { dial, fault: Fault::Overloaded }, jitter);
        }
    }

    #[test]
    fn no_jitter_recovers_from_rejections_later_than_the_bound_and_some_comes_close() {
        for (policy, outage) in [
            (Policy::default(), 10_000),
            (Policy::builder().max_size(1).check().unwrap().into(), 60_000),
            (Policy::builder().w0(Span::from_millis(100)).check().unwrap().into(), 2_000),
        ] {
            let (policy, outage) = (policy.check().unwrap(), Span::from_millis(outage));
            let bound = recovery_max_rejected(&policy, outage);
            let latest = (0..20_000).map(|seed| lag(&policy, outage, seed << 40 | seed)).max().unwrap();
            assert!(latest <= bound, "{latest} > {bound}");
            assert!(latest * 2 > bound, "{bound} is far from {latest}");
        }
    }
}
