//! Worlds, properties and demonstrations of the relink state machines.

pub mod bounds;
pub mod demo;
pub mod diagram;
pub mod proxy;
