//! Counts of failures by kind and operation over a window, in as many slots as it has steps: its size never grows.

use std::time::Duration;

use fusebox_rules::moment::Moment;

use super::OPERATIONS;
use crate::{chat::request::Operation, error::ErrorKind};

/// Slots of one wheel.
const SLOTS: usize = 60;

pub(super) const KINDS: usize = ErrorKind::ALL.len();

/// Counts by kind, then by operation.
pub(super) type Counts = [[u64; OPERATIONS.len()]; KINDS];

/// Sixty slots of one step each.
#[derive(Debug)]
pub(super) struct Wheel {
    step: Duration,
    slots: Box<[Slot]>,
}

#[derive(Debug, Clone)]
struct Slot {
    /// Which step since the clock's origin.
    number: u64,
    counts: Counts,
}

impl Wheel {
    /// An empty wheel of sixty times `step`, which is not zero.
    pub(super) fn new(step: Duration) -> Self {
        Self { step, slots: vec![Slot { number: 0, counts: [[0; OPERATIONS.len()]; KINDS] }; SLOTS].into() }
    }

    /// Counts one failure.
    pub(super) fn add(&mut self, kind: ErrorKind, operation: Option<Operation>, at: Moment) {
        let number = self.number(at);
        let place = usize::try_from(number % SLOTS as u64).unwrap_or(0);
        let slot = &mut self.slots[place];
        if slot.number < number {
            *slot = Slot { number, counts: [[0; OPERATIONS.len()]; KINDS] };
        }
        let operation = OPERATIONS.iter().position(|one| *one == operation).unwrap_or(0);
        slot.counts[kind as usize][operation] += 1;
    }

    /// What was counted in the window that ends now.
    pub(super) fn counts(&self, now: Moment) -> Counts {
        let oldest = (self.number(now) + 1).saturating_sub(SLOTS as u64);
        let mut sums = [[0; OPERATIONS.len()]; KINDS];
        for slot in self.slots.iter().filter(|slot| slot.number >= oldest) {
            for (sums, counts) in sums.iter_mut().zip(&slot.counts) {
                sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            }
        }
        sums
    }

    /// Minutes that the window has covered since the clock's origin, for rates: more than none.
    pub(super) fn minutes(&self, now: Moment) -> f64 {
        let covered = (self.step * SLOTS as u32).min(now.since(Moment::ZERO)).max(Duration::from_secs(1));
        covered.as_secs_f64() / 60.0
    }

    fn number(&self, at: Moment) -> u64 {
        at.since(Moment::ZERO).as_secs() / self.step.as_secs().max(1)
    }
}
