//! Names for what sidecars keep for each other, and seals on it: HMAC-SHA-256 under a secret of the fleet's own. Whoever
//! reads the store cannot try out what was asked, and whoever writes to it cannot put in an answer. What an answer
//! says can be read there.

use fusebox_store::digest::SharedDigest;
use ring::hmac;

use crate::{config::Secret, digest::Sink};

/// Bytes of a seal.
const SEAL: usize = 32;

/// Makes names under the fleet's secret.
#[derive(Clone)]
pub struct Veil(hmac::Key);

/// Being written to: what a name stands for.
pub struct Veiling(hmac::Context, hmac::Key);

/// A name in the store, and the seal that goes with it.
#[derive(Clone)]
pub struct Veiled {
    digest: SharedDigest,
    seal: hmac::Key,
}

impl Veil {
    /// Names under `secret`.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes()))
    }

    /// Begins the name of something. Things of different kinds, by the word `kind`, never have the same.
    #[must_use]
    pub fn name(&self, kind: &str) -> Veiling {
        let mut veiling = Veiling(hmac::Context::with_key(&self.0), self.0.clone());
        veiling.bytes(kind.as_bytes());
        veiling
    }
}

impl Sink for Veiling {
    fn raw(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

impl Veiling {
    /// The name of all that was written.
    #[must_use]
    pub fn finish(self) -> Veiled {
        let Self(context, key) = self;
        let mut name = [0; SEAL];
        name.copy_from_slice(context.sign().as_ref());
        let mut seal = hmac::Context::with_key(&key);
        seal.bytes(b"seal");
        seal.raw(&name);
        let seal = hmac::Key::new(hmac::HMAC_SHA256, seal.sign().as_ref());
        Veiled { digest: SharedDigest::new(name), seal }
    }

    /// What was written, as a text by which it is told from other things.
    #[must_use]
    pub fn text(self) -> String {
        let halves = |byte: &u8| [byte >> 4, byte & 15];
        let tag = self.0.sign();
        tag.as_ref().iter().flat_map(halves).filter_map(|half| char::from_digit(half.into(), 16)).collect()
    }
}

impl Sink for hmac::Context {
    fn raw(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
}

impl Veiled {
    /// The name.
    pub(super) const fn digest(&self) -> SharedDigest {
        self.digest
    }

    /// `bytes` under this name's seal.
    pub(super) fn seal(&self, bytes: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(SEAL + bytes.len());
        sealed.extend_from_slice(hmac::sign(&self.seal, bytes).as_ref());
        sealed.extend_from_slice(bytes);
        sealed
    }

    /// What is under the seal; `None`: it is broken, or another's.
    pub(super) fn open(&self, mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        let (tag, bytes) = sealed.split_at_checked(SEAL)?;
        hmac::verify(&self.seal, bytes, tag).ok()?;
        sealed.drain(..SEAL);
        Some(sealed)
    }
}

impl std::fmt::Debug for Veiled {
    /// Without what it is: with it, one who reads logs could find what it stands for in the store.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Veiled")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(secret: &str, kind: &str, parts: &[&[u8]]) -> Veiled {
        let mut veiling = Veil::new(&Secret::new(secret)).name(kind);
        parts.iter().for_each(|part| veiling.bytes(part));
        veiling.finish()
    }

    #[test]
    fn a_name_is_the_same_for_whoever_knows_the_secret_and_for_nobody_else() {
        let digest = |secret, kind, parts: &[&[u8]]| name(secret, kind, parts).digest();
        let one = digest("secret", "cache", &[b"ab", b"c"]);
        assert_eq!(one, digest("secret", "cache", &[b"ab", b"c"]));
        assert_ne!(one, digest("other", "cache", &[b"ab", b"c"]));
        assert_ne!(one, digest("secret", "claim", &[b"ab", b"c"]));
        assert_ne!(one, digest("secret", "cache", &[b"a", b"bc"]));
    }

    #[test]
    fn what_is_sealed_is_opened_under_its_own_name_and_whole() {
        let own = name("secret", "cache", &[b"a"]);
        let sealed = own.seal(b"an answer");
        assert_eq!(own.open(sealed.clone()).as_deref(), Some(&b"an answer"[..]));
        assert_eq!(name("secret", "cache", &[b"b"]).open(sealed.clone()), None, "it was moved");
        assert_eq!(name("other", "cache", &[b"a"]).open(sealed.clone()), None, "it was sealed by somebody else");
        for at in [0, 31, 32, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(own.open(changed), None, "{at}");
        }
        assert_eq!((own.open(Vec::new()), own.open(vec![0; 31])), (None, None));
        assert_eq!(own.open(own.seal(b"")).as_deref(), Some(&b""[..]));
    }

    #[test]
    fn a_text_tells_things_apart() {
        let text = |part: &[u8]| {
            let mut veiling = Veil::new(&Secret::new("secret")).name("asked");
            veiling.bytes(part);
            veiling.text()
        };
        assert_eq!((text(b"a").len(), text(b"a")), (64, text(b"a")));
        assert_ne!(text(b"a"), text(b"b"));
    }
}
