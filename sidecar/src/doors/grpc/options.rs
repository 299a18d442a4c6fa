//! What a caller says of its call beside the request itself: in metadata and in `CallOptions`.

use std::{sync::Arc, time::Duration};

use fusebox_proto::v1;
use fusebox_rules::{holdback::Holdback, moment::Moment};
use http::{HeaderMap, HeaderValue};

use super::faults::Faults;
use crate::{
    call::{Options, Priority, Token, TraceContext, correlation},
    config::{CacheMode, units},
    doors::caller,
};

const TIMEOUT: &str = "grpc-timeout";
/// What stands for the last user message in a simplified prompt.
const ORIGINAL: &str = "{original_prompt}";
const RUN_ID: &str = "x-fusebox-run-id";

/// Which call it is.
#[derive(Debug, Clone)]
pub(super) struct Who {
    /// When its metadata had come.
    pub(super) arrived: Moment,
    /// The caller's own id for it, or one made here.
    pub(super) correlation_id: Arc<str>,
    /// Whose trace it belongs to.
    pub(super) trace: TraceContext,
}

/// What metadata say, read before the message is.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) who: Who,
    /// How long it will wait, from `arrived` on.
    pub(super) timeout: Option<Duration>,
    retries_before: u32,
    run_id: Option<Arc<str>>,
    pub(super) token: Option<Token>,
    /// What is wrong with the metadata.
    pub(super) faults: Faults,
}

impl Caller {
    pub(super) fn read(metadata: &HeaderMap, arrived: Moment) -> Self {
        let text = |name: &str| metadata.get(name).map(|value| value.to_str().unwrap_or_default());
        let mut faults = Faults::default();
        let timeout = text(TIMEOUT).and_then(|sent| {
            let read = grpc_timeout(sent);
            if read.is_none() {
                faults.note(format_args!("metadata.{TIMEOUT}"), "must be 1 to 8 digits and one of H, M, S, m, u, n");
            }
            read
        });
        let run_id = metadata.get(RUN_ID).and_then(|sent| {
            let key = caller::key(sent.as_bytes()).map(Arc::from);
            if key.is_none() {
                faults.note(format_args!("metadata.{RUN_ID}"), format!("must be {}", caller::KEY));
            }
            key
        });
        let sent_id = metadata.get(correlation::HEADER).map(HeaderValue::as_bytes);
        Self {
            who: Who {
                arrived,
                correlation_id: correlation::taken_or_made(sent_id),
                trace: TraceContext::of(metadata),
            },
            timeout,
            // A transport writes this, not a person: what it does not say right, it does not say.
            retries_before: text("grpc-previous-rpc-attempts").and_then(|sent| sent.parse().ok()).unwrap_or(0),
            run_id,
            token: Token::of(metadata),
            faults,
        }
    }
}

/// What `caller` allows for its call, all told.
pub(super) fn allowed(sent: Option<v1::CallOptions>, caller: &Caller, faults: &mut Faults) -> Options {
    let sent = sent.unwrap_or_default();
    if sent.max_attempts == Some(0) {
        faults.note("options.max_attempts", "must be at least 1");
    }
    // An empty one is none.
    let idempotency_key = Some(sent.idempotency_key).filter(|key| !key.is_empty());
    if idempotency_key.as_ref().is_some_and(|key| caller::key(key.as_bytes()).is_none()) {
        faults.note("options.idempotency_key", format!("must be {}", caller::KEY));
    }
    if sent.fallback_response.as_ref().is_some_and(|answer| answer.trim().is_empty()) {
        faults.note("options.fallback_response", "must not be empty or blank");
    }
    if sent.simplified_prompt.as_ref().is_some_and(|prompt| !prompt.contains(ORIGINAL)) {
        faults.note("options.simplified_prompt", format!("must hold {ORIGINAL}, or what was asked would be lost"));
    }
    Options {
        max_attempts: sent.max_attempts,
        first_token_timeout: sent.first_token_timeout.and_then(|wait| first_token_timeout(&wait, faults)),
        idempotency_key: idempotency_key.map(Arc::from),
        retries_before: caller.retries_before,
        cache: cache(sent.cache, faults),
        allow_degraded: sent.allow_degraded,
        fallback_response: sent.fallback_response.map(Arc::from),
        simplified_prompt: sent.simplified_prompt.map(Arc::from),
        priority: priority(sent.priority, faults),
        run_id: caller.run_id.clone(),
        token: caller.token.clone(),
        holdback: holdback(&sent.holdback, faults),
    }
}

