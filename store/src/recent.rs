//! What is kept in memory by name and by a time, as a sorted set and a hash of Redis keep it together.

use std::collections::{BTreeMap, BTreeSet};

use fusebox_rules::fleet::Stamp;

/// Finding a name, and the earliest time, takes no longer than a tree's height.
#[derive(Debug, Clone)]
pub(crate) struct Recent<T> {
    by_name: BTreeMap<String, (Stamp, T)>,
    by_time: BTreeSet<(Stamp, String)>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { by_name: BTreeMap::new(), by_time: BTreeSet::new() }
    }
}

impl<T> Recent<T> {
    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.by_name.get(name).map(|(_, kept)| kept)
    }

    /// In the place of what had this name.
    pub(crate) fn put(&mut self, name: &str, at: Stamp, kept: T) {
        self.remove(name);
        self.by_name.insert(name.to_owned(), (at, kept));
        self.by_time.insert((at, name.to_owned()));
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<T> {
        let (name, (at, kept)) = self.by_name.remove_entry(name)?;
        self.by_time.remove(&(at, name));
        Some(kept)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Forgets some whose time is `end` or earlier, the earliest first.
    pub(crate) fn forget(&mut self, end: Stamp, most: usize) {
        for _ in 0..most {
            if self.by_time.first().is_none_or(|(at, _)| *at > end) {
                return;
            }
            self.pop_first();
        }
    }

    /// Forgets the earliest, while there are more than `most`.
    pub(crate) fn keep(&mut self, most: usize) {
        while self.by_name.len() > most {
            self.pop_first();
        }
    }

    /// How many have a time later than `at`. Those that have not are counted one by one.
    pub(crate) fn later_than(&self, at: Stamp) -> usize {
        self.by_time.len() - self.by_time.iter().take_while(|(time, _)| *time <= at).count()
    }

    /// By name, from the one after `name`.
    pub(crate) fn after(&self, name: &str) -> impl Iterator<Item = (&String, Stamp, &T)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = if name.is_empty() { Unbounded } else { Excluded(name) };
        self.by_name.range::<str, _>((from, Unbounded)).map(|(name, (at, kept))| (name, *at, kept))
    }

    /// Forgets the earliest.
    pub(crate) fn pop_first(&mut self) -> Option<T> {
        let (_, name) = self.by_time.pop_first()?;
        self.by_name.remove(&name).map(|(_, kept)| kept)
    }
}
