//! A share as an integer number of millionths, so that the core needs no floating point.

use core::{fmt, str::FromStr};

use alloc::string::String;

use crate::core::time::Span;

/// A share in millionths, for integer arithmetic: `0.08` is `Ratio::from_millionths(80_000)`.
///
/// Written and read as a decimal number, rounded to the nearest millionth; from 0 to 4294.967295.
///
/// ```
/// use relink::Ratio;
/// assert_eq!("0.08".parse::<Ratio>(), Ok(Ratio::from_millionths(80_000)));
/// assert_eq!(Ratio::from_millionths(1_500_000).to_string(), "1.5");
/// assert!("-1".parse::<Ratio>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ratio(u32);

/// What one is made of.
const MILLION: u32 = 1_000_000;

impl Ratio {
    /// One.
    pub const ONE: Self = Self(MILLION);

    /// `millionths` / 1 000 000.
    pub const fn from_millionths(millionths: u32) -> Self {
        Self(millionths)
    }

    /// In millionths.
    pub const fn as_millionths(self) -> u32 {
        self.0
    }

    /// This share of `span`, rounded up to the next millisecond: every wait is at least what the policy says.
    ///
    /// ```
    /// use relink::{Ratio, Span};
    /// assert_eq!(Ratio::from_millionths(80_000).of(Span::from_secs(10)), Span::from_millis(800));
    /// assert_eq!(Ratio::from_millionths(1).of(Span::from_millis(1)), Span::from_millis(1));
    /// ```
    #[inline]
    pub fn of(self, span: Span) -> Span {
        const ONE: u64 = MILLION as u64;
        const UP: u64 = ONE - 1;
        let (ms, share) = (span.as_millis(), u64::from(self.0));
        // The product of 20 bits and a share's 32 fits 64, and up to 49 days that of all milliseconds does.
        if ms <= u64::from(u32::MAX) {
            return Span::from_millis((ms * share + UP) / ONE);
        }
        let (whole, rest) = (ms / ONE, ms % ONE);
        Span::from_millis(whole.saturating_mul(share).saturating_add((rest * share + UP) / ONE))
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, mut rest, mut width) = (self.0 / MILLION, self.0 % MILLION, 6);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        while rest.is_multiple_of(10) {
            rest /= 10;
            width -= 1;
        }
        write!(f, "{whole}.{rest:0width$}")
    }
}

impl FromStr for Ratio {
    type Err = RatioError;

    fn from_str(text: &str) -> Result<Self, RatioError> {
        decimal(text.trim()).map(Self).ok_or_else(|| RatioError(text.into()))
    }
}

/// Millionths of the decimal number `text`, rounded to the nearest, a half upwards.
fn decimal(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let mut digits = fraction.bytes().map(|b| u32::from(b - b'0')).chain(core::iter::repeat(0));
    let millionths = digits.by_ref().take(6).fold(0, |sum, digit| sum * 10 + digit);
    let round = u32::from(digits.next() >= Some(5));
    whole.parse::<u32>().ok()?.checked_mul(MILLION)?.checked_add(millionths)?.checked_add(round)
}

/// A text that is not a share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RatioError(String);

impl fmt::Display for RatioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a share: write a decimal number from 0 to 4294.967295, as in 0.08", self.0)
    }
}

impl core::error::Error for RatioError {}
