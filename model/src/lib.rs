//! Worlds, properties and demonstrations of the relink state machines.

pub mod bounds;
pub mod catalogue;
pub mod check;
pub mod claim;
pub mod columns;
pub mod demo;
pub mod diagram;
pub mod export;
pub mod fleet;
pub mod pacing;
pub mod proxy;
pub mod reduce;
pub mod simulate;
pub mod sweep;
pub mod worlds;
