//! Where a PostgreSQL database is and how it wants to be spoken to, from a URL, a key-value string or the driver's own type.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use tokio_postgres::config::{Host, LoadBalanceHosts, SslMode, SslNegotiation, TargetSessionAttrs};

use super::{
    Credential,
    endpoints::{self, Endpoint},
    words::Words,
};
use crate::{Policy, Target};

/// Longer than any word that is known, shorter than most passwords.
const WORD_MAX: usize = 16;

/// A configuration that cannot be used, with the fix. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// How much TLS is wanted; the words and meanings of libpq's `sslmode`. Unix sockets never use TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Plaintext.
    Disable,
    /// TLS when the server offers it, without looking at its certificate; else plaintext.
    Prefer,
    /// TLS without looking at the certificate; with a root certificate given the same as `VerifyCa`,
    /// as in libpq.
    Require,
    /// TLS with a certificate that a trusted root has signed, for whatever name.
    VerifyCa,
    /// TLS with a certificate that a trusted root has signed for this host.
    VerifyFull,
}

/// What the kernel is asked to do for a connection. A zero leaves the kernel's default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transport {
    /// Idle time before the first keepalive probe; whole seconds, rounded up.
    pub keepalive_idle: Duration,
    /// Time between probes; whole seconds, rounded up.
    pub keepalive_interval: Duration,
    /// Unanswered probes before the connection is given up.
    pub keepalive_count: u8,
    /// How long sent data may stay unacknowledged (`TCP_USER_TIMEOUT`, Linux only).
    pub tcp_user_timeout: Duration,
}

impl From<&Policy> for Transport {
    fn from(policy: &Policy) -> Self {
        Self {
            keepalive_idle: policy.keepalive_idle.into(),
            keepalive_interval: policy.keepalive_interval.into(),
            keepalive_count: policy.keepalive_count,
            tcp_user_timeout: policy.tcp_user_timeout.into(),
        }
    }
}

impl Default for Transport {
    /// The values of [`Policy::default`].
    fn default() -> Self {
        Self::from(&Policy::default())
    }
}

/// A checked configuration of one logical database.
///
/// Understands what libpq's connection strings say, as far as the driver does, and moreover
/// `target_session_attrs=primary|standby|prefer-standby`, `sslmode=verify-ca|verify-full` and `sslrootcert=FILE`.
///
/// With `prefer-standby` a primary among several hosts is passed over once in ten minutes, and dialed again like a host that has
/// refused; whoever has answered by then serves. Sessions with it go on, to the policy's `lifetime_max` at most. That is
/// how a standby that has come back is found. Where none has, it is told as a dial that has failed, though sessions with
/// the primary are there, and costs each of them a question before it is lent again.
///
/// With `load_balance_hosts=random` the order of the hosts is drawn once for each configuration, so that the processes of a
/// fleet spread; the sessions of one pool go where its first one went, as without it.
/// `connect_timeout`, `keepalives*` and `tcp_user_timeout` of a string have no effect: the policy
/// rules them, through its dial deadline and [`Transport`].
#[derive(Clone)]
pub struct Config {
    /// Without password, with TLS left to us.
    pub(crate) driver: tokio_postgres::Config,
    pub(crate) password: Option<Vec<u8>>,
    /// Asked for the password at each dial.
    pub(crate) provider: Option<Arc<dyn Fn() -> Credential + Send + Sync>>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) target: Target,
    pub(crate) tls: TlsMode,
    pub(crate) tls_direct: bool,
    pub(crate) root_certificate: Option<PathBuf>,
    pub(crate) transport: Transport,
    pub(crate) fenced: bool,
}

impl Config {
    /// The role that a session must have.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// How much TLS is wanted.
    #[must_use]
    pub fn tls(mut self, mode: TlsMode) -> Self {
        self.tls = mode;
        self
    }

    /// The file of trusted roots in PEM, instead of those of the operating system.
    #[must_use]
    pub fn root_certificate(mut self, file: impl Into<PathBuf>) -> Self {
        self.root_certificate = Some(file.into());
        self
    }

    /// What the kernel is asked to do for each connection.
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// The password to use where the string gave none.
    #[must_use]
    pub fn password_default(mut self, password: impl Into<Vec<u8>>) -> Self {
        self.password.get_or_insert_with(|| password.into());
        self
    }

