//! How a server's role is learned, and whether what it reports can be believed.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio_postgres::{Client, Error, SimpleQueryMessage, error::SqlState};

use super::{Place, Postgres, life::Seen, session::Session};
use crate::{Fault, Phase, Role, Span, Target, Time, adapter::Failure};

/// How long what was learned of an endpoint holds without asking again: whether the path to it is direct, and whether its
/// server tells its history.
pub(crate) const LEARNED_FOR: Duration = Duration::from_secs(3_600);

/// The largest process id that a server can have: Linux's `PID_MAX_LIMIT` (proc(5), 2^22). A proxy
/// that invents one mostly exceeds it.
const PID_MAX: i32 = 4_194_304;

const IDENTITY: &str = "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only'), pg_backend_pid()";
const ROLE: &str = "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')";
/// The default as it would be had nobody run a SET in this session.
const CONFIRMED: &str =
    "SELECT pg_is_in_recovery(), reset_val FROM pg_settings WHERE name = 'default_transaction_read_only'";

/// What is known of the path to one endpoint. Asked at its first session, remembered for an hour,
/// asked again when a session's process id cannot be a server's.
#[derive(Debug, Default)]
pub(crate) struct Path(Mutex<Option<(bool, Instant)>>);

impl Path {
    fn known(&self, key_pid: Option<i32>) -> Option<bool> {
        let plausible = key_pid.is_some_and(|pid| (1..=PID_MAX).contains(&pid));
        let learned = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        learned.filter(|(direct, at)| at.elapsed() < LEARNED_FOR && (plausible || !direct)).map(|(direct, _)| direct)
    }

    fn learn(&self, direct: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((direct, Instant::now()));
    }
}

/// How long a primary that was passed over for a standby is taken when it is dialed again: a standby that has come back
/// is found after that.
const PASSED_OVER_FOR: Span = Span::from_secs(600);

/// Whether a primary was passed over by who would rather have a standby.
#[derive(Debug)]
pub(crate) struct Preference {
    begun: Instant,
    preference: Mutex<crate::Preference>,
}

impl Default for Preference {
    fn default() -> Self {
        Self { begun: Instant::now(), preference: Mutex::default() }
    }
}

impl Preference {
    fn passes_over(&self) -> bool {
        let since = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut preference = self.preference.lock().unwrap_or_else(PoisonError::into_inner);
        preference.passes_over(Time::from_millis(since), PASSED_OVER_FOR)
    }
}

/// Why a fresh session with a server of this role will not do, if it will not.
pub(crate) fn objection(postgres: &Postgres, place: &Place, role: Role) -> Option<Failure> {
    let target = postgres.config.target;
    let rather = target == Target::PreferStandby && !role.in_recovery && postgres.places.len() > 1;
    if target.accepts(role) && !(rather && place.preference.passes_over()) {
        return None;
    }
    Some(Failure::new(Fault::WrongRole, format!("{} is {role}; wanted is {target}", place.endpoint)))
}

/// The role of a fresh session, and whether its path is direct. Costs a round trip when the path is
/// not known, or known to lead through a proxy.
pub(crate) async fn learn(client: &Client, seen: &Seen, path: &Path) -> Result<(Role, bool), Error> {
    let key_pid = seen.watch().key_pid();
    match (path.known(key_pid), reported(seen)) {
        (Some(true), Some(role)) => Ok((role, true)),
        (Some(direct), _) => Ok((ask(client, ROLE).await?.0, direct)),
        (None, _) => {
            let (role, pid) = ask(client, IDENTITY).await?;
            let direct = pid.is_some() && pid == key_pid;
            path.learn(direct);
            Ok((role, direct))
        }
    }
}

/// The role of a session that is at rest; also shows that it answers. One round trip, or two when
/// its transactions have become read-only.
pub(crate) async fn verify(postgres: &Postgres, session: &Session) -> Result<Role, Failure> {
    let place = postgres.place(session.endpoint)?;
    let (role, history) = tokio::join!(role_of(session), async {
        let fence = postgres.fence.as_ref()?;
        Some((fence, place.histories.ask(&session.client).await?))
    });
    let role = role.map_err(|error| postgres.classifier.failure(&error, Phase::Idle))?;
    if let Some((fence, history)) = history
        && fence.admit(&place.endpoint.to_string(), history)?
    {
        session.observer.demoted();
    }
    Ok(role)
}

async fn role_of(session: &Session) -> Result<Role, Error> {
    let role = if session.direct && reported(session.seen()).is_some() {
        // A Sync: the answer brings every parameter that has changed since (PostgreSQL 14).
        session.client.check_connection().await?;
        reported(session.seen())
    } else {
        None
    };
    let role = match role {
        Some(role) => role,
        None => again(&session.client, ROLE).await?,
    };
    // A borrower's own SET looks like a demotion; what RESET would bring does not.
    if role.default_read_only { again(&session.client, CONFIRMED).await } else { Ok(role) }
}

/// Tells the pool if the server has reported since the last look that it is not what is wanted: one that was promoted in
/// place, or whose default has turned. A session's own SET looks the same, and costs each session a question.
pub(crate) fn heed(target: Target, session: &Session) {
    // This is on the path of every return, and what follows a report almost never.
    if session.direct && session.seen().watch().take_turned() {
        heed_turned(target, session);
    }
}

#[cold]
fn heed_turned(target: Target, session: &Session) {
    if reported(session.seen()).is_some_and(|role| !target.accepts(role)) {
        session.observer.demoted();
    }
}

/// What the server reported by itself (PostgreSQL 14 and later).
pub(crate) fn reported(seen: &Seen) -> Option<Role> {
    Some(Role {
        in_recovery: seen.parameter("in_hot_standby")? == "on",
        default_read_only: seen.parameter("default_transaction_read_only")? == "on",
    })
}

/// Behind a proxy a cancel may arrive late and hit the question: once.
async fn again(client: &Client, question: &str) -> Result<Role, Error> {
    match ask(client, question).await {
        Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => ask(client, question).await,
        answer => answer,
    }
    .map(|(role, _)| role)
}

async fn ask(client: &Client, question: &str) -> Result<(Role, Option<i32>), Error> {
    let answer = client.simple_query(question).await?;
    let row =
        answer.iter().find_map(|message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None });
    let column = |index| row.and_then(|row| row.try_get(index).ok().flatten());
    let role = Role { in_recovery: column(0) == Some("t"), default_read_only: column(1) == Some("on") };
    Ok((role, column(2).and_then(|pid| pid.parse().ok())))
}
