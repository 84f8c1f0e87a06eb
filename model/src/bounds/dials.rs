//! B2 and B4: how many dials an outage can cost, and how many one process can offer.

use relink::{Backoff, Checked, Fault, Ratio, Span, Time};

use super::outage::Outage;

/// The faults at which the pacer waits the least: one window each for an absent and for an unseen server.
const QUICKEST: [Fault; 2] = [Fault::Refused, Fault::Unreachable];

/// Most dials of one endpoint in an outage of `outage`, if every dial is answered at once with `fault`. A dial at the
/// very end of the outage is not in it. `None` where there is no most, because the policy may wait for nothing.
///
/// Every wait the shortest, every answer at once: later dials never have shorter waits, so no other run has more.
///
/// ```
/// use relink::{Fault, Policy, Span};
/// let policy = Policy::default().check()?;
/// assert_eq!(relink_model::bounds::dials_max(&policy, Span::from_secs(10), Fault::Refused), Some(37));
/// # Ok::<(), relink::policy::PolicyError>(())
/// ```
pub fn dials_max(policy: &Checked, outage: Span, fault: Fault) -> Option<u32> {
    let end = Time::ZERO + outage;
    let mut run = Outage::begin(policy, 0);
    let (mut dials, mut waited_nothing) = (0_u32, None);
    loop {
        let now = run.next();
        if now >= end {
            return Some(dials);
        }
        while run.next() <= now && run.start(now) {
            dials = dials.checked_add(1)?;
        }
        // The same state again, and no time has passed: it would go on like this for ever.
        if run.fail(now, fault, 0) <= now {
            let shape = Some(run.shape(now));
            if shape == waited_nothing {
                return None;
            }
            waited_nothing = shape;
        }
    }
}

/// B2: the most dials of one endpoint in an outage of `outage`, whatever its answers.
pub fn outage_dials_max(policy: &Checked, outage: Span) -> Option<u32> {
    let counts = QUICKEST.map(|fault| dials_max(policy, outage, fault));
    counts.into_iter().try_fold(0, |most, count| Some(most.max(count?)))
}

/// B2 in closed form, never below [`outage_dials_max`]; `None` for the classic policies.
///
/// One dial, one for each shortest wait: `lo·w0` long until the window begins to grow, then `lo·k` times the outage's
/// age, in the end `lo` times the longest window.
pub fn outage_dials_closed(policy: &Checked, outage: Span) -> Option<f64> {
    if policy.backoff != Backoff::Relink {
        return None;
    }
    let (lo, k) = (share(policy.jitter_lo), share(policy.kd.min(policy.ka)));
    let (end, w0) = (seconds(outage), seconds(policy.w0));
    let longest = (k * seconds(policy.elapsed_max)).clamp(w0, seconds(policy.capd));
    let at_once = f64::from(u16::from(policy.max_dials).min(policy.max_size));
    // With k = 0 the window never grows.
    let (grows, grown) = if longest > w0 { (w0 / k, longest / k) } else { (f64::INFINITY, f64::INFINITY) };
    let steady = end.min(grows) / (lo * w0);
    if end <= grows {
        return Some(at_once + steady);
    }
    let growing = (end.min(grown) / grows).ln() / (lo * k).ln_1p();
    let last = if end > grown { (end - grown) / (lo * longest) + corner(lo * k) } else { 0.0 };
    Some(at_once + steady + growing + last)
}

/// What a wait that begins in the growing part and ends in the constant one may be short of a whole, when
/// each of its two pieces is counted by its own rule; `a` is how much of the age one wait is.
fn corner(a: f64) -> f64 {
    let worst = (1.0 + a) * a.ln_1p() / a;
    let counted = worst.ln() / a.ln_1p() + ((1.0 + a) / worst - 1.0) / a;
    (1.0 - counted).max(0.0)
}

/// S2b: the most dials of one endpoint in `interval` when no session ever becomes stable, by relink's own pacing.
pub fn flapping_max(policy: &Checked, interval: Span) -> u64 {
    let slots = u64::from(policy.max_size);
    let gap = policy.jitter_lo.of(policy.w0).as_millis().max(1);
    slots + slots * interval.as_millis().div_ceil(gap)
}