    /// Asks `provider` for the password at each dial, within the dial's deadline, whatever the string gave.
    #[must_use]
    pub fn credentials(mut self, provider: impl Fn() -> Credential + Send + Sync + 'static) -> Self {
        self.provider = Some(Arc::new(provider));
        self
    }

    /// Whether a primary that was replaced is refused; so it is unless this says otherwise.
    ///
    /// A primary that is cut off while its standby is promoted does not know of it, and takes writes that will be lost. Who
    /// asks for a primary (`target_session_attrs` `read-write` or `primary`) therefore has the number of the server's
    /// timeline looked up at each dial and each re-check of a session, in a round trip that they take anyway on a direct
    /// path, and one more in a dial through a proxy. One below the highest that a server of this set has shown, of the
    /// same database, is [`Fault::WrongRole`](crate::Fault::WrongRole). An endpoint whose server does not know the
    /// question, or refuses it, is not asked again for an hour; those of the others are.
    ///
    /// What remains: as long as the old primary answers, nobody may have dialed the new one, and then nobody here knows of
    /// it. Whoever does can call [`Pool::demoted`](crate::adapter::Pool::demoted), which has every session asked again, but
    /// only a server that is stopped, or that waits for its standby (`synchronous_standby_names`), loses no writes. What was
    /// seen is known to one pool, and forgotten with it: a process that starts afterwards and reaches only the old one knows
    /// nothing. And two standbys that were promoted beside each other may be on timelines of the same number, so that neither
    /// is refused.
    #[must_use]
    pub fn fenced(mut self, fenced: bool) -> Self {
        self.fenced = fenced;
        self
    }

    /// Where each endpoint is dialed, in order: `host:port` (`hostaddr` before `host`) or the path of a socket.
    pub fn destinations(&self) -> Vec<String> {
        let place = |endpoint: &Endpoint| match endpoint.address {
            Some(address) => SocketAddr::new(address, endpoint.port).to_string(),
            None => endpoint.to_string(),
        };
        self.endpoints.iter().map(place).collect()
    }

    /// The same database by way of `address`, such as a proxy or a tunnel that leads to it: every
    /// endpoint is dialed there, and its certificate is still held against the name of its host.
    ///
    /// An endpoint on a unix socket becomes one on TCP. It stays without TLS, because its server
    /// offers none on that socket.
    ///
    /// ```
    /// use relink::postgres::Config;
    /// let config: Config = "postgresql://app@db.example.com/shop?sslmode=verify-full".parse()?;
    /// let tunnel = "127.0.0.1:7000".parse().expect("an address");
    /// assert_eq!(config.rerouted(tunnel).destinations(), ["127.0.0.1:7000"]);
    /// # Ok::<(), relink::postgres::ConfigError>(())
    /// ```
    #[must_use]
    pub fn rerouted(&self, address: SocketAddr) -> Self {
        let mut config = self.clone();
        for endpoint in &mut config.endpoints {
            #[cfg(unix)]
            if matches!(endpoint.host, Host::Unix(_)) {
                endpoint.host = Host::Tcp(address.ip().to_string());
                (config.tls, config.tls_direct) = (TlsMode::Disable, false);
            }
            endpoint.address = Some(address.ip());
            endpoint.port = address.port();
        }
        config
    }
}

impl FromStr for Config {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let (words, rest) = Words::split(text)?;
        let driver = rest.parse::<tokio_postgres::Config>().map_err(|error| {
            let why = std::error::Error::source(&error).map(ToString::to_string);
            // Names of parameters are safe to repeat: ours are the only ones that got here.
            match why.filter(|why| why.starts_with("invalid value for option")) {
                Some(why) => ConfigError::new(format!("{why}: use {}", rule(why.split('`').nth(1).unwrap_or_default()))),
                None => ConfigError::new(
                    "the connection string cannot be read: write postgresql://user:password@host:port/database?name=value or name=value pairs",
                ),
            }
        })?;
        let mut config = Self::try_from(driver)?;
        if let Some(word) = words.target {
            config.target = target(&word)?;
        }
        if let Some(word) = words.sslmode {
            config.tls = tls_mode(&word)?;
        }
        config.root_certificate = words.sslrootcert.filter(|file| file != "system").map(PathBuf::from);
        match words.load_balance.as_deref() {
            None | Some("disable") => {}
            Some("random") => endpoints::shuffle(&mut config.endpoints),
            Some(word) => return Err(unknown("load_balance_hosts", word, "disable or random")),
        }
        Ok(config)
    }
}

