//! TLS by rustls: how it is asked for, what is verified, and with which roots.

use std::{path::Path, sync::Arc};

use ::ring::digest::{SHA256, SHA384, SHA512, digest};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_postgres::tls::ChannelBinding;
use tokio_rustls::{TlsConnector, client::TlsStream};
use x509_cert::{
    Certificate,
    der::{
        Decode,
        oid::db::rfc5912::{
            ECDSA_WITH_SHA_256, ECDSA_WITH_SHA_384, ECDSA_WITH_SHA_512, MD_5_WITH_RSA_ENCRYPTION,
            SHA_1_WITH_RSA_ENCRYPTION, SHA_256_WITH_RSA_ENCRYPTION, SHA_384_WITH_RSA_ENCRYPTION,
            SHA_512_WITH_RSA_ENCRYPTION,
        },
    },
};

use super::{
    classifier::Classifier,
    config::{Config, ConfigError, TlsMode},
    endpoints::Endpoint,
    evidence::Observed,
    transport,
    wire::{Peer, Wire},
};
use crate::{Fault, Phase, adapter::Failure};

/// The protocol name that servers from version 17 ask for (manual, 54.2.10; IANA, `postgresql`).
const ALPN: &[u8] = b"postgresql";

/// Length 8, code 80877103 (manual, 54.7, SSLRequest).
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// What is done to a fresh stream before anything is said.
#[derive(Clone)]
pub(crate) struct Security {
    /// Nothing when the mode is plaintext.
    connector: Option<TlsConnector>,
    /// A server that declines is spoken to in plaintext.
    optional: bool,
    /// The handshake begins without asking (`sslnegotiation=direct`, servers from version 17).
    direct: bool,
}

impl Security {
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let file = config.root_certificate.as_deref();
        let (connector, optional) = match (config.tls, file) {
            (TlsMode::Disable, _) => (None, true),
            (TlsMode::Prefer, _) => (Some(connector(Check::Nothing, RootCertStore::empty())?), true),
            (TlsMode::Require, None) => (Some(connector(Check::Nothing, RootCertStore::empty())?), false),
            (TlsMode::Require | TlsMode::VerifyCa, _) => (Some(connector(Check::Chain, roots(file)?)?), false),
            (TlsMode::VerifyFull, _) => (Some(connector(Check::ChainAndName, roots(file)?)?), false),
        };
        Ok(Self { connector, optional, direct: config.tls_direct })
    }

    /// The stream as it is to be used from now on.
    pub(crate) async fn apply(
        &self,
        wire: Wire,
        endpoint: &Endpoint,
        peer: &Peer,
        classifier: &Classifier,
    ) -> Result<Wire, Failure> {
        match (&self.connector, wire) {
            (Some(connector), Wire::Tcp(mut stream)) => {
                if self.direct || self.negotiate(&mut stream, endpoint, classifier).await? {
                    handshake(connector, stream, endpoint, peer, classifier).await
                } else {
                    Ok(Wire::Tcp(stream))
                }
            }
            // As in libpq a unix socket is never encrypted.
            (_, wire) => Ok(wire),
        }
    }

    /// Asks the server for TLS. Reads exactly the one byte that may come in plaintext, so that
    /// nothing slipped in behind it is ever taken for something said under TLS (CVE-2021-23222).
    async fn negotiate(
        &self,
        stream: &mut TcpStream,
        endpoint: &Endpoint,
        classifier: &Classifier,
    ) -> Result<bool, Failure> {
        let failed = |error: std::io::Error| transport::failure(&error, &endpoint.to_string(), classifier);
        let answered =
            |words: &str| Err(classifier.failure(Observed::said(format!("{endpoint} {words}")), Phase::Connect));
        stream.write_all(&SSL_REQUEST).await.map_err(failed)?;
        match stream.read_u8().await.map_err(failed)? {
            b'S' => Ok(true),
            b'N' if self.optional => Ok(false),
            b'N' => answered("does not offer TLS: switch it on there (ssl=on) or use sslmode=prefer or disable"),
            b'E' => answered("answered the request for TLS with an error"),
            _ => answered("does not speak the PostgreSQL protocol"),
        }
    }
}

