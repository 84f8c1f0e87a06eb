//! The pool against real servers that stop, crash, stay silent, fill up and fail over.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")]

mod bouncer;
mod closing;
mod common;
mod credentials;
mod crew;
mod crowd;
mod endpoints;
mod flapping;
mod full;
mod kills;
mod refuse;
mod scene;
mod silence;
mod starting;
mod stops;
#[path = "../support/mod.rs"]
mod support;
