//! The policies of the worlds: which of the user's numbers each has replaced, and by what.

use relink::Policy;
use serde::Serialize;

/// What some worlds run instead of the user's policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reduced {
    /// The worlds.
    pub worlds: Vec<String>,
    /// Their policy; for what it keeps of the user's, see [`crate::reduce`].
    pub policy: Policy,
}

/// The worlds of one policy together, in the order in which they come.
pub(super) fn reduced<'a>(worlds: impl Iterator<Item = (&'a str, &'a Policy)>) -> Vec<Reduced> {
    let mut all: Vec<Reduced> = Vec::new();
    for (world, policy) in worlds {
        match all.iter_mut().find(|known| known.policy == *policy) {
            Some(known) => known.worlds.push(world.to_owned()),
            None => all.push(Reduced { worlds: vec![world.to_owned()], policy: policy.clone() }),
        }
    }
    all
}

/// What all worlds have replaced, `yours → theirs`; then, where they differ, what each has beside it.
pub(super) fn told(of: &Policy, all: &[Reduced]) -> Vec<String> {
    let replaced: Vec<Vec<String>> = all.iter().map(|reduced| replaced(of, &reduced.policy)).collect();
    let everywhere = |line: &&String| replaced.iter().all(|lines| lines.contains(line));
    let list = |lines: Vec<&String>| match lines.as_slice() {
        [] => "nothing".to_owned(),
        some => some.iter().map(|line| line.as_str()).collect::<Vec<_>>().join("; "),
    };
    let common = replaced.first().map(|lines| lines.iter().filter(everywhere).collect());
    let mut told: Vec<String> = common.into_iter().map(|lines| format!("all of them: {}", list(lines))).collect();
    for (Reduced { worlds, .. }, lines) in all.iter().zip(&replaced).filter(|_| all.len() > 1) {
        let own = lines.iter().filter(|line| !everywhere(line)).collect();
        told.push(format!("{}: {}", worlds.join(" | "), list(own)));
    }
    told
}

/// `w0 500ms → 2ms` for each number that is not the same in both.
fn replaced(yours: &Policy, theirs: &Policy) -> Vec<String> {
    let [yours, theirs] = [yours, theirs].map(|policy| serde_json::to_value(policy).unwrap_or_default());
    let differs = |key: &&&str| yours.get(**key) != theirs.get(**key);
    let told = |key: &&str| {
        let [yours, theirs] = [&yours, &theirs].map(|policy| match policy.get(*key) {
            Some(serde_json::Value::String(text)) => text.clone(),
            value => value.map(ToString::to_string).unwrap_or_default(),
        });
        format!("`{key}` {yours} → {theirs}")
    };
    Policy::KEYS.iter().filter(differs).map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use relink::Span;

    #[test]
    fn what_is_everywhere_is_told_once_and_what_is_the_same_is_not_told() {
        let yours = Policy::default();
        let mut small = yours.clone();
        small.w0 = Span::from_millis(2);
        let mut smaller = small.clone();
        smaller.patience = None;
        let worlds = [("one", &small), ("two", &smaller), ("three", &small)];
        let told = told(&yours, &reduced(worlds.into_iter()));
        assert_eq!(told, ["all of them: `w0` 500ms → 2ms", "one | three: nothing", "two: `patience` 1s → never"]);
        assert_eq!(super::told(&yours, &reduced([("as it is", &yours)].into_iter())), ["all of them: nothing"]);
        assert!(super::told(&yours, &[]).is_empty());
    }
}
