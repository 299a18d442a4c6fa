//! When a provider wants to be asked again: read from its headers, else from its words.
//!
//! Ask only after a refusal: most of these headers come with answers too. What is not credible is as if it had not been
//! said: a time that is past, something negative, anything over [`MAX_WAIT`].

pub mod left;
#[cfg(test)]
mod tests;
mod times;

use std::time::Duration;

use self::times::{Parsed, decimal, moment, span};
use crate::text::{beginning, find};

/// The longest wait that is believed. The longest limits that vendors reset are daily ones.
pub const MAX_WAIT: Duration = Duration::from_hours(24);

/// A number of seconds above this is a moment in Unix time, above [`EPOCH_MILLIS`] one in milliseconds.
const EPOCH_SECONDS: Duration = Duration::from_secs(1_000_000_000);
const EPOCH_MILLIS: Duration = Duration::from_secs(100_000_000_000);

/// Header pairs that tell of one limit each: what is left of it, and when it is full again.
const LIMITS: [(&str, &str); 8] = [
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("ratelimit-remaining", "ratelimit-reset"),
];

/// Phrases that a wait follows, in the order in which they are believed.
const PHRASES: [&str; 6] =
    ["try again in ", "retry after ", "retry in ", "\"retryDelay\"", "\"retry_after\"", "\"estimated_time\""];

/// The wait that `headers` ask for, counted from `unix_now`, the time since 1970.
///
/// A wait in milliseconds (`retry-after-ms`, `x-ms-retry-after-ms`, `grpc-retry-pushback-ms`) wins over `retry-after`,
/// and that over the limits' headers. Of those count the limits that are exhausted, or do not say; the longest wins.
/// Said twice, the longer one counts.
#[must_use]
pub fn wait<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>, unix_now: Duration) -> Option<Duration> {
    let mut told = Told::default();
    for (name, value) in headers {
        told.note(name, value.trim(), unix_now);
    }
    let longest = told.limits.iter().filter(|limit| !limit.some_left).filter_map(|limit| limit.reset).max();
    told.millis.or(told.after).or(longest).or(told.policy)
}

/// Whether `headers` say not to try again at all: `x-should-retry: false`, or a `grpc-retry-pushback-ms` that is
/// negative or no number (gRFC A6).
#[must_use]
pub fn forbids_retry<'a>(mut headers: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
    headers.any(|(name, value)| {
        let (name, value) = (Name(name), value.trim());
        (name.is("x-should-retry") && value.eq_ignore_ascii_case("false"))
            || (name.is("grpc-retry-pushback-ms") && millis(value).is_none())
    })
}

/// The wait that a provider's words ask for: `Please try again in 1.242s`, `retry after 20 seconds`,
/// `"retryDelay": "33s"`, `"estimated_time": 20.0`.
#[must_use]
pub fn wait_in_words(message: &str) -> Option<Duration> {
    PHRASES.iter().find_map(|phrase| {
        let mut rest = beginning(message);
        while let Some(at) = find(rest, phrase) {
            rest = rest.get(at + phrase.len()..)?;
            let value = rest.trim_ascii_start();
            let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii_start();
            let value = value.strip_prefix(b"\"").unwrap_or(value);
            if let Some(Parsed { value, .. }) = span(value) {
                return credible(value);
            }
        }
        None
    })
}

/// What headers have told so far.
#[derive(Default)]
struct Told {
    millis: Option<Duration>,
    after: Option<Duration>,
    limits: [Limit; LIMITS.len()],
    policy: Option<Duration>,
}

#[derive(Default)]
struct Limit {
    some_left: bool,
    reset: Option<Duration>,
}

impl Told {
    fn note(&mut self, name: &str, value: &str, unix_now: Duration) {
        let name = Name(name);
        if name.is("retry-after-ms") || name.is("x-ms-retry-after-ms") || name.is("grpc-retry-pushback-ms") {
            self.millis = self.millis.max(millis(value).and_then(credible));
        } else if name.is("retry-after") {
            self.after = self.after.max(until(value, unix_now));
        } else if name.is("ratelimit") {
            self.policy = self.policy.max(policies(value, unix_now));
        } else {
            for (limit, (remaining, reset)) in self.limits.iter_mut().zip(LIMITS) {
                if name.is(remaining) {
                    limit.some_left = is_some_left(value);
                } else if name.is(reset) {
                    limit.reset = limit.reset.max(until(value, unix_now));
                }
            }
        }
    }
}

/// A header's name, in either case.
struct Name<'a>(&'a str);

impl Name<'_> {
    fn is(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

/// The longest wait in a `RateLimit` header, in the drafts' older form (`limit=100, remaining=0, reset=30`) or their
/// newer one (`"burst";r=0;t=5, "day";r=90;t=300`).
fn policies(value: &str, unix_now: Duration) -> Option<Duration> {
    let parameters = |text| str::split(text, [';', ',']).filter_map(|pair| pair.split_once('='));
    let named =
        |text, name| parameters(text).find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, v)| v.trim());
    let exhausted = |left: Option<&str>| !left.is_some_and(is_some_left);
    let newer =
        value.split(',').filter(|policy| exhausted(named(*policy, "r"))).filter_map(|policy| named(policy, "t"));
    let older = named(value, "reset").filter(|_| exhausted(named(value, "remaining")));
    newer.chain(older).filter_map(|wait| until(wait, unix_now)).max()
}

fn is_some_left(value: &str) -> bool {
    decimal(value.as_bytes()).is_some_and(|left| !left.value.is_zero())
}

fn millis(value: &str) -> Option<Duration> {
    let parsed = decimal(value.as_bytes()).filter(|parsed| parsed.rest.is_empty())?;
    Some(parsed.value / 1_000)
}

/// A wait in any form that a header gives it: a span (`20`, `1.5`, `6m0s`), or a moment in Unix time or as a date.
fn until(value: &str, unix_now: Duration) -> Option<Duration> {
    match span(value.as_bytes()).filter(|parsed| parsed.rest.is_empty()) {
        Some(Parsed { value, .. }) if value > EPOCH_MILLIS => from(value / 1_000, unix_now),
        Some(Parsed { value, .. }) if value > EPOCH_SECONDS => from(value, unix_now),
        Some(Parsed { value, .. }) => credible(value),
        None => from(moment(value)?, unix_now),
    }
}

fn from(moment: Duration, unix_now: Duration) -> Option<Duration> {
    moment.checked_sub(unix_now).and_then(credible)
}

fn credible(wait: Duration) -> Option<Duration> {
    (wait <= MAX_WAIT).then_some(wait)
}