impl TryFrom<tokio_postgres::Config> for Config {
    type Error = ConfigError;

    fn try_from(given: tokio_postgres::Config) -> Result<Self, ConfigError> {
        let target = match given.get_target_session_attrs() {
            TargetSessionAttrs::ReadWrite => Target::ReadWrite,
            TargetSessionAttrs::ReadOnly => Target::ReadOnly,
            // The driver's enum may grow; its `Any` is the default.
            TargetSessionAttrs::Any | _ => Target::Any,
        };
        let tls = match given.get_ssl_mode() {
            SslMode::Disable => TlsMode::Disable,
            SslMode::Require => TlsMode::Require,
            // The driver's enum may grow; its `Prefer` is the default.
            SslMode::Prefer | _ => TlsMode::Prefer,
        };
        let mut endpoints = endpoints::of(&given)?;
        if given.get_load_balance_hosts() == LoadBalanceHosts::Random {
            endpoints::shuffle(&mut endpoints);
        }
        Ok(Self {
            password: given.get_password().map(<[u8]>::to_vec),
            provider: None,
            endpoints,
            target,
            tls,
            tls_direct: given.get_ssl_negotiation() == SslNegotiation::Direct,
            root_certificate: None,
            transport: Transport::default(),
            fenced: true,
            driver: driver(&given),
        })
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("user", &self.driver.get_user())
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("asks_for_password", &self.provider.is_some())
            .field("dbname", &self.driver.get_dbname())
            .field("endpoints", &self.endpoints)
            .field("target", &self.target)
            .field("tls", &self.tls)
            .field("root_certificate", &self.root_certificate)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// What the driver needs for a session over a stream that is already secured: it is told that the
/// stream is TLS without negotiation, and handed the stream as it is.
fn driver(given: &tokio_postgres::Config) -> tokio_postgres::Config {
    let mut driver = tokio_postgres::Config::new();
    driver
        .ssl_mode(SslMode::Require)
        .ssl_negotiation(SslNegotiation::Direct)
        .channel_binding(given.get_channel_binding());
    if let Some(user) = given.get_user() {
        driver.user(user);
    }
    if let Some(dbname) = given.get_dbname() {
        driver.dbname(dbname);
    }
    if let Some(options) = given.get_options() {
        driver.options(options);
    }
    if let Some(name) = given.get_application_name() {
        driver.application_name(name);
    }
    driver
}

/// What the driver takes for an option whose value it has refused (its source, config.rs). The value is not repeated: in
/// `postgresql://user:password/shop`, where the host was forgotten, it is the password.
fn rule(name: &str) -> &'static str {
    match name {
        "port" => "a number from 1 to 65535 for each host",
        "host" => "brackets around an IPv6 address, as in [::1]:5432",
        "hostaddr" => "an IP address for each host",
        "channel_binding" => "disable, prefer or require",
        "sslnegotiation" => "postgres or direct",
        "keepalives" => "0 or 1",
        _ => "a whole number",
    }
}

fn target(word: &str) -> Result<Target, ConfigError> {
    match word {
        "any" => Ok(Target::Any),
        "read-write" => Ok(Target::ReadWrite),
        "read-only" => Ok(Target::ReadOnly),
        "primary" => Ok(Target::Primary),
        "standby" => Ok(Target::Standby),
        "prefer-standby" => Ok(Target::PreferStandby),
        _ => {
            Err(unknown("target_session_attrs", word, "any, read-write, read-only, primary, standby or prefer-standby"))
        }
    }
}

fn tls_mode(word: &str) -> Result<TlsMode, ConfigError> {
    match word {
        "disable" => Ok(TlsMode::Disable),
        // libpq's `allow` tries plaintext first; both end in whatever the server takes.
        "allow" | "prefer" => Ok(TlsMode::Prefer),
        "require" => Ok(TlsMode::Require),
        "verify-ca" => Ok(TlsMode::VerifyCa),
        "verify-full" => Ok(TlsMode::VerifyFull),
        _ => Err(unknown("sslmode", word, "disable, prefer, require, verify-ca or verify-full")),
    }
}

/// The word is repeated only if it is one: where `;` was written for `&`, a password is behind it.
fn unknown(name: &str, word: &str, known: &str) -> ConfigError {
    let plain = word.len() <= WORD_MAX && word.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
    let shown = if plain { format!("`{word}`") } else { "what is given".to_owned() };
    ConfigError::new(format!("{name}: {shown} is not known: use {known}"))
}
