//! A policy as a TOML file, read key by key so that each error knows its line.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::raw::{self, Found, Raw};
use super::{Assume, Broken, LoadError, Policy, Rule};

impl Policy {
    /// The policy as TOML, every setting included; [`Policy::from_toml`] gives it back.
    ///
    /// ```
    /// use relink::Policy;
    /// let text = Policy::default().to_toml()?;
    /// assert!(text.contains("w0 = \"500ms\""));
    /// assert_eq!(Policy::from_toml(&text)?, Policy::default());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// None in practice: every value of a policy has a form in TOML.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }
}

/// Reads `text`, which came from `origin`, over the defaults.
pub(super) fn read(text: &str, origin: &str) -> Result<Policy, LoadError> {
    let table = DeTable::parse(text).map_err(|error| LoadError::Syntax {
        origin: origin.to_string(),
        line: raw::line(text, error.span().map_or(0, |span| span.start)),
        message: error.message().to_string(),
    })?;
    let mut reading = Reading { text, policy: Policy::default(), wrong: Vec::new() };
    for (key, value) in table.into_inner() {
        let at = key.span().start;
        match (key.get_ref().as_ref(), value) {
            ("assume", value) => reading.assume(value),
            ("fault", value) => reading.fault(value),
            (name, value) => reading.setting(name, value, at),
        }
    }
    reading.wrong.sort_by_key(|broken| broken.line);
    LoadError::unless_empty(origin, reading.wrong)?;
    Ok(reading.policy)
}

/// A file half read.
struct Reading<'a> {
    text: &'a str,
    policy: Policy,
    wrong: Vec<Broken>,
}

impl<'a> Reading<'a> {
    fn setting(&mut self, name: &str, value: Spanned<DeValue<'a>>, at: usize) {
        let raw = Raw { name: name.to_string(), found: Found::File { value, text: self.text } };
        match self.policy.set(name, raw) {
            Some(read) => self.wrong.extend(read.err()),
            None => self.refuse(raw::unknown(name, &[Policy::KEYS, &["assume", "fault"]].concat(), ""), at),
        }
    }

    fn assume(&mut self, value: Spanned<DeValue<'a>>) {
        let at = value.span().start;
        let DeValue::Table(facts) = value.into_inner() else {
            return self
                .refuse(raw::broken("assume", "must be a table", "write [assume] and below it clients = 5000"), at);
        };
        for (key, value) in facts {
            let name = format!("assume.{}", key.get_ref());
            let raw = Raw { name: name.clone(), found: Found::File { value, text: self.text } };
            match self.policy.assume.set(key.get_ref(), raw) {
                Some(read) => self.wrong.extend(read.err()),
                None => self.refuse(raw::unknown(&name, &Assume::KEYS, "assume."), key.span().start),
            }
        }
    }

    fn fault(&mut self, value: Spanned<DeValue<'a>>) {
        const FIX: &str = "write [[fault]] and below it sqlstate = \"53300\" and fault = \"Overloaded\"";
        let at = value.span().start;
        let DeValue::Array(rows) = value.into_inner() else {
            return self.refuse(raw::broken("fault", "must be rows of a table", FIX), at);
        };
        for (row, value) in rows.into_iter().enumerate() {
            let at = value.span().start;
            match Rule::deserialize(ValueDeserializer::from(value)) {
                Ok(rule) => self.policy.fault.push(rule),
                Err(error) => {
                    // Whole: a row of a fault table holds no secret.
                    let at = error.span().map_or(at, |span| span.start);
                    self.refuse(raw::broken(&format!("fault[{row}]"), error.message(), FIX), at);
                }
            }
        }
    }

    fn refuse(&mut self, broken: Broken, at: usize) {
        self.wrong.push(Broken { line: Some(raw::line(self.text, at)), ..broken });
    }
}
