//! PostgreSQL: how it is dialed, asked and brought back to a clean state.

mod calls;
mod classifier;
mod config;
mod copy;
mod dial;
mod endpoints;
mod error;
mod evidence;
mod faults;
mod fence;
mod framing;
#[cfg(test)]
mod framing_tests;
mod last_words;
mod life;
mod messages;
mod names;
mod observer;
#[cfg(not(feature = "rustls"))]
mod plain;
mod pool;
mod prepared;
mod reset;
mod role;
mod session;
mod silence;
mod statement;
mod streams;
mod tap;
#[cfg(feature = "rustls")]
mod tls;
mod traffic;
mod transaction;
mod transport;
mod verdict;
mod wire;
mod words;

use std::{
    fmt,
    pin::Pin,
    str::FromStr,
    sync::{Arc, PoisonError, RwLock},
};

use classifier::Classifier;
use fence::Fence;
#[cfg(not(feature = "rustls"))]
use plain::Security;
#[cfg(feature = "rustls")]
use tls::Security;

pub use config::{Config, ConfigError, TlsMode, Transport};
pub use copy::{CopyInSink, CopyOutStream};
pub use error::Error;
pub use evidence::{Observed, failure, io_failure};
pub use faults::TABLE;
pub use pool::{ConnectError, Lease, Pool};
pub use session::Session;
pub use silence::Watch;
pub use streams::{Observing, RowStream, SimpleQueryStream};
pub use transaction::{Transaction, TransactionBuilder};

use crate::{
    Fault, Role, Rule, Target, Work,
    adapter::{Connect, Death, Failure, Found, Limits, Look, Opened},
};

/// What a credential provider returns: the password, or why there is none (without secrets).
pub type Credential = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send>>;

/// A PostgreSQL database, at one or several endpoints.
///
/// ```no_run
/// # fn main() -> Result<(), relink::postgres::ConfigError> {
/// use relink::postgres::Postgres;
/// let database: Postgres = "postgresql://app@db1,db2/shop?target_session_attrs=read-write".parse()?;
/// database.set_password("from a file that may change");
/// # Ok(())
/// # }
/// ```
pub struct Postgres {
    config: Config,
    security: Security,
    password: RwLock<Option<Vec<u8>>>,
    places: Vec<Place>,
    names: names::Names,
    /// For who wants a primary.
    fence: Option<Fence>,
    classifier: Arc<Classifier>,
}

/// An endpoint and what was learned of the way to it.
struct Place {
    endpoint: endpoints::Endpoint,
    path: role::Path,
    preference: role::Preference,
    ways: traffic::Ways,
    histories: fence::Source,
}

impl Postgres {
    /// A connector by a checked configuration.
    ///
    /// # Errors
    ///
    /// When TLS is asked for and cannot be had: the feature `rustls` is off, or the roots cannot be
    /// read.
    pub fn new(mut config: Config) -> Result<Self, ConfigError> {
        let weak = matches!(config.tls, TlsMode::Disable | TlsMode::Prefer);
        if config.tls_direct && weak {
            return Err(ConfigError::new(
                "sslnegotiation=direct begins with TLS: use it with sslmode=require or stronger",
            ));
        }
        Ok(Self {
            security: Security::new(&config)?,
            password: RwLock::new(config.password.take()),
            places: config
                .endpoints
                .iter()
                .map(|endpoint| Place {
                    endpoint: endpoint.clone(),
                    path: role::Path::default(),
                    preference: role::Preference::default(),
                    ways: traffic::Ways::default(),
                    histories: fence::Source::default(),
                })
                .collect(),
            names: names::Names::default(),
            fence: (config.fenced && config.target.wants_primary()).then(Fence::default),
            classifier: Arc::default(),
            config,
        })
    }

    /// The password for every dial that starts from now on, unless the configuration has a provider.
    pub fn set_password(&self, password: impl Into<Vec<u8>>) {
        *self.password.write().unwrap_or_else(PoisonError::into_inner) = Some(password.into());
    }

