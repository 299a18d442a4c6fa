//! What a client certificate calls itself, and the role that the configuration gives it.
//!
//! Whether it is good, the handshake has found out before: nothing is verified here.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use x509_cert::{
    der::{Decode as _, oid::db::rfc4519::COMMON_NAME},
    ext::pkix::{
        SubjectAltName,
        name::{DirectoryString, GeneralName},
    },
};

use super::Role;

/// Names of one certificate that are looked at.
const MAX_NAMES: usize = 32;

/// Holders of certificates of one name, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    /// The subject's common name, or one of its alternative names that is a DNS name or a URI.
    pub name: Arc<str>,
    /// What they may do.
    pub role: Role,
}

/// What `certificate` calls itself: its subject's common name, then the DNS names and the URIs of its alternative names.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(read) = x509_cert::Certificate::from_der(certificate) else { return Vec::new() };
    let read = read.tbs_certificate();
    // The last is the nearest to its holder.
    let common = read.subject().iter().filter(|part| part.oid == COMMON_NAME).last();
    let common = common.and_then(|part| DirectoryString::try_from(&part.value).ok());
    let common = common.map(|name| name.value().into_owned());
    let others = read.get_extension::<SubjectAltName>().ok().flatten();
    let others = others.into_iter().flat_map(|(_, names)| names.0).filter_map(|name| match name {
        GeneralName::DnsName(name) | GeneralName::UniformResourceIdentifier(name) => Some(name.to_string()),
        _ => None,
    });
    let is_plain = |name: &String| !name.is_empty() && !name.chars().any(char::is_control);
    common.into_iter().chain(others).filter(is_plain).take(MAX_NAMES).collect()
}

/// The first of `known` that is one of `names`.
pub(super) fn role<'k>(known: &'k [Certified], names: &[String]) -> Option<&'k Certified> {
    known.iter().find(|one| names.iter().any(|name| **name == *one.name))
}

#[cfg(test)]
mod tests {
    use fusebox_base::testing::certificates::ONE;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair, SanType};
    use rustls::pki_types::pem::PemObject as _;

    use super::*;

    fn made(subject: &[(DnType, DnValue)], alternative: Vec<SanType>) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), value.clone());
        }
        params.subject_alt_names = alternative;
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().into()
    }

    fn utf8(text: &str) -> DnValue {
        DnValue::Utf8String(text.to_owned())
    }

    #[test]
    fn a_certificate_calls_itself_by_its_common_name_its_dns_names_and_its_uris() {
        let certificate = made(
            &[
                (DnType::OrganizationName, utf8("operators")),
                (DnType::CommonName, utf8("Ada Lovelace é")),
                (DnType::CountryName, DnValue::PrintableString("GB".try_into().unwrap())),
            ],
            vec![
                SanType::DnsName("ada.example.com".try_into().unwrap()),
                SanType::URI("spiffe://example.com/ns/ops/sa/ada".try_into().unwrap()),
                SanType::Rfc822Name("ada@example.com".try_into().unwrap()),
            ],
        );
        assert_eq!(names(&certificate), ["Ada Lovelace é", "ada.example.com", "spiffe://example.com/ns/ops/sa/ada"]);
        let one = CertificateDer::from_pem_slice(ONE.as_bytes()).unwrap();
        assert_eq!(names(&one), ["one", "localhost"]);
    }

    #[test]
    fn without_a_common_name_the_others_count_and_what_is_no_certificate_has_no_name() {
        let uri = SanType::URI("spiffe://example.com/a".try_into().unwrap());
        assert_eq!(names(&made(&[(DnType::OrganizationName, utf8("x"))], vec![uri])), ["spiffe://example.com/a"]);
        assert_eq!(names(&made(&[(DnType::CommonName, utf8("a\u{0}b"))], vec![])), [""; 0]);
        assert_eq!(names(&CertificateDer::from(vec![1, 2, 3])), [""; 0]);
    }

    #[test]
    fn the_first_row_that_is_one_of_its_names_gives_it_its_role() {
        let known = [
            Certified { name: "ada.example.com".into(), role: Role::Operator },
            Certified { name: "ada".into(), role: Role::Viewer },
        ];
        let found = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            role(&known, &names).map(|one| one.role)
        };
        assert_eq!(found(&["ada", "ada.example.com"]), Some(Role::Operator));
        assert_eq!(found(&["ada"]), Some(Role::Viewer));
        assert_eq!(found(&["Ada", "ada.example.co", "ada.example.com.evil.org"]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = names(&CertificateDer::from(bytes));
        }
    }
}
