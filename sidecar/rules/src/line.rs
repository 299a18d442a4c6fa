//! Who may have a place at a provider, and who is next: a bounded queue of two classes.
//!
//! First come, first served within a class: a wait here is short against an answer, so that overtaking would win a
//! caller little. How many places there are is another rule's.

use std::{collections::VecDeque, time::Duration};

/// Who gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Class {
    /// Goes first, and may have every place.
    Interactive = 0,
    /// Goes when no other waits, and leaves some places free.
    Batch = 1,
}

impl Class {
    /// How many of `limit` places may be taken when one of this class takes another: all, or seven tenths; at least 1.
    #[must_use]
    pub const fn share(self, limit: u32) -> u32 {
        let share = match self {
            Self::Interactive => limit,
            Self::Batch => limit / 10 * 7 + limit % 10 * 7 / 10,
        };
        if share == 0 { 1 } else { share }
    }
}

/// Those who wait, with what each left behind to be called by.
#[derive(Debug, Clone)]
pub struct Line<T> {
    interactive: VecDeque<(Ticket, T)>,
    batch: VecDeque<(Ticket, T)>,
    issued: u64,
}

/// One who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(u64);

/// What became of one who would wait.
#[derive(Debug, PartialEq, Eq)]
pub enum Joined<T> {
    /// It waits.
    Waiting(Ticket),
    /// It waits, in the place of a batch call, which waits no longer.
    InPlaceOf(Ticket, T),
    /// There is no room for it.
    Full(T),
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { interactive: VecDeque::new(), batch: VecDeque::new(), issued: 0 }
    }
}

impl<T> Line<T> {
    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.interactive.len() + self.batch.len()
    }

    /// Whether nobody does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many go before one of `class` who came now.
    #[must_use]
    pub fn ahead_of(&self, class: Class) -> usize {
        match class {
            Class::Interactive => self.interactive.len(),
            Class::Batch => self.len(),
        }
    }

    /// One more would wait, where at most `most` may. An interactive one takes the place of the last batch one if it
    /// must.
    pub fn join(&mut self, most: usize, class: Class, item: T) -> Joined<T> {
        let displaced = match (self.len() < most, class) {
            (true, _) => None,
            (false, Class::Interactive) if most > 0 => match self.batch.pop_back() {
                Some((_, last)) => Some(last),
                None => return Joined::Full(item),
            },
            (false, _) => return Joined::Full(item),
        };
        self.issued += 1;
        let ticket = Ticket(self.issued);
        self.of(class).push_back((ticket, item));
        displaced.map_or(Joined::Waiting(ticket), |other| Joined::InPlaceOf(ticket, other))
    }

    /// One waits no longer; `None`: it did not any more.
    pub fn leave(&mut self, class: Class, ticket: Ticket) -> Option<T> {
        let queue = self.of(class);
        let at = queue.binary_search_by_key(&ticket.0, |(waiting, _)| waiting.0).ok()?;
        queue.remove(at).map(|(_, item)| item)
    }

    /// Who is next while `taken` of `limit` places are; `None`: nobody yet.
    pub fn next(&mut self, taken: u32, limit: u32) -> Option<T> {
        let class = if self.interactive.is_empty() { Class::Batch } else { Class::Interactive };
        if taken >= class.share(limit) {
            return None;
        }
        self.of(class).pop_front().map(|(_, item)| item)
    }

    const fn of(&mut self, class: Class) -> &mut VecDeque<(Ticket, T)> {
        match class {
            Class::Interactive => &mut self.interactive,
            Class::Batch => &mut self.batch,
        }
    }
}

