//! Worlds, properties and demonstrations of the relink state machines.

pub mod bounds;
pub mod check;
pub mod claim;
pub mod columns;
pub mod demo;
pub mod diagram;
pub mod fleet;
pub mod pacing;
pub mod proxy;
pub mod simulate;
pub mod worlds;
