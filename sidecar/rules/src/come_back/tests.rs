//! What vendors write, and what is made of it.

use proptest::prelude::*;

use super::*;

/// Sun, 06 Nov 1994 08:49:37 GMT.
const NOW: Duration = Duration::from_secs(784_111_777);
/// 2026-01-01T00:00:00Z.
const NEW_YEAR: Duration = Duration::from_secs(1_767_225_600);

fn told(headers: &[(&str, &str)], unix_now: Duration) -> Option<u128> {
    wait(headers.iter().copied(), unix_now).map(|wait| wait.as_millis())
}

#[test]
fn retry_after_is_read_in_every_form() {
    for (value, expected) in [
        ("20", Some(20_000)),
        (" 0 ", Some(0)),
        ("1.5", Some(1_500)),
        ("20s", Some(20_000)),
        ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30_000)),
        ("Sunday, 06-Nov-94 08:50:07 GMT", Some(30_000)),
        ("Sun Nov  6 08:50:07 1994", Some(30_000)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
        ("Sun, 06 Nov 1994 08:49:36 GMT", None),
        ("Sun, 06 Nov 1994 08:50:07 CET", None),
        ("Sun, 66 Nov 1994 08:50:07 GMT", None),
        ("Sun, 06 Nov 1994 24:50:07 GMT", None),
        ("Sun, 06 Nov 1994 08:50 GMT", None),
        ("86400", Some(86_400_000)),
        ("86401", None),
        ("-1", None),
        ("1e3", None),
        ("NaN", None),
        ("inf", None),
        ("99999999999999999999999999999", None),
        ("soon", None),
        ("", None),
    ] {
        assert_eq!(told(&[("Retry-After", value)], NOW), expected, "{value:?}");
    }
}

#[test]
fn dates_are_those_of_the_calendar() {
    for (value, expected) in [
        ("1970-01-01T00:00:00Z", Some(0)),
        ("2000-02-29T12:00:00Z", Some(951_825_600)),
        ("2024-12-31T23:59:60Z", Some(1_735_689_600)),
        ("2026-01-01T01:00:00+01:00", Some(NEW_YEAR.as_secs())),
        ("2025-12-31t19:00:00.999-05:00", Some(NEW_YEAR.as_secs())),
        ("1969-12-31T23:59:59Z", None),
        ("2026-13-01T00:00:00Z", None),
        ("2026-01-01T00:00:00", None),
        ("2026-01-01", None),
        ("Thu, 01 Jan 2026 00:00:00 GMT", Some(NEW_YEAR.as_secs())),
        ("Thursday, 01-Jan-26 00:00:00 GMT", Some(NEW_YEAR.as_secs())),
        ("Thu Jan  1 00:00:00 2026", Some(NEW_YEAR.as_secs())),
    ] {
        assert_eq!(moment(value).map(|moment| moment.as_secs()), expected, "{value:?}");
    }
}

#[test]
fn each_family_of_headers_is_understood() {
    for (headers, expected) in [
        (&[("retry-after-ms", "1250")][..], Some(1_250)),
        (&[("x-ms-retry-after-ms", "900.5")], Some(900)),
        (&[("grpc-retry-pushback-ms", "700")], Some(700)),
        (&[("grpc-retry-pushback-ms", "-1")], None),
        (&[("x-ratelimit-reset-requests", "1s")], Some(1_000)),
        (&[("x-ratelimit-reset-requests", "6m0s")], Some(360_000)),
        (&[("X-RateLimit-Reset-Tokens", "120ms")], Some(120)),
        (&[("x-ratelimit-reset-tokens", "1h2m3.5s")], Some(3_723_500)),
        (&[("x-ratelimit-reset-tokens", "2m59.56s")], Some(179_560)),
        (&[("x-ratelimit-reset-tokens", "7")], Some(7_000)),
        (&[("anthropic-ratelimit-requests-reset", "2026-01-01T00:00:09Z")], Some(9_000)),
        (&[("anthropic-ratelimit-tokens-reset", "2026-01-01T00:00:08Z")], Some(8_000)),
        (&[("anthropic-ratelimit-input-tokens-reset", "2026-01-01T00:00:07Z")], Some(7_000)),
        (&[("anthropic-ratelimit-output-tokens-reset", "2026-01-01T00:00:06.5Z")], Some(6_500)),
        (&[("x-ratelimit-reset", "45")], Some(45_000)),
        (&[("x-ratelimit-reset", "1767225615")], Some(15_000)),
        (&[("x-ratelimit-reset", "1767225616500")], Some(16_500)),
        (&[("ratelimit-reset", "17")], Some(17_000)),
        (&[("ratelimit", "\"default\";r=0;t=30")], Some(30_000)),
        (&[("ratelimit", "\"burst\";r=0;t=5, \"day\";r=90;t=300")], Some(5_000)),
        (&[("ratelimit", "limit=100, remaining=0, reset=30")], Some(30_000)),
        (&[("ratelimit", "limit=100, remaining=5, reset=30")], None),
        (&[("x-request-id", "20"), ("date", "Thu, 01 Jan 2026 00:00:00 GMT")], None),
    ] {
        assert_eq!(told(headers, NEW_YEAR), expected, "{headers:?}");
    }
}

