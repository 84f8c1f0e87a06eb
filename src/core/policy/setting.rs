//! How a setting is read from and written to serde's formats.

use core::{fmt, marker::PhantomData};

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, IntoDeserializer, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::value::Value;
use super::{Backoff, OnDown, Ratio, Validate};
use crate::core::time::Span;

/// A setting's form in a file: as its type's own, but `"never"` for what is switched off.
pub(super) trait Setting: Value + Sized {
    /// What has to be written, as the rule of an error.
    const RULE: &'static str;

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error>;
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error>;
}

/// [`Setting::read`] as serde's `deserialize_with` takes it.
pub(super) fn read<'de, T: Setting, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    T::read(from)
}

/// [`Setting::write`] as serde's `serialize_with` takes it.
pub(super) fn write<T: Setting, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    value.write(to)
}

macro_rules! plain {
    ($($kind:ty: $rule:expr;)*) => {
        $(impl Setting for $kind {
            const RULE: &'static str = $rule;

            fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                Self::deserialize(from)
            }

            fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                self.serialize(to)
            }
        })*
    };
}

plain! {
    Span: "must be a length of time such as \"250ms\", \"5s\", \"30m\" or \"1h\"";
    Ratio: "must be a decimal number from 0 to 4294.967295, such as 0.08";
    u8: "must be a whole number from 0 to 255";
    u16: "must be a whole number from 0 to 65535";
    u32: "must be a whole number from 0 to 4294967295";
    OnDown: "must be \"wait\" or \"fail_fast\"";
    Validate: "must be \"stale\", \"always\" or \"never\"";
    Backoff: "must be \"relink\", \"grpc\", { kind = \"constant\", wait = \"1s\" }, or one of the kinds exponential, \
        full_jitter, equal_jitter, decorrelated_jitter such as { kind = \"full_jitter\", base = \"100ms\", cap = \"30s\" }";
}

/// What is written for a setting that is switched off.
const NEVER: &str = "never";

macro_rules! or_never {
    ($($kind:ty: $rule:expr;)*) => {
        $(impl Setting for Option<$kind> {
            const RULE: &'static str = $rule;

            fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_any(OrNever(PhantomData))
            }

            fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                match self {
                    Some(value) => value.write(to),
                    None => to.serialize_str(NEVER),
                }
            }
        })*
    };
}

or_never! {
    Span: "must be \"never\" or a length of time such as \"250ms\", \"5s\", \"30m\" or \"1h\"";
    u32: "must be \"never\" or a whole number from 0 to 4294967295";
}

struct OrNever<T>(PhantomData<T>);

impl<'de, T: Setting> Visitor<'de> for OrNever<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"never\" or a value that {}", T::RULE)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Option<T>, E> {
        if text == NEVER { Ok(None) } else { T::read(text.into_deserializer()).map(Some) }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Option<T>, E> {
        T::read(number.into_deserializer()).map(Some)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Option<T>, E> {
        T::read(number.into_deserializer()).map(Some)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(SpanVisitor)
    }
}

struct SpanVisitor;

impl Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a length of time such as \"250ms\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
        text.parse().map_err(E::custom)
    }

    /// A bare number has no unit, and only zero needs none.
    fn visit_i64<E: Error>(self, number: i64) -> Result<Span, E> {
        if number == 0 { Ok(Span::ZERO) } else { Err(E::invalid_value(Unexpected::Signed(number), &self)) }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Span, E> {
        if number == 0 { Ok(Span::ZERO) } else { Err(E::invalid_value(Unexpected::Unsigned(number), &self)) }
    }
}

impl Serialize for Ratio {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        // By its text: the nearest floating-point number without floating-point arithmetic.
        let number = alloc::format!("{self}").parse::<f64>().map_err(serde::ser::Error::custom)?;
        to.serialize_f64(number)
    }
}

impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(RatioVisitor)
    }
}

struct RatioVisitor;

impl RatioVisitor {
    fn decimal<E: Error>(number: impl fmt::Display) -> Result<Ratio, E> {
        alloc::format!("{number}").parse().map_err(E::custom)
    }
}

impl Visitor<'_> for RatioVisitor {
    type Value = Ratio;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal number from 0 to 4294.967295")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Ratio, E> {
        Self::decimal(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Ratio, E> {
        Self::decimal(number)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Ratio, E> {
        Self::decimal(number)
    }
}

/// [`Backoff`] with every kind as a table; the compiler holds it to the original.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Backoff", tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Table {
    Relink,
    Constant { wait: Span },
    Exponential { base: Span, cap: Span },
    FullJitter { base: Span, cap: Span },
    EqualJitter { base: Span, cap: Span },
    DecorrelatedJitter { base: Span, cap: Span },
    Grpc,
}

impl Serialize for Backoff {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Relink => to.serialize_str("relink"),
            Self::Grpc => to.serialize_str("grpc"),
            Self::Constant { .. }
            | Self::Exponential { .. }
            | Self::FullJitter { .. }
            | Self::EqualJitter { .. }
            | Self::DecorrelatedJitter { .. } => Table::serialize(self, to),
        }
    }
}

impl<'de> Deserialize<'de> for Backoff {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(BackoffVisitor)
    }
}

struct BackoffVisitor;

impl<'de> Visitor<'de> for BackoffVisitor {
    type Value = Backoff;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"relink\", \"grpc\" or a table with a kind")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Backoff, E> {
        match text {
            "relink" => Ok(Backoff::Relink),
            "grpc" => Ok(Backoff::Grpc),
            other => Err(E::invalid_value(Unexpected::Str(other), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Backoff, A::Error> {
        Table::deserialize(MapAccessDeserializer::new(map))
    }
}
