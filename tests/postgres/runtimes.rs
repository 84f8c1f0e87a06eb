//! The runtimes that a pool may live on, and one that ends under it.

use std::time::Duration;

use relink::{Refusal, Session, adapter::State};
use tokio::runtime::{Builder, Runtime};

use crate::{
    common::{SOON, sockets_to},
    scene::pool_at,
    support::{Postgres, wait_until},
};

fn runtimes() -> [(&'static str, Runtime); 2] {
    [
        ("current-thread", Builder::new_current_thread().enable_all().build().unwrap()),
        ("multi-thread", Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()),
    ]
}

fn nothing_is_left(server: &Postgres, what: &str) {
    wait_until(what, SOON, || Ok((sockets_to(server.port()) == 0).then_some(()))).unwrap();
    wait_until(what, SOON, || Ok(server.backends_of("app")?.is_empty().then_some(()))).unwrap();
}

#[test]
fn a_pool_works_on_either_runtime_from_one_end_to_the_other() {
    for (_, runtime) in runtimes() {
        let server = Postgres::start().unwrap();
        runtime.block_on(async {
            let run = pool_at(&server, |policy| policy.max_size = 3);
            run.fill(3).await;
            let lease = run.served().await;
            // Dropped in flight: the cancel and the rollback need the runtime to go on by itself.
            let query = lease.batch_execute("BEGIN; SELECT pg_sleep(600)");
            assert!(tokio::time::timeout(Duration::from_millis(50), query).await.is_err());
            drop(lease);
            assert_eq!(run.rests().await, 3);
            run.ends(&server).await;
        });
    }
}

#[test]
fn a_runtime_that_ends_under_the_pool_leaves_errors_and_no_socket() {
    for (name, runtime) in runtimes() {
        let server = Postgres::start().unwrap();
        let (pool, lease, wait, status) = runtime.block_on(async {
            let run = pool_at(&server, |policy| policy.max_size = 2);
            let (lease, other) = (run.served().await, run.served().await);
            drop(other);
            let wait = run.get_within(SOON);
            (run.pool().clone(), lease, wait, run.status())
        });
        drop(runtime);
        nothing_is_left(&server, name);

        // Another runtime gets errors from it, at once and without a panic.
        let other = Builder::new_current_thread().enable_all().build().unwrap();
        other.block_on(async {
            for _ in 0..2 {
                let error = pool.get().await.expect_err("its runtime is gone");
                assert_eq!(error.refusal, Refusal::Stopped);
                assert_eq!(error.to_string(), "no session: the pool is closed");
            }
            assert_eq!(wait.await.expect_err("begun before").refusal, Refusal::Stopped);
            let error = lease.query_one("select 1", &[]).await.unwrap_err();
            assert!(error.driver().is_closed() && error.session() == Session::Dead, "{error}");
            pool.renew();
            drop(lease);
            tokio::time::timeout(SOON, pool.close()).await.expect("nothing is left to close");
        });
        assert_eq!(status.borrow().state, State::Closed, "{name}");
        drop(pool);
        drop(other);
    }
}

#[test]
fn a_pool_is_dropped_outside_of_any_runtime() {
    for (name, runtime) in runtimes() {
        let server = Postgres::start().unwrap();
        let (pool, lease) = runtime.block_on(async {
            let run = pool_at(&server, |_| {});
            (run.pool().clone(), run.served().await)
        });
        // Its runtime lives, but this thread is in none.
        drop(lease);
        drop(pool);
        runtime.block_on(async {
            crate::scene::no_backend(&server).await;
        });
        nothing_is_left(&server, name);
    }
}
