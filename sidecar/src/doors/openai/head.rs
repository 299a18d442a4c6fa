//! What a request's headers say of the call.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue};

use crate::{
    call::{Options, Priority, TraceContext, correlation},
    config::{CacheMode, units::holdback},
    doors::caller,
    error::{Failure, FieldFault},
};

/// What the names of Fusebox's own headers begin with.
const OWN: &str = "x-fusebox-";

/// The headers that say something of a call. They are found in one pass: most requests have few headers, and fewer of
/// these.
#[derive(Debug, Default)]
pub(super) struct Head<'a> {
    pub(super) correlation_id: Option<&'a HeaderValue>,
    content_encoding: Option<&'a HeaderValue>,
    idempotency_key: Option<&'a HeaderValue>,
    retry_count: Option<&'a HeaderValue>,
    /// Trace context as it came.
    pub(super) trace: TraceContext,
    /// Fusebox's own, by name.
    own: Vec<(&'a str, &'a HeaderValue)>,
}

impl<'a> Head<'a> {
    /// Of each that is no list, the first that was sent.
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let mut head = Self::default();
        for (name, value) in headers {
            let named = match name.as_str() {
                correlation::HEADER => &mut head.correlation_id,
                "content-encoding" => &mut head.content_encoding,
                "idempotency-key" => &mut head.idempotency_key,
                "x-stainless-retry-count" => &mut head.retry_count,
                name => {
                    if name.starts_with(OWN) {
                        head.own.push((name, value));
                    } else {
                        head.trace.hear(name, value);
                    }
                    continue;
                }
            };
            named.get_or_insert(value);
        }
        head
    }

    /// The call's options, and how long its caller waits.
    ///
    /// # Errors
    /// Every header that cannot be understood, at once.
    pub(super) fn options(&self) -> Result<(Options, Option<Duration>), Failure> {
        let mut faults = Faults::default();
        let timeout =
            faults.take(self.own("x-fusebox-timeout-ms"), "a whole number of milliseconds, 1 or more", |text| {
                text.parse().ok().filter(|millis| *millis > 0).map(Duration::from_millis)
            });
        let encoding = self.content_encoding.map(|value| ("content-encoding", value));
        let _: Option<()> = faults.take(encoding, "absent: bodies are read as they are", |text| {
            text.eq_ignore_ascii_case("identity").then_some(())
        });
        let options = Options {
            cache: faults.take(self.own("x-fusebox-cache"), "off, fallback or prefer", |text| match text {
                "off" => Some(CacheMode::Off),
                "fallback" => Some(CacheMode::Fallback),
                "prefer" => Some(CacheMode::Prefer),
                _ => None,
            }),
            allow_degraded: faults
                .take(self.own("x-fusebox-allow-degraded"), "true or false", |text| text.parse().ok()),
            priority: faults
                .take(self.own("x-fusebox-priority"), "interactive or batch", |text| match text {
                    "interactive" => Some(Priority::Interactive),
                    "batch" => Some(Priority::Batch),
                    _ => None,
                })
                .unwrap_or_default(),
            holdback: faults.take(self.own("x-fusebox-holdback"), caller::HOLDBACK, holdback),
            run_id: faults.key(self.own("x-fusebox-run-id")),
            idempotency_key: faults.key(self.idempotency_key.map(|value| ("idempotency-key", value))),
            // Another's header, so what cannot be understood is passed over.
            retries_before: self.retry_count.and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or_default(),
            ..Options::default()
        };
        if faults.0.is_empty() { Ok((options, timeout)) } else { Err(Failure::fields(faults.0)) }
    }

    fn own(&self, name: &'static str) -> Option<(&'static str, &'a HeaderValue)> {
        let (_, value) = self.own.iter().find(|(sent, _)| *sent == name)?;
        Some((name, value))
    }
}

/// What cannot be understood.
#[derive(Default)]
struct Faults(Vec<FieldFault>);

impl Faults {
    fn take<T>(
        &mut self,
        sent: Option<(&'static str, &HeaderValue)>,
        right: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let (name, value) = sent?;
        let taken = value.to_str().ok().and_then(|text| read(text.trim()));
        if taken.is_none() {
            self.0.push(FieldFault { path: name.to_owned(), message: format!("must be {right}") });
        }
        taken
    }

    fn key(&mut self, sent: Option<(&'static str, &HeaderValue)>) -> Option<Arc<str>> {
        self.take(sent, caller::KEY, |text| caller::key(text.as_bytes()).map(Arc::from))
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
        let sent = headers(&[
            ("x-fusebox-timeout-ms", "1500"),
            ("x-fusebox-cache", "prefer"),
            ("x-fusebox-allow-degraded", "false"),
            ("x-fusebox-priority", "batch"),
            ("x-fusebox-run-id", "run-1"),
            ("x-fusebox-holdback", "250ms"),
            ("idempotency-key", "k"),
            ("x-stainless-retry-count", "2"),
        ]);
        let (options, timeout) = Head::of(&sent).options().unwrap();
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
        let failure = Head::of(&bad).options().unwrap_err();
        let paths: Vec<_> = failure.fields.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, ["x-fusebox-timeout-ms", "x-fusebox-cache", "x-fusebox-allow-degraded", "idempotency-key"]);
    }
}
