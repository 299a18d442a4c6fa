//! Counters that threads do not fight over: each thread adds to a shard of its own, a reader sums.

use std::{
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// More shards than this cost more memory than the contention that they save.
const MAX_SHARDS: usize = 32;

static NEXT_THREAD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Which shard this thread adds to, before it is masked; `usize::MAX` until it first asks.
    static THREAD: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// One `T` for each few threads. What is read is a sum that was never true at one instant, as is
/// usual of metrics.
#[derive(Debug)]
pub(super) struct Shards<T>(Box<[Padded<T>]>);

/// Two cache lines: neighbouring shards never share one, and processors that fetch lines in pairs do not either.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded<T>(T);

impl<T: Default> Shards<T> {
    /// Enough shards for `threads`: the next power of two.
    pub(super) fn new(threads: usize) -> Self {
        let count = threads.clamp(1, MAX_SHARDS).next_power_of_two();
        Self((0..count).map(|_| Padded::default()).collect())
    }

    /// This thread's shard.
    pub(super) fn mine(&self) -> &T {
        let thread = THREAD.with(|thread| {
            if thread.get() == usize::MAX {
                thread.set(NEXT_THREAD.fetch_add(1, Relaxed));
            }
            thread.get()
        });
        // The length is a power of two, so the mask is a remainder.
        &self.0[thread & (self.0.len() - 1)].0
    }

    /// Every shard, to be summed.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|shard| &shard.0)
    }

    /// The sum of `read` over the shards; wraps, as counters do.
    pub(super) fn sum(&self, read: impl Fn(&T) -> u64) -> u64 {
        self.iter().fold(0, |sum, shard| sum.wrapping_add(read(shard)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn nothing_added_by_any_thread_is_lost() {
        let shards: Shards<AtomicU64> = Shards::new(3);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        shards.mine().fetch_add(1, Relaxed);
                    }
                });
            }
        });
        assert_eq!(shards.sum(|shard| shard.load(Relaxed)), 80_000);
    }

    #[test]
    fn the_number_of_shards_is_a_bounded_power_of_two() {
        for (threads, shards) in [(0, 1), (1, 1), (3, 4), (16, 16), (10_000, MAX_SHARDS)] {
            assert_eq!(Shards::<AtomicU64>::new(threads).iter().count(), shards, "{threads} threads");
        }
    }
}
