//! How a row of a fault table is read from a policy file.

use alloc::{borrow::Cow, format, string::String};
use core::{fmt, str::FromStr};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::{fault::Fault, rule::Rule, word::UnknownWord};

const KEYS: &[&str] = &["phase", "sqlstate", "severity", "message", "routine", "errno", "io_kind", "fault", "source"];

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RuleVisitor)
    }
}

struct RuleVisitor;

impl<'de> Visitor<'de> for RuleVisitor {
    type Value = Rule;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row with `fault` and at least one matcher")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Rule, A::Error> {
        // The class is replaced below, or its absence is refused.
        let mut rule = Rule::new(Fault::Query, "a [[fault]] row of the policy");
        let mut fault = None;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "phase" => rule.phase = Some(word(&mut map)?),
                "sqlstate" => rule.sqlstate = Some(text(&mut map)?),
                "severity" => rule.severity = Some(word(&mut map)?),
                "message" => rule.message = Some(text(&mut map)?),
                "routine" => rule.routine = Some(text(&mut map)?),
                "errno" => rule.errno = Some(map.next_value()?),
                "io_kind" => rule.io_kind = Some(text(&mut map)?),
                "fault" => fault = Some(word(&mut map)?),
                "source" => rule.source = text(&mut map)?,
                unknown => return Err(A::Error::custom(UnknownWord::new("key of [[fault]]", unknown, KEYS))),
            }
        }
        rule.fault = fault.ok_or_else(|| {
            A::Error::custom("a [[fault]] row has no `fault`: say which class it gives, such as fault = \"Lost\"")
        })?;
        rule.check().map_err(|bad| A::Error::custom(format!("[[fault]]: {bad}")))?;
        Ok(rule)
    }
}

fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Cow<'static, str>, A::Error> {
    map.next_value::<String>().map(Cow::Owned)
}

fn word<'de, T: FromStr<Err = UnknownWord>, A: MapAccess<'de>>(map: &mut A) -> Result<T, A::Error> {
    map.next_value::<String>()?.parse().map_err(A::Error::custom)
}
