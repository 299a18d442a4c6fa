//! The cache as it is seen from outside: look-ups by what they found, and answers by whether they are kept.

/// What became of a look-up, or of an answer to be kept, by the label of `fusebox_cache_requests_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum CacheResult {
    /// The answer was there.
    Hit,
    /// It was not.
    Miss,
    /// It was there and too old.
    Stale,
    /// It was being made for another call, and waited for.
    Shared,
    /// An answer is kept.
    Stored,
    /// An answer is too large to be kept.
    TooLarge,
    /// An answer gave way to another.
    Evicted,
    /// The answer was not here, and another sidecar had kept it.
    FleetHit,
    /// No other sidecar had kept it either.
    FleetMiss,
    /// The fleet's store did not say in time.
    FleetUnanswered,
    /// An answer is kept for other sidecars.
    FleetStored,
    /// There was no room for it to be kept for other sidecars, or it was too large.
    FleetUnkept,
}

impl CacheResult {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Hit,
        Self::Miss,
        Self::Stale,
        Self::Shared,
        Self::Stored,
        Self::TooLarge,
        Self::Evicted,
        Self::FleetHit,
        Self::FleetMiss,
        Self::FleetUnanswered,
        Self::FleetStored,
        Self::FleetUnkept,
    ];

    /// Those that other sidecars have to do with.
    pub const OF_FLEET: [Self; 5] =
        [Self::FleetHit, Self::FleetMiss, Self::FleetUnanswered, Self::FleetStored, Self::FleetUnkept];

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Stale => "stale",
            Self::Shared => "shared",
            Self::Stored => "stored",
            Self::TooLarge => "too_large",
            Self::Evicted => "evicted",
            Self::FleetHit => "fleet_hit",
            Self::FleetMiss => "fleet_miss",
            Self::FleetUnanswered => "fleet_unanswered",
            Self::FleetStored => "fleet_stored",
            Self::FleetUnkept => "fleet_unkept",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_result_stands_at_its_number() {
        for (number, result) in CacheResult::ALL.into_iter().enumerate() {
            assert_eq!(result as usize, number);
        }
    }
}
