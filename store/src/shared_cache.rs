//! Answers that all sidecars may find. Each is a key of its own, which ends by itself. How much room all of them take
//! is for Redis to bound: let it have a `maxmemory` and a policy that begins with `volatile-`, for breakers and settings
//! have no end and must not be evicted.

mod fetch;
mod keep;

use std::time::Duration;

use fusebox_proto::keys::Keys;
use fusebox_rules::fleet::Stamp;

pub use self::{fetch::Fetch, keep::Keep};
use crate::{body::Body, digest::SharedDigest, recent::Recent};

/// Bytes that are kept in memory. What ends first gives way to more.
const MOST_BYTES: usize = 64 * 1_024 * 1_024;
/// The longest that an answer is kept.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// In memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    answers: Recent<(Stamp, Body)>,
    bytes: usize,
}

impl Held {
    fn put(&mut self, name: &str, until: Stamp, body: Body) {
        self.count_out(|answers| answers.remove(name));
        self.bytes += body.as_bytes().len();
        self.answers.put(name, until, (until, body));
        while self.bytes > MOST_BYTES {
            self.count_out(Recent::pop_first);
        }
    }

    fn count_out(&mut self, take: impl FnOnce(&mut Recent<(Stamp, Body)>) -> Option<(Stamp, Body)>) {
        if let Some((_, body)) = take(&mut self.answers) {
            self.bytes -= body.as_bytes().len();
        }
    }
}

fn key(keys: &Keys, digest: &SharedDigest) -> String {
    keys.item("cache", &digest.hex(), "answer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_in_memory_stays_within_its_bound_and_what_lasts_is_kept() {
        let mut held = Held::default();
        let body = || Body::try_new(vec![0; crate::body::MOST_BYTES]).unwrap();
        for index in 0..500_u64 {
            held.put(&(index % 300).to_string(), Stamp::from_millis(index), body());
            assert!(held.bytes <= MOST_BYTES && held.bytes == held.answers.len() * crate::body::MOST_BYTES);
        }
        assert_eq!(held.answers.len(), 128);
        assert!(held.answers.get("199").is_some() && held.answers.get("0").is_none());
    }
}
