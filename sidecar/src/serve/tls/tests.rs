use std::fs;

use rustls::{ClientConfig, pki_types::ServerName};
use tokio_rustls::TlsConnector;

use super::*;

/// Two certificates, each with its key, made for these tests and good for nothing else.
pub(crate) const ONE: &str = include_str!("tests/one.pem");
pub(crate) const TWO: &str = include_str!("tests/two.pem");

/// What serves with `pem`, once that is in `file`.
pub(crate) fn written(file: &Path, pem: &str) -> Tls {
    fs::write(file, pem).unwrap();
    Tls { cert_file: file.to_owned(), key_file: file.to_owned(), client_ca_file: None }
}

/// Whether a client that trusts only `pem` is served.
pub(crate) async fn serves(certificate: &Certificate, pem: &str) -> bool {
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

#[tokio::test]
async fn a_rotated_certificate_is_served_from_then_on() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let certificate = Certificate::new(read(&written(file.path(), ONE)).unwrap());
    assert!(serves(&certificate, ONE).await && !serves(&certificate, TWO).await);
    certificate.store(read(&written(file.path(), TWO)).unwrap());
    assert!(serves(&certificate, TWO).await && !serves(&certificate, ONE).await);
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_its_key() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (_, only_key) = ONE.split_at(ONE.find("-----BEGIN PRIVATE").unwrap());
    for (pem, key) in [("", "auth.tls.key_file: "), (only_key, "auth.tls.cert_file: ")] {
        let fault = read(&written(file.path(), pem)).unwrap_err();
        assert!(fault.starts_with(key), "{fault}");
    }
}
