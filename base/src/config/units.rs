//! Durations and sizes as people write them, both ways.

use std::time::Duration;

use fusebox_rules::holdback::Holdback;

/// Units of time, the largest first, in nanoseconds.
const TIME: [(&str, u64); 4] =
    [("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000)];

/// Units of size in bytes: the binary ones, the decimal ones, and both as Kubernetes writes them.
const SIZE: [(&str, u64); 17] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("B", 1),
];

/// `text` as a duration: `30s`, `500ms`, `1m30s`, `1.5h`, or a plain `0`. Units go from large to small, each at most
/// once.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut nanos = 0_u64;
    let mut smallest = u64::MAX;
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let length = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(length);
        let scale = TIME.iter().find(|(name, _)| *name == unit)?.1;
        if scale >= smallest {
            return None;
        }
        smallest = scale;
        nanos = nanos.checked_add(scaled(number, scale)?)?;
        rest = after;
    }
    (smallest != u64::MAX).then(|| Duration::from_nanos(nanos))
}

/// `duration` in the shortest whole units: `1m30s`; what is finer than a millisecond is left out.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let mut shown = String::new();
    for (unit, scale) in TIME {
        let whole = rest / scale;
        if whole > 0 {
            shown.push_str(&format!("{whole}{unit}"));
        }
        rest %= scale;
    }
    if shown.is_empty() { "0s".to_owned() } else { shown }
}

/// `text` as what is held back of a stream: a number of tokens, a duration, or `whole`.
#[must_use]
pub fn holdback(text: &str) -> Option<Holdback> {
    match text {
        "whole" => Some(Holdback::Whole),
        tokens if tokens.bytes().all(|byte| byte.is_ascii_digit()) => tokens.parse().ok().map(Holdback::Tokens),
        text => duration(text).map(Holdback::Time),
    }
}

/// `text` as a number of bytes: `64MiB`, `1GB`, `1.5GiB`, `64Mi`, or plain bytes.
#[must_use]
pub fn size(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text)?;
    let scale = if unit.is_empty() { 1 } else { SIZE.iter().find(|(name, _)| *name == unit.trim_start())?.1 };
    scaled(number, scale)
}

/// `bytes` in the largest binary unit that divides it.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    match SIZE[..4].iter().find(|(_, scale)| bytes > 0 && bytes.is_multiple_of(*scale)) {
        Some((unit, scale)) => format!("{}{unit}", bytes / scale),
        None => bytes.to_string(),
    }
}

/// The decimal number that `text` begins with, and the rest.
fn split_number(text: &str) -> Option<(&str, &str)> {
    let length = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (length > 0).then(|| text.split_at(length))
}

/// The decimal number `number` times `scale`, exact, or `None` if it is malformed, too large or not whole.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if fraction.is_empty() || fraction.len() > 18 {
        return None;
    }
    let whole = u128::from(whole.parse::<u64>().ok()?);
    let parts = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let fraction = u128::from(fraction.parse::<u64>().ok()?) * u128::from(scale);
    if !fraction.is_multiple_of(parts) {
        return None;
    }
    u64::try_from(whole.checked_mul(u128::from(scale))?.checked_add(fraction / parts)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_holdback_is_tokens_or_a_time_or_all() {
        for (text, right) in [
            ("0", Some(Holdback::NONE)),
            ("16", Some(Holdback::Tokens(16))),
            ("250ms", Some(Holdback::Time(Duration::from_millis(250)))),
            ("whole", Some(Holdback::Whole)),
            ("", None),
            ("-1", None),
            ("99999999999", None),
            ("some", None),
        ] {
            assert_eq!(holdback(text), right, "{text:?}");
        }
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        let ms = |text| duration(text).map(|read| read.as_millis());
        for (text, right) in [
            ("1s", 1_000),
            ("500ms", 500),
            ("10m", 600_000),
            ("1h", 3_600_000),
            ("1m30s", 90_000),
            ("0", 0),
            ("1.5s", 1_500),
            ("0s", 0),
        ] {
            assert_eq!(ms(text), Some(right), "{text}");
        }
        for wrong in [
            "",
            "5",
            "5x",
            "s",
            "30s1m",
            "1s1s",
            "-1s",
            "1.s",
            ".5s",
            "1..5s",
            "1 s",
            "1S",
            "9999999999999h",
            "ſ",
            "1s ",
        ] {
            assert_eq!(ms(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, right) in [
            ("64MiB", 64 << 20),
            ("10MiB", 10 << 20),
            ("1GB", 1_000_000_000),
            ("512", 512),
            ("0", 0),
            ("1.5KiB", 1536),
            ("64Mi", 64 << 20),
            ("2 kB", 2000),
        ] {
            assert_eq!(size(text), Some(right), "{text}");
        }
        for wrong in ["", "MiB", "64m", "64mib", "-1", "1.1", "99999999999TiB", "1MiBB"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(millis in 0_u64..u64::MAX / 1_000_000, bytes in any::<u64>()) {
            let shown = Duration::from_millis(millis);
            prop_assert_eq!(duration(&show_duration(shown)), Some(shown));
            prop_assert_eq!(size(&show_size(bytes)), Some(bytes));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}", number in "[0-9.]{0,30}(ms|s|h|MiB|GB)") {
            let _ = (duration(&text), size(&text), duration(&number), size(&number));
        }
    }
}
