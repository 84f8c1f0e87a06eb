//! The pool against real servers that stop, crash, stay silent, fill up and fail over.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")]

mod ambiguity;
mod bouncer;
mod calls;
mod closing;
mod common;
mod credentials;
mod crew;
mod crowd;
mod dirty;
mod endpoints;
mod flapping;
mod full;
mod haproxy;
mod in_flight;
#[cfg(target_os = "linux")]
mod keepalive;
mod kills;
mod language;
mod notifications;
mod refuse;
mod runtimes;
mod scene;
mod secrets;
mod sessions;
mod silence;
mod starting;
mod stops;
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "rustls")]
mod tls;
mod turning;
