//! What a server is asked of its history; what the answer says of it and of others is the [fence](crate::fence)'s to tell.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use tokio_postgres::{Client, SimpleQueryMessage};

use super::role::LEARNED_FOR;
use crate::{
    Fault,
    adapter::Failure,
    fence::{self, History, Standing},
};

/// Each promotion begins a timeline, whose number is the first eight digits of a log file's name.
const QUESTION: &str = "SELECT system_identifier, \
     CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_walfile_name(pg_current_wal_lsn()) END FROM pg_control_system()";

/// The fence of a connector, which all of its dials and questions pass.
#[derive(Debug, Default)]
pub(crate) struct Fence(Mutex<fence::Fence>);

/// An endpoint, as far as it tells its history.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// When its server last did not know the question, or did not let us ask.
    mute_at: Mutex<Option<Instant>>,
}

impl Source {
    /// The history of a session's server; `None` for a standby, and where it cannot be known.
    pub(crate) async fn ask(&self, client: &Client) -> Option<History> {
        if self.is_mute(Instant::now()) {
            return None;
        }
        match client.simple_query(QUESTION).await {
            Ok(answer) => answer.iter().find_map(read),
            Err(error) => {
                if error.code().is_some_and(|code| code.code().starts_with("42")) {
                    self.refused(Instant::now());
                }
                None
            }
        }
    }

    fn refused(&self, now: Instant) {
        *self.mute_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Whether asking would only fail. Not for ever: the name may lead to another server by now, or the right be granted.
    fn is_mute(&self, now: Instant) -> bool {
        let mute_at = *self.mute_at.lock().unwrap_or_else(PoisonError::into_inner);
        mute_at.is_some_and(|at| now.duration_since(at) < LEARNED_FOR)
    }
}

impl Fence {
    /// Whether the history is newer than all before, so that whoever writes on those has been replaced.
    ///
    /// # Errors
    /// When this one has been replaced.
    pub(crate) fn admit(&self, endpoint: &str, history: History) -> Result<bool, Failure> {
        let standing = self.0.lock().unwrap_or_else(PoisonError::into_inner).admit(history);
        match standing {
            Standing::Known => Ok(false),
            Standing::Newer => Ok(true),
            Standing::Replaced { by } => Err(Failure::new(
                Fault::WrongRole,
                format!(
                    "{endpoint} is a primary of timeline {}, and was replaced by one of timeline {by}; if that one has \
                     been given up, call Postgres::unfence, or start this process anew",
                    history.timeline
                ),
            )),
        }
    }

    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).forget();
    }
}

fn read(message: &SimpleQueryMessage) -> Option<History> {
    let SimpleQueryMessage::Row(row) = message else { return None };
    let column = |index| row.try_get(index).ok().flatten();
    let timeline = column(1)?.get(..8)?;
    Some(History { system: column(0)?.parse().ok()?, timeline: u32::from_str_radix(timeline, 16).ok()? })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_has_refused_the_question_is_asked_again_after_an_hour() {
        let (source, begun) = (Source::default(), Instant::now());
        assert!(!source.is_mute(begun));
        source.refused(begun);
        assert!(source.is_mute(begun));
        assert!(source.is_mute(begun + LEARNED_FOR - Duration::from_millis(1)));
        assert!(!source.is_mute(begun + LEARNED_FOR));
    }
}
