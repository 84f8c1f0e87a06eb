//! What a server's words about one of its sessions mean: a slow statement, or a dead socket.

use std::time::Duration;

/// Between two looks, and at least between the first and the last that must agree.
pub(crate) const APART: Duration = Duration::from_millis(250);

/// How exactly waits are measured.
const TICK: Duration = Duration::from_millis(2);

/// What the server says of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// It is the server that the session was opened at.
    pub(crate) same_server: bool,
    /// Whether the process of that number is the session's; `None` without the right to see it, and nothing at all if
    /// there is no such process.
    pub(crate) process: Option<Option<bool>>,
    pub(crate) state: Option<String>,
    pub(crate) waits_for: Option<String>,
    /// Since its state last changed.
    pub(crate) age: Option<Duration>,
}

/// What follows from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// At work, or nobody can tell.
    Alive,
    /// The process has gone.
    Gone,
    /// The server waits for a statement; whether it has answered this one, where that can be told.
    Rests { answered: Option<bool> },
    /// The server waits to send, or for the client, and does not show since when.
    Stuck,
}

impl Sign {
    pub(crate) const fn means(self) -> &'static str {
        match self {
            Self::Alive => "it is at work",
            Self::Gone => "its process has gone",
            Self::Rests { answered: Some(false) } => "the statement has not arrived, and it has waited for one",
            Self::Rests { answered: Some(true) } => {
                "the statement was answered, the answer is lost, and it has waited for the next"
            }
            Self::Rests { answered: None } => "the statement or its answer is lost, and it has waited for one",
            Self::Stuck => "it waits to send, or for the client, and nothing comes through",
        }
    }
}

/// How long everybody has waited at one look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    /// The caller, without a sign of life.
    pub(crate) caller: Duration,
    /// We for this look's answer: what the server says is true of a moment within it.
    pub(crate) answer: Duration,
    /// How long the server must have waited, too.
    pub(crate) grace: Duration,
}

/// What a row says. `None` is not yet: the server waits, and so does the caller, but not for long enough.
pub(crate) fn judge(row: &Row, wait: Wait) -> Option<Sign> {
    match (row.same_server, row.process) {
        // Another server answers at the same address, or this one was started anew: nobody can tell which.
        (false, _) | (true, Some(None)) => return Some(Sign::Alive),
        (true, None | Some(Some(false))) => return Some(Sign::Gone),
        (true, Some(Some(true))) => {}
    }
    let (waits_for, state) = (row.waits_for.as_deref(), row.state.as_deref());
    let is_stuck = waits_for == Some("ClientWrite") || state == Some("disabled") && waits_for == Some("ClientRead");
    let sign = match row.age {
        _ if is_stuck => Sign::Stuck,
        Some(age) if state.is_some_and(|state| state.starts_with("idle")) || waits_for == Some("ClientRead") => {
            if age < wait.grace {
                return None;
            }
            let (least, most) = (wait.caller.saturating_sub(wait.answer + TICK), wait.caller + TICK);
            let answered = if (least..=most).contains(&age) { None } else { Some(age < least) };
            Sign::Rests { answered }
        }
        Some(_) | None => return Some(Sign::Alive),
    };
    (wait.caller >= wait.grace).then_some(sign)
}

