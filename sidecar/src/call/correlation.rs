//! The id under which a call is known to its caller, in every log line, span, answer and error.

use std::sync::Arc;

/// The header, and gRPC's metadata, that carries it both ways.
pub const HEADER: &str = "x-correlation-id";

/// Longer ids are not taken over.
const MAX_LEN: usize = 128;

/// The caller's own id where it is sane (1 to 128 visible ASCII characters), else a new one.
#[must_use]
pub fn taken_or_made(sent: Option<&[u8]>) -> Arc<str> {
    sent.and_then(sane).map_or_else(made, Arc::from)
}

/// A new id: 128 random bits in hexadecimal.
#[must_use]
pub fn made() -> Arc<str> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    // Every call makes one, and formatting takes several times as long.
    let random = fastrand::u128(..).to_le_bytes();
    let id: [u8; 32] = std::array::from_fn(|place| DIGITS[usize::from((random[place / 2] >> (place % 2 * 4)) & 15)]);
    Arc::from(std::str::from_utf8(&id).unwrap_or_default())
}

/// `id` if it may stand in a header and a log line: 1 to 128 visible ASCII characters.
fn sane(id: &[u8]) -> Option<&str> {
    let fits = (1..=MAX_LEN).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic);
    if fits { std::str::from_utf8(id).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_id_is_taken_over_as_it_is() {
        for id in ["a", "3f2c-77", "order/42#retry", &"x".repeat(128)] {
            assert_eq!(&*taken_or_made(Some(id.as_bytes())), id);
        }
    }

    #[test]
    fn any_other_id_is_replaced_by_one_made_here() {
        let long = "x".repeat(129);
        for id in ["", "two words", "line\nbreak", "\u{7f}", "größe", &long] {
            let made = taken_or_made(Some(id.as_bytes()));
            assert_ne!(&*made, id);
            assert!(made.len() == 32 && made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{made}");
        }
    }

    #[test]
    fn no_two_ids_made_here_are_equal() {
        assert_ne!(taken_or_made(None), taken_or_made(None));
    }
}
