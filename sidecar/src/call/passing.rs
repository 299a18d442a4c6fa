//! A stream's events as they pass, put by unread: for the cache, and for whoever has to go on with what broke off.
//!
//! One copy, of the events alone, so that nothing here holds on to the larger buffers that they came in.

use super::{attempt::MAX_KEPT, recall, way::Way};
use crate::chat::{answer::Chunk, request::Operation};

/// What has passed, for as long as that is of use.
#[derive(Debug, Default)]
pub(super) struct Passing {
    events: Vec<u8>,
    /// Bytes that have passed, put by or not.
    bytes: usize,
    /// Bytes beyond which the cache would not have it.
    cached: usize,
    /// Bytes beyond which nobody would go on with it; `None`: it is of a kind that cannot be gone on with.
    resumed: Option<usize>,
}

impl Passing {
    /// What passes on `way`.
    pub(super) fn on(way: &Way) -> Self {
        let request = &way.call.request;
        let text = matches!(request.operation, Operation::Chat | Operation::Completion);
        Self {
            cached: way.question.as_ref().map_or(0, |_| recall::max_entry(&way.plan().config)),
            resumed: (text && request.choices == 1).then_some(MAX_KEPT),
            ..Self::default()
        }
    }

    /// Whether it is of a kind that can be gone on with.
    pub(super) const fn may_be_resumed(&self) -> bool {
        self.resumed.is_some()
    }

    pub(super) fn note(&mut self, chunk: &Chunk) {
        self.bytes += chunk.events.len();
        if self.bytes <= self.cached.max(self.resumed.unwrap_or(0)) {
            self.events.extend_from_slice(&chunk.events);
        } else {
            self.events = Vec::new();
        }
    }

    /// All that passed; `None`: it is too much for the cache, or not for it.
    pub(super) fn for_cache(&self) -> Option<&[u8]> {
        (self.bytes <= self.cached).then_some(&self.events)
    }

    /// All that passed; `None`: it is too much to be gone on with.
    pub(super) fn so_far(&self) -> Option<&[u8]> {
        (self.bytes <= self.resumed?).then_some(&self.events)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn what_is_too_much_for_one_is_kept_for_the_other() {
        let note = |passing: &mut Passing| {
            passing.note(&Chunk { events: Bytes::from_static(b"1234"), ..Chunk::default() });
            (passing.for_cache().map(<[u8]>::len), passing.so_far().map(<[u8]>::len))
        };
        let mut passing = Passing { cached: 4, resumed: Some(8), ..Passing::default() };
        assert_eq!(note(&mut passing), (Some(4), Some(4)));
        assert_eq!(note(&mut passing), (None, Some(8)));
        assert_eq!(note(&mut passing), (None, None));
        assert_eq!(passing.events.capacity(), 0);
        let mut passing = Passing { cached: 8, resumed: None, ..Passing::default() };
        assert_eq!([note(&mut passing), note(&mut passing)], [(Some(4), None), (Some(8), None)]);
    }
}
