//! What one run showed, and whether that is what was to be shown.

use std::collections::BTreeMap;

use relink::Fault;
use serde::Serialize;

/// What a run showed. Times are seconds.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Measured {
    /// From the event to the first acknowledged write, and until each worker has had one; none when that did not come.
    pub(crate) first_s: Option<f64>,
    pub(crate) all_s: Option<f64>,
    /// How many workers had none.
    pub(crate) never: usize,
    /// How long the one caller waited whom the scenario is about.
    pub(crate) caller_s: Option<f64>,
    /// Errors of calls on sessions that were lent before the event was over or the first error was told.
    pub(crate) in_flight: BTreeMap<Fault, usize>,
    /// All other errors of calls on sessions.
    pub(crate) later: BTreeMap<Fault, usize>,
    /// Waits that ended without a session, by the class of their cause.
    pub(crate) refused: BTreeMap<Fault, usize>,
    /// Sessions lent after it was known that the server takes no writes, and that took none.
    pub(crate) read_only: usize,
    /// Rows that were acknowledged and are not there.
    pub(crate) missing: usize,
    /// Rows that are there although their writer was told that nothing became durable.
    pub(crate) ghosts: usize,
    /// Rows that were acknowledged.
    pub(crate) acked: usize,
    /// Sessions lost.
    pub(crate) lost: usize,
    /// Sockets beyond the pool's size, or left after its end.
    pub(crate) sockets: usize,
    /// Tasks left after its end.
    pub(crate) tasks: usize,
    /// Whatever else should not have been, in words.
    pub(crate) wrong: Vec<String>,
    /// The words of the first error of each class.
    pub(crate) words: Vec<String>,
}

/// Which errors the callers may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errors {
    None,
    /// At most one for each session, and of calls in flight only.
    InFlight,
    /// Exactly so many, all of calls in flight and all ambiguous.
    Ambiguous(usize),
    /// None but to who waited for a session for longer than the policy's own deadline.
    Waits,
    Any,
}

/// What must hold besides what always must: every worker writes again, nothing acknowledged is missing, nothing undone
/// is there, nobody is lent a session that is known to be read-only, nothing is left over, and the record replays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    pub(crate) all_s: Option<f64>,
    pub(crate) caller_s: Option<f64>,
    pub(crate) errors: Errors,
    pub(crate) lost_max: Option<usize>,
}

/// The slots of the default policy.
const SLOTS: usize = 16;

impl Goal {
    pub(crate) const fn of(errors: Errors) -> Self {
        Self { all_s: None, caller_s: None, errors, lost_max: None }
    }

    /// In words, for the table.
    pub(crate) fn words(&self) -> String {
        let mut words = Vec::new();
        words.extend(self.all_s.map(|most| format!("all within {most} s")));
        words.extend(self.caller_s.map(|most| format!("the caller within {most} s")));
        words.extend(self.lost_max.map(|most| format!("at most {most} sessions lost")));
        words.push(match self.errors {
            Errors::None => "no errors".into(),
            Errors::InFlight => "errors to calls in flight only".into(),
            Errors::Ambiguous(count) => format!("{count} ambiguous errors and no others"),
            Errors::Waits => "errors only to who waited for 30 s".into(),
            Errors::Any => "everybody served again".into(),
        });
        words.join(", ")
    }
}

