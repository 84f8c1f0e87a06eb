//! A session that a test has dialed by itself, without a pool.

use std::time::Duration;

use relink::{
    Work,
    adapter::{Connect, Death, Failure},
    postgres::{Postgres, Session},
};
use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::SimpleQueryMessage;

use crate::support;

pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A session whose life runs in its own task.
pub(crate) struct Live {
    pub(crate) session: Session,
    pub(crate) life: JoinHandle<Death>,
}

pub(crate) async fn open(postgres: &Postgres) -> Result<(Live, relink::Role), Failure> {
    let opened = timeout(SOON, postgres.dial(0, || {})).await.expect("a dial that ends")?;
    Ok((Live { session: opened.client, life: tokio::spawn(opened.life) }, opened.role))
}

pub(crate) async fn live(postgres: &Postgres) -> Live {
    open(postgres).await.expect("a session").0
}

pub(crate) async fn refused(postgres: &Postgres) -> Failure {
    match open(postgres).await {
        Ok(_) => panic!("a session that should not be"),
        Err(failure) => failure,
    }
}

/// Waits for a state that only the server can bring about.
pub(crate) async fn comes<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    timeout(SOON, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .expect("the awaited state")
}

/// The superuser's way to a server; `more` begins with `?`.
pub(crate) fn connector(server: &support::Postgres, more: &str) -> Postgres {
    format!("{}{more}", server.url("postgres")).parse().expect("a connector")
}

pub(crate) async fn backend(session: &Session) -> i32 {
    let answer = session.simple_query("select pg_backend_pid()").await.unwrap();
    let row =
        answer.iter().find_map(|message| if let SimpleQueryMessage::Row(row) = message { row.get(0) } else { None });
    row.unwrap().parse().unwrap()
}

pub(crate) async fn work(postgres: &Postgres, session: &Session, expected: Work) {
    comes(async || (postgres.work(session) == expected).then_some(())).await;
}
