//! The adapter under virtual time, against a scripted database.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what a test did not expect fails it")]

mod ends;
mod leases;
mod outages;
mod questions;
mod script;