/// Whether a sign is believed that every look of the time `seen` has shown.
///
/// What was lost on its way is sent again, and on a path that has just healed the question overtakes it: a kernel doubles
/// the time from one attempt to the next (RFC 6298, 5.5). So where the path has been whole for longer than it may
/// have been broken before that, nothing is still to come.
pub(crate) fn is_believed(sign: Sign, seen: Duration, wait: Wait, whole: Duration) -> bool {
    let healed = whole >= wait.caller.saturating_sub(whole) + APART;
    match sign {
        Sign::Alive | Sign::Gone => true,
        Sign::Rests { .. } => seen >= APART && healed,
        Sign::Stuck => seen >= wait.grace.max(APART) && healed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(1);

    fn row(state: &str, waits_for: &str, age_ms: u64) -> Row {
        let waits_for = (!waits_for.is_empty()).then(|| waits_for.to_owned());
        let age = Some(Duration::from_millis(age_ms));
        Row { same_server: true, process: Some(Some(true)), state: Some(state.into()), waits_for, age }
    }

    fn waited(ms: u64) -> Wait {
        Wait { caller: Duration::from_millis(ms), answer: Duration::from_millis(20), grace: GRACE }
    }

    /// As PostgreSQL 15 was observed to answer, a second and a half after the statement was sent.
    #[test]
    fn a_slow_statement_is_told_from_a_dead_socket() {
        let rests = |answered| Some(Sign::Rests { answered });
        let (not_arrived, answer_lost) = (rests(Some(false)), rests(Some(true)));
        for (name, row, expected) in [
            ("sleeps", row("active", "PgSleep", 1_500), Some(Sign::Alive)),
            ("computes", row("active", "", 1_500), Some(Sign::Alive)),
            ("waits for a lock", row("active", "relation", 1_500), Some(Sign::Alive)),
            ("sorts on disk", row("active", "BufFileWrite", 1_500), Some(Sign::Alive)),
            ("parallel", row("active", "ExecuteGather", 1_500), Some(Sign::Alive)),
            ("hole before the statement", row("idle", "ClientRead", 7_000), not_arrived),
            ("the same in a transaction", row("idle in transaction", "ClientRead", 7_000), not_arrived),
            ("the same after an error", row("idle in transaction (aborted)", "ClientRead", 7_000), not_arrived),
            ("stopped while it was idle", row("idle", "", 7_000), not_arrived),
            ("answered a moment ago", row("idle", "ClientRead", 400), None),
            ("answered long ago", row("idle", "ClientRead", 1_400), answer_lost),
            ("sent right after the last answer", row("idle", "ClientRead", 1_490), rests(None)),
            ("sends into a hole", row("active", "ClientWrite", 1_500), Some(Sign::Stuck)),
            ("tracks nothing, computes", Row { age: None, ..row("disabled", "", 0) }, Some(Sign::Alive)),
            ("tracks nothing, waits", Row { age: None, ..row("disabled", "ClientRead", 0) }, Some(Sign::Stuck)),
            ("ended", Row { process: None, ..row("idle", "ClientRead", 1) }, Some(Sign::Gone)),
            ("its number used again", Row { process: Some(Some(false)), ..row("active", "", 1) }, Some(Sign::Gone)),
            ("another server", Row { same_server: false, process: None, ..row("idle", "", 1) }, Some(Sign::Alive)),
            ("of another role", Row { process: Some(None), state: None, ..row("", "", 9_000) }, Some(Sign::Alive)),
        ] {
            assert_eq!(judge(&row, waited(1_500)), expected, "{name}");
        }
    }

    #[test]
    fn nothing_is_called_dead_before_the_grace_is_over() {
        for (row, sign) in [
            (row("idle", "ClientRead", 60_000), Sign::Rests { answered: Some(false) }),
            (row("active", "ClientWrite", 60_000), Sign::Stuck),
        ] {
            assert_eq!(judge(&row, waited(999)), None);
            assert_eq!(judge(&row, waited(1_000)), Some(sign));
        }
    }

    #[test]
    fn a_sign_is_believed_when_what_was_lost_would_have_been_sent_again() {
        let believed = |sign, seen, caller, whole| {
            is_believed(sign, Duration::from_millis(seen), waited(caller), Duration::from_millis(whole))
        };
        let rests = Sign::Rests { answered: None };
        assert!(believed(Sign::Gone, 0, 3_000, 0));
        // A path that was never broken: the statement alone is lost.
        assert!(!believed(rests, 249, 1_300, 60_000));
        assert!(believed(rests, 250, 1_300, 60_000));
        assert!(!believed(Sign::Stuck, 999, 1_999, 60_000));
        assert!(believed(Sign::Stuck, 1_000, 2_000, 60_000));
        // One that healed after 1.6 s: an attempt just before that is followed by another within 1.6 s.
        assert!(!believed(rests, 1_849, 3_449, 1_849));
        assert!(believed(rests, 1_850, 3_450, 1_850));
        // One that is broken now, whatever was seen before.
        assert!(!believed(rests, 9_000, 10_000, 0));
    }
}
