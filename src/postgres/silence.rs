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

use super::{
    Postgres,
    config::Transport,
    life::Seen,
    role,
    session::Session,
    verdict::{APART, Row, Sign, Wait, is_believed, judge},
};
use crate::{
    Fault, Phase, Role, Work,
    adapter::{Death, Failure, Found, Limits, Look},
};

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
    let failure = |error: Error| postgres.classifier.failure(&error, Phase::Idle);
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
