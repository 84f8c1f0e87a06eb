//! Sessions that die with work in flight: what is known to be undone, and what nobody can know.

use relink::{
    Fault, Session,
    adapter::Kind,
    postgres::{Error, Lease},
};

use crate::{
    common::{Run, comes},
    scene::{backend, pool_at},
    support::{Postgres, Signal},
};

fn table(server: &Postgres) {
    server.psql("CREATE TABLE t (a int); ALTER TABLE t OWNER TO app").unwrap();
}

fn rows(server: &Postgres) -> String {
    server.psql("SELECT count(*) FROM t").unwrap()
}

/// Waits until the server's process for this session waits for such a thing.
async fn waits_for(server: &Postgres, pid: i32, event: &str) {
    comes(event, async || {
        let now = server.psql(&format!("SELECT wait_event FROM pg_stat_activity WHERE pid = {pid}")).unwrap();
        (now == event).then_some(())
    })
    .await;
}

/// How a session's process is ended.
#[derive(Clone, Copy, Debug)]
enum End {
    /// `pg_terminate_backend`: the server says why.
    Terminated,
    /// `kill -9`: all the server's processes start anew.
    Killed,
}

impl End {
    fn bring(self, server: &Postgres, pid: i32) {
        match self {
            Self::Terminated => drop(server.psql(&format!("SELECT pg_terminate_backend({pid})")).unwrap()),
            Self::Killed => server.kill_backend(u32::try_from(pid).unwrap(), Signal::Kill).unwrap(),
        }
    }

    /// The server takes connections again.
    async fn is_over(self, server: &Postgres) {
        comes("the server answers", async || server.psql("SELECT 1").ok()).await;
    }
}

/// What relink makes of the death, by every way in which it tells it.
fn told(run: &Run, lease: &Lease, error: &Error, fault: Fault) {
    assert_eq!(
        (error.fault(), error.session()),
        (fault, Session::Dead),
        "{error}; the driver said {:?}",
        error.driver()
    );
    let lost = run.count(|kind| *kind == Kind::LeaseLost(lease.id(), fault));
    assert_eq!(lost, 1, "{}", run.story());
}

/// Waits until the lease's session has ended, and relink has told so.
async fn ended(run: &Run, lease: &Lease) {
    comes("the session ends", async || lease.death().map(drop)).await;
    comes("its end is told", async || (run.count(|kind| matches!(kind, Kind::LeaseLost(..))) > 0).then_some(())).await;
}

#[tokio::test]
async fn a_statement_in_flight_outside_of_a_transaction_is_ambiguous() {
    for end in [End::Terminated, End::Killed] {
        let server = Postgres::start().unwrap();
        table(&server);
        let run = pool_at(&server, |policy| policy.max_size = 1);
        let lease = run.served().await;
        let pid = backend(&lease).await;
        let insert = lease.batch_execute("INSERT INTO t SELECT 1 FROM pg_sleep(600)");
        let killing = async {
            waits_for(&server, pid, "PgSleep").await;
            end.bring(&server, pid);
        };
        let (answer, ()) = tokio::join!(insert, killing);
        ended(&run, &lease).await;
        told(&run, &lease, &answer.unwrap_err(), Fault::Ambiguous);
        drop(lease);
        end.is_over(&server).await;
        // relink runs nothing again, whatever became of it.
        drop(run.served().await);
        assert_eq!(rows(&server), "0", "{end:?}");
        run.ends(&server).await;
    }
}

#[tokio::test]
async fn work_in_a_transaction_before_its_commit_is_lost_for_certain() {
    for end in [End::Terminated, End::Killed] {
        for in_flight in [true, false] {
            let server = Postgres::start().unwrap();
            table(&server);
            let run = pool_at(&server, |policy| policy.max_size = 1);
            let mut lease = run.served().await;
            let pid = backend(&lease).await;
            let transaction = lease.transaction().await.unwrap();
            transaction.execute("INSERT INTO t VALUES (1)", &[]).await.unwrap();
            let error = if in_flight {
                let insert = transaction.batch_execute("INSERT INTO t SELECT 2 FROM pg_sleep(600)");
                let killing = async {
                    waits_for(&server, pid, "PgSleep").await;
                    end.bring(&server, pid);
                };
                let (answer, ()) = tokio::join!(insert, killing);
                drop(transaction);
                answer.unwrap_err()
            } else {
                end.bring(&server, pid);
                comes("the session ends", async || transaction.client().is_closed().then_some(())).await;
                transaction.commit().await.unwrap_err()
            };
            ended(&run, &lease).await;
            told(&run, &lease, &error, Fault::Lost);
            drop(lease);
            end.is_over(&server).await;
            drop(run.served().await);
            assert_eq!(rows(&server), "0", "{end:?}");
            run.ends(&server).await;
        }
    }
}

#[tokio::test]
async fn a_commit_that_waits_for_a_standby_is_ambiguous_and_its_row_is_there() {
    let server = Postgres::start().unwrap();
    table(&server);
    let run = pool_at(&server, |policy| policy.max_size = 1);
    let mut lease = run.served().await;
    let pid = backend(&lease).await;
    let transaction = lease.transaction().await.unwrap();
    transaction.execute("INSERT INTO t VALUES (1)", &[]).await.unwrap();
    server.psql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").unwrap();
    server.reload().unwrap();
    let killing = async {
        waits_for(&server, pid, "SyncRep").await;
        End::Terminated.bring(&server, pid);
    };
    let (answer, ()) = tokio::join!(transaction.commit(), killing);
    ended(&run, &lease).await;
    told(&run, &lease, &answer.unwrap_err(), Fault::Ambiguous);
    // "Connection closed" is all that the driver has; the server's last words are the reason.
    assert_eq!(run.losses(), ["57P01"]);
    drop(lease);
    assert_eq!(rows(&server), "1", "which is why it must not be run again");
    server.psql("SET synchronous_commit = local; ALTER SYSTEM RESET synchronous_standby_names").unwrap();
    server.reload().unwrap();
    drop(run.served().await);
    run.ends(&server).await;
}

#[tokio::test]
async fn errors_of_a_session_that_lives_on_are_no_losses() {
    let server = Postgres::start().unwrap();
    table(&server);
    let run = pool_at(&server, |policy| policy.max_size = 1);
    let lease = run.served().await;
    for (statement, fault, code) in [
        ("INSERT INTO nowhere VALUES (1)", Fault::Query, "42P01"),
        ("DO $$ BEGIN RAISE 'x' USING ERRCODE = 'serialization_failure'; END $$", Fault::Retryable, "40001"),
        ("DO $$ BEGIN RAISE 'x' USING ERRCODE = 'deadlock_detected'; END $$", Fault::Retryable, "40P01"),
        ("SET statement_timeout = 10; SELECT pg_sleep(60)", Fault::Query, "57014"),
    ] {
        let error = lease.batch_execute(statement).await.unwrap_err();
        let failure = error.cause();
        assert_eq!((failure.fault, failure.code.as_deref()), (fault, Some(code)), "{statement}: {failure}");
        assert!(lease.death().is_none());
    }
    drop(lease);
    assert_eq!((run.losses().len(), run.dials()), (0, 1));
    run.ends(&server).await;
}
