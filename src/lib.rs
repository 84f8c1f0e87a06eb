#![doc = include_str!("../README.md")]
#![cfg_attr(not(feature = "serde"), no_std)]

extern crate alloc;

mod core;

pub use crate::core::classify::{Evidence, Severity, Verdict, classify};
pub use crate::core::fault::{Does, Fault, Phase, Session};
pub use crate::core::fence;
pub use crate::core::frame::Frame;
pub use crate::core::link::{self, LeaseId, Work};
pub use crate::core::pacer::{self, DialId};
pub use crate::core::policy::{self, Backoff, Checked, OnDown, Policy, Ratio, Validate};
pub use crate::core::pool::{self, Refusal};
pub use crate::core::preference::Preference;
pub use crate::core::role::{Role, Target};
pub use crate::core::rule::{BadRule, IO_KINDS, Rule};
pub use crate::core::time::{Span, SpanError, Time};
pub use crate::core::word::{UnknownWord, nearest};

#[cfg(feature = "tokio")]
pub mod adapter;
#[cfg(feature = "postgres")]
pub mod postgres;
