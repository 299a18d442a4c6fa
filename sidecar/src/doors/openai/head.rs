//! What a request's headers say of the call.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue};

use crate::{
    call::{Options, Priority, TraceContext},
    config::{CacheMode, units::holdback},
    doors::caller,
    error::{Failure, FieldFault},
};

/// What the names of Fusebox's own headers begin with.
const OWN: &str = "x-fusebox-";

/// Trace context as it came.
pub(super) fn trace(headers: &HeaderMap) -> TraceContext {
    TraceContext { parent: headers.get("traceparent").cloned(), state: headers.get("tracestate").cloned() }
}

/// The call's options, and how long its caller waits.
///
/// # Errors
/// Every header that cannot be understood, at once.
pub(super) fn options(headers: &HeaderMap) -> Result<(Options, Option<Duration>), Failure> {
    let own = headers.keys().any(|name| name.as_str().starts_with(OWN));
    let mut read = Reader { headers, own, faults: Vec::new() };
    let timeout = read.take("x-fusebox-timeout-ms", "a whole number of milliseconds, 1 or more", |text| {
        text.parse().ok().filter(|millis| *millis > 0).map(Duration::from_millis)
    });
    let _: Option<()> = read.take("content-encoding", "absent: bodies are read as they are", |text| {
        text.eq_ignore_ascii_case("identity").then_some(())
    });
    let options = Options {
        cache: read.take("x-fusebox-cache", "off, fallback or prefer", |text| match text {
            "off" => Some(CacheMode::Off),
            "fallback" => Some(CacheMode::Fallback),
            "prefer" => Some(CacheMode::Prefer),
            _ => None,
        }),
        allow_degraded: read.take("x-fusebox-allow-degraded", "true or false", |text| text.parse().ok()),
        priority: read
            .take("x-fusebox-priority", "interactive or batch", |text| match text {
                "interactive" => Some(Priority::Interactive),
                "batch" => Some(Priority::Batch),
                _ => None,
            })
            .unwrap_or_default(),
        holdback: read.take("x-fusebox-holdback", caller::HOLDBACK, holdback),
        run_id: read.key("x-fusebox-run-id"),
        token: caller::token(headers),
        idempotency_key: read.key("idempotency-key"),
        // Another's header, so what cannot be understood is passed over.
        retries_before: headers
            .get("x-stainless-retry-count")
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .unwrap_or_default(),
        ..Options::default()
    };
    if read.faults.is_empty() { Ok((options, timeout)) } else { Err(Failure::fields(read.faults)) }
}

struct Reader<'a> {
    headers: &'a HeaderMap,
    /// Whether there are any of Fusebox's own: most calls have none, and one look at all is less than one for each.
    own: bool,
    faults: Vec<FieldFault>,
}

impl Reader<'_> {
    fn take<T>(&mut self, name: &'static str, right: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        if !self.own && name.starts_with(OWN) {
            return None;
        }
        let value: &HeaderValue = self.headers.get(name)?;
        let taken = value.to_str().ok().and_then(|text| read(text.trim()));
        if taken.is_none() {
            self.faults.push(FieldFault { path: name.to_owned(), message: format!("must be {right}") });
        }
        taken
    }

    fn key(&mut self, name: &'static str) -> Option<Arc<str>> {
        self.take(name, caller::KEY, |text| caller::key(text.as_bytes()).map(Arc::from))
    }
}

#[cfg(test)]
mod tests {
    use fusebox_rules::holdback::Holdback;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn options_come_as_headers() {
        let (options, timeout) = options(&headers(&[
            ("x-fusebox-timeout-ms", "1500"),
            ("x-fusebox-cache", "prefer"),
            ("x-fusebox-allow-degraded", "false"),
            ("x-fusebox-priority", "batch"),
            ("x-fusebox-run-id", "run-1"),
            ("x-fusebox-holdback", "250ms"),
            ("idempotency-key", "k"),
            ("x-stainless-retry-count", "2"),
        ]))
        .unwrap();
        assert_eq!(timeout, Some(Duration::from_millis(1500)));
        assert_eq!((options.cache, options.priority), (Some(CacheMode::Prefer), Priority::Batch));
        assert_eq!(options.allow_degraded, Some(false));
        assert_eq!((options.run_id.as_deref(), options.idempotency_key.as_deref()), (Some("run-1"), Some("k")));
        assert_eq!(options.retries_before, 2);
        assert_eq!(options.holdback, Some(Holdback::Time(Duration::from_millis(250))));
    }

    #[test]
    fn every_bad_header_is_named_at_once() {
        let bad = headers(&[
            ("x-fusebox-timeout-ms", "soon"),
            ("x-fusebox-cache", "yes"),
            ("x-fusebox-allow-degraded", "no"),
            ("idempotency-key", ""),
        ]);
        let failure = options(&bad).unwrap_err();
        let paths: Vec<_> = failure.fields.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, ["x-fusebox-timeout-ms", "x-fusebox-cache", "x-fusebox-allow-degraded", "idempotency-key"]);
    }
}
