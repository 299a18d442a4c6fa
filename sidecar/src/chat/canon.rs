//! What a document says, whatever the order of its keys and the space between them, as one digest.
//!
//! One pass over the bytes, nothing built. An object is the sum of its members' digests, so their order does not count.
//! What cannot be told apart this way has no digest: an object with a key given twice, whose meaning readers differ
//! on, or with very many keys, among which finding such a key would take long.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::digest::{Digest, Digester};

/// Keys of one object that are held against each other.
const MAX_KEYS: usize = 512;

/// Writes into `digester` what the JSON object `body` says, save for its members named in `aside` and those that are
/// null. `None`: it has no digest.
#[must_use]
pub fn write(body: &[u8], aside: &[&str], digester: &mut Digester) -> Option<()> {
    let mut keys = Vec::with_capacity(16);
    let top = Walk { digester, keys: &mut keys, aside, top: true };
    let mut json = serde_json::Deserializer::from_slice(body);
    top.deserialize(&mut json).ok()?;
    json.end().ok()
}

/// Which kind of value follows.
mod mark {
    pub(super) const NULL: u8 = 0;
    pub(super) const FALSE: u8 = 1;
    pub(super) const TRUE: u8 = 2;
    pub(super) const WHOLE: u8 = 3;
    pub(super) const NEGATIVE: u8 = 4;
    pub(super) const FRACTION: u8 = 5;
    pub(super) const TEXT: u8 = 6;
    pub(super) const LIST: u8 = 7;
    pub(super) const END: u8 = 8;
    pub(super) const OBJECT: u8 = 9;
}

/// One value on its way into a digest. Says whether it was null.
struct Walk<'a> {
    digester: &'a mut Digester,
    /// The keys of all objects that the walk stands in, those of the innermost last.
    keys: &'a mut Vec<u64>,
    aside: &'a [&'a str],
    top: bool,
}

impl Walk<'_> {
    fn one(self, mark: u8) -> bool {
        self.digester.mark(mark);
        false
    }

    fn number(self, mark: u8, bits: u64) -> bool {
        self.digester.mark(mark);
        self.digester.number(bits);
        false
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        self.one(mark::NULL);
        Ok(true)
    }

    fn visit_bool<E>(self, value: bool) -> Result<bool, E> {
        Ok(self.one(if value { mark::TRUE } else { mark::FALSE }))
    }

    fn visit_u64<E>(self, value: u64) -> Result<bool, E> {
        Ok(self.number(mark::WHOLE, value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<bool, E> {
        Ok(self.number(mark::NEGATIVE, value.cast_unsigned()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<bool, E> {
        Ok(self.number(mark::FRACTION, value.to_bits()))
    }

    fn visit_str<E>(self, text: &str) -> Result<bool, E> {
        self.digester.mark(mark::TEXT);
        self.digester.bytes(text.as_bytes());
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        let Self { digester, keys, aside, .. } = self;
        digester.mark(mark::LIST);
        while list.next_element_seed(Walk { digester, keys, aside, top: false })?.is_some() {}
        digester.mark(mark::END);
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let Self { digester, keys, aside, top } = self;
        let outer = keys.len();
        let (mut sum, mut members) = (Digest::ZERO, 0);
        while let Some(key) = map.next_key_seed(Key(if top { aside } else { &[] }))? {
            let Some((mut member, fold)) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if keys.len() - outer == MAX_KEYS || keys[outer..].contains(&fold) {
                return Err(A::Error::custom("a key given twice, or too many"));
            }
            keys.push(fold);
            let null = map.next_value_seed(Walk { digester: &mut member, keys, aside, top: false })?;
            if !(top && null) {
                sum = sum.plus(member.finish());
                members += 1;
            }
        }
        keys.truncate(outer);
        digester.mark(mark::OBJECT);
        digester.number(members);
        digester.digest(sum);
        Ok(false)
    }
}

/// A member's digester with its key written, and the key folded into a number; `None`: it is put aside.
struct Key<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<(Digester, u64)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<(Digester, u64)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        if self.0.contains(&key) {
            return Ok(None);
        }
        let mut member = Digester::new();
        member.bytes(key.as_bytes());
        Ok(Some((member, fold(key))))
    }
}

/// FNV-1a. Two keys that share a number only cost their caller the digest.
fn fold(key: &str) -> u64 {
    key.bytes().fold(0xcbf2_9ce4_8422_2325, |fold, byte| (fold ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digest(json: &str) -> Option<Digest> {
        let mut digester = Digester::new();
        write(json.as_bytes(), &["user", "stream"], &mut digester)?;
        Some(digester.finish())
    }

    #[test]
    fn order_and_space_and_what_is_put_aside_do_not_count() {
        let one = digest(r#"{"a":1,"b":[{"c":"x","d":null}],"user":"u"}"#);
        assert!(one.is_some());
        for same in [
            r#" { "b" : [ { "d" : null, "c" : "\u0078" } ] , "a" : 1 } "#,
            r#"{"stream":true,"a":1,"b":[{"c":"x","d":null}],"e":null}"#,
        ] {
            assert_eq!(digest(same), one, "{same}");
        }
    }

    #[test]
    fn whatever_else_differs_does_count() {
        let all = [
            r#"{"a":1}"#,
            r#"{"a":-1}"#,
            r#"{"a":"1"}"#,
            r#"{"a":1.5}"#,
            r#"{"a":[1]}"#,
            r#"{"a":[[1]]}"#,
            r#"{"a":[1,1]}"#,
            r#"{"a":[]}"#,
            r#"{"a":{}}"#,
            r#"{"a":{"a":1}}"#,
            r#"{"a":{"user":1}}"#,
            r#"{"a":{"a":null}}"#,
            r#"{"a":[1,2]}"#,
            r#"{"a":[2,1]}"#,
            r#"{"a":true}"#,
            r#"{"a":false}"#,
            r#"{"b":1}"#,
            r#"{"a":1,"b":1}"#,
            "{}",
        ];
        for (index, one) in all.iter().enumerate() {
            for other in &all[index + 1..] {
                assert_ne!(digest(one), digest(other), "{one} and {other}");
            }
        }
    }

    #[test]
    fn what_readers_differ_on_has_no_digest() {
        for json in [r#"{"a":{"b":1,"b":2}}"#, r#"{"a":1,"a":1}"#, "[1", "{} x"] {
            assert_eq!(digest(json), None, "{json}");
        }
        assert!(digest(r#"{"a":{"b":1},"c":{"b":1},"b":1}"#).is_some());
        let many = |count: usize| {
            let keys: Vec<String> = (0..count).map(|index| format!("\"k{index}\":1")).collect();
            format!("{{{}}}", keys.join(","))
        };
        assert!(digest(&many(MAX_KEYS)).is_some());
        assert_eq!(digest(&many(MAX_KEYS + 1)), None);
    }

    proptest! {
        #[test]
        fn any_order_of_keys_is_the_same(mut keys in proptest::collection::vec("[a-z]{1,6}", 1..10)) {
            keys.sort();
            keys.dedup();
            let document = |keys: &[String]| {
                let members: Vec<String> = keys.iter().map(|key| format!("\"{key}\":\"{key}\"")).collect();
                format!("{{{}}}", members.join(","))
            };
            let forwards = digest(&document(&keys));
            keys.reverse();
            prop_assert_eq!(digest(&document(&keys)), forwards);
        }
    }
}
