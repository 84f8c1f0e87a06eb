//! The policies that can be compared, by name or from a file.

use std::path::Path;

use relink::{Backoff, Checked, Policy, Span, UnknownWord};

/// A policy as it competes.
#[derive(Clone, Debug)]
pub struct Contender {
    /// Its name, or its file.
    pub name: String,
    /// Ready for the machines.
    pub policy: Checked,
    /// The sessions that one pool keeps; see [`Contender::named`].
    pub slots: u16,
}

/// The names of the policies that are known.
pub const NAMES: &[&str] = &["relink", "constant", "exponential", "full", "equal", "decorrelated", "grpc"];

/// The first and the longest window of the classic policies that have them.
const BASE: Span = Span::from_millis(100);
const CAP: Span = Span::from_secs(30);

impl Contender {
    /// The policy of that name; `None` if there is none.
    ///
    /// `relink` is the default policy, in pools of `slots`. The classic ones stand for libraries where each
    /// connection retries by itself: pools of one, all of them with the same deadline for every dial.
    ///
    /// # Errors
    /// When the machines' rules refuse the policy, as with a patience out of range.
    pub fn named(name: &str, slots: u16, patience: Option<Span>) -> Option<Result<Self, String>> {
        let (base, cap) = (BASE, CAP);
        let backoff = match name {
            "relink" => return Some(Self::new(name.to_owned(), Policy::default(), slots, patience)),
            "constant" => Backoff::Constant { wait: Span::from_secs(1) },
            "exponential" => Backoff::Exponential { base, cap },
            "full" => Backoff::FullJitter { base, cap },
            "equal" => Backoff::EqualJitter { base, cap },
            "decorrelated" => Backoff::DecorrelatedJitter { base, cap },
            "grpc" => Backoff::Grpc,
            _ => return None,
        };
        let mut policy = Policy::default();
        policy.backoff = backoff;
        policy.dial_deadline = patience.unwrap_or(policy.dial_deadline);
        policy.dial_deadline_max = policy.dial_deadline;
        policy.connect_deadline = policy.dial_deadline;
        Some(Self::new(name.to_owned(), policy, 1, None))
    }

    /// The policy of that name or in that file: a file's is run in pools of `slots`, whatever its backoff.
    ///
    /// # Errors
    /// When there is neither, or the policy is refused.
    pub fn find(name: &str, slots: u16, patience: Option<Span>) -> Result<Self, String> {
        if let Some(named) = Self::named(name, slots, patience) {
            return named;
        }
        if !Path::new(name).exists() {
            return Err(format!("{}; nor is there such a file", UnknownWord::new("policy", name, NAMES)));
        }
        let policy = Policy::from_file(name).map_err(|error| error.to_string())?;
        Self::new(name.to_owned(), policy, slots, patience)
    }

    /// This policy in pools of `slots`, first waiting for a dial for as long as `patience` says.
    ///
    /// What is simulated are outages: nobody uses the sessions, which are all kept, and none ends of old age. So
    /// the policy's sizes, `idle_max` and `lifetime_max` are not its own.
    ///
    /// # Errors
    /// When the policy is refused.
    pub fn new(name: String, mut policy: Policy, slots: u16, patience: Option<Span>) -> Result<Self, String> {
        policy.max_size = slots;
        policy.min_idle = slots;
        policy.max_idle = slots;
        policy.waiters_max = 0;
        policy.idle_max = None;
        policy.lifetime_max = None;
        if let Some(patience) = patience {
            policy.dial_deadline = patience;
            policy.dial_deadline_max = policy.dial_deadline_max.max(patience);
        }
        let policy = policy.check().map_err(|error| error.to_string())?;
        Ok(Self { name, policy, slots })
    }
}
