//! Time as the machines see it: whole milliseconds since an origin that the driver chose.
//!
//! Milliseconds, because the proven bounds are computed on a 1 ms lattice and the production
//! machines must live on that same lattice, or the bounds would be about other machines.

use core::{fmt, ops, str::FromStr};

use alloc::string::String;

/// An instant, in milliseconds since an arbitrary origin.
///
/// Arithmetic saturates: [`Time::NEVER`] absorbs, and nothing overflows.
///
/// ```
/// use relink::{Span, Time};
/// let t = Time::from_millis(1_000) + Span::from_millis(500);
/// assert_eq!(t - Time::from_millis(200), Span::from_millis(1_300));
/// assert_eq!(Time::NEVER + Span::from_millis(1), Time::NEVER);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Time(u64);

impl Time {
    /// The origin.
    pub const ZERO: Self = Self(0);
    /// Later than every other instant: a timeout that does not come.
    pub const NEVER: Self = Self(u64::MAX);

    /// The instant `ms` milliseconds after the origin.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the origin.
    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

impl ops::Add<Span> for Time {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl ops::Sub for Time {
    type Output = Span;
    /// The time from `earlier` to `self`; zero when `earlier` is later.
    fn sub(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

/// A length of time in milliseconds.
///
/// Written and read as `250ms`, `5s`, `30m`, `1h`; a bare `0` is zero.
///
/// ```
/// use relink::Span;
/// assert_eq!("1500ms".parse::<Span>(), Ok(Span::from_millis(1_500)));
/// assert_eq!(Span::from_millis(90_000).to_string(), "90s");
/// assert!("5 parsecs".parse::<Span>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// Longer than every other span.
    pub const FOREVER: Self = Self(u64::MAX);

    /// `ms` milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// `s` seconds.
    pub const fn from_secs(s: u64) -> Self {
        Self(s.saturating_mul(1_000))
    }

    /// In milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// One of the whole milliseconds of `[0, self]`, each as likely, by one random word.
    #[inline]
    pub(crate) fn draw(self, chance: u64) -> Self {
        // ⌊chance·(ms + 1) / 2⁶⁴⌋, which is `chance` where there are 2⁶⁴ choices: nothing overflows.
        let chance = u128::from(chance);
        Self(((chance * u128::from(self.0) + chance) >> 64) as u64)
    }
}

impl From<Span> for core::time::Duration {
    fn from(span: Span) -> Self {
        Self::from_millis(span.0)
    }
}

impl ops::Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl ops::Sub for Span {
    type Output = Self;
    /// What is left of `self`; zero when `other` is longer.
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl ops::Mul<u64> for Span {
    type Output = Self;
    fn mul(self, times: u64) -> Self {
        Self(self.0.saturating_mul(times))
    }
}

const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Seconds are what people compare; hours and minutes only when they are whole and long.
        let (name, unit) = match self.0 {
            0 => return f.write_str("0"),
            ms if ms % 3_600_000 == 0 => ("h", 3_600_000),
            ms if ms % 60_000 == 0 && ms >= 600_000 => ("m", 60_000),
            ms if ms % 1_000 == 0 => ("s", 1_000),
            _ => ("ms", 1),
        };
        write!(f, "{}{name}", self.0 / unit)
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let refused = || SpanError(text.into());
        let text_trimmed = text.trim();
        let digits = text_trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(text_trimmed.len());
        let (number, unit) = text_trimmed.split_at(digits);
        let number: u64 = number.parse().map_err(|_| refused())?;
        if unit.is_empty() && number == 0 {
            return Ok(Self::ZERO);
        }
        let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(refused)?;
        number.checked_mul(*ms).map(Self).ok_or_else(refused)
    }
}

/// A text that is not a length of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanError(String);

impl fmt::Display for SpanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a length of time: write a whole number with ms, s, m or h, as in 250ms or 5s", self.0)
    }
}

impl core::error::Error for SpanError {}