    /// Forgets which primary was the latest, so that one that was replaced is served from again: for when the promotion
    /// has been given up and the old primary is to stay. See [`Config::fenced`].
    pub fn unfence(&self) {
        if let Some(fence) = &self.fence {
            fence.forget();
        }
    }

    /// Classifies errors by these rows before the fault table ([`TABLE`]): a policy's `[[fault]]`.
    #[must_use]
    pub fn rules(mut self, rules: &[Rule]) -> Self {
        self.classifier = Arc::new(Classifier::new(rules));
        self
    }

    /// How many errors neither those rows nor the fault table spoke of since this was made: each was decided by the
    /// default that [`classify`](crate::classify) states for its phase. One that rises asks for a row of your own.
    ///
    /// The log warns of the first, the second, the fourth and so on, by code and phase.
    ///
    /// ```no_run
    /// # fn run(pool: relink::postgres::Pool) {
    /// println!("relink_unknown_errors_total {}", pool.connector().unknown_errors());
    /// # }
    /// ```
    pub fn unknown_errors(&self) -> u64 {
        self.classifier.unknown()
    }

    async fn password(&self) -> Result<Option<Vec<u8>>, Failure> {
        match &self.config.provider {
            Some(provider) => match provider().await {
                Ok(password) => Ok(Some(password)),
                // Nothing was asked of the server, and nothing refused: as cheap as a port where nobody listens.
                Err(why) => {
                    Err(Failure::new(Fault::Refused, format!("no password from the credential provider: {why}")))
                }
            },
            None => Ok(self.password.read().unwrap_or_else(PoisonError::into_inner).clone()),
        }
    }

    fn place(&self, index: usize) -> Result<&Place, Failure> {
        self.places.get(index).ok_or_else(|| {
            let count = self.places.len();
            Failure::new(Fault::Misconfigured, format!("endpoint {index} of {count} does not exist"))
        })
    }
}

impl TryFrom<tokio_postgres::Config> for Postgres {
    type Error = ConfigError;

    fn try_from(config: tokio_postgres::Config) -> Result<Self, ConfigError> {
        Self::new(Config::try_from(config)?)
    }
}

impl FromStr for Postgres {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::new(text.parse()?)
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Connect for Postgres {
    type Client = Session;
    type Watch = Watch;

    fn endpoints(&self) -> usize {
        self.places.len()
    }

    fn endpoint(&self, index: usize) -> String {
        self.places.get(index).map(|place| place.endpoint.to_string()).unwrap_or_default()
    }

    fn target(&self) -> Target {
        self.config.target
    }

    async fn dial(&self, endpoint: usize, accepted: impl FnOnce() + Send) -> Result<Opened<Session>, Failure> {
        dial::dial(self, endpoint, accepted).await
    }

    async fn probe(&self, session: &mut Session) -> Result<Role, Failure> {
        role::verify(self, session).await
    }

    async fn reset(&self, session: &mut Session) -> Result<Role, Failure> {
        reset::reset(self, session).await
    }

    fn work(&self, session: &Session) -> Work {
        let work = session.work();
        // Behind it, for what was held back until then may have been answered.
        role::heed(self.config.target, session);
        work
    }

    fn watch(&self, session: &Session) -> Watch {
        Watch::new(session.seen().clone(), session.identity)
    }

    fn look(&self, watch: &Watch) -> Look {
        watch.look()
    }

    async fn ask(
        &self,
        asker: &mut Session,
        about: &[Arc<Watch>],
        limits: Limits,
        found: impl Fn(usize, Found) + Send + Sync,
    ) -> Result<Role, Failure> {
        silence::ask(self, asker, about, limits, found).await
    }

    fn condemn(&self, watch: &Watch, failure: Failure) -> Option<Death> {
        Some(watch.condemn(failure))
    }

    fn adopted(&self, session: &mut Session, demoted: impl Fn() + Send + Sync + 'static) {
        session.observer.report_to(demoted);
        if session.promoted {
            session.observer.demoted();
        }
    }

    fn ended(&self, session: &Session) -> bool {
        session.client.is_closed() || session.seen().ended()
    }
}
