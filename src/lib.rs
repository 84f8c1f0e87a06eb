//! A formally model-checked reconnect state machine for database connections.
#![cfg_attr(not(feature = "tokio"), no_std)]

extern crate alloc;

mod core;

pub use crate::core::fault::{Fault, Phase};
pub use crate::core::policy::{self, Checked, Policy};
pub use crate::core::time::{Span, Time};
pub use crate::core::role::{Role, Target};

#[cfg(feature = "tokio")]
pub mod adapter;
#[cfg(feature = "postgres")]
pub mod postgres;
