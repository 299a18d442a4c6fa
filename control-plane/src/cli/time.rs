//! Spans and moments as people write and read them.

use std::time::Duration;

use fusebox_base::{clock, config::units};
use prost_types::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// What the clock on the wall says, from 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now(pub(crate) Duration);

impl Now {
    /// What it says as this is called.
    pub(crate) fn read() -> Self {
        Self(clock::unix_now())
    }

    /// How long ago `at` was; nothing if it is to come.
    pub(crate) fn since(self, at: &Timestamp) -> Duration {
        self.0.saturating_sub(unix(at))
    }

    /// How long it is until `at`; nothing if it is past.
    pub(crate) fn until(self, at: &Timestamp) -> Duration {
        unix(at).saturating_sub(self.0)
    }

    /// `5s ago`, or the word for what is absent.
    pub(crate) fn ago(self, at: Option<&Timestamp>) -> String {
        at.map_or_else(|| "never".to_owned(), |at| format!("{} ago", short(self.since(at))))
    }
}

/// `text` as a span, as durations are written everywhere: `30s`, `1h30m`.
///
/// # Errors
/// It is none; the clause says what would be.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    units::duration(text).ok_or_else(|| "write it as 30s, 5m, 2h or 1h30m".to_owned())
}

/// The same back, without what is finer than a millisecond.
pub(crate) fn show(span: Duration) -> String {
    units::show_duration(span)
}

/// A span in its largest unit, as far as a glance wants it: `42s`, `12m`, `5h`, `3d`.
pub(crate) fn short(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..MINUTE => format!("{seconds}s"),
        MINUTE..HOUR => format!("{}m", seconds / MINUTE),
        // Up to two days, hours say more.
        HOUR..172_800 => format!("{}h", seconds / HOUR),
        _ => format!("{}d", seconds / DAY),
    }
}

/// A moment to the second, in UTC: `2026-11-22 14:03:22Z`.
pub(crate) fn stamp(at: &Timestamp) -> String {
    Timestamp { nanos: 0, ..*at }.to_string().replacen('T', " ", 1)
}

/// As the services take it.
pub(crate) fn duration(span: Duration) -> prost_types::Duration {
    // What is too long for it, no argument can be.
    prost_types::Duration::try_from(span).unwrap_or_default()
}

fn unix(at: &Timestamp) -> Duration {
    let whole = Duration::from_secs(u64::try_from(at.seconds).unwrap_or(0));
    whole.saturating_add(Duration::from_nanos(u64::try_from(at.nanos).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glance_is_given_the_largest_unit() {
        for (seconds, right) in
            [(0, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (7200, "2h"), (172_799, "47h"), (172_800, "2d")]
        {
            assert_eq!(short(Duration::from_secs(seconds)), right);
        }
    }

    #[test]
    fn moments_are_told_in_utc_and_from_now() {
        let at = Timestamp { seconds: 1_700_000_000, nanos: 999_000_000 };
        assert_eq!(stamp(&at), "2023-11-14 22:13:20Z");
        let now = Now(Duration::from_secs(1_700_000_060));
        assert_eq!(now.ago(Some(&at)), "59s ago");
        assert_eq!(now.ago(None), "never");
        assert_eq!(now.until(&at), Duration::ZERO);
        let odd = Timestamp { seconds: i64::MIN, nanos: -1 };
        assert!(!stamp(&odd).is_empty() && now.since(&odd) == now.0, "nothing that is sent makes it panic");
    }
}
