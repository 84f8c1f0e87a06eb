//! The same faults before somebody's own server, which only the network between is told of.

use std::{
    fmt,
    time::{Duration, Instant},
};

use relink::{
    adapter::{Connect, Failure},
    postgres::{Config, Postgres},
};
use tokio::time::timeout;

use super::scene::Scene;
use crate::proxy::Proxy;

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// A session of a flapping path lives for so many times what a dial takes: long enough to open.
const FLAP: u32 = 2;

/// Why no rehearsal can begin.
#[derive(Debug)]
pub enum Unfit {
    /// The configuration names several hosts.
    Hosts(usize),
    /// The configuration cannot be used.
    Config(String),
    /// The server cannot be reached; the root cause.
    Server(Failure),
    /// The server has not answered within this time.
    Silent(Duration),
    /// A dial takes this long, and the policy's deadline is the other: hardly any dial would succeed.
    Slow(Duration, Duration),
    /// The proxy cannot listen.
    Proxy(std::io::Error),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosts(count) => write!(f, "the url names {count} hosts: rehearse one host at a time"),
            Self::Config(why) => f.write_str(why),
            Self::Server(failure) => write!(f, "the server cannot be reached: {failure}"),
            Self::Silent(time) => write!(f, "the server cannot be reached: no answer within {time:?}"),
            Self::Slow(dial, deadline) => write!(
                f,
                "a dial to the server takes {:.2} s, and the policy gives up after {:.2} s: \
                 give a policy with a dial_deadline of at least twice that with --policy",
                dial.as_secs_f64(),
                deadline.as_secs_f64(),
            ),
            Self::Proxy(error) => write!(f, "the proxy cannot listen on 127.0.0.1: {error}"),
        }
    }
}

impl std::error::Error for Unfit {}

/// A server that was reached, behind a proxy that can fail.
pub struct Stage {
    /// The proxy.
    pub scene: Scene,
    /// How the server is dialed through it.
    pub config: Config,
    /// Where the server is.
    pub server: String,
    /// How long a dial takes without the proxy.
    pub dial: Duration,
}

/// Reaches the server once, ends that session, and sets a proxy before the server.
///
/// # Errors
/// See [`Unfit`]; nothing but the one dial was done then.
pub async fn prepare(config: Config, dial_deadline: Duration) -> Result<Stage, Unfit> {
    let destinations = config.destinations();
    let [server] = destinations.as_slice() else { return Err(Unfit::Hosts(destinations.len())) };
    let database = Postgres::new(config.clone()).map_err(|error| Unfit::Config(error.to_string()))?;
    let dial = reach(&database, dial_deadline).await?;
    if dial * 2 > dial_deadline {
        return Err(Unfit::Slow(dial, dial_deadline));
    }
    let proxy = Proxy::start(server.as_str()).await.map_err(Unfit::Proxy)?;
    let config = config.rerouted(proxy.addr());
    Ok(Stage { scene: Scene::Proxy(proxy, dial * FLAP), config, server: server.clone(), dial })
}

/// One dial, and how long it took.
async fn reach(database: &Postgres, deadline: Duration) -> Result<Duration, Unfit> {
    let asked = Instant::now();
    let opened = timeout(deadline, database.dial(0, || {})).await;
    let opened = opened.map_err(|_| Unfit::Silent(deadline))?.map_err(Unfit::Server)?;
    let took = asked.elapsed();
    drop(opened.client);
    // The goodbye is sent by the session's own task; its end is of no consequence.
    let _ = timeout(GOODBYE, opened.life).await;
    Ok(took)
}
