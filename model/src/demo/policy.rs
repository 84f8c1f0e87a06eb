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

/// What the demonstration changes of `policy`.
const CHANGES: [(&str, fn(&mut Policy) -> &mut Span, Span, &str); 6] = [
    ("w0", |policy| &mut policy.w0, Span::from_millis(100), "shortest pause after a failed dial"),
    ("capd", |policy| &mut policy.capd, Span::from_secs(1), "longest pause while the server is away"),
    ("cap0", |policy| &mut policy.cap0, Span::from_secs(2), "longest pause while it is overloaded, times √slots"),
    ("dial_deadline", |policy| &mut policy.dial_deadline, Span::from_secs(1), "how long a silent dial is waited for"),
    ("dial_deadline_max", |policy| &mut policy.dial_deadline_max, Span::from_secs(2), "the same after several"),
    ("stable_for", |policy| &mut policy.stable_for, Span::from_secs(1), "when an outage is forgotten"),
];

/// The shortened policy.
///
/// # Errors
/// None in practice: a test holds it against every rule.
pub fn shortened() -> Result<Checked, PolicyError> {
    let mut policy = Policy::default();
    for (_, setting, value, _) in CHANGES {
        *setting(&mut policy) = value;
    }
    policy.check()
}

/// How the shortened policy differs from the default.
pub fn differences() -> Vec<Shortened> {
    let mut default = Policy::default();
    let differ = |(setting, of, value, why): (_, fn(&mut Policy) -> &mut Span, _, _)| Shortened {
        setting,
        value,
        default: *of(&mut default),
        why,
    };
    CHANGES.map(differ).to_vec()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test says so by failing")]
mod tests {
    use super::*;

    #[test]
    fn the_shortened_policy_is_accepted_and_differs_only_as_said() {
        let shortened = shortened().unwrap();
        let mut policy = Policy::default();
        for ((name, setting, value, _), said) in CHANGES.into_iter().zip(differences()) {
            assert_eq!((said.setting, said.value, said.default), (name, value, *setting(&mut policy)));
            assert!(value < said.default, "{name} is not shorter");
            *setting(&mut policy) = value;
        }
        assert_eq!(*shortened, policy);
    }
}
