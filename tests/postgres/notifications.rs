//! What `NOTIFY` brings: to whom, how much, and until when.

use relink::postgres::{Config, Pool};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::{
    common::{Run, comes},
    scene::{no_backend, plain, terminate_all},
    support::Postgres,
};

#[tokio::test]
async fn a_listener_gets_what_is_sent_while_it_listens_and_is_told_when_its_session_ends() {
    let server = Postgres::start().unwrap();
    let config: Config = server.url("app").parse().unwrap();
    let policy = plain(|policy| (policy.min_idle, policy.max_idle, policy.max_size) = (1, 1, 1));
    let sizes_of_its_own = plain(|_| {});
    let run = Run::watch(Pool::configure_link(config, sizes_of_its_own).unwrap(), policy);
    let lease = run.served().await;
    let mut news = lease.notifications();
    lease.batch_execute("LISTEN news").await.unwrap();
    server.psql("NOTIFY news, 'one'; NOTIFY other, 'unheard'; NOTIFY news, 'two'").unwrap();
    // Without a call of the borrower's: the session is driven by the pool.
    for expected in ["one", "two"] {
        let notification = news.recv().await.unwrap();
        assert_eq!((notification.channel(), notification.payload()), ("news", expected));
    }
    let mut second = lease.notifications();
    server.psql("NOTIFY news, 'last'").unwrap();
    assert_eq!(second.recv().await.unwrap().payload(), "last");
    terminate_all(&server);
    comes("the session ends", async || lease.death().map(drop)).await;
    // What had come is not lost with the session.
    assert_eq!(news.recv().await.unwrap().payload(), "last");
    assert_eq!(news.recv().await.unwrap_err(), RecvError::Closed);
    assert_eq!(lease.notifications().try_recv().unwrap_err(), TryRecvError::Closed);
    drop(lease);
    run.ends(&server).await;
}

#[tokio::test]
async fn a_listener_that_falls_behind_loses_the_oldest_and_is_told_how_many() {
    let server = Postgres::start().unwrap();
    let run = Run::start(&server.url("app"), plain(|policy| policy.max_size = 1));
    let lease = run.served().await;
    let mut news = lease.notifications();
    lease.batch_execute("LISTEN news").await.unwrap();
    lease.batch_execute("SELECT pg_notify('news', n::text) FROM generate_series(1, 1030) n").await.unwrap();
    // Sent behind the answer: the next one brings all of them.
    lease.check_connection().await.unwrap();
    assert_eq!(news.recv().await.unwrap_err(), RecvError::Lagged(6));
    for expected in 7..=1030 {
        assert_eq!(news.recv().await.unwrap().payload(), expected.to_string());
    }
    drop(lease);
    run.ends(&server).await;
    no_backend(&server).await;
}
