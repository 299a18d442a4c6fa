//! What stands for something in the store that must not be read there: a question, or a caller's key.
//!
//! Made by whoever asks, the same in all sidecars of a fleet: by a keyed hash that is fit to be seen outside, such as
//! HMAC-SHA-256, under a secret that the fleet's configuration gives. A digest whose key is drawn anew by each process
//! is found by nobody else; one without a key lets whoever reads the store try out what might have been asked.

use std::fmt;

/// 256 bits, that say nothing to whoever does not know the fleet's secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SharedDigest([u8; 32]);

impl SharedDigest {
    /// That which a keyed hash gave.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// As part of a key's name.
    pub(crate) fn hex(&self) -> String {
        self.0
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .filter_map(|half| char::from_digit(half.into(), 16))
            .collect()
    }
}

impl fmt::Debug for SharedDigest {
    /// Without its value: with it, one who reads logs could find what it stands for in the store.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedDigest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_a_key_and_is_not_shown() {
        let mut bytes = [0; 32];
        (bytes[0], bytes[31]) = (0xa5, 0x0f);
        let digest = SharedDigest::new(bytes);
        assert_eq!((digest.hex().len(), &digest.hex()[..4], &digest.hex()[60..]), (64, "a500", "000f"));
        assert_eq!(format!("{digest:?}"), "SharedDigest");
    }
}
