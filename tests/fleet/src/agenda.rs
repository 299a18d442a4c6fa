//! What is yet to happen, in the order of virtual time.

use std::{cmp::Reverse, collections::BinaryHeap};

use fusebox_rules::moment::Moment;

/// Events by when they are due; of two that are due together the one put down first comes first.
#[derive(Debug)]
pub struct Agenda<T> {
    due: BinaryHeap<Reverse<Entry<T>>>,
    put_down: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Moment,
    number: u64,
    what: T,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { due: BinaryHeap::new(), put_down: 0 }
    }
}

impl<T> Agenda<T> {
    /// `what` is to happen at `at`.
    pub fn put(&mut self, at: Moment, what: T) {
        self.put_down += 1;
        self.due.push(Reverse(Entry { at, number: self.put_down, what }));
    }

    /// What happens next, if it is due by `end`.
    pub fn next_by(&mut self, end: Moment) -> Option<(Moment, T)> {
        if self.due.peek().is_none_or(|Reverse(entry)| entry.at > end) {
            return None;
        }
        self.due.pop().map(|Reverse(entry)| (entry.at, entry.what))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_the_order_in_which_they_were_put_down() {
        let at = |millis| Moment::ZERO + Duration::from_millis(millis);
        let mut agenda = Agenda::default();
        for (due, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b'), (9, 'e')] {
            agenda.put(at(due), what);
        }
        let came: String = std::iter::from_fn(|| agenda.next_by(at(8))).map(|(_, what)| what).collect();
        assert_eq!(came, "abcd");
    }
}
