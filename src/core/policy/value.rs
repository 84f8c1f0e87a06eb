//! How a setting is written in a message, and when a range applies to it.

use alloc::{
    format,
    string::{String, ToString},
};

use super::{Backoff, OnDown, Ratio, Validate};
use crate::core::time::Span;

/// A setting's value.
pub(super) trait Value {
    /// As it would be written in a policy file.
    fn literal(&self) -> String;
}

impl Value for Span {
    fn literal(&self) -> String {
        format!("\"{self}\"")
    }
}

impl Value for Backoff {
    fn literal(&self) -> String {
        let ramp = |kind, base, cap| format!("{{ kind = \"{kind}\", base = \"{base}\", cap = \"{cap}\" }}");
        match *self {
            Self::Relink => "\"relink\"".into(),
            Self::Constant { wait } => format!("{{ kind = \"constant\", wait = \"{wait}\" }}"),
            Self::Exponential { base, cap } => ramp("exponential", base, cap),
            Self::FullJitter { base, cap } => ramp("full_jitter", base, cap),
            Self::EqualJitter { base, cap } => ramp("equal_jitter", base, cap),
            Self::DecorrelatedJitter { base, cap } => ramp("decorrelated_jitter", base, cap),
            Self::Grpc => "\"grpc\"".into(),
        }
    }
}

impl Value for OnDown {
    fn literal(&self) -> String {
        match self {
            Self::Wait => "\"wait\"",
            Self::FailFast => "\"fail_fast\"",
        }
        .into()
    }
}

impl Value for Validate {
    fn literal(&self) -> String {
        match self {
            Self::Stale => "\"stale\"",
            Self::Always => "\"always\"",
            Self::Never => "\"never\"",
        }
        .into()
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl Value for $number {
            fn literal(&self) -> String {
                self.to_string()
            }
        })*
    };
}

numbers!(Ratio, u8, u16, u32);

impl<T: Value> Value for Option<T> {
    fn literal(&self) -> String {
        self.as_ref().map_or_else(|| "\"never\"".into(), T::literal)
    }
}

/// A value that has a range, or none: what is switched off has nothing to be held against.
pub(super) trait Ranged: Value {
    /// What a range is made of.
    type Bound: Value + PartialOrd;

    /// The value that the range is about.
    fn ranged(&self) -> Option<&Self::Bound>;
}

macro_rules! ranged {
    ($($bound:ty),*) => {
        $(impl Ranged for $bound {
            type Bound = Self;
            fn ranged(&self) -> Option<&Self> {
                Some(self)
            }
        })*
    };
}

ranged!(Span, Ratio, u8, u16, u32);

impl<T: Value + PartialOrd> Ranged for Option<T> {
    type Bound = T;
    fn ranged(&self) -> Option<&T> {
        self.as_ref()
    }
}
