//! A step of the sweep in words: what its state has that a new machine has not, and what the step changes.

use std::fmt::Debug;

use relink::{
    Span, Time,
    pacer::{Pacer, Parts, WindowParts},
};

/// A pacer's state. Times count from `now`.
pub(super) fn pacer(parts: &Parts, now: Time) -> String {
    let new = Pacer::new(parts.endpoints).parts();
    or(differences(&Parts { now, ..new }, parts, now), "as new")
}

/// What became of a pacer.
pub(super) fn change(before: &Parts, after: &Parts, now: Time) -> String {
    or(differences(before, after, now), "nothing changes")
}

fn or(told: Vec<String>, nothing: &str) -> String {
    if told.is_empty() { nothing.to_owned() } else { told.join(", ") }
}

/// How Rust shows it, with times as they are seen at `now` and lengths with their units.
pub(super) fn shown(value: &impl Debug, now: Time) -> String {
    let seen = |ms: u64| match Time::from_millis(ms) {
        Time::NEVER => "never".to_owned(),
        at if at > now => format!("in {}", at - now),
        at if at == now => "now".to_owned(),
        Time::ZERO => "at 0".to_owned(),
        at => format!("{} ago", now - at),
    };
    let text = replaced(&format!("{value:?}"), "Time(", seen);
    replaced(&text, "Span(", |ms| Span::from_millis(ms).to_string())
}

/// The text with each number between `open` and `)` told otherwise.
fn replaced(text: &str, open: &str, tell: impl Fn(u64) -> String) -> String {
    let mut pieces = text.split(open);
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |told, piece| {
        let number = piece.split_once(')').and_then(|(number, rest)| Some((number.parse().ok()?, rest)));
        match number {
            Some((number, rest)) => told + &tell(number) + rest,
            None => told + open + piece,
        }
    })
}

/// The fields in which two of a kind differ, as the second has them; all are named, but for those behind `;`.
macro_rules! different {
    ($kind:ident { $($field:ident)* $(; $rest:ident)? }, $before:expr, $after:expr, $now:expr, $owner:expr) => {{
        let $kind { $($field: _,)* $($rest: _)? } = $after;
        [$(($before.$field != $after.$field).then(|| {
            format!("{}{} {}", $owner, stringify!($field), shown(&$after.$field, $now))
        })),*].into_iter().flatten()
    }};
}

fn differences(before: &Parts, after: &Parts, now: Time) -> Vec<String> {
    let own = different!(
        Parts { now lost_at settle_at next renewed credentials dials endpoints favourite; windows },
        before, after, now, ""
    );
    let windows = before.windows.iter().zip(&after.windows).enumerate();
    own.chain(windows.flat_map(|(at, (before, after))| of_window(before, after, now, at))).collect()
}

fn of_window(before: &WindowParts, after: &WindowParts, now: Time, at: usize) -> Vec<String> {
    let owner = format!("endpoint {at}: ");
    different!(
        WindowParts {
            not_before over rung cut hedge_at online in_flight allowed doublings refusals failed seen flapped held
        },
        before, after, now, owner
    )
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_told_by_what_a_new_one_has_not_and_a_step_by_what_it_changes() {
        let now = Time::from_millis(10_000);
        let before = Parts { now, ..Pacer::new(2).parts() };
        assert_eq!(pacer(&before, now), "as new");
        let mut after = Parts { lost_at: Time::from_millis(4_000), next: 9, ..before };
        let [_, second] = &mut after.windows;
        (second.over, second.not_before) = (Span::from_millis(250), now + Span::from_secs(2));
        let told = "lost_at 6s ago, next 9, endpoint 1: not_before in 2s, endpoint 1: over 250ms";
        assert_eq!(change(&before, &after, now), told);
        assert_eq!(pacer(&after, now), told);
        assert_eq!(change(&after, &after, now), "nothing changes");
    }

    #[test]
    fn times_are_told_as_they_are_seen() {
        let now = Time::from_millis(10_000);
        let times = [Time::NEVER, Time::ZERO, now, now + Span::from_millis(1)];
        assert_eq!(shown(&times, now), "[never, at 0, now, in 1ms]");
        assert_eq!(shown(&"Time(x)", now), "\"Time(x)\"");
    }
}
