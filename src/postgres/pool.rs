//! The pool and the single link for PostgreSQL: what applications hold.

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
    /// ```no_run
    /// # async fn ask_the_vault() -> Result<Vec<u8>, String> { Ok(Vec::new()) }
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use relink::{Policy, postgres::{Config, Pool}};
    /// let config: Config = "postgresql://app@db1,db2/shop?sslmode=verify-full".parse()?;
    /// let config = config.credentials(|| Box::pin(ask_the_vault()));
    /// let pool = Pool::configure(config, Policy::default().check()?)?.build()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When TLS is asked for and cannot be had.
    pub fn configure(config: Config, policy: Checked) -> Result<Builder<Postgres>, ConnectError> {
        let database = Postgres::new(config.transport(Transport::from(&*policy)))?.rules(&policy.fault);
        Ok(Self::builder(database, policy))
    }

    /// One connection that relink keeps alive: a pool of one, with the default policy.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let link = relink::postgres::Pool::link("host=/run/postgresql user=app")?;
    /// let session = link.get().await?;
    /// let mut news = session.notifications();
    /// session.batch_execute("LISTEN news").await?;
    /// println!("{}", news.recv().await?.payload());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Pool::connect`].
    pub fn link(url: &str) -> Result<Self, ConnectError> {
        Ok(Self::configure_link(url.parse()?, Policy::default())?.build()?)
    }

    /// Begins a pool of one by a configuration and a policy, whose sizes are set to one.
    ///
    /// # Errors
    /// As [`Pool::configure`], and when the policy breaks a rule.
    pub fn configure_link(config: Config, mut policy: Policy) -> Result<Builder<Postgres>, ConnectError> {
        (policy.min_idle, policy.max_idle, policy.max_size) = (1, 1, 1);
        Self::configure(config, policy.check()?)
    }
}
