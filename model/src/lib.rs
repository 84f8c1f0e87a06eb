//! Worlds, properties and demonstrations of the relink state machines.

pub mod worlds;
