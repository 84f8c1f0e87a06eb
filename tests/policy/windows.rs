//! The arithmetic of a checked policy: bounds, monotony, rounding.

use proptest::prelude::*;
use relink::policy::Checked;
use relink::{Backoff, Policy, Ratio, Span};

use super::{ms, ratio, with};

prop_compose! {
    /// A policy that passes, over the edges of what passes.
    fn passing()(
        w0 in prop_oneof![Just(1), 1_u64..2_000, Just(3_600_000)],
        above in prop_oneof![Just(0), 0_u64..100_000, Just(23 * 3_600_000)],
        above_cap0 in prop_oneof![Just(0), 0_u64..100_000, Just(23 * 3_600_000)],
        lo in prop_oneof![Just(1), 1_u32..=1_000_000],
        above_lo in prop_oneof![Just(0), 0_u32..=2_000_000, Just(9_000_000)],
        kd in 0_u32..=1_000_000,
        kcap in prop_oneof![Just(0), 0_u32..=1_000_000, Just(10_000_000)],
        max_size in prop_oneof![Just(1_u16), 1_u16..=100, Just(10_000)],
    ) -> Checked {
        with(|p| {
            p.w0 = ms(w0);
            p.capd = ms(w0 + above);
            p.cap0 = ms(w0 + above_cap0);
            p.jitter_lo = Ratio::from_millionths(lo);
            p.jitter_hi = Ratio::from_millionths(lo + above_lo);
            p.kd = Ratio::from_millionths(kd);
            p.kcap = Ratio::from_millionths(kcap);
            p.max_size = max_size;
        })
        .check()
        .unwrap()
    }
}

fn ages() -> impl Strategy<Value = Span> {
    prop_oneof![Just(0), 0_u64..100_000, 0_u64..8_000_000, Just(u64::MAX)].prop_map(Span::from_millis)
}

fn chances() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), any::<u64>(), Just(u64::MAX)]
}

/// Around the ends of 31, of 32 and of 64 bits, where the arithmetic could take another way.
fn spans() -> impl Strategy<Value = Span> {
    const WORD: u64 = u32::MAX as u64;
    const HALF: u64 = 1 << 31;
    let ends = prop_oneof![HALF - 2..=HALF + 2, WORD - 2..=WORD + 2, u64::MAX - 2..=u64::MAX];
    prop_oneof![0_u64..3, 0_u64..10_000, 0..=WORD, any::<u64>(), ends].prop_map(Span::from_millis)
}

/// `⌈share·span⌉`, computed another way than the policy does.
fn ceil(share: Ratio, span: Span) -> u64 {
    let exact = u128::from(share.as_millionths()) * u128::from(span.as_millis());
    u64::try_from(exact / 1_000_000 + u128::from(exact % 1_000_000 != 0)).unwrap_or(u64::MAX)
}

proptest! {
    #[test]
    fn a_wait_lies_within_its_shares_of_the_window(p in passing(), window in 0_u64..=3_000_000_000, chance in chances()) {
        let wait = p.jitter(ms(window), chance).as_millis();
        prop_assert!(ceil(p.jitter_lo, ms(window)) <= wait && wait <= ceil(p.jitter_hi, ms(window)));
    }

    #[test]
    fn a_share_of_any_span_is_exact_rounded_up_and_ends_at_forever(
        millionths in prop_oneof![0..3_u32, 0..=2_000_000_u32, any::<u32>(), Just(u32::MAX)], span in spans(),
    ) {
        let share = Ratio::from_millionths(millionths);
        prop_assert_eq!(share.of(span).as_millis(), ceil(share, span));
    }

    #[test]
    fn a_wait_is_the_whole_millisecond_that_chance_names(p in passing(), window in spans(), chance in chances()) {
        let (least, most) = (ceil(p.jitter_lo, window), ceil(p.jitter_hi, window));
        let drawn = (u128::from(chance) * (u128::from(most - least) + 1)) >> 64;
        prop_assert_eq!(u128::from(p.jitter(window, chance).as_millis()), u128::from(least) + drawn);
    }

    #[test]
    fn more_chance_or_more_window_never_shortens_a_wait(
        p in passing(), window in 0_u64..10_000, more in 0_u64..10_000, chance in chances(), other in chances(),
    ) {
        let (less, greater) = (chance.min(other), chance.max(other));
        prop_assert!(p.jitter(ms(window), less) <= p.jitter(ms(window), greater));
        prop_assert!(p.jitter(ms(window), chance) <= p.jitter(ms(window + more), chance));
    }

    #[test]
    fn windows_lie_between_w0_and_capd_and_grow_with_age(p in passing(), age in ages(), other in ages()) {
        for window in [Checked::down_window, Checked::ambiguous_window] {
            prop_assert!(p.w0 <= window(&p, age) && window(&p, age) <= p.capd);
            prop_assert!(window(&p, age.min(other)) <= window(&p, age.max(other)));
        }
        prop_assert!(p.cap(age.min(other)) <= p.cap(age.max(other)));
    }

    #[test]
    fn an_outage_counts_as_no_older_than_elapsed_max(p in passing(), age in ages()) {
        let counted = age.min(p.elapsed_max);
        prop_assert_eq!(p.cap(age), p.cap(counted));
        prop_assert_eq!(p.down_window(age), p.down_window(counted));
        prop_assert_eq!(p.ambiguous_window(age), p.ambiguous_window(counted));
    }

    #[test]
    fn the_ceiling_is_the_least_whole_number_above_cap0_over_the_root(p in passing()) {
        // At age 0 only cap0 counts: x is the least whole number with x²·slots ≥ cap0².
        let (x, cap0) = (u128::from(p.cap(Span::ZERO).as_millis()), u128::from(p.cap0.as_millis()));
        let slots = u128::from(p.max_size);
        prop_assert!(x * x * slots >= cap0 * cap0);
        prop_assert!((x - 1) * (x - 1) * slots < cap0 * cap0);
    }

    #[test]
    fn dial_deadlines_double_up_to_their_ceiling(
        first in 1_u64..=3_600_000, above in 0_u64..=3_600_000, doublings in any::<u8>(),
    ) {
        let most = (first + above).min(3_600_000);
        let p = with(|p| (p.dial_deadline, p.dial_deadline_max) = (ms(first), ms(most))).check().unwrap();
        let exact = (0..doublings).try_fold(first, |ms, _| ms.checked_mul(2)).map_or(most, |ms| ms.min(most));
        prop_assert_eq!(p.dial_deadline_at(doublings), ms(exact));
    }

    #[test]
    fn a_ratio_is_read_back_from_its_text(millionths in any::<u32>()) {
        let share = Ratio::from_millionths(millionths);
        prop_assert_eq!(share.to_string().parse::<Ratio>(), Ok(share));
    }
}

