//! Until when a certificate is good. Nothing else of it is read, and nothing is verified.

use std::path::Path;

use rustls::pki_types::{CertificateDer, pem::PemObject as _};

const SEQUENCE: u8 = 0x30;
/// An explicit tag around the version, which the first version of certificates does not have.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// When the first certificate in the PEM `file` ends, in seconds since the Unix epoch; `None`: that cannot be read.
#[must_use]
pub fn expires(file: &Path) -> Option<u64> {
    ends(&CertificateDer::pem_file_iter(file).ok()?.next()?.ok()?)
}

/// The end of a certificate's validity.
fn ends(certificate: &[u8]) -> Option<u64> {
    let (_, whole, _) = element(certificate)?;
    let (_, signed, _) = element(whole)?;
    let (tag, _, after) = element(signed)?;
    // What was read may have been the serial number already.
    let rest = if tag == VERSION { element(after)?.2 } else { after };
    let (_, _algorithm, rest) = element(rest)?;
    let (_, _issuer, rest) = element(rest)?;
    let (tag, validity, _) = element(rest)?;
    let (_, _begin, rest) = element(validity)?;
    let (kind, end, _) = element(rest)?;
    if tag == SEQUENCE { moment(kind, end) } else { None }
}

/// The first element of `input`: its tag, what it holds, and what follows it.
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = input.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(*first) {
        short @ 0..=0x7f => (short, rest),
        // More than four bytes of length are no certificate's.
        long @ 0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(long - 0x80)?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (held, after) = rest.split_at_checked(length)?;
    Some((*tag, held, after))
}

/// `YYMMDDhhmmssZ`, of the years 1950 to 2049, or `YYYYMMDDhhmmssZ`: the only forms that certificates may have.
fn moment(kind: u8, text: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = digits.split_at_checked(if kind == GENERALIZED_TIME { 4 } else { 2 })?;
    let mut year: u64 = year.parse().ok()?;
    if kind == UTC_TIME {
        year += if year < 50 { 2_000 } else { 1_900 };
    }
    let two = |at: usize| rest.get(at..at + 2)?.parse::<u64>().ok();
    let (month, day, hour, minute, second) = (two(0)?, two(2)?, two(4)?, two(6)?, two(8)?);
    if rest.len() != 10 || !(1..=12).contains(&month) || day == 0 || !matches!(kind, UTC_TIME | GENERALIZED_TIME) {
        return None;
    }
    let days = days(year, month, day).checked_sub(days(1970, 1, 1))?;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// Days from the beginning of an imagined year 0 of March. A year that begins in March has its leap day at its end.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.saturating_sub(1), month + 9) };
    year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::certificates::ONE;

    #[test]
    fn each_form_of_time_is_read_and_what_is_none_is_not() {
        for (kind, text, expected) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "260228235959Z", Some(1_772_323_199)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (GENERALIZED_TIME, "20240229120000Z", Some(1_709_208_000)),
            (GENERALIZED_TIME, "20500101000000Z", Some(2_524_608_000)),
            (GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799)),
            (UTC_TIME, "500101000000Z", None),
            (UTC_TIME, "261301000000Z", None),
            (UTC_TIME, "2601010000Z", None),
            (UTC_TIME, "260101000000+0100", None),
            (SEQUENCE, "260101000000Z", None),
        ] {
            assert_eq!(moment(kind, text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_certificate_in_a_file_has_an_end_and_anything_else_has_none() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), ONE).unwrap();
        let end = expires(file.path()).unwrap();
        assert!(end > 1_700_000_000, "{end}");
        std::fs::write(file.path(), "half a file").unwrap();
        assert_eq!(expires(file.path()), None);
        assert_eq!(expires(Path::new("/nowhere")), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = (ends(&bytes), moment(UTC_TIME, &bytes), moment(GENERALIZED_TIME, &bytes));
        }
    }
}