fn connector(check: Check, roots: RootCertStore) -> Result<TlsConnector, ConfigError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier { check, roots, provider: provider.clone() };
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConfigError::new(format!("tls cannot be set up: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    Ok(TlsConnector::from(Arc::new(tls)))
}

async fn handshake(
    connector: &TlsConnector,
    stream: TcpStream,
    endpoint: &Endpoint,
    peer: &Peer,
    classifier: &Classifier,
) -> Result<Wire, Failure> {
    let stream = connector.connect(name(endpoint, peer)?, stream).await;
    stream.map(|stream| Wire::Tls(Box::new(stream))).map_err(|error| {
        if error.get_ref().is_some_and(|inner| inner.is::<Error>()) {
            classifier.failure(Observed::from(&error).behind(&format!("tls with {endpoint} failed")), Phase::Connect)
        } else {
            transport::failure(&error, &endpoint.to_string(), classifier)
        }
    })
}

/// Ties the authentication (SCRAM) to this very stream, so that nobody in the middle can pass it on.
pub(crate) fn channel_binding(stream: &TlsStream<TcpStream>) -> ChannelBinding {
    let (_, connection) = stream.get_ref();
    let certificate = connection.peer_certificates().and_then(<[_]>::first);
    certificate.and_then(end_point).map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
}

/// `tls-server-end-point`: the certificate's hash, by the hash of its signature, or SHA-256 where that
/// is MD5 or SHA-1 (RFC 5929, section 4.1). Nothing for a signature without one hash of its own
/// (Ed25519), for which none is defined, nor for one that is not told here, such as RSASSA-PSS: then
/// authentication goes without, unless `channel_binding=require`.
fn end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let signed = Certificate::from_der(certificate).ok()?.signature_algorithm().oid;
    let hash = match signed {
        MD_5_WITH_RSA_ENCRYPTION | SHA_1_WITH_RSA_ENCRYPTION => &SHA256,
        SHA_256_WITH_RSA_ENCRYPTION | ECDSA_WITH_SHA_256 => &SHA256,
        SHA_384_WITH_RSA_ENCRYPTION | ECDSA_WITH_SHA_384 => &SHA384,
        SHA_512_WITH_RSA_ENCRYPTION | ECDSA_WITH_SHA_512 => &SHA512,
        _ => return None,
    };
    Some(digest(hash, certificate).as_ref().to_vec())
}

fn name(endpoint: &Endpoint, peer: &Peer) -> Result<ServerName<'static>, Failure> {
    let host = match &endpoint.host {
        tokio_postgres::config::Host::Tcp(host) => host.clone(),
        #[cfg(unix)]
        tokio_postgres::config::Host::Unix(_) => match peer {
            Peer::Tcp(address) => address.ip().to_string(),
            Peer::Unix(path) => path.display().to_string(),
        },
    };
    ServerName::try_from(host).map_err(|_| {
        Failure::new(Fault::Misconfigured, format!("{endpoint} ({peer:?}) is no name that a certificate can hold"))
    })
}

fn roots(file: Option<&Path>) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    let Some(file) = file else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err(ConfigError::new(
                "the operating system has no trusted root certificates: give a file with sslrootcert=",
            ));
        }
        return Ok(roots);
    };
    let unusable = |why: String| ConfigError::new(format!("sslrootcert `{}` cannot be used: {why}", file.display()));
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(error.to_string()))? {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() { Err(unusable("it holds no certificate in PEM form".into())) } else { Ok(roots) }
}

/// How much of a certificate is checked. That the server holds its key is always checked.
#[derive(Clone, Copy, Debug)]
enum Check {
    Nothing,
    Chain,
    ChainAndName,
}

#[derive(Debug)]
struct Verifier {
    check: Check,
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let by_name = match self.check {
            Check::Nothing => return Ok(ServerCertVerified::assertion()),
            Check::Chain => false,
            Check::ChainAndName => true,
        };
        let parsed = ParsedCertificate::try_from(certificate)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, algorithms)?;
        if by_name {
            verify_server_name(&parsed, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
