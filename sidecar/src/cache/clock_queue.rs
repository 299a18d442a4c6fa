//! One part of a store: a queue in which whoever was asked for since its last turn gets another.
//!
//! That is the CLOCK algorithm, which keeps about what "least recently used" would, and in which a look-up moves
//! nothing.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use fusebox_rules::moment::Moment;

use super::Weigh;
use crate::digest::{Digest, Spread};

/// Entries in the order in which they come to their turn.
#[derive(Debug)]
pub(super) struct ClockQueue<V> {
    entries: HashMap<Digest, Entry<V>, Spread>,
    /// The key of each entry, once.
    turns: VecDeque<Digest>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: Arc<V>,
    since: Moment,
    bytes: usize,
    asked_for: bool,
}

impl<V: Weigh> ClockQueue<V> {
    /// Bytes that an entry takes beside its value's own: its rows in the table and in the queue, twice, since both
    /// double when they grow, and the value itself behind its counts.
    const OVERHEAD: usize =
        2 * (size_of::<(Digest, Entry<V>)>() + 1 + size_of::<Digest>()) + size_of::<V>() + 2 * size_of::<usize>();

    pub(super) fn new() -> Self {
        Self { entries: HashMap::default(), turns: VecDeque::new(), bytes: 0 }
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.turns.len()
    }

    pub(super) fn find(&mut self, key: Digest) -> Option<(Arc<V>, Moment)> {
        let entry = self.entries.get_mut(&key)?;
        entry.asked_for = true;
        Some((Arc::clone(&entry.value), entry.since))
    }

    /// Keeps `value`, and says how many others gave way; `None`: it is larger than all may be. What was under the key
    /// is gone either way.
    pub(super) fn keep(&mut self, key: Digest, value: Arc<V>, capacity: usize, since: Moment) -> Option<usize> {
        let bytes = value.weigh().saturating_add(Self::OVERHEAD);
        if bytes > capacity {
            if self.entries.contains_key(&key) {
                self.turns.retain(|other| *other != key);
                self.remove(key);
            }
            return None;
        }
        // One that is kept again has its turn when it had, and is not the one that gives way for itself.
        let evicted = if let Some(entry) = self.entries.get_mut(&key) {
            self.bytes = self.bytes - entry.bytes + bytes;
            *entry = Entry { value, since, bytes, asked_for: true };
            self.trim(capacity)
        } else {
            let evicted = self.trim(capacity - bytes);
            self.entries.insert(key, Entry { value, since, bytes, asked_for: false });
            self.turns.push_back(key);
            self.bytes += bytes;
            evicted
        };
        Some(evicted)
    }

    /// Gives up entries until they take `capacity` bytes, and says how many.
    pub(super) fn trim(&mut self, capacity: usize) -> usize {
        let mut evicted = 0;
        // Each entry comes to its turn at most twice: the first time takes away what the second would go by.
        while self.bytes > capacity
            && let Some(key) = self.turns.pop_front()
        {
            match self.entries.get_mut(&key) {
                Some(entry) if entry.asked_for => {
                    entry.asked_for = false;
                    self.turns.push_back(key);
                }
                _ => {
                    self.remove(key);
                    evicted += 1;
                }
            }
        }
        if self.entries.capacity() > 64 && self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to_fit();
            self.turns.shrink_to_fit();
        }
        evicted
    }

    fn remove(&mut self, key: Digest) {
        if let Some(entry) = self.entries.remove(&key) {
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Heavy(usize);

    impl Weigh for Heavy {
        fn weigh(&self) -> usize {
            self.0
        }
    }

    const AT: Moment = Moment::from_nanos(1);
    const ONE: usize = 1000 + ClockQueue::<Heavy>::OVERHEAD;

    fn key(number: u8) -> Digest {
        Digest::of(&[number])
    }

    fn there(queue: &ClockQueue<Heavy>) -> Vec<u8> {
        (0..10).filter(|number| queue.entries.contains_key(&key(*number))).collect()
    }

    fn keep(queue: &mut ClockQueue<Heavy>, number: u8) -> Option<usize> {
        queue.keep(key(number), Arc::new(Heavy(1000)), 3 * ONE, AT)
    }

    fn with_three() -> ClockQueue<Heavy> {
        let mut queue = ClockQueue::new();
        for number in 0..3 {
            assert_eq!(keep(&mut queue, number), Some(0));
        }
        queue
    }

    #[test]
    fn whoever_was_asked_for_stays_longer() {
        let mut queue = with_three();
        assert!(queue.find(key(0)).is_some());
        assert_eq!(keep(&mut queue, 3), Some(1));
        assert_eq!(there(&queue), [0, 2, 3]);
        assert_eq!(keep(&mut queue, 4), Some(1));
        assert_eq!(there(&queue), [0, 3, 4]);
        // It was not asked for again, so its next turn is its last.
        assert_eq!(keep(&mut queue, 5), Some(1));
        assert_eq!(there(&queue), [3, 4, 5]);
    }

    #[test]
    fn one_kept_again_and_again_is_counted_once() {
        let mut queue = ClockQueue::new();
        for _ in 0..100 {
            assert_eq!(keep(&mut queue, 1), Some(0));
        }
        assert_eq!((queue.len(), queue.bytes(), queue.turns.len()), (1, ONE, 1));
    }

    #[test]
    fn one_that_has_grown_too_large_is_gone() {
        let mut queue = ClockQueue::new();
        keep(&mut queue, 1);
        assert_eq!(queue.keep(key(1), Arc::new(Heavy(4 * ONE)), 3 * ONE, AT), None);
        assert_eq!((queue.len(), queue.bytes(), queue.turns.len()), (0, 0, 0));
    }

    #[test]
    fn if_all_were_asked_for_one_goes_all_the_same() {
        let mut queue = with_three();
        (0..3).for_each(|number| assert!(queue.find(key(number)).is_some()));
        assert_eq!(keep(&mut queue, 3), Some(1));
        assert_eq!(there(&queue), [1, 2, 3]);
    }
}
