//! The probes that are out, by leases that expire, so that a lost one does not wedge the breaker.

use crate::moment::Moment;

/// The most probes that a breaker lets out at once, whatever its settings say.
pub const MAX_PROBES: u32 = 32;

#[derive(Debug, Clone, Copy)]
struct Lease {
    id: u64,
    expires: Moment,
}

/// The probes that are out. Leases are numbered over the breaker's whole life, so that no number comes twice.
#[derive(Debug, Clone, Default)]
pub(super) struct Probes {
    places: [Option<Lease>; MAX_PROBES as usize],
    last_id: u64,
}

impl Probes {
    /// Lets one out until `expires`, if fewer than `most` are out; its number.
    pub(super) fn lease(&mut self, most: u32, now: Moment, expires: Moment) -> Option<u64> {
        if self.out(now) >= most {
            return None;
        }
        let place = self.places.iter_mut().find(|place| !is_live(place, now))?;
        self.last_id += 1;
        *place = Some(Lease { id: self.last_id, expires });
        Some(self.last_id)
    }

    /// Whether this one is out and has not expired.
    pub(super) fn is_out(&self, id: u64, now: Moment) -> bool {
        self.places.iter().any(|place| is_live(place, now) && place.is_some_and(|lease| lease.id == id))
    }

    /// Frees its place.
    pub(super) fn give_back(&mut self, id: u64) {
        for place in &mut self.places {
            if place.is_some_and(|lease| lease.id == id) {
                *place = None;
            }
        }
    }

    /// How many are out.
    pub(super) fn out(&self, now: Moment) -> u32 {
        self.places.iter().map(|place| u32::from(is_live(place, now))).sum()
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.places = [None; MAX_PROBES as usize];
    }
}

fn is_live(place: &Option<Lease>, now: Moment) -> bool {
    place.is_some_and(|lease| lease.expires > now)
}
