//! What a client certificate calls itself, and the role that the configuration gives it.
//!
//! Whether it is good, the handshake has found out before: nothing is verified here.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use super::Role;

/// `commonName`, as DER writes the number: 2.5.4.3.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;
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
    let Ok(read) = EndEntityCert::try_from(certificate) else { return Vec::new() };
    let common = common_name(read.subject()).map(str::to_owned);
    let others = read.valid_dns_names().chain(read.valid_uri_names()).map(str::to_owned);
    let is_plain = |name: &String| !name.is_empty() && !name.chars().any(char::is_control);
    common.into_iter().chain(others).filter(is_plain).take(MAX_NAMES).collect()
}

/// The first of `known` that is one of `names`.
pub(super) fn role<'k>(known: &'k [Certified], names: &[String]) -> Option<&'k Certified> {
    known.iter().find(|one| names.iter().any(|name| **name == *one.name))
}

/// The last common name of a subject, which is the nearest to its holder. `subject` is what the outermost SEQUENCE holds:
/// sets of sequences of a kind and a value.
fn common_name(subject: &[u8]) -> Option<&str> {
    let (mut rest, mut found) = (subject, None);
    while !rest.is_empty() {
        let (set, after) = element(rest, SET)?;
        let mut parts = set;
        while !parts.is_empty() {
            let (part, more) = element(parts, SEQUENCE)?;
            let (kind, value) = element(part, OBJECT_IDENTIFIER)?;
            if kind == COMMON_NAME {
                found = Some(text(value)?);
            }
            parts = more;
        }
        rest = after;
    }
    found
}

fn text(value: &[u8]) -> Option<&str> {
    let tag = *value.first()?;
    let (text, after) = element(value, tag)?;
    let known = matches!(tag, UTF8_STRING | PRINTABLE_STRING | IA5_STRING) && after.is_empty();
    if known { std::str::from_utf8(text).ok() } else { None }
}

/// What the first element of `input` holds, which is to be of the kind `tag`, and what follows it.
fn element(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = input.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])), rest.get(2..)?),
        // A name of more than 64 KiB is none.
        _ => return None,
    };
    if *found == tag { rest.split_at_checked(length) } else { None }
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

    #[test]
    fn lengths_are_read_in_each_form() {
        for length in [0_usize, 127, 128, 255, 256, 65_535] {
            let head = match length {
                0..128 => vec![0x04, u8::try_from(length).unwrap()],
                128..256 => vec![0x04, 0x81, u8::try_from(length).unwrap()],
                _ => {
                    let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
                    vec![0x04, 0x82, high, low]
                }
            };
            let whole = [head, vec![7; length], vec![1, 2]].concat();
            let (held, after) = element(&whole, 0x04).unwrap();
            assert_eq!((held.len(), after), (length, &[1, 2][..]));
            assert_eq!(element(&whole[..whole.len() - 3], 0x04), None, "{length}");
            assert_eq!(element(&whole, 0x05), None);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (common_name(&bytes), names(&CertificateDer::from(bytes.clone())));
        }
    }
}
