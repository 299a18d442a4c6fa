//! The forms in which vendors write spans and moments of time. Nothing here panics or allocates, whatever it is given.

use std::time::Duration;

/// Digits of a number that are read; more are no number.
const MAX_DIGITS: usize = 24;

/// What was read, and what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parsed<'a> {
    pub(super) value: Duration,
    pub(super) rest: &'a [u8],
}

/// A decimal number that `text` begins with, as so many seconds: `20`, `1.242`, `.5`.
pub(super) fn decimal(text: &[u8]) -> Option<Parsed<'_>> {
    let whole = digits(text);
    let fraction = match text.get(whole..) {
        Some([b'.', tail @ ..]) if digits(tail) > 0 => 1 + digits(tail),
        Some(_) | None => 0,
    };
    let (number, rest) = text.split_at_checked(whole + fraction)?;
    if number.is_empty() || number.len() > MAX_DIGITS {
        return None;
    }
    let seconds = std::str::from_utf8(number).ok()?.parse().ok()?;
    Some(Parsed { value: Duration::try_from_secs_f64(seconds).ok()?, rest })
}

/// A span that `text` begins with, as Go writes it or in words: `6m0s`, `1h2m3.5s`, `120ms`, `20 seconds`; without a
/// unit, seconds.
pub(super) fn span(text: &[u8]) -> Option<Parsed<'_>> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    loop {
        let number = decimal(rest)?;
        let after = number.rest.trim_ascii_start();
        let letters = after.iter().take_while(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii()).count();
        let (word, tail) = after.split_at_checked(letters)?;
        if word.is_empty() {
            let value = total.checked_add(number.value)?;
            return Some(Parsed { value, rest: number.rest });
        }
        total = total.checked_add(in_unit(number.value, word)?)?;
        rest = tail;
        if !rest.first().is_some_and(u8::is_ascii_digit) {
            return Some(Parsed { value: total, rest });
        }
    }
}

fn in_unit(count: Duration, unit: &[u8]) -> Option<Duration> {
    const UNITS: [(&[&str], u32, u32); 7] = [
        (&["ns"], 1, 1_000_000_000),
        (&["us", "µs", "μs"], 1, 1_000_000),
        (&["ms", "msec", "millis", "millisecond", "milliseconds"], 1, 1_000),
        (&["s", "sec", "secs", "second", "seconds"], 1, 1),
        (&["m", "min", "mins", "minute", "minutes"], 60, 1),
        (&["h", "hr", "hrs", "hour", "hours"], 3_600, 1),
        (&["d", "day", "days"], 86_400, 1),
    ];
    let is_unit = |names: &[&str]| names.iter().any(|name| unit.eq_ignore_ascii_case(name.as_bytes()));
    let (_, times, over) = UNITS.iter().find(|(names, ..)| is_unit(names))?;
    Some(count.checked_mul(*times)? / *over)
}

/// A date as HTTP writes it, in any of its three forms, or as RFC 3339 does: the time since 1970.
pub(super) fn moment(text: &str) -> Option<Duration> {
    rfc_3339(text).or_else(|| http_date(text))
}

/// `2026-11-06T08:49:37.25Z`, or with an offset such as `+01:00`.
fn rfc_3339(text: &str) -> Option<Duration> {
    let (date, time) = text.split_at_checked(10)?;
    let mut parts = date.split('-');
    let (year, month, day) = (number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?);
    let time = time.strip_prefix(['T', 't', ' '])?;
    let (clock, tail) = time.split_at_checked(8)?;
    let fraction = if tail.starts_with('.') { decimal(tail.as_bytes())? } else { no_fraction(tail) };
    let local = since_1970(year, month, day, clock)?.checked_add(fraction.value)?;
    match fraction.rest {
        [b'Z' | b'z'] => Some(local),
        [sign @ (b'+' | b'-'), offset @ ..] => {
            let (hours, minutes) = std::str::from_utf8(offset).ok()?.split_once(':')?;
            let offset = Duration::from_secs(number(hours)?.checked_mul(3_600)?.checked_add(number(minutes)? * 60)?);
            if *sign == b'+' { local.checked_sub(offset) } else { local.checked_add(offset) }
        }
        _ => None,
    }
}

const fn no_fraction(tail: &str) -> Parsed<'_> {
    Parsed { value: Duration::ZERO, rest: tail.as_bytes() }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT` or `Sun Nov  6 08:49:37 1994` (RFC 9110, 5.6.7).
fn http_date(text: &str) -> Option<Duration> {
    let mut parts = text.split([' ', ',', '-']).filter(|part| !part.is_empty());
    let mut next = || parts.next();
    let (_weekday, second, third, fourth, fifth) = (next()?, next()?, next()?, next()?, next()?);
    if let Some(month) = month(second) {
        return since_1970(number(fifth)?, month, number(third)?, fourth);
    }
    if next()? != "GMT" {
        return None;
    }
    let year = match (fourth.len(), number(fourth)?) {
        // Two digits are of this century or, from 70 on, of the last: nothing here is before 1970.
        (2, year @ 70..) => 1_900 + year,
        (2, year) => 2_000 + year,
        (_, year) => year,
    };
    since_1970(year, month(third)?, number(second)?, fifth)
}

fn month(name: &str) -> Option<u64> {
    const NAMES: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    (1_u64..).zip(NAMES).find(|(_, month)| month.eq_ignore_ascii_case(name)).map(|(index, _)| index)
}

/// The time from 1970 to `clock` (`08:49:37`) on a day of the Gregorian calendar; `None` before 1970 or after 9999.
fn since_1970(year: u64, month: u64, day: u64, clock: &str) -> Option<Duration> {
    let mut parts = clock.split(':');
    let (hour, minute, second) = (number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?);
    let in_range = (1_970..=9_999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (hour < 24 && minute < 60 && second <= 60 && parts.next().is_none());
    if !in_range {
        return None;
    }
    // Years are counted from March, so that a leap day is a year's last; 719,468 days lie before 1970
    // (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(Duration::from_secs(days * 86_400 + hour * 3_600 + minute * 60 + second))
}

/// A whole number of at most four digits and nothing else.
fn number(text: &str) -> Option<u64> {
    let plain = text.len() <= 4 && digits(text.as_bytes()) == text.len();
    if plain { text.parse().ok() } else { None }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}