/// A product of a share and a span is rounded up wherever it ends between two milliseconds, and the arithmetic is at its
/// least exact just below 2³¹ ms. There each of these shares has every such end, a millionth of a millisecond too; above,
/// where it takes another way, they have them again.
#[test]
fn a_share_is_exact_at_every_end_between_two_milliseconds() {
    for millionths in [1, 3, 84_999, 999_999, 1_400_001, 123_456_789, u32::MAX - 4, u32::MAX - 2] {
        let share = Ratio::from_millionths(millionths);
        let mut by_a_millionth = 0;
        for span in [1_u64 << 31, 1 << 32].into_iter().flat_map(|end| end - 1_000_000..end) {
            assert_eq!(share.of(ms(span)).as_millis(), ceil(share, ms(span)), "{share} of {span} ms");
            by_a_millionth += u32::from(u64::from(millionths) * span % 1_000_000 == 1);
        }
        assert_eq!(by_a_millionth, 2, "{share} has not each end once");
    }
}

#[test]
fn the_default_windows_are_those_that_were_simulated() {
    let p = Policy::default().check().unwrap();
    // 20 s / √16 = 5 s; a third of an hour, 1199.9988 s, / 4 = 299.9997 s, in millionths rounded up to 300.0024 s.
    assert_eq!(p.cap(Span::ZERO), ms(5_000));
    assert_eq!(p.cap(Span::FOREVER), ms(300_003));
    assert_eq!(p.down_window(Span::from_secs(1)), ms(500));
    assert_eq!(p.down_window(Span::from_secs(30)), ms(2_550));
    assert_eq!(p.down_window(Span::FOREVER), ms(30_000));
    assert_eq!(p.ambiguous_window(Span::from_secs(30)), ms(4_500));
    assert_eq!([0, 1, 3, 4, 255].map(|n| p.dial_deadline_at(n).as_millis()), [5_000, 10_000, 40_000, 60_000, 60_000]);
    assert_eq!(p.keepalive_sum(), ms(8_000));
    assert_eq!(p.slots(), 16);
}

#[test]
fn every_whole_millisecond_of_a_window_is_drawn_and_both_ends_are() {
    let p = Policy::default().check().unwrap();
    // Window 3 ms, shares 0.5 to 1.4: ⌈1.5⌉ = 2 to ⌈4.2⌉ = 5.
    let draws = |n: u64| (0..n).map(|i| p.jitter(ms(3), i * (u64::MAX / (n - 1))).as_millis()).collect::<Vec<_>>();
    let mut drawn = draws(1_000);
    assert_eq!((drawn[0], drawn[999]), (2, 5));
    drawn.sort_unstable();
    let counts = [2, 3, 4, 5].map(|ms| drawn.iter().filter(|drawn| **drawn == ms).count());
    assert_eq!(counts, [250; 4]);
}

#[test]
fn no_window_however_long_overflows() {
    let p = with(|p| (p.jitter_lo, p.jitter_hi) = (ratio("0.000001"), ratio("10"))).check().unwrap();
    assert_eq!(p.jitter(Span::FOREVER, u64::MAX), Span::FOREVER);
    assert_eq!(p.jitter(Span::ZERO, u64::MAX), Span::ZERO);
    // A classic policy may have no least share; then there are 2⁶⁴ milliseconds to draw from.
    let p = with(|p| (p.backoff, p.jitter_lo, p.jitter_hi) = (Backoff::Grpc, ratio("0"), ratio("1"))).check().unwrap();
    for chance in [0, 1, u64::MAX / 2, u64::MAX] {
        assert_eq!(p.jitter(Span::FOREVER, chance), ms(chance));
    }
}

#[test]
fn ratios_are_rounded_to_the_nearest_millionth() {
    for (text, millionths) in [
        ("0", 0),
        ("0.08", 80_000),
        ("1", 1_000_000),
        ("0.3333334", 333_333),
        ("0.3333335", 333_334),
        ("0.9999999", 1_000_000),
        ("4294.967295", u32::MAX),
    ] {
        assert_eq!(text.parse(), Ok(Ratio::from_millionths(millionths)), "{text}");
    }
    for text in ["", ".", "-0.1", "+1", "1.", ".5", "1e3", "NaN", "inf", "4294.967296", "4294.9672955", "5000", "0,5"] {
        assert!(text.parse::<Ratio>().is_err(), "{text}");
    }
}

#[test]
fn a_classic_backoff_needs_no_share_of_a_window() {
    let p = with(|p| {
        p.backoff = Backoff::Grpc;
        p.jitter_lo = ratio("0");
    });
    assert!(p.check().is_ok());
}
