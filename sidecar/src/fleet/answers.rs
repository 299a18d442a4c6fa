//! Answers that sidecars keep for each other, under names and seals that only they can make.

use std::time::Duration;

use fusebox_rules::fleet::Stamp;
use fusebox_store::{body::Body, shared_cache::Fetch};

use super::{Common, Patience, Veiled, desk::Job};

/// What became of a look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// This was kept; and the fleet's time now, by which it is dated.
    Answer(Vec<u8>, Stamp),
    /// There is nothing, or nothing that can be used.
    Nothing,
    /// The store did not answer in time, or not at all.
    Unanswered,
}

impl Common {
    /// Looks for what is kept under `name`.
    pub async fn fetch(&self, name: &Veiled, patience: &mut Patience) -> Fetched {
        match patience.ask(&self.fleet, &Fetch { digest: name.digest() }).await {
            None => Fetched::Unanswered,
            Some((_, None)) => Fetched::Nothing,
            Some((now, Some(body))) => match name.open(body.into_bytes()) {
                Some(bytes) => Fetched::Answer(bytes, now),
                None => Fetched::Nothing,
            },
        }
    }

    /// Has `answer` kept under `name` for so long, some time soon; whether there is room for it.
    #[must_use]
    pub fn keep(&self, name: &Veiled, answer: &[u8], lasts: Duration) -> bool {
        Body::try_new(name.seal(answer)).is_ok_and(|body| self.desk.take(Job::Keep(name.digest(), body, lasts)))
    }

    /// The fleet's time now, by which answers are dated; zero: it is not known yet.
    #[must_use]
    pub fn now(&self) -> Stamp {
        self.fleet.now()
    }
}
