//! Keyed digests of 128 bits, by which memory finds what is equal.
//!
//! The key is drawn anew in each process and never leaves it, and neither does a digest: nobody outside can make two
//! things share one, and nothing secret can be guessed from one. They are not for what outlives the process.

use std::{
    fmt,
    hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState},
    sync::LazyLock,
};

use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// From the operating system's own randomness.
static KEY: LazyLock<(u64, u64)> = LazyLock::new(|| {
    let state = RandomState::new();
    (state.hash_one(0_u8), state.hash_one(1_u8))
});

/// What stands for something that was digested.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(u128);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut digester = Digester::new();
        digester.bytes(bytes);
        digester.finish()
    }

    /// Which of `count` parts it falls into.
    #[must_use]
    pub fn part(self, count: usize) -> usize {
        usize::try_from(self.0 % (count.max(1) as u128)).unwrap_or(0)
    }
}

/// Finds digests in a table by what they are: they are spread already, and nobody outside can choose one.
pub type Spread = BuildHasherDefault<Upper>;

/// The upper half of the last digest that was written.
#[derive(Debug, Default)]
pub struct Upper(u64);

impl Hasher for Upper {
    fn write_u128(&mut self, digest: u128) {
        self.0 = u64::try_from(digest >> 64).unwrap_or_default();
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |mixed, byte| mixed.rotate_left(8) ^ u64::from(*byte));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl fmt::Debug for Digest {
    /// Without its value: logs are outside.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest")
    }
}

/// What several things can be written into, each so that where it ends is part of what is written.
pub trait Sink {
    /// Adds bytes as they stand, without their end.
    fn raw(&mut self, bytes: &[u8]);

    /// Adds a mark, such as which kind of thing follows.
    fn mark(&mut self, mark: u8) {
        self.raw(&[mark]);
    }

    /// Adds a number.
    fn number(&mut self, number: u64) {
        self.raw(&number.to_le_bytes());
    }

    /// Adds bytes, and how many there are.
    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.raw(bytes);
    }

    /// Adds what the pieces are together, wherever they were cut, and how many bytes that is.
    fn pieces<'a>(&mut self, pieces: impl Iterator<Item = &'a [u8]>)
    where
        Self: Sized,
    {
        let mut length = 0_u64;
        for piece in pieces {
            length += piece.len() as u64;
            self.raw(piece);
        }
        self.number(length);
    }
}

/// Makes one digest of several things.
#[derive(Clone)]
pub struct Digester(SipHasher13);

impl Sink for Digester {
    fn raw(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }
}

impl Digester {
    /// With nothing written yet.
    #[must_use]
    pub fn new() -> Self {
        Self(SipHasher13::new_with_keys(KEY.0, KEY.1))
    }

    /// Adds what another digest stands for.
    pub fn digest(&mut self, digest: Digest) {
        self.0.write(&digest.0.to_le_bytes());
    }

    /// The digest of all that was written.
    #[must_use]
    pub fn finish(&self) -> Digest {
        Digest(self.0.finish128().as_u128())
    }
}

impl Default for Digester {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digester")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_thing_ends_is_part_of_it() {
        let two = |first: &[u8], second: &[u8]| {
            let mut digester = Digester::new();
            digester.bytes(first);
            digester.bytes(second);
            digester.finish()
        };
        assert_eq!(two(b"ab", b"c"), two(b"ab", b"c"));
        assert_ne!(two(b"ab", b"c"), two(b"a", b"bc"));
        assert_ne!(Digest::of(b""), Digest::of(b"\0"));
    }

    #[test]
    fn where_pieces_were_cut_makes_no_difference() {
        let digest = |pieces: &[&[u8]]| {
            let mut digester = Digester::new();
            digester.pieces(pieces.iter().copied());
            digester.finish()
        };
        assert_eq!(digest(&[b"a piece of", b"", b" text"]), digest(&[b"a piece", b" of text"]));
        assert_ne!(digest(&[b"a piece of"]), digest(&[b"a piece o"]));
    }

    #[test]
    fn a_digest_is_not_shown() {
        assert_eq!(format!("{:?}", Digest::of(b"token")), "Digest");
    }
}