/// B4: the most dials of one endpoint in any second, whatever the endpoint does to its sessions. `None` for the classic
/// policies, for which nothing like S2b is proved.
pub fn rate_max(policy: &Checked) -> Option<u64> {
    (policy.backoff == Backoff::Relink).then(|| flapping_max(policy, Span::from_secs(1)))
}

fn share(ratio: Ratio) -> f64 {
    f64::from(ratio.as_millionths()) / 1e6
}

fn seconds(span: Span) -> f64 {
    core::time::Duration::from(span).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use relink::{Checked, Policy, Span, Time};

    use super::*;

    /// The most dials by dynamic programming over every jitter on the 1 ms lattice, for every outage up to `longest`.
    fn exhaustive(policy: &Checked, fault: Fault, longest: usize) -> Vec<u32> {
        // How many dials there can be before and at this millisecond, if one starts then.
        let mut best = vec![0_u32; longest];
        let probe = usize::try_from(policy.w0.as_millis()).unwrap().min(longest - 1);
        best[..=probe].fill(1);
        // A pacer that has not been dialed for any length of time is, when it is, what any other run would be.
        let unasked = Outage::begin(policy, 0);
        for at in 0..longest {
            if best[at] == 0 {
                continue;
            }
            let now = Time::from_millis(at as u64);
            let next = |chance| {
                let mut run = unasked.clone();
                assert!(run.start(now));
                run.fail(now, fault, chance)
            };
            let (least, most) = (place(next(0)), place(next(u64::MAX)));
            for later in least..=most.min(longest - 1) {
                best[later] = best[later].max(best[at] + 1);
            }
        }
        // A dial at the end of an outage is not in it.
        let until = best.into_iter().scan(0, |most, count| {
            let before = *most;
            *most = (*most).max(count);
            Some(before)
        });
        until.collect()
    }

    fn place(time: Time) -> usize {
        usize::try_from(time.as_millis()).unwrap()
    }

    #[test]
    fn no_jitter_and_no_answer_gives_more_dials_than_the_shortest_of_all() {
        let quick = Policy::builder().w0(Span::from_millis(40)).capd(Span::from_millis(90)).ka(share_of(20_000));
        for policy in [Policy::default(), quick.check().unwrap().into()] {
            let policy = policy.check().unwrap();
            for fault in QUICKEST {
                let all = exhaustive(&policy, fault, 10_001);
                for outage in (0..=10_000).step_by(37).chain([1, 200, 500, 1_000, 5_000, 10_000]) {
                    let outage = Span::from_millis(outage);
                    let greedy = dials_max(&policy, outage, fault).unwrap();
                    assert_eq!(greedy, all[place(Time::ZERO + outage)], "{fault} for {outage}");
                    assert!(f64::from(greedy) <= outage_dials_closed(&policy, outage).unwrap(), "{outage}");
                }
            }
        }
    }

    fn share_of(millionths: u32) -> Ratio {
        Ratio::from_millionths(millionths)
    }

    #[test]
    fn the_closed_form_is_never_below_the_run_and_never_two_above() {
        for (lo, kd, capd) in [(500_000, 80_000, 30_000), (500_000, 500_000, 3_000), (4_000_000, 900_000, 20_000)] {
            let policy = Policy::builder().jitter_lo(share_of(lo)).jitter_hi(share_of(lo)).kd(share_of(kd));
            let policy = policy.ka(share_of(kd)).capd(Span::from_millis(capd)).check().unwrap();
            for ms in (0..200_000).step_by(997) {
                let outage = Span::from_millis(ms);
                let (run, closed) = (outage_dials_max(&policy, outage), outage_dials_closed(&policy, outage));
                let (run, closed) = (f64::from(run.unwrap()), closed.unwrap());
                assert!(run <= closed && closed < run + 2.0, "{run} of {closed} in {outage}");
            }
        }
    }

    #[test]
    fn every_dial_that_is_allowed_at_once_counts() {
        let policy = Policy::builder().max_dials(4).check().unwrap();
        assert_eq!(outage_dials_max(&policy, Span::from_millis(1)), Some(4));
        let policy = Policy::builder().max_dials(4).max_size(1).check().unwrap();
        assert_eq!(outage_dials_max(&policy, Span::from_millis(1)), Some(1));
    }
}
