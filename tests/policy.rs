//! The policy: its rules, its arithmetic, and its doors.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that meets what it did not expect should fail there")]

#[cfg(feature = "serde")]
#[path = "policy/doors.rs"]
mod doors;
#[cfg(feature = "serde")]
#[path = "policy/round_trips.rs"]
mod round_trips;
#[path = "policy/rules.rs"]
mod rules;
#[path = "policy/windows.rs"]
mod windows;

use relink::{Policy, Ratio, Span};

fn ms(n: u64) -> Span {
    Span::from_millis(n)
}

fn ratio(text: &str) -> Ratio {
    text.parse().unwrap()
}

/// The default policy with something changed.
fn with(change: impl FnOnce(&mut Policy)) -> Policy {
    let mut policy = Policy::default();
    change(&mut policy);
    policy
}
