//! The pool against real servers that stop, crash, stay silent, fill up and fail over.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")]

mod ambiguity;
mod common;
mod credentials;
mod crew;
mod dirty;
mod language;
mod refuse;
mod runtimes;
mod scene;
mod secrets;
mod sessions;
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "rustls")]
mod tls;