fn first_token_timeout(sent: &prost_types::Duration, faults: &mut Faults) -> Option<Duration> {
    // By hand, because prost's own conversion overflows on the least of all durations.
    let wait = match (u64::try_from(sent.seconds), u32::try_from(sent.nanos)) {
        (Ok(seconds), Ok(nanos @ ..1_000_000_000)) => Some(Duration::new(seconds, nanos)),
        _ => None,
    };
    let wait = wait.filter(|wait| !wait.is_zero());
    if wait.is_none() {
        faults.note("options.first_token_timeout", "must be longer than zero");
    }
    wait
}

/// An empty one is none.
fn holdback(sent: &str, faults: &mut Faults) -> Option<Holdback> {
    let read = units::holdback(sent);
    if read.is_none() && !sent.is_empty() {
        faults.note("options.holdback", format!("must be {}", caller::HOLDBACK));
    }
    read.filter(|_| !sent.is_empty())
}

fn cache(sent: i32, faults: &mut Faults) -> Option<CacheMode> {
    match v1::CacheMode::try_from(sent) {
        Ok(v1::CacheMode::Unspecified) => None,
        Ok(v1::CacheMode::Off) => Some(CacheMode::Off),
        Ok(v1::CacheMode::Fallback) => Some(CacheMode::Fallback),
        Ok(v1::CacheMode::Prefer) => Some(CacheMode::Prefer),
        Err(_) => {
            faults.note("options.cache", "must be off, fallback or prefer");
            None
        }
    }
}

fn priority(sent: i32, faults: &mut Faults) -> Priority {
    match v1::Priority::try_from(sent) {
        Ok(v1::Priority::Unspecified | v1::Priority::Interactive) => Priority::Interactive,
        Ok(v1::Priority::Batch) => Priority::Batch,
        Err(_) => {
            faults.note("options.priority", "must be interactive or batch");
            Priority::default()
        }
    }
}

