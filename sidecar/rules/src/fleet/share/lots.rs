//! What is leased, by when it was asked for, for each lease ends in its own time; and what is to be given back.

use super::{LASTS, TOGETHER, TURNED_OVER};
use crate::moment::Moment;

/// Leases that have not ended, in the order in which they were asked for: at most `LASTS / TOGETHER` and one.
#[derive(Debug, Clone, Default)]
pub(super) struct Lots {
    lots: Vec<Lot>,
    /// To be given back, and of no lot.
    spare: u64,
}

#[derive(Debug, Clone, Copy)]
struct Lot {
    asked: Moment,
    held: u64,
    /// What calls may still bring back to it.
    taken: u64,
    /// To be given back. Once the lot has ended it is not: the bound would not hold.
    back: u64,
}

impl Lots {
    pub(super) fn add(&mut self, units: u64, asked: Moment) {
        match self.lots.last_mut().filter(|lot| asked.since(lot.asked) < TOGETHER) {
            Some(lot) => lot.held += units,
            None => self.lots.push(Lot { asked, held: units, taken: 0, back: 0 }),
        }
    }

    pub(super) fn forget(&mut self, now: Moment) {
        self.lots.retain(|lot| now < lot.asked + LASTS);
    }

    /// As was known when some were last forgotten.
    pub(super) fn held(&self) -> u64 {
        self.lots.iter().map(|lot| lot.held).sum()
    }

    pub(super) fn held_at(&self, now: Moment) -> u64 {
        self.lots.iter().filter(|lot| now < lot.asked + LASTS).map(|lot| lot.held).sum()
    }

    /// Takes from those that end first; says how much it could.
    pub(super) fn take(&mut self, units: u64) -> u64 {
        let mut missing = units;
        for lot in &mut self.lots {
            let part = lot.held.min(missing);
            lot.held -= part;
            lot.taken += part;
            missing -= part;
        }
        units - missing
    }

    /// To those that end last, for use, and no more than was taken of them; what is beyond goes to the store.
    pub(super) fn bring_back(&mut self, units: u64) {
        let mut spare = units;
        for lot in self.lots.iter_mut().rev() {
            let part = lot.taken.min(spare);
            lot.taken -= part;
            lot.held += part;
            spare -= part;
        }
        self.give_back(spare);
    }

    pub(super) const fn give_back(&mut self, units: u64) {
        self.spare = self.spare.saturating_add(units);
    }

    /// Marks what is too much to be given back, the oldest first; says how much is left of what is not old.
    pub(super) fn turn_over(&mut self, desired: u64, now: Moment) -> u64 {
        let (mut kept, mut fresh) = (0, 0);
        for lot in self.lots.iter_mut().rev() {
            let is_old = now.since(lot.asked) >= TURNED_OVER;
            let room = if is_old { desired } else { desired.saturating_mul(2) };
            let keep = lot.held.min(room.saturating_sub(kept));
            lot.back += lot.held - keep;
            lot.held = keep;
            kept += keep;
            if !is_old {
                fresh += keep;
            }
        }
        fresh
    }

    /// What to give back now. It is asked for once.
    pub(super) fn take_back(&mut self) -> u64 {
        let of_lots = self.lots.iter_mut().map(|lot| std::mem::take(&mut lot.back));
        of_lots.fold(std::mem::take(&mut self.spare), u64::saturating_add)
    }
}
