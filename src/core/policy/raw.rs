//! One setting as it was found in a file or in the environment, and the errors that point back at it.

use std::format;
use std::string::{String, ToString};

use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};
use toml::Spanned;
use toml::de::{DeValue, ValueDeserializer};

use super::Broken;
use super::setting::Setting;
use crate::core::word;

/// The longest piece of somebody else's text that an error repeats, in characters.
const SHOWN_MAX: usize = 64;

/// A value and where it was found.
pub(super) struct Raw<'a> {
    /// The setting's name as the user wrote it.
    pub(super) name: String,
    pub(super) found: Found<'a>,
}

/// In a file a value has a type and a place; in the environment it is text.
pub(super) enum Found<'a> {
    File { value: Spanned<DeValue<'a>>, text: &'a str },
    Env { text: &'a str },
}

impl Raw<'_> {
    /// Reads a setting, which has a default to go back to.
    pub(super) fn read<T: Setting>(self, default: &T) -> Result<T, Broken> {
        let fix = format!("write {} = {}, the default", self.name, default.literal());
        self.read_or(&fix)
    }

    /// Reads a fact, which has none.
    pub(super) fn read_given<T: Setting>(self) -> Result<Option<T>, Broken> {
        let fix = format!("correct {} or leave it out", self.name);
        self.read_or(&fix).map(Some)
    }

    fn read_or<T: Setting>(self, fix: &str) -> Result<T, Broken> {
        match self.found {
            Found::File { value, text } => {
                let span = value.span();
                T::read(ValueDeserializer::from(value)).map_err(|_| Broken {
                    value: shown(text.get(span.clone()).unwrap_or_default()),
                    line: Some(line(text, span.start)),
                    ..broken(&self.name, T::RULE, fix)
                })
            }
            Found::Env { text } => {
                // Words and lengths of time stand there bare; whatever else is written as in a file.
                let bare: StrDeserializer<'_, ValueError> = text.into_deserializer();
                T::read(bare)
                    .ok()
                    .or_else(|| T::read(ValueDeserializer::parse(text).ok()?).ok())
                    .ok_or_else(|| Broken { value: shown(text), ..broken(&self.name, T::RULE, fix) })
            }
        }
    }
}

/// An error that shows no value.
pub(super) fn broken(name: &str, rule: &str, fix: &str) -> Broken {
    Broken { field: shown(name), value: String::new(), rule: rule.to_string(), fix: fix.to_string(), line: None }
}

/// The name is none of those that are known, which all begin with `prefix`.
pub(super) fn unknown(name: &str, known: &[&str], prefix: &str) -> Broken {
    let start = shown(name);
    let fix = match word::nearest(start.strip_prefix(prefix).unwrap_or(&start), known) {
        Some(near) => format!("write {prefix}{near}, the nearest name there is, or remove it"),
        None => "remove it; the settings are the fields of relink::Policy".to_string(),
    };
    broken(name, "is not a setting", &fix)
}

/// The line of `text` that holds the byte at `offset`, counted from 1.
pub(super) fn line(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// The beginning of somebody else's text, on one line.
pub(super) fn shown(text: &str) -> String {
    let tidy = |c: char| if c.is_control() { ' ' } else { c };
    let start: String = text.chars().take(SHOWN_MAX).map(tidy).collect();
    if text.chars().nth(SHOWN_MAX).is_some() { format!("{start}…") } else { start }
}
