//! The monotonic time that every rule takes as an argument.

use std::{ops::Add, time::Duration};

/// A point in monotonic time: nanoseconds since an origin that the caller chose, usually the
/// process's start. Two moments compare only if they share that origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// The origin.
    pub const ZERO: Self = Self(0);
    /// Later than any moment a process will see (584 years).
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment `nanos` after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This moment, `by` later, or [`Moment::NEVER`] if that is past the end of time.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        self.after(by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_runs_backwards_or_over() {
        let later = Moment::ZERO + Duration::from_secs(2);
        assert_eq!(later.since(Moment::ZERO), Duration::from_secs(2));
        assert_eq!(Moment::ZERO.since(later), Duration::ZERO);
        assert_eq!(later + Duration::MAX, Moment::NEVER);
    }
}
