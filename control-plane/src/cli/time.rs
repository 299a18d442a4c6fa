//! Spans and moments as people write and read them.

use std::time::Duration;

use prost_types::Timestamp;

const SECOND: u64 = 1;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Units that may be written, the largest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", DAY * 1000), ("h", HOUR * 1000), ("m", MINUTE * 1000), ("s", 1000), ("ms", 1)];

/// What the clock on the wall says, from 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now(pub(crate) Duration);

impl Now {
    /// What it says as this is called.
    pub(crate) fn read() -> Self {
        #[allow(clippy::disallowed_methods, reason = "for people: nothing is decided by it")]
        let now = std::time::SystemTime::now();
        Self(now.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default())
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

/// `text` as a span: `30s`, `1h30m`, `2d`. Units go from large to small, each at most once.
///
/// # Errors
/// It is none; the clause says what would be.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    read(text).map(Duration::from_millis).ok_or_else(|| "write it as 30s, 5m, 2h, 1h30m or 2d".to_owned())
}

fn read(text: &str) -> Option<u64> {
    let (mut rest, mut millis, mut smallest) = (text, 0_u64, u64::MAX);
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let (unit, after) = after.split_at(after.find(|letter: char| letter.is_ascii_digit()).unwrap_or(after.len()));
        let scale = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        if scale >= smallest {
            return None;
        }
        smallest = scale;
        millis = millis.checked_add(number.parse::<u64>().ok()?.checked_mul(scale)?)?;
        rest = after;
    }
    (smallest != u64::MAX).then_some(millis)
}

/// The same back: `1h30m`.
pub(crate) fn show(span: Duration) -> String {
    let mut rest = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let mut shown = String::new();
    for (unit, scale) in UNITS {
        if rest / scale > 0 {
            shown.push_str(&format!("{}{unit}", rest / scale));
        }
        rest %= scale;
    }
    if shown.is_empty() { "0s".to_owned() } else { shown }
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

/// The time of its day, in UTC: `14:03:22Z`.
pub(crate) fn clock(at: &Timestamp) -> String {
    let stamp = stamp(at);
    stamp.split_once(' ').map_or(stamp.clone(), |(_, time)| time.to_owned())
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
    fn spans_are_read_as_people_write_them_and_shown_again() {
        for (text, seconds) in [("30s", 30), ("5m", 300), ("1h30m", 5400), ("2d", 172_800), ("1d1s", 86_401), ("0s", 0)]
        {
            assert_eq!(span(text), Ok(Duration::from_secs(seconds)), "{text}");
            assert_eq!(show(Duration::from_secs(seconds)), text);
        }
        for wrong in ["", "5", "h", "1m2h", "1h1h", "-1s", "1.5h", "1 h", "5y", "99999999999999999999d", "1é"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }

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
        assert_eq!((stamp(&at).as_str(), clock(&at).as_str()), ("2023-11-14 22:13:20Z", "22:13:20Z"));
        let now = Now(Duration::from_secs(1_700_000_060));
        assert_eq!(now.ago(Some(&at)), "59s ago");
        assert_eq!(now.ago(None), "never");
        assert_eq!(now.until(&at), Duration::ZERO);
        let odd = Timestamp { seconds: i64::MIN, nanos: -1 };
        assert!(!stamp(&odd).is_empty() && now.since(&odd) == now.0, "nothing that is sent makes it panic");
    }
}
