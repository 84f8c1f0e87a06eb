//! Whether a caller waits on a slow statement or on a dead socket: asked of the server through another session.
//!
//! The client cannot tell. A statement that never arrived, an answer that was lost and a server that computes all look the
//! same from here; the server knows whether it works on the statement, waits for one, or waits to send.

use std::{
    mem,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio_postgres::{Client, Error, SimpleQueryMessage, SimpleQueryRow};

use super::{Postgres, config::Transport, evidence, life::Seen, role, session::Session};
use crate::{
    Fault, Phase, Role, Work,
    adapter::{Death, Failure, Found, Limits, Look},
};

/// Between two looks, and at least between the first and the last that must agree.
const APART: Duration = Duration::from_millis(250);

/// How exactly waits are measured.
const TICK: Duration = Duration::from_millis(2);

/// An answer that took longer says how things were, not how they are: nobody is called dead for it.
const PROMPT: Duration = Duration::from_millis(250);

/// Who a session is for the server: a process id alone is used again.
const IDENTITY: &str = "SELECT pid, (extract(epoch FROM backend_start) * 1000000)::int8, \
     (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8 FROM pg_stat_get_activity(pg_backend_pid())";

/// A server process, named so that no other is ever taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pid: i32,
    /// When it began, in microseconds as the server counts them.
    begun: i64,
    /// When its server began.
    server: i64,
}

/// How often a server at work on a statement looks whether its client is still there, where the system lets it
/// (PostgreSQL 14, Linux): without that it goes on to the statement's end, and holds its locks.
const CHECK_INTERVAL_MS: u128 = 2_000;

/// Asks who a session is, and tells the server to notice a client that is gone as soon as the client notices it, all in
/// one round trip. `None` where the server does not say: it is never asked about that session.
pub(crate) async fn identify(client: &Client, transport: Transport) -> Option<Identity> {
    let keepalive = [
        ("tcp_keepalives_idle", u128::from(transport.keepalive_idle.as_secs())),
        ("tcp_keepalives_interval", u128::from(transport.keepalive_interval.as_secs())),
        ("tcp_keepalives_count", u128::from(transport.keepalive_count)),
        ("tcp_user_timeout", transport.tcp_user_timeout.as_millis()),
    ];
    let (keepalive, check) = (set(&keepalive), set(&[("client_connection_check_interval", CHECK_INTERVAL_MS)]));
    let (_, _, answer) = tokio::join!(
        // A server that refuses a setting has the system's own.
        client.simple_query(&keepalive),
        client.simple_query(&check),
        client.simple_query(IDENTITY),
    );
    let answer = answer.ok()?;
    let row = answer.iter().find_map(row)?;
    Some(Identity { pid: number(row, 0)?, begun: number(row, 1)?, server: number(row, 2)? })
}

/// Sets what the server knows of these parameters, for this session.
fn set(parameters: &[(&str, u128)]) -> String {
    let values: Vec<_> = parameters.iter().map(|(name, value)| format!("('{name}', '{value}')")).collect();
    let values = values.join(", ");
    format!(
        "SELECT set_config(name, value, false) FROM (VALUES {values}) v (name, value) \
         WHERE current_setting(name, true) IS NOT NULL"
    )
}

/// What is seen of a session while a borrower has it.
pub struct Watch {
    seen: Seen,
    identity: Option<Identity>,
    doubt: Mutex<Option<Doubt>>,
}

/// What the looks so far agree on.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    sign: Sign,
    since: Instant,
}

impl Watch {
    pub(super) fn new(seen: Seen, identity: Option<Identity>) -> Self {
        Self { seen, identity, doubt: Mutex::new(None) }
    }

    pub(super) fn condemn(&self, failure: Failure) -> Death {
        self.seen.condemn(failure)
    }

    pub(super) fn look(&self) -> Look {
        let taken_in = self.seen.take_in();
        let watch = self.seen.watch();
        Look { work: watch.work(), silence: if taken_in { watch.waited() } else { Duration::ZERO } }
    }
}

/// What the server says of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    /// It is the server that the session was opened at.
    same_server: bool,
    /// Whether the process of that number is the session's; `None` without the right to see it, and nothing at all if
    /// there is no such process.
    process: Option<Option<bool>>,
    state: Option<String>,
    waits_for: Option<String>,
    /// Since its state last changed.
    age: Option<Duration>,
}

/// What follows from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
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
    const fn means(self) -> &'static str {
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
struct Wait {
    /// The caller, without a sign of life.
    caller: Duration,
    /// We for this look's answer: what the server says is true of a moment within it.
    answer: Duration,
    /// How long the server must have waited, too.
    grace: Duration,
}

/// What a row says. `None` is not yet: the server waits, and so does the caller, but not for long enough.
fn judge(row: &Row, wait: Wait) -> Option<Sign> {
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
fn is_believed(sign: Sign, seen: Duration, wait: Wait, whole: Duration) -> bool {
    let healed = whole >= wait.caller.saturating_sub(whole) + APART;
    match sign {
        Sign::Alive | Sign::Gone => true,
        Sign::Rests { .. } => seen >= APART && healed,
        Sign::Stuck => seen >= wait.grace.max(APART) && healed,
    }
}

/// A session that is asked about.
struct Subject<'a> {
    place: usize,
    watch: &'a Watch,
    identity: Identity,
}

