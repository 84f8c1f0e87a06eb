//! The pool and the single link for PostgreSQL: what applications hold.

use std::ops::Deref;

use super::{Config, ConfigError, Postgres, Transport};
use crate::{
    Checked, Policy,
    adapter::{self, BuildError, Builder},
    policy::PolicyError,
};

/// A pool of PostgreSQL sessions; see [`adapter::Pool`] for all that it can do.
///
/// The name of an instance rather than a type of its own, so that whatever is written for any
/// database's pool takes it.
pub type Pool = adapter::Pool<Postgres>;

/// A PostgreSQL session lent to you; its calls are those of [`Session`](super::Session).
pub type Lease = adapter::Lease<Postgres>;

/// Why a pool cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The connection string or configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The policy breaks a rule.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// There is no runtime, or no endpoint.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl Pool {
    /// A pool with the default policy, from a libpq URL or a key-value string.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = relink::postgres::Pool::connect("postgresql://app@db1,db2/shop")?;
    /// let row = pool.get().await?.query_one("SELECT 1", &[]).await?;
    /// assert_eq!(row.get::<_, i32>(0), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the string cannot be read, and outside of a tokio runtime. That the database cannot be
    /// reached is no error here: it may be there by the time that somebody asks.
    pub fn connect(url: &str) -> Result<Self, ConnectError> {
        Ok(Self::configure(url.parse()?, Policy::default().check()?)?.build()?)
    }

    /// Begins a pool by a configuration and a policy, whose transport numbers and `[[fault]]` rows it
    /// applies.
    ///
    /// # Errors
    /// When TLS is asked for and cannot be had.
    pub fn configure(config: Config, policy: Checked) -> Result<Builder<Postgres>, ConnectError> {
        let database = Postgres::new(config.transport(Transport::from(&*policy)))?.rules(&policy.fault);
        Ok(Self::builder(database, policy))
    }
}

/// One connection that relink keeps alive: a pool of one.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let link = relink::postgres::Link::connect("host=/run/postgresql user=app")?;
/// link.get().await?.batch_execute("LISTEN news").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Link(Pool);

impl Link {
    /// A link with the default policy, from a libpq URL or a key-value string.
    ///
    /// # Errors
    /// As [`Pool::connect`].
    pub fn connect(url: &str) -> Result<Self, ConnectError> {
        Self::configure(url.parse()?, Policy::default())
    }

    /// A link by a configuration and a policy, whose sizes are set to one.
    ///
    /// # Errors
    /// As [`Pool::connect`], and when the policy breaks a rule.
    pub fn configure(config: Config, mut policy: Policy) -> Result<Self, ConnectError> {
        policy.max_size = 1;
        policy.max_idle = 1;
        policy.min_idle = 1;
        Ok(Self(Pool::configure(config, policy.check()?)?.build()?))
    }
}

impl Deref for Link {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        &self.0
    }
}