/// `TimeoutValue TimeoutUnit` of gRPC over HTTP/2: at most eight digits, and a letter.
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn metadata(entries: &[(&'static str, &str)]) -> HeaderMap {
        entries
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap()))
            .collect()
    }

    fn read(entries: &[(&'static str, &str)]) -> Caller {
        Caller::read(&metadata(entries), Moment::from_nanos(7))
    }

    #[test]
    fn a_deadline_is_read_in_every_unit() {
        let table = [
            ("2H", Some(Duration::from_secs(7200))),
            ("3M", Some(Duration::from_secs(180))),
            ("30S", Some(Duration::from_secs(30))),
            ("1500m", Some(Duration::from_millis(1500))),
            ("99999999u", Some(Duration::from_micros(99_999_999))),
            ("5n", Some(Duration::from_nanos(5))),
            ("0S", Some(Duration::ZERO)),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("", None),
            ("S", None),
            ("10", None),
            ("10s", None),
            ("-1S", None),
            ("+1S", None),
            ("1.5S", None),
            ("123456789S", None),
            ("1é", None),
        ];
        for (text, expected) in table {
            let caller = read(&[(TIMEOUT, text)]);
            assert_eq!(caller.timeout, expected, "{text:?}");
            assert_eq!(caller.faults.paths().is_empty(), expected.is_some(), "{text:?}");
        }
        assert_eq!(read(&[]).timeout, None);
    }

    #[test]
    fn what_metadata_say_is_taken_over() {
        let caller = read(&[
            ("x-correlation-id", "mine-1"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("tracestate", "vendor=1"),
            ("grpc-previous-rpc-attempts", "2"),
            ("x-fusebox-run-id", "run/7"),
        ]);
        assert_eq!(&*caller.who.correlation_id, "mine-1");
        assert_eq!(caller.who.arrived, Moment::from_nanos(7));
        assert_eq!(
            caller.who.trace.parent.as_ref().unwrap(),
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        );
        assert_eq!(caller.who.trace.state.as_ref().unwrap(), "vendor=1");
        let options = allowed(None, &caller, &mut Faults::default());
        assert_eq!(options, Options { retries_before: 2, run_id: Some("run/7".into()), ..Options::default() });
    }

    #[test]
    fn a_transport_that_miscounts_its_retries_is_not_believed() {
        for sent in ["-1", "two", "", "99999999999"] {
            let caller = read(&[("grpc-previous-rpc-attempts", sent)]);
            assert_eq!(caller.retries_before, 0, "{sent:?}");
        }
    }

    #[test]
    fn a_run_id_that_cannot_be_logged_is_a_fault() {
        assert_eq!(read(&[(RUN_ID, "two words")]).faults.paths(), ["metadata.x-fusebox-run-id"]);
    }

    #[test]
    fn every_option_has_its_place() {
        let sent = v1::CallOptions {
            cache: v1::CacheMode::Prefer.into(),
            allow_degraded: Some(true),
            fallback_response: Some("sorry".into()),
            simplified_prompt: Some("short: {original_prompt}".into()),
            max_attempts: Some(3),
            priority: v1::Priority::Batch.into(),
            idempotency_key: "once".into(),
            first_token_timeout: Some(prost_types::Duration { seconds: 1, nanos: 500_000_000 }),
            holdback: "whole".into(),
        };
        let mut faults = Faults::default();
        let options = allowed(Some(sent), &read(&[]), &mut faults);
        let expected = Options {
            max_attempts: Some(3),
            first_token_timeout: Some(Duration::from_millis(1500)),
            idempotency_key: Some("once".into()),
            retries_before: 0,
            cache: Some(CacheMode::Prefer),
            allow_degraded: Some(true),
            fallback_response: Some("sorry".into()),
            simplified_prompt: Some("short: {original_prompt}".into()),
            priority: Priority::Batch,
            holdback: Some(Holdback::Whole),
            run_id: None,
            token: None,
        };
        assert_eq!(options, expected);
        assert!(faults.paths().is_empty());
        for (sent, expected) in [(0, None), (1, Some(CacheMode::Off)), (2, Some(CacheMode::Fallback))] {
            assert_eq!(cache(sent, &mut faults), expected);
        }
    }

    #[test]
    fn every_fault_of_the_options_is_named() {
        let sent = v1::CallOptions {
            cache: 9,
            max_attempts: Some(0),
            priority: -1,
            idempotency_key: "k".repeat(257),
            holdback: "some".into(),
            first_token_timeout: Some(prost_types::Duration { seconds: -1, nanos: 0 }),
            fallback_response: Some(" ".into()),
            simplified_prompt: Some("answer briefly".into()),
            ..v1::CallOptions::default()
        };
        let mut faults = Faults::default();
        allowed(Some(sent), &read(&[]), &mut faults);
        let expected = [
            "max_attempts",
            "idempotency_key",
            "fallback_response",
            "simplified_prompt",
            "first_token_timeout",
            "cache",
            "priority",
            "holdback",
        ];
        assert_eq!(faults.paths(), expected.map(|name| format!("options.{name}")));
        for (seconds, nanos) in [(0, 0), (0, -1), (i64::MIN, 0), (1, 1_000_000_000)] {
            assert_eq!(first_token_timeout(&prost_types::Duration { seconds, nanos }, &mut faults), None);
        }
    }
}
