//! What a refused policy says: every broken rule, with the value at fault and what to write instead.

use core::fmt;

use alloc::{string::String, vec::Vec};

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broken {
    /// The setting, as in a policy file (`w0`, `assume.clients`) or in the environment (`RELINK_W0`).
    pub field: String,
    /// Its value as written; empty where showing it could show a secret (the value of an unknown key).
    pub value: String,
    /// What the rule asks.
    pub rule: String,
    /// What to write instead.
    pub fix: String,
    /// The line of the file, counted from 1, where there is one.
    pub line: Option<usize>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.field)?;
        if !self.value.is_empty() {
            write!(f, " = {}", self.value)?;
        }
        write!(f, ": {}; {}", self.rule, self.fix)
    }
}

/// A policy was refused: every rule that it breaks, never only the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    broken: Vec<Broken>,
}

impl PolicyError {
    /// Nothing, if nothing is broken.
    pub(super) fn unless_empty(broken: Vec<Broken>) -> Result<(), Self> {
        if broken.is_empty() { Ok(()) } else { Err(Self { broken }) }
    }

    /// The broken rules, at least one.
    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.broken.as_slice() {
            return write!(f, "policy refused: {only}");
        }
        write!(f, "policy refused, {} rules broken:", self.broken.len())?;
        self.broken.iter().try_for_each(|broken| write!(f, "\n  {broken}"))
    }
}

impl core::error::Error for PolicyError {}
