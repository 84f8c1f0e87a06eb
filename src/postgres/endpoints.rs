//! The endpoints of a set: which hosts, addresses and ports make one, and in which order they are tried.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
};

use tokio_postgres::config::Host;

use super::config::ConfigError;
use crate::pacer::ENDPOINTS_MAX;

/// PostgreSQL's own port (IANA, `postgresql`).
const PORT: u16 = 5432;

/// One address that the database may be reached at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// A name, a numeric address, or the folder of a socket.
    pub(crate) host: Host,
    /// The address to use instead of looking the name up.
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
}

impl Endpoint {
    /// The path of the socket in `folder`.
    pub(crate) fn socket(&self, folder: &Path) -> PathBuf {
        folder.join(format!(".s.PGSQL.{}", self.port))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Tcp(host) if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            Host::Tcp(host) => write!(f, "{host}:{}", self.port),
            #[cfg(unix)]
            Host::Unix(folder) => write!(f, "{}", self.socket(folder).display()),
        }
    }
}

/// The endpoints that hosts, addresses and ports make together, in the order written.
pub(crate) fn of(given: &tokio_postgres::Config) -> Result<Vec<Endpoint>, ConfigError> {
    let (hosts, addresses, ports) = (given.get_hosts(), given.get_hostaddrs(), given.get_ports());
    let count = hosts.len().max(addresses.len());
    if count == 0 {
        return Err(ConfigError::new("no host: name at least one with host= or in the url"));
    }
    if count > ENDPOINTS_MAX {
        return Err(ConfigError::new(format!(
            "{count} hosts are more than the {ENDPOINTS_MAX} that a set may have: leave some out"
        )));
    }
    if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
        return Err(ConfigError::new(format!(
            "{} values of host but {} of hostaddr: give as many of one as of the other",
            hosts.len(),
            addresses.len()
        )));
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(ConfigError::new(format!(
            "{} values of port for {count} hosts: give one, or one for each",
            ports.len()
        )));
    }
    (0..count)
        .map(|index| {
            let address = addresses.get(index).copied();
            let host = hosts.get(index).cloned().or_else(|| address.map(|address| Host::Tcp(address.to_string())));
            let host = host.filter(|host| *host != Host::Tcp(String::new()));
            let host =
                host.ok_or_else(|| ConfigError::new(format!("host {} is empty: name it or leave it out", index + 1)))?;
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(PORT);
            if port == 0 {
                return Err(ConfigError::new(format!("the port of host {} is 0: use 1 to 65535", index + 1)));
            }
            Ok(Endpoint { host, address, port })
        })
        .collect()
}

/// Draws an order, each as likely as the others; where the system has no chance, it stays as written.
pub(crate) fn shuffle(endpoints: &mut [Endpoint]) {
    reorder(endpoints, getrandom::u64().unwrap_or(0));
}

/// One of all orders for each word: 8 hosts have 40 320 orders, of which one word knows enough.
fn reorder(endpoints: &mut [Endpoint], mut word: u64) {
    for (last, left) in (1..endpoints.len()).rev().zip((2..=endpoints.len()).rev()) {
        let orders = left as u64;
        let steps = usize::try_from(word % orders).unwrap_or(0);
        word /= orders;
        // Zero steps down leave it where it is.
        endpoints.swap(last, last.saturating_sub(steps));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_shuffle_brings_every_order_and_a_word_of_nothing_none() {
        let hosts = ["a", "b", "c", "d"];
        let order = |word| {
            let endpoint = |host: &str| Endpoint { host: Host::Tcp(host.to_owned()), address: None, port: 1 };
            let mut endpoints: Vec<_> = hosts.into_iter().map(endpoint).collect();
            reorder(&mut endpoints, word);
            endpoints.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(order(0), ["a:1", "b:1", "c:1", "d:1"]);
        assert_eq!((0..24).map(order).collect::<BTreeSet<_>>().len(), 24);
    }
}
