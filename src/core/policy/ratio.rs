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
/// assert_eq!(format!("{:?}", Ratio::ONE), "Ratio(1)");
/// assert!("-1".parse::<Ratio>().is_err());
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ratio {
    millionths: u32,
    /// `⌊millionths·2⁵¹ / 10⁶⌋`: with it a share of a span takes one multiplication and no division.
    scaled: u64,
}

/// What one is made of.
const MILLION: u32 = 1_000_000;

/// The most binary places with which the greatest share, 4294.967295, fits 64 bits.
const PLACES: u32 = 51;

impl Ratio {
    /// One.
    pub const ONE: Self = Self::from_millionths(MILLION);

    /// `millionths` / 1 000 000.
    #[expect(clippy::cast_possible_truncation, reason = "the greatest share fits 64 bits with these places")]
    pub const fn from_millionths(millionths: u32) -> Self {
        let scaled = ((millionths as u128) << PLACES) / MILLION as u128;
        Self { millionths, scaled: scaled as u64 }
    }

    /// In millionths.
    pub const fn as_millionths(self) -> u32 {
        self.millionths
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
        let ms = span.as_millis();
        // `scaled` lacks less than one unit of its last place: for spans up to 24 days, less than a millionth of a
        // millisecond, which is the least by which a share that is not whole exceeds the millisecond below it.
        if ms <= 1 << 31 {
            let scaled = u128::from(ms << (64 - PLACES)) * u128::from(self.scaled);
            return Span::from_millis(((scaled + u128::from(u64::MAX)) >> 64) as u64);
        }
        self.of_long(ms)
    }

    /// As [`Ratio::of`], for spans of any length.
    #[cold]
    fn of_long(self, ms: u64) -> Span {
        const ONE: u64 = MILLION as u64;
        // The product of 20 bits and a share's 32 fits 64.
        let (whole, rest, share) = (ms / ONE, ms % ONE, u64::from(self.millionths));
        Span::from_millis(whole.saturating_mul(share).saturating_add((rest * share).div_ceil(ONE)))
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, mut rest, mut width) = (self.millionths / MILLION, self.millionths % MILLION, 6);
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

impl fmt::Debug for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ratio({self})")
    }
}

impl FromStr for Ratio {
    type Err = RatioError;

    fn from_str(text: &str) -> Result<Self, RatioError> {
        decimal(text.trim()).map(Self::from_millionths).ok_or_else(|| RatioError(text.into()))
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
