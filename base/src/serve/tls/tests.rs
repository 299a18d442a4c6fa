use rcgen::{CertificateParams, KeyPair, date_time_ymd};

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
fn its_end_is_that_of_the_certificate_in_force() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let until = |year| {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 2, 28);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem() + &key.serialize_pem();
        read("auth.tls", &written(file.path(), &pem), Required).unwrap()
    };
    // Certificates write years from 2050 on in another form.
    let certificate = Certificate::new(until(2049));
    assert_eq!(certificate.ends(), Some(2_498_083_200));
    certificate.store(until(2050));
    assert_eq!(certificate.ends(), Some(2_529_619_200));
    std::fs::write(file.path(), "half a file").unwrap();
    assert_eq!(certificate.ends(), Some(2_529_619_200), "what the file holds is not in force");
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
