//! The demonstration: a real driver over TCP against a server that has a bad day, and what it cost.

pub mod crew;
pub mod ledger;
pub mod server;
pub mod table;
pub mod view;
