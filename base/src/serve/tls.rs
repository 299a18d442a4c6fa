//! The certificate that the doors serve with, and whom they ask for one.

use std::{path::Path, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;

use x509_cert::der::Decode as _;

use crate::config::Tls;

/// The certificate in force. Connections keep the one that they began with.
#[derive(Debug, Clone)]
pub struct Certificate(Arc<ArcSwap<Identity>>);

/// What connections are accepted with.
#[derive(Debug, Clone)]
pub struct Identity {
    config: Arc<ServerConfig>,
    ends: Option<u64>,
}

impl Certificate {
    /// One that can be exchanged.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(identity)))
    }

    /// Connections accepted from now on are served with `identity`.
    pub fn store(&self, identity: Identity) {
        self.0.store(Arc::new(identity));
    }

    /// When it ends, in seconds since the Unix epoch; `None`: that cannot be read.
    #[must_use]
    pub fn ends(&self) -> Option<u64> {
        self.0.load().ends
    }

    /// What accepts a connection now.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0.load().config))
    }
}

/// What is asked of callers, where there is an authority that signs their certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Whoever shows none is not spoken to.
    Required,
    /// One that is shown must be good; whoever shows none has another way to say who they are.
    Welcome,
}

/// What `tls` names, read: HTTP/2 before HTTP/1.1. `key` is what the configuration calls it: `auth.tls`.
///
/// # Errors
/// Which file cannot be used, and why.
pub fn read(key: &str, tls: &Tls, asked: ClientCertificates) -> Result<Identity, String> {
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let config = match &tls.client_ca_file {
        None => config.with_no_client_auth(),
        Some(file) => {
            let (name, mut roots) = ("client_ca_file", RootCertStore::empty());
            roots.add_parsable_certificates(certificates(key, name, file)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match asked {
                ClientCertificates::Required => verifier,
                ClientCertificates::Welcome => verifier.allow_unauthenticated(),
            };
            let verifier = verifier.build().map_err(|error| fault(key, name, file, error))?;
            config.with_client_cert_verifier(verifier)
        }
    };
    let private =
        PrivateKeyDer::from_pem_file(&tls.key_file).map_err(|error| fault(key, "key_file", &tls.key_file, error))?;
    let chain = certificates(key, "cert_file", &tls.cert_file)?;
    let ends = chain.first().and_then(ends);
    let mut config =
        config.with_single_cert(chain, private).map_err(|error| fault(key, "cert_file", &tls.cert_file, error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Identity { config: Arc::new(config), ends })
}

/// When `certificate` ends, in seconds since the Unix epoch.
fn ends(certificate: &CertificateDer<'_>) -> Option<u64> {
    let read = x509_cert::Certificate::from_der(certificate).ok()?;
    Some(read.tbs_certificate().validity().not_after.to_unix_duration().as_secs())
}

fn certificates(key: &str, name: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| fault(key, name, file, error))?;
    if certificates.is_empty() {
        return Err(fault(key, name, file, "there is no certificate in it"));
    }
    Ok(certificates)
}

fn fault(key: &str, name: &str, file: &Path, error: impl std::fmt::Display) -> String {
    format!("{key}.{name}: {} cannot be used: {error}", file.display())
}

#[cfg(test)]
mod tests;
