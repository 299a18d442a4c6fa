//! W3C trace context and baggage as they travel in headers: read, continued by a span of ours, passed on.

use http::{HeaderMap, HeaderValue};
use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator as _},
    trace::{SpanContext, TraceContextExt as _},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;

const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";
const BAGGAGE: &str = "baggage";

/// W3C trace context and baggage.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TraceContext {
    /// `traceparent`, as it came.
    pub parent: Option<HeaderValue>,
    /// `tracestate`, as it came.
    pub state: Option<HeaderValue>,
    /// `baggage`, as it came: the application's own words, which nothing here reads.
    pub baggage: Option<HeaderValue>,
}

impl TraceContext {
    /// What `headers` say.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut context = Self::default();
        for name in [PARENT, STATE, BAGGAGE] {
            headers.get_all(name).iter().for_each(|value| context.hear(name, value));
        }
        context
    }

    /// What the header `name` says, if it is one of trace context. Lists may come in parts; a second parent is none.
    pub fn hear(&mut self, name: &str, value: &HeaderValue) {
        let list = match name {
            PARENT => {
                self.parent.get_or_insert_with(|| value.clone());
                return;
            }
            STATE => &mut self.state,
            BAGGAGE => &mut self.baggage,
            _ => return,
        };
        *list = match list.take() {
            None => Some(value.clone()),
            Some(before) => HeaderValue::from_bytes(&[before.as_bytes(), b",", value.as_bytes()].concat()).ok(),
        };
    }

    /// Whose child in `traceparent`'s words; `None`: nobody's.
    #[must_use]
    pub fn parent_text(&self) -> Option<&str> {
        self.parent.as_ref()?.to_str().ok()
    }

    /// Nobody's but of the span that `parent` names, in `traceparent`'s words.
    #[must_use]
    pub fn under(parent: &str) -> Self {
        Self { parent: HeaderValue::from_str(parent).ok(), ..Self::default() }
    }

    /// The same, as OpenTelemetry knows it.
    pub(super) fn extracted(&self) -> Context {
        TraceContextPropagator::new().extract_with_context(&Context::new(), &Read(self))
    }

    /// What tells whoever is asked that the span of that identity is its parent.
    pub(super) fn naming(span: &SpanContext) -> Self {
        let mut written = Written::default();
        let context = Context::new().with_remote_span_context(span.clone());
        TraceContextPropagator::new().inject_context(&context, &mut written);
        written.0
    }
}

struct Read<'a>(&'a TraceContext);

impl Extractor for Read<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let value = match key {
            PARENT => &self.0.parent,
            STATE => &self.0.state,
            _ => &None,
        };
        value.as_ref()?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        vec![PARENT, STATE]
    }
}

#[derive(Default)]
struct Written(TraceContext);

impl Injector for Written {
    fn set(&mut self, key: &str, value: String) {
        let value = HeaderValue::try_from(value).ok().filter(|value| !value.is_empty());
        match key {
            PARENT => self.0.parent = value,
            STATE => self.0.state = value,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    #[test]
    fn lists_that_come_in_parts_are_put_together_and_a_second_parent_is_none() {
        let sent = [
            ("tracestate", "a=1"),
            ("baggage", "user=7"),
            ("traceparent", "one"),
            ("traceparent", "two"),
            ("tracestate", "b=2"),
            ("x-other", "3"),
            ("baggage", "tier=gold;p=1"),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let read = TraceContext::of(&headers);
        let value = |text| Some(HeaderValue::from_static(text));
        let expected =
            TraceContext { parent: value("one"), state: value("a=1,b=2"), baggage: value("user=7,tier=gold;p=1") };
        assert_eq!(read, expected);
        assert_eq!(TraceContext::of(&HeaderMap::new()), TraceContext::default());
    }
}