/// What of the goal this run has missed, in words; nothing when it held.
pub(crate) fn judge(goal: &Goal, run: &Measured) -> Vec<String> {
    let mut missed = run.wrong.clone();
    let mut late = |who: &str, most: Option<f64>, is: Option<f64>| match (most, is) {
        (None, _) => {}
        (Some(most), Some(is)) if is <= most => {}
        (Some(most), Some(is)) => missed.push(format!("{who} after {is:.3} s, not within {most} s")),
        (Some(_), None) => missed.push(format!("{who} never")),
    };
    late("all write", goal.all_s.filter(|_| run.never == 0), run.all_s);
    late("the caller is told", goal.caller_s, run.caller_s);
    let mut none = |count: usize, of: &str| {
        if count > 0 {
            missed.push(format!("{count} {of}"));
        }
    };
    none(run.never, "workers never write again");
    none(run.missing, "acknowledged rows missing");
    none(run.ghosts, "rows there that were told undone");
    none(run.read_only, "leases of servers known to be read-only");
    none(run.sockets, "sockets too many");
    none(run.tasks, "tasks left");
    none(run.lost.saturating_sub(goal.lost_max.unwrap_or(usize::MAX)), "sessions lost too many");
    let count = |errors: &BTreeMap<Fault, usize>| errors.values().sum::<usize>();
    let (in_flight, later, refused) = (count(&run.in_flight), count(&run.later), count(&run.refused));
    let all = in_flight + later + refused;
    match goal.errors {
        Errors::Any => {}
        Errors::None => none(all, "errors"),
        Errors::Waits => none(in_flight + later, "errors on sessions"),
        Errors::InFlight => {
            none(later, "errors to calls that were not in flight");
            none(refused, "waits without a session");
            none(in_flight.saturating_sub(SLOTS), "errors more than sessions");
        }
        Errors::Ambiguous(count) => {
            let ambiguous = run.in_flight.get(&Fault::Ambiguous).copied().unwrap_or(0);
            if (ambiguous, all) != (count, count) {
                missed.push(format!("{ambiguous} ambiguous of {all} errors, not {count}"));
            }
        }
    }
    missed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Measured {
        Measured { all_s: Some(1.0), caller_s: Some(1.0), ..Measured::default() }
    }

    fn missed(goal: Goal, change: impl FnOnce(&mut Measured)) -> Vec<String> {
        let mut run = run();
        change(&mut run);
        judge(&goal, &run)
    }

    #[test]
    fn what_must_always_hold_is_missed_by_any_goal() {
        let goal = Goal::of(Errors::Any);
        assert_eq!(missed(goal, |_| ()), [""; 0]);
        type Break = fn(&mut Measured);
        let breaks: [(Break, &str); 7] = [
            (|run| run.never = 2, "2 workers never write again"),
            (|run| run.missing = 1, "1 acknowledged rows missing"),
            (|run| run.ghosts = 1, "1 rows there that were told undone"),
            (|run| run.read_only = 1, "1 leases of servers known to be read-only"),
            (|run| run.sockets = 1, "1 sockets too many"),
            (|run| run.tasks = 1, "1 tasks left"),
            (|run| run.wrong.push("the record".into()), "the record"),
        ];
        for (change, words) in breaks {
            assert_eq!(missed(goal, change), [words]);
        }
    }

    #[test]
    fn times_are_missed_when_they_are_longer_or_never_came() {
        let goal = Goal { all_s: Some(1.0), caller_s: Some(1.0), ..Goal::of(Errors::None) };
        assert_eq!(missed(goal, |_| ()), [""; 0]);
        assert_eq!(missed(goal, |run| run.all_s = Some(1.5)), ["all write after 1.500 s, not within 1 s"]);
        assert_eq!(missed(goal, |run| run.caller_s = None), ["the caller is told never"]);
        assert_eq!(missed(goal, |run| (run.all_s, run.never) = (None, 1)), ["1 workers never write again"]);
    }

    #[test]
    fn errors_are_held_against_whom_they_were_told() {
        let lost = |count| BTreeMap::from([(Fault::Lost, count)]);
        let ambiguous = |count| BTreeMap::from([(Fault::Ambiguous, count)]);
        assert_eq!(missed(Goal::of(Errors::None), |run| run.in_flight = lost(1)), ["1 errors"]);
        let goal = Goal::of(Errors::InFlight);
        assert_eq!(missed(goal, |run| run.in_flight = lost(16)), [""; 0]);
        assert_eq!(missed(goal, |run| run.in_flight = lost(17)), ["1 errors more than sessions"]);
        assert_eq!(missed(goal, |run| run.later = lost(1)), ["1 errors to calls that were not in flight"]);
        assert_eq!(missed(goal, |run| run.refused = lost(1)), ["1 waits without a session"]);
        let goal = Goal::of(Errors::Waits);
        assert_eq!(missed(goal, |run| run.refused = lost(3)), [""; 0]);
        assert_eq!(missed(goal, |run| run.in_flight = lost(1)), ["1 errors on sessions"]);
        let goal = Goal::of(Errors::Ambiguous(2));
        assert_eq!(missed(goal, |run| run.in_flight = ambiguous(2)), [""; 0]);
        assert_eq!(missed(goal, |run| run.in_flight = ambiguous(1)), ["1 ambiguous of 1 errors, not 2"]);
        assert_eq!(missed(goal, |run| run.in_flight = lost(2)), ["0 ambiguous of 2 errors, not 2"]);
    }

    #[test]
    fn lost_sessions_count_where_the_goal_says_so() {
        let goal = Goal { lost_max: Some(1), ..Goal::of(Errors::None) };
        assert_eq!(missed(goal, |run| run.lost = 1), [""; 0]);
        assert_eq!(missed(goal, |run| run.lost = 3), ["2 sessions lost too many"]);
        assert_eq!(missed(Goal::of(Errors::None), |run| run.lost = 3), [""; 0]);
    }
}
