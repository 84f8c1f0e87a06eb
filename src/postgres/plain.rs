//! What stands in for TLS in a build without it: plaintext, and a refusal of everything else.

use super::{
    classifier::Classifier,
    config::{Config, ConfigError, TlsMode},
    endpoints::Endpoint,
    wire::{Peer, Wire},
};
use crate::adapter::Failure;

/// What is done to a fresh stream before anything is said.
#[derive(Clone)]
pub(crate) struct Security;

impl Security {
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        match config.tls {
            TlsMode::Disable | TlsMode::Prefer => Ok(Self),
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => Err(ConfigError::new(
                "sslmode asks for TLS, which this build has not: enable the feature `rustls` of relink",
            )),
        }
    }

    /// The stream as it is.
    #[expect(clippy::unused_async, reason = "stands in for a handshake")]
    pub(crate) async fn apply(&self, wire: Wire, _: &Endpoint, _: &Peer, _: &Classifier) -> Result<Wire, Failure> {
        Ok(wire)
    }
}