#[test]
fn only_exhausted_limits_count_and_the_longest_of_them_wins() {
    let requests = ("x-ratelimit-reset-requests", "8s");
    let tokens = ("x-ratelimit-reset-tokens", "3s");
    assert_eq!(told(&[requests, tokens], NOW), Some(8_000));
    assert_eq!(told(&[requests, ("x-ratelimit-remaining-requests", "59"), tokens], NOW), Some(3_000));
    let none_left = [("x-ratelimit-remaining-tokens", "0"), tokens, ("x-ratelimit-remaining-requests", "59"), requests];
    assert_eq!(told(&none_left, NOW), Some(3_000));
    let anthropic = [
        ("anthropic-ratelimit-requests-remaining", "49"),
        ("anthropic-ratelimit-requests-reset", "2026-01-01T00:01:00Z"),
        ("anthropic-ratelimit-input-tokens-remaining", "0"),
        ("anthropic-ratelimit-input-tokens-reset", "2026-01-01T00:00:21Z"),
    ];
    assert_eq!(told(&anthropic, NEW_YEAR), Some(21_000));
}

#[test]
fn the_more_exact_header_wins() {
    let limits = ("x-ratelimit-reset-requests", "8s");
    assert_eq!(told(&[limits, ("retry-after", "3")], NOW), Some(3_000));
    assert_eq!(told(&[("retry-after", "3"), limits, ("retry-after-ms", "2500")], NOW), Some(2_500));
    assert_eq!(told(&[("retry-after", "3"), ("retry-after-ms", "soon")], NOW), Some(3_000));
    assert_eq!(told(&[("retry-after", "604800"), limits], NOW), Some(8_000));
    assert_eq!(told(&[("retry-after", "3"), ("retry-after", "5")], NOW), Some(5_000));
}

#[test]
fn a_provider_may_forbid_a_retry() {
    for (header, expected) in [
        (("x-should-retry", "false"), true),
        (("X-Should-Retry", "true"), false),
        (("grpc-retry-pushback-ms", "-1"), true),
        (("grpc-retry-pushback-ms", "never"), true),
        (("grpc-retry-pushback-ms", "100"), false),
        (("retry-after", "-1"), false),
    ] {
        assert_eq!(forbids_retry([header].into_iter()), expected, "{header:?}");
    }
}

#[test]
fn a_wait_is_found_in_words() {
    for (message, expected) in [
        (
            "Rate limit reached for gpt-4o in organization org-x on tokens per min. Please try again in 1.242s.",
            Some(1_242),
        ),
        ("Rate limit reached on requests per day (RPD): Limit 200. Please try again in 7m12s. Visit", Some(432_000)),
        ("Please try again in 6m0s.", Some(360_000)),
        ("please TRY AGAIN IN 86ms", Some(86)),
        ("Requests have exceeded the call rate limit. Please retry after 20 seconds.", Some(20_000)),
        ("Please retry after 1 minute.", Some(60_000)),
        ("You exceeded your current quota. Please retry in 33.123s.", Some(33_123)),
        (
            r#"{"error":{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"33s"}]}}"#,
            Some(33_000),
        ),
        (r#"{"retryDelay" : "0.5s"}"#, Some(500)),
        (r#"{"error":"Model gpt2 is currently loading","estimated_time":20.5}"#, Some(20_500)),
        (r#"{"retry_after": 3}"#, Some(3_000)),
        ("Do not retry after a refusal. Or retry after 5, whichever", Some(5_000)),
        ("try again in a few minutes", None),
        ("try again in 5 lives", None),
        ("try again in 99999999 hours", None),
        ("try again in ", None),
        ("The server is busy, please try again later.", None),
    ] {
        assert_eq!(wait_in_words(message).map(|wait| wait.as_millis()), expected, "{message}");
    }
}

fn header_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("try again in "),
        Just("retry after "),
        Just("\"retryDelay\""),
        Just("Sun, 06 Nov 1994 08:49:37 GMT"),
        Just("2026-01-01T00:00:00"),
        Just("+99:99"),
        Just("0000-00-00T00:00:00Z"),
        Just("99999999999999999999"),
        Just("9999"),
        Just("1h2m"),
        Just("µs"),
        Just("."),
        Just("-"),
        Just(";t="),
        Just(","),
        Just(" "),
        Just("é"),
        Just("Z"),
    ];
    prop_oneof![any::<String>(), prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())]
}

proptest! {
    #[test]
    fn nothing_that_a_provider_says_panics_or_makes_anyone_wait_for_days(
        value in header_like(), unix_now in any::<Duration>(),
    ) {
        let names = LIMITS.iter().flat_map(|(remaining, reset)| [*remaining, *reset]);
        for name in names.chain(["retry-after", "retry-after-ms", "grpc-retry-pushback-ms", "ratelimit"]) {
            prop_assert!(wait([(name, value.as_str())].into_iter(), unix_now).is_none_or(|wait| wait <= MAX_WAIT));
            let _either = forbids_retry([(name, value.as_str())].into_iter());
        }
        prop_assert!(wait_in_words(&value).is_none_or(|wait| wait <= MAX_WAIT));
    }

    #[test]
    fn a_span_written_as_go_writes_it_reads_back(hours in 0_u64..20, minutes in 0_u64..60, millis in 0_u64..60_000) {
        let written = format!("{hours}h{minutes}m{}.{:03}s", millis / 1_000, millis % 1_000);
        let expected = Duration::from_secs(hours * 3_600 + minutes * 60) + Duration::from_millis(millis);
        prop_assert_eq!(until(&written, NOW), Some(expected));
    }
}
