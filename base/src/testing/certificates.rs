//! Certificates made for tests and good for nothing else, and a client that trusts one of them.

use std::{fs, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio_rustls::TlsConnector;

use crate::{config::Tls, serve::tls::Certificate};

/// A certificate of `localhost`, with its key.
pub const ONE: &str = include_str!("certificates/one.pem");
/// Another.
pub const TWO: &str = include_str!("certificates/two.pem");

/// What serves with `pem`, once that is in `file`.
#[must_use]
pub fn written(file: &Path, pem: &str) -> Tls {
    fs::write(file, pem).unwrap();
    Tls { cert_file: file.to_owned(), key_file: file.to_owned(), client_ca_file: None }
}

/// Whether a client that trusts only `pem` is served.
pub async fn serves(certificate: &Certificate, pem: &str) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (near, far) = tokio::io::duplex(16 * 1024);
    let connect = TlsConnector::from(Arc::new(client)).connect(ServerName::try_from("localhost").unwrap(), near);
    let (connected, _) = tokio::join!(connect, certificate.acceptor().accept(far));
    connected.is_ok()
}