impl Subject<'_> {
    /// What is decided by one more look, which began at `asked`.
    fn decide(&self, row: &Row, asked: Instant, grace: Duration) -> Option<Sign> {
        let answer = asked.elapsed();
        let look = self.watch.look();
        let wait = Wait { caller: look.silence, answer, grace };
        let waits = matches!(look.work, Work::Statement { .. });
        let sign = if waits { judge(row, wait) } else { Some(Sign::Alive) };
        let mut doubt = self.watch.doubt.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sign) = sign.filter(|sign| answer <= PROMPT || *sign == Sign::Alive) else {
            *doubt = None;
            return None;
        };
        // A caller that was answered since then waits for something else.
        let same = |doubt: &Doubt| {
            mem::discriminant(&doubt.sign) == mem::discriminant(&sign)
                && look.silence >= asked.duration_since(doubt.since)
        };
        let since = doubt.filter(same).map_or(asked, |doubt| doubt.since);
        *doubt = Some(Doubt { sign, since });
        let whole = self.watch.seen.watch().whole_for();
        is_believed(sign, asked.duration_since(since), wait, whole).then_some(sign)
    }
}

/// Asks until everything is decided, or the time is over.
pub(crate) async fn ask(
    postgres: &Postgres,
    asker: &Session,
    about: &[Arc<Watch>],
    limits: Limits,
    found: impl Fn(usize, Found),
) -> Result<Role, Failure> {
    let begun = Instant::now();
    let role = role::verify(postgres, asker).await?;
    let failure = |error: Error| evidence::failure(&error, Phase::Idle, &postgres.rules);
    let mut open = Vec::new();
    for (place, watch) in about.iter().enumerate() {
        match watch.identity {
            Some(identity) => open.push(Subject { place, watch, identity }),
            None => found(place, Found::Alive),
        }
    }
    while !open.is_empty() {
        let asked = Instant::now();
        let rows = question(&asker.client, &open).await.map_err(failure)?;
        let took = asked.elapsed();
        let grace = limits.grace.max(took * 4);
        let mut undecided = Vec::new();
        for (subject, row) in open.into_iter().zip(rows) {
            match subject.decide(&row, asked, grace) {
                Some(Sign::Alive) => found(subject.place, Found::Alive),
                Some(sign) => found(subject.place, end(&asker.client, subject.identity, sign, row.age).await),
                None => undecided.push(subject),
            }
        }
        open = undecided;
        if open.is_empty() {
            break;
        }
        tokio::time::sleep(APART.min(limits.within / 4)).await;
        // Another look, and what follows from it, would take too long.
        if begun.elapsed() + APART * 2 > limits.within {
            open.iter().for_each(|subject| found(subject.place, Found::Undecided));
            break;
        }
    }
    Ok(role)
}

/// Ends the process of a dead session: what is held up on the way must not arrive later.
async fn end(client: &Client, identity: Identity, sign: Sign, age: Option<Duration>) -> Found {
    let Identity { pid, begun, .. } = identity;
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_get_activity({pid}) \
         WHERE (extract(epoch FROM backend_start) * 1000000)::int8 = {begun}"
    );
    let failed = match client.simple_query(&end).await {
        Ok(_) => "",
        Err(_) => "; its process could not be ended",
    };
    let since = age.filter(|_| matches!(sign, Sign::Rests { .. }));
    let since = since.map_or_else(String::new, |age| format!(" for {:.1} s", age.as_secs_f64()));
    let fault = if sign == Sign::Gone { Fault::Lost } else { Fault::TimedOut };
    let message = format!("no answer, and the server says of this session: {}{since}{failed}", sign.means());
    Found::Dead(Failure::new(fault, message))
}

/// One look at all of them, in their order.
async fn question(client: &Client, subjects: &[Subject<'_>]) -> Result<Vec<Row>, Error> {
    let values = subjects.iter().zip(0..).map(|(Subject { identity, .. }, place)| {
        let Identity { pid, begun, server } = identity;
        format!("({place}, {pid}, {begun}::int8, {server}::int8)")
    });
    let text = format!(
        "SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8 = s.server, a.pid IS NOT NULL, \
         (extract(epoch FROM a.backend_start) * 1000000)::int8 = s.begun, a.state, a.wait_event, \
         (extract(epoch FROM clock_timestamp() - a.state_change) * 1000)::int8 \
         FROM (VALUES {}) s (place, pid, begun, server) LEFT JOIN LATERAL pg_stat_get_activity(s.pid) a ON true \
         ORDER BY s.place",
        values.collect::<Vec<_>>().join(", ")
    );
    let answer = client.simple_query(&text).await?;
    Ok(answer.iter().filter_map(row).map(read).collect())
}

fn read(row: &SimpleQueryRow) -> Row {
    let is = |index| text(row, index).map(|value| value == "t");
    Row {
        same_server: is(0) == Some(true),
        process: (is(1) == Some(true)).then(|| is(2)),
        state: text(row, 3).map(str::to_owned),
        waits_for: text(row, 4).map(str::to_owned),
        age: number::<i64>(row, 5).map(|ms| Duration::from_millis(ms.max(0).unsigned_abs())),
    }
}

fn row(message: &SimpleQueryMessage) -> Option<&SimpleQueryRow> {
    if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None }
}

fn text(row: &SimpleQueryRow, index: usize) -> Option<&str> {
    row.try_get(index).ok().flatten()
}

fn number<T: FromStr>(row: &SimpleQueryRow, index: usize) -> Option<T> {
    text(row, index)?.parse().ok()
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
