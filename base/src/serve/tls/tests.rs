use super::{ClientCertificates::Required, *};
use crate::testing::certificates::{ONE, TWO, serves, written};

#[tokio::test]
async fn a_rotated_certificate_is_served_from_then_on() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let certificate = Certificate::new(read("auth.tls", &written(file.path(), ONE), Required).unwrap());
    assert!(serves(&certificate, ONE).await && !serves(&certificate, TWO).await);
    certificate.store(read("auth.tls", &written(file.path(), TWO), Required).unwrap());
    assert!(serves(&certificate, TWO).await && !serves(&certificate, ONE).await);
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_its_key() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (_, only_key) = ONE.split_at(ONE.find("-----BEGIN PRIVATE").unwrap());
    for (pem, key) in [("", "auth.tls.key_file: "), (only_key, "auth.tls.cert_file: ")] {
        let fault = read("auth.tls", &written(file.path(), pem), Required).unwrap_err();
        assert!(fault.starts_with(key), "{fault}");
    }
}
