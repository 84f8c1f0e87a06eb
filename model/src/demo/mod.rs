//! The demonstration: a real driver over TCP against a server that has a bad day, and what it cost.

pub mod crew;
pub mod day;
pub mod ledger;
pub mod policy;
pub mod promise;
pub mod rehearsal;
pub mod scene;
pub mod server;
pub mod table;
pub mod view;
