//! PostgreSQL: how it is dialed, asked and brought back to a clean state.

mod framing;
#[cfg(test)]
mod framing_tests;
mod last_words;
mod statement;
mod tap;
mod config;
mod words;

pub use config::{Config, ConfigError, TlsMode, Transport};
