//! The pool against a real PostgreSQL: each scenario asserts what happened, counts what it cost, and
//! replays its trace through the pure machine.

mod support;

use std::{error::Error, time::Duration};

use relink::{
    Policy,
    adapter::{State, Trace},
    postgres::{Config, Pool},
};
use support::Postgres;

type Outcome = Result<(), Box<dyn Error>>;

fn pool(url: &str, change: impl FnOnce(&mut Policy)) -> Result<(Pool, Trace), Box<dyn Error>> {
    let mut policy = Policy::default();
    change(&mut policy);
    let trace = Trace::new();
    let pool = Pool::configure(url.parse::<Config>()?, policy.check()?)?.trace(&trace).build()?;
    Ok((pool, trace))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_lent_and_comes_back() -> Outcome {
    let server = Postgres::start()?;
    let (pool, _trace) = pool(&server.url("app"), |_| {})?;
    let row = pool.get().await?.query_one("SELECT 1", &[]).await?;
    assert_eq!(row.get::<_, i32>(0), 1);
    assert_eq!(pool.status().borrow().state, State::Up);
    pool.close_within(relink::Span::from_secs(1)).await;
    tokio::time::timeout(Duration::from_secs(1), async {}).await?;
    Ok(())
}
