//! Bounded memory for answers: found by digest, counted in bytes, the least asked for given up first.
//!
//! What is worth keeping, and for how long it is good, its users know; nothing here reads an answer.

mod clock_queue;

use std::{sync::Arc, time::Duration};

use fusebox_rules::moment::Moment;
use parking_lot::Mutex;

use self::clock_queue::ClockQueue;
use crate::digest::Digest;

/// Parts, each with a lock and an equal share of the memory. One entry may fill a part, and so an eighth of it all.
const PARTS: usize = 8;

/// What takes memory.
pub trait Weigh {
    /// Bytes that it holds elsewhere than in itself.
    fn weigh(&self) -> usize;
}

/// Answers by digest, from any thread. A lock is held for a look-up or a move in memory, and never over a wait.
#[derive(Debug)]
pub struct Store<V> {
    parts: [Mutex<ClockQueue<V>>; PARTS],
}

/// What became of a look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<V> {
    /// It is there, and so old.
    Fresh(Arc<V>, Duration),
    /// It is there, and older than it may be.
    Stale,
    /// It is not there.
    Nothing,
}

/// What became of something to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is kept.
    Stored {
        /// How many others gave way.
        evicted: usize,
    },
    /// It is larger than one entry may be.
    TooLarge,
}

impl<V: Weigh> Store<V> {
    /// With nothing in it, and so taking next to no memory.
    #[must_use]
    pub fn new() -> Self {
        Self { parts: std::array::from_fn(|_| Mutex::new(ClockQueue::new())) }
    }

    /// The largest entry, in bytes, where all may take `capacity`.
    #[must_use]
    pub const fn max_entry(capacity: usize) -> usize {
        capacity / PARTS
    }

    /// What is kept under `key`, if it is not older than `ttl`.
    #[must_use]
    pub fn find(&self, key: Digest, ttl: Duration, now: Moment) -> Found<V> {
        match self.part(key).lock().find(key) {
            None => Found::Nothing,
            Some((_, since)) if now.since(since) > ttl => Found::Stale,
            Some((value, since)) => Found::Fresh(value, now.since(since)),
        }
    }

    /// Keeps `value` under `key`, in the place of whatever was there, while all may take `capacity` bytes.
    pub fn keep(&self, key: Digest, value: Arc<V>, capacity: usize, now: Moment) -> Kept {
        match self.part(key).lock().keep(key, value, Self::max_entry(capacity), now) {
            Some(evicted) => Kept::Stored { evicted },
            None => Kept::TooLarge,
        }
    }

    /// Gives up what is more than `capacity` bytes.
    pub fn trim(&self, capacity: usize) {
        for part in &self.parts {
            part.lock().trim(Self::max_entry(capacity));
        }
    }

    /// Bytes held, and how many entries they are.
    #[must_use]
    pub fn held(&self) -> (usize, usize) {
        self.parts.iter().fold((0, 0), |(bytes, count), part| {
            let part = part.lock();
            (bytes + part.bytes(), count + part.len())
        })
    }

    fn part(&self, key: Digest) -> &Mutex<ClockQueue<V>> {
        &self.parts[key.part(PARTS)]
    }
}

impl<V: Weigh> Default for Store<V> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weigh for Vec<u8> {
        fn weigh(&self) -> usize {
            self.capacity()
        }
    }

    const AT: Moment = Moment::from_nanos(1);
    const TTL: Duration = Duration::from_secs(60);

    fn key(number: u64) -> Digest {
        Digest::of(&number.to_le_bytes())
    }

    #[test]
    fn what_was_kept_is_found_until_it_is_too_old() {
        let store = Store::new();
        assert_eq!(store.find(key(1), TTL, AT), Found::Nothing);
        let value = Arc::new(vec![1]);
        assert_eq!(store.keep(key(1), Arc::clone(&value), 1 << 20, AT), Kept::Stored { evicted: 0 });
        assert_eq!(store.find(key(1), TTL, AT + TTL), Found::Fresh(value, TTL));
        assert_eq!(store.find(key(1), TTL, AT + TTL + Duration::from_nanos(1)), Found::Stale);
        assert_eq!(store.find(key(2), TTL, AT), Found::Nothing);
    }

    #[test]
    fn it_never_takes_more_than_it_may() {
        let (store, capacity) = (Store::new(), 64 << 10);
        for number in 0..1000 {
            store.keep(key(number), Arc::new(vec![0; 1 << (number % 12)]), capacity, AT);
            assert!(store.held().0 <= capacity);
        }
        assert!(store.held().1 > 0);
        store.trim(capacity / 4);
        assert!(store.held().0 <= capacity / 4);
        store.trim(0);
        assert_eq!(store.held(), (0, 0));
    }

    #[test]
    fn one_entry_takes_an_eighth_at_most() {
        let store = Store::new();
        assert_eq!(store.keep(key(1), Arc::new(vec![0; 1025]), 8 << 10, AT), Kept::TooLarge);
        assert_eq!(store.held(), (0, 0));
    }
}
