//! Something is not to be told of for a while.

use fusebox_proto::{
    keys::Keys,
    scripts,
    store::{Silence as Body, Word},
};
use fusebox_rules::fleet::Stamp;
use prost::Message as _;

use super::{KEYS, MOST, ends};
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, digits},
};

/// Sets a silence, and hints at it; the reply is its id. `None`: there are 1,000, and one of them must end first.
#[derive(Debug, Clone)]
pub struct Set<'a> {
    /// What it matches, and whose word it is. It ends when the word says, or by [`End`](super::End). Names longer than
    /// 256 bytes and reasons longer than 1 KiB are cut.
    pub silence: &'a Body,
}

/// Bytes of a name, and of a reason.
const MOST_NAME_BYTES: usize = 256;
const MOST_REASON_BYTES: usize = 1_024;

impl Set<'_> {
    fn body(&self) -> Body {
        let cut = |text: &str, most| text[..text.floor_char_boundary(most)].to_owned();
        let Body { kind, provider, sidecar, word } = self.silence;
        let word = word.as_ref().map(|word| Word {
            by: cut(&word.by, MOST_NAME_BYTES),
            reason: cut(&word.reason, MOST_REASON_BYTES),
            at_ms: word.at_ms,
            expires_ms: word.expires_ms,
        });
        Body { kind: *kind, provider: cut(provider, MOST_NAME_BYTES), sidecar: cut(sidecar, MOST_NAME_BYTES), word }
    }
}

impl Operation for Set<'_> {
    type Reply = Option<u64>;

    const SCRIPT: &'static str = scripts::SILENCE;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        KEYS.map(|what| keys.fleet(what)).into()
    }

    fn arguments(&self, place: &Place<'_>) -> Vec<Vec<u8>> {
        let body = self.body();
        let ends = digits(ends(&body).map_or(0, Stamp::as_millis));
        let [publish, channel] = place.alerts();
        vec![body.encode_to_vec(), ends, digits(MOST), publish, channel]
    }

    fn read(&self, reply: &mut Reply) -> Result<Option<u64>, StoreError> {
        Ok(Some(reply.number()?).filter(|id| *id > 0))
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> Option<u64> {
        let held = &mut memory.silences;
        held.sweep(now);
        if held.silences.len() >= MOST as usize {
            return None;
        }
        held.last = (held.last + 1).max(now.as_millis());
        held.silences.insert(held.last, self.body());
        held.changes += 1;
        Some(held.last)
    }
}
