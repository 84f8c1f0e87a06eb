//! How sessions end, and what their ends say.

use relink::{Fault, Work};
use tokio::time::timeout;

use crate::{
    common::{SOON, backend, comes, connector, live, work},
    support::{self, Stop},
};

#[tokio::test]
async fn an_idle_session_that_is_terminated_dies_with_the_reason() {
    let server = support::Postgres::start().unwrap();
    let postgres = connector(&server, "");
    let (victim, control) = (live(&postgres).await, live(&postgres).await);
    let pid = backend(&victim.session).await;
    control.session.execute("select pg_terminate_backend($1)", &[&pid]).await.unwrap();
    let death = timeout(SOON, victim.life).await.unwrap().unwrap();
    assert_eq!((death.failure.fault, death.failure.code.as_deref()), (Fault::Lost, Some("57P01")), "{death:?}");
    assert_eq!(death.work, Work::AtRest);
}

#[tokio::test]
async fn an_immediate_shutdown_leaves_its_notice_as_the_reason() {
    let server = support::Postgres::start().unwrap();
    let postgres = connector(&server, "");
    let victim = live(&postgres).await;
    victim.session.batch_execute("BEGIN").await.unwrap();
    server.wait_for_rest("postgres", 1).unwrap();
    server.stop(Stop::Immediate).unwrap();
    let death = timeout(SOON, victim.life).await.unwrap().unwrap();
    assert_eq!((death.failure.fault, death.failure.code.as_deref()), (Fault::Lost, Some("57P01")), "{death:?}");
    assert_eq!(death.work, Work::InTransaction);
}

#[tokio::test]
async fn a_death_under_a_statement_says_whether_it_may_be_durable() {
    let server = support::Postgres::start().unwrap();
    let postgres = connector(&server, "");
    let control = live(&postgres).await;
    for (begin, durable, fault) in [("BEGIN", false, Fault::Lost), ("", true, Fault::Ambiguous)] {
        let victim = live(&postgres).await;
        let pid = backend(&victim.session).await;
        victim.session.batch_execute(begin).await.unwrap();
        let running = victim.session.batch_execute("select pg_sleep(60)");
        let ending = async {
            work(&postgres, &victim.session, Work::Statement { durable }).await;
            control.session.execute("select pg_terminate_backend($1)", &[&pid]).await.unwrap();
        };
        let (answer, ()) = tokio::join!(running, ending);
        assert_eq!(answer.unwrap_err().code().unwrap().code(), "57P01");
        let death = timeout(SOON, victim.life).await.unwrap().unwrap();
        assert_eq!(death.work, Work::Statement { durable });
        assert_eq!((death.failure.fault, death.failure.code.as_deref()), (fault, Some("57P01")), "{death:?}");
    }
}

#[tokio::test]
async fn dropping_a_life_closes_the_session_at_the_server() {
    let server = support::Postgres::start().unwrap();
    let postgres = connector(&server, "");
    let (victim, control) = (live(&postgres).await, live(&postgres).await);
    let pid = backend(&victim.session).await;
    victim.life.abort();
    let here = "select 1 from pg_stat_activity where pid = $1";
    comes(async || control.session.query(here, &[&pid]).await.unwrap().is_empty().then_some(())).await;
    assert!(victim.session.query_one("select 1", &[]).await.unwrap_err().driver().is_closed());
}
