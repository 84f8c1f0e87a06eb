//! The policy of the demonstration: the default, shortened so that a day of faults fits into a minute.

use relink::{Checked, Policy, Span, policy::PolicyError};

/// A setting that differs from the default, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortened {
    /// As in a policy file.
    pub setting: &'static str,
    /// What it is in the demonstration.
    pub value: Span,
    /// What it is by default.
    pub default: Span,
    /// What it means, and why it is shorter here.
    pub why: &'static str,
}

/// A change of the default.
struct Change {
    name: &'static str,
    of: fn(&mut Policy) -> &mut Span,
    value: Span,
    why: &'static str,
}

const CHANGES: [Change; 6] = [
    Change {
        name: "w0",
        of: |policy| &mut policy.w0,
        value: Span::from_millis(100),
        why: "shortest pause after a failed dial",
    },
    Change {
        name: "capd",
        of: |policy| &mut policy.capd,
        value: Span::from_secs(1),
        why: "longest pause while the server is away",
    },
    Change {
        name: "cap0",
        of: |policy| &mut policy.cap0,
        value: Span::from_secs(2),
        why: "longest pause while it is overloaded, times √slots",
    },
    Change {
        name: "dial_deadline",
        of: |policy| &mut policy.dial_deadline,
        value: Span::from_secs(1),
        why: "how long a silent dial is waited for",
    },
    Change {
        name: "dial_deadline_max",
        of: |policy| &mut policy.dial_deadline_max,
        value: Span::from_secs(2),
        why: "the same after several of them",
    },
    Change {
        name: "stable_for",
        of: |policy| &mut policy.stable_for,
        value: Span::from_secs(1),
        why: "how long all is well until it is forgotten",
    },
];

/// The shortened policy.
///
/// # Errors
/// None in practice: a test holds it against every rule.
pub fn shortened() -> Result<Checked, PolicyError> {
    let mut policy = Policy::default();
    for change in &CHANGES {
        *(change.of)(&mut policy) = change.value;
    }
    policy.check()
}

/// How the shortened policy differs from the default.
pub fn differences() -> Vec<Shortened> {
    let mut default = Policy::default();
    let differ =
        |Change { name, of, value, why }: Change| Shortened { setting: name, value, default: *of(&mut default), why };
    CHANGES.map(differ).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortened_policy_is_accepted_and_differs_only_as_said() {
        let mut said = Policy::default();
        for (change, difference) in CHANGES.iter().zip(differences()) {
            let setting = (change.of)(&mut said);
            assert_eq!((change.name, *setting), (difference.setting, difference.default));
            assert!(difference.value < difference.default, "{} is not shorter", change.name);
            *setting = difference.value;
        }
        assert_eq!(*shortened().unwrap(), said);
    }
}
