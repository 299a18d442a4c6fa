//! What a provider says is left of its limits, with any answer: a limit that others draw from too is smaller than what
//! was configured.

use std::time::Duration;

use super::{Name, until};

/// What is left of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Requests, or tokens.
    pub units: u64,
    /// When the limit is full again; where that is not said, limits being a minute's, after a minute.
    pub resets_in: Duration,
}

/// What is left of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AllLeft {
    /// Requests; `None`: not said.
    pub requests: Option<Left>,
    /// Tokens, in and out; `None`: not said.
    pub tokens: Option<Left>,
}

/// Header pairs as OpenAI and those like it write them, and as Anthropic does; both for requests, then for tokens.
const PAIRS: [[(&str, &str); 2]; 2] = [
    [
        ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
        ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ],
    [
        ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
        ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ],
];
const UNSAID: Duration = Duration::from_secs(60);

/// What `headers` say at `unix_now`, the time since 1970. Said twice, the lesser counts.
#[must_use]
pub fn left<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>, unix_now: Duration) -> AllLeft {
    let mut told: [(Option<u64>, Option<Duration>); 2] = Default::default();
    for (name, value) in headers {
        let (name, value) = (Name(name), value.trim());
        for ((units, reset), pairs) in told.iter_mut().zip(PAIRS) {
            if pairs.iter().any(|(remaining, _)| name.is(remaining)) {
                *units = value.parse().ok().into_iter().chain(*units).min();
            } else if pairs.iter().any(|(_, resets)| name.is(resets)) {
                *reset = until(value, unix_now).or(*reset);
            }
        }
    }
    let [requests, tokens] =
        told.map(|(units, reset)| units.map(|units| Left { units, resets_in: reset.unwrap_or(UNSAID) }));
    AllLeft { requests, tokens }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Plain = Option<(u64, u128)>;

    fn said(headers: &[(&str, &str)]) -> (Plain, Plain) {
        let all = left(headers.iter().copied(), Duration::from_secs(1_700_000_000));
        let plain = |left: Left| (left.units, left.resets_in.as_millis());
        (all.requests.map(plain), all.tokens.map(plain))
    }

    #[test]
    fn what_is_left_is_read_as_each_vendor_writes_it() {
        let openai = [
            ("X-RateLimit-Remaining-Requests", "59"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-remaining-tokens", "149984"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ];
        assert_eq!(said(&openai), (Some((59, 1_000)), Some((149_984, 360_000))));
        let anthropic = [
            ("anthropic-ratelimit-requests-remaining", " 0 "),
            ("anthropic-ratelimit-requests-reset", "2023-11-14T22:13:23Z"),
            ("anthropic-ratelimit-tokens-remaining", "4000"),
        ];
        assert_eq!(said(&anthropic), (Some((0, 3_000)), Some((4_000, 60_000))));
    }

    #[test]
    fn what_is_no_number_says_nothing_and_of_two_the_lesser_counts() {
        assert_eq!(
            said(&[("x-ratelimit-remaining-requests", "-1"), ("x-ratelimit-reset-requests", "1s")]),
            (None, None)
        );
        let twice = [("x-ratelimit-remaining-tokens", "7"), ("x-ratelimit-remaining-tokens", "9")];
        assert_eq!(said(&twice).1, Some((7, 60_000)));
        assert_eq!(said(&[]), (None, None));
    }
}