/// How long one with `ahead` before it waits while `per_second` places fall free; `None`: nobody knows.
#[must_use]
pub fn expected_wait(ahead: usize, per_second: f64) -> Option<Duration> {
    // Beyond the longest duration there is no telling either.
    (per_second > 0.0).then(|| Duration::try_from_secs_f64((ahead as f64 + 1.0) / per_second).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn interactive_calls_go_first_and_batch_calls_leave_places_free() {
        let mut line = Line::default();
        for (class, name) in [(Class::Batch, "b1"), (Class::Interactive, "i1"), (Class::Batch, "b2")] {
            assert!(matches!(line.join(8, class, name), Joined::Waiting(_)));
        }
        assert_eq!(line.next(10, 10), None);
        assert_eq!(line.next(9, 10), Some("i1"));
        assert_eq!(line.next(7, 10), None, "the last three places are not for batch calls");
        assert_eq!((line.next(6, 10), line.next(0, 10), line.next(0, 10)), (Some("b1"), Some("b2"), None));
    }

    #[test]
    fn a_full_line_takes_an_interactive_call_in_the_place_of_the_last_batch_call() {
        let mut line = Line::default();
        line.join(2, Class::Batch, "b1");
        line.join(2, Class::Batch, "b2");
        assert_eq!(line.join(2, Class::Batch, "b3"), Joined::Full("b3"));
        assert!(matches!(line.join(2, Class::Interactive, "i1"), Joined::InPlaceOf(_, "b2")));
        assert!(matches!(line.join(2, Class::Interactive, "i2"), Joined::InPlaceOf(_, "b1")));
        assert_eq!(line.join(2, Class::Interactive, "i3"), Joined::Full("i3"));
        assert_eq!(line.join(0, Class::Interactive, "i4"), Joined::Full("i4"), "where nobody may wait, nobody does");
    }

    #[test]
    fn even_the_smallest_limit_has_a_place_for_a_batch_call() {
        assert_eq!([0, 1, 2, 10, 1024].map(|limit| Class::Batch.share(limit)), [1, 1, 1, 7, 716]);
        assert_eq!([0, 1, 1024].map(|limit| Class::Interactive.share(limit)), [1, 1, 1024]);
    }

    #[test]
    fn a_wait_is_foreseen_from_how_fast_places_fall_free() {
        assert_eq!(expected_wait(9, 20.0), Some(Duration::from_millis(500)));
        assert_eq!(expected_wait(9, 0.0), None);
        assert_eq!(expected_wait(usize::MAX, f64::MIN_POSITIVE), None);
    }

    proptest! {
        #[test]
        fn the_line_keeps_its_bound_its_order_and_everyone(
            steps in prop::collection::vec((0..4_u8, any::<bool>(), any::<prop::sample::Index>()), 1..200),
            most in 0..12_usize,
        ) {
            let mut line = Line::default();
            let mut model: Vec<(Class, u32, Ticket)> = Vec::new();
            for (number, (step, batch, index)) in (0_u32..).zip(steps) {
                let class = if batch { Class::Batch } else { Class::Interactive };
                match step {
                    0 | 1 => match line.join(most, class, number) {
                        Joined::Waiting(ticket) => model.push((class, number, ticket)),
                        Joined::InPlaceOf(ticket, other) => {
                            let last = model.iter().rposition(|one| one.0 == Class::Batch).unwrap();
                            prop_assert_eq!(model.remove(last).1, other);
                            model.push((class, number, ticket));
                        }
                        Joined::Full(item) => prop_assert!(item == number && model.len() >= most),
                    },
                    2 if !model.is_empty() => {
                        let (class, number, ticket) = model.remove(index.index(model.len()));
                        prop_assert_eq!(line.leave(class, ticket), Some(number));
                        prop_assert_eq!(line.leave(class, ticket), None);
                    }
                    _ => {
                        let first = model.iter().position(|one| one.0 == Class::Interactive);
                        let first = first.or(if model.is_empty() { None } else { Some(0) });
                        prop_assert_eq!(line.next(0, 1), first.map(|first| model.remove(first).1));
                    }
                }
                prop_assert!(line.len() == model.len() && line.len() <= most);
            }
        }
    }
}
