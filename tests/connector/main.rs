//! The PostgreSQL connector against a real server, without a pool: every dial, end, probe and reset.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")]

mod common;
mod dials;
mod ends;
mod resets;
mod rows;
mod strings;
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "rustls")]
mod tls;
