//! B1 of servers that fail in one known way only, as those of the demonstration and of the tests do: tighter than by class.

use relink::{Checked, Span};

/// B1 of a server that refuses at once: from its return after `outage` to the start of the dial that
/// finds it, `hi·wd(outage)`.
pub fn recovery_max(policy: &Checked, outage: Span) -> Span {
    policy.jitter(policy.w0.max(policy.down_window(outage)), u64::MAX)
}

/// B1 of a peer that accepts every dial and stays silent: the dial in flight when it heals has to reach its
/// deadline, and then the longest wait that so much silence can have taught by then.
///
/// The shortest jitter fits the most silent dials into the outage; and each teaches no less if it ends as late as it
/// can: the last one its deadline after the outage, all others within it.
pub fn recovery_max_overloaded(policy: &Checked, outage: Span) -> Span {
    let teach = |over: Span, age: Span| {
        let down = policy.w0.max(policy.down_window(age));
        policy.g.of(over).max(down).min(policy.cap(age))
    };
    let (mut age, mut doublings, mut least, mut most) = (Span::ZERO, 0_u8, Span::ZERO, Span::ZERO);
    loop {
        let deadline = policy.dial_deadline_at(doublings);
        least = teach(least, age + deadline);
        let next = age + deadline + policy.jitter_lo.of(policy.w0.max(policy.down_window(age + deadline)).max(least));
        if next >= outage {
            let late = outage + deadline;
            let wait = policy.w0.max(policy.down_window(late)).max(teach(most, late));
            return deadline + policy.jitter(wait, u64::MAX);
        }
        most = teach(most, outage);
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
/// assert_eq!(lag, Span::from_millis(7_000)); // cap0 = 20 s, shared by √16 slots, times jitter_hi
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

#[cfg(test)]
mod tests {
    use relink::{
        Fault, Policy, Time,
        pacer::{Command, Event, Pacer},
    };

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
