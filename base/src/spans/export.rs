//! What became of the spans: counted on their way through OpenTelemetry's batches and exporter, kept to a bound there,
//! and said once when exporting starts to fail and once when it works again.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64, AtomicUsize,
            Ordering::{AcqRel, Acquire, Relaxed},
        },
    },
    time::Duration,
};

use opentelemetry::Context;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanExporter, SpanProcessor},
};

use super::Spans;
use crate::prometheus::Text;

/// Spans that may wait where no variable says so, as the standard has it.
const MOST_WAITING: usize = 2_048;

/// Spans by what became of them.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) ended: AtomicU64,
    pub(super) exported: AtomicU64,
    /// Sent, and not taken.
    pub(super) failed: AtomicU64,
    /// Too many waited already.
    pub(super) dropped: AtomicU64,
    /// Yet to be exported, or on their way.
    pub(super) waiting: AtomicUsize,
}

/// Counts what ends, and lets no more wait than may.
#[derive(Debug)]
pub(super) struct CountedProcessor<P> {
    inner: P,
    counts: Arc<Counts>,
    most_waiting: usize,
}

/// Counts what is sent, and what is not.
#[derive(Debug)]
pub(super) struct CountedExporter<E> {
    inner: E,
    counts: Arc<Counts>,
    failing: AtomicBool,
}

/// How many spans may wait by the standard variable, read as OpenTelemetry's own batches read it.
pub(super) fn most_waiting() -> usize {
    let set = std::env::var("OTEL_BSP_MAX_QUEUE_SIZE").ok().and_then(|text| text.parse().ok());
    set.unwrap_or(MOST_WAITING)
}

/// Writes what became of spans on a page of metrics.
pub fn write(text: &mut Text, spans: Spans) {
    let Spans { ended, exported, failed, dropped, waiting } = spans;
    let name = "fusebox_spans_total";
    text.family(name, "counter", "Spans that ended, and those of them that were exported, refused, or dropped unsent.");
    for (result, count) in [("ended", ended), ("exported", exported), ("failed", failed), ("dropped", dropped)] {
        text.sample(name, &[("result", result)], count);
    }
    text.single("fusebox_spans_waiting", "gauge", "Spans that are yet to be exported.", waiting);
}

impl<P> CountedProcessor<P> {
    pub(super) fn new(inner: P, counts: &Arc<Counts>, most_waiting: usize) -> Self {
        Self { inner, counts: Arc::clone(counts), most_waiting }
    }
}

impl<E> CountedExporter<E> {
    pub(super) fn new(inner: E, counts: &Arc<Counts>) -> Self {
        Self { inner, counts: Arc::clone(counts), failing: AtomicBool::new(false) }
    }
}

impl<P: SpanProcessor> SpanProcessor for CountedProcessor<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        let counts = &*self.counts;
        counts.ended.fetch_add(1, Relaxed);
        // The batches' own queue holds as many, so it is never full, and what is dropped is dropped and counted here.
        let has_room = |waiting| (waiting < self.most_waiting).then_some(waiting + 1);
        if counts.waiting.fetch_update(AcqRel, Acquire, has_room).is_err() {
            counts.dropped.fetch_add(1, Relaxed);
            return;
        }
        self.inner.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E: SpanExporter> SpanExporter for CountedExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.inner.export(batch).await;
        let counts = &*self.counts;
        let became = if result.is_ok() { &counts.exported } else { &counts.failed };
        became.fetch_add(spans as u64, Relaxed);
        counts.waiting.fetch_sub(spans.min(counts.waiting.load(Acquire)), AcqRel);
        match &result {
            Ok(()) => {
                if self.failing.swap(false, Relaxed) {
                    tracing::info!(target: crate::LOG, "spans are exported again");
                }
            }
            Err(error) => {
                if !self.failing.swap(true, Relaxed) {
                    tracing::warn!(target: crate::LOG, %error, "spans cannot be exported; they are dropped until they can");
                }
            }
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use parking_lot::Mutex;

    use super::*;

    /// Keeps what it is given, as an exporter that hangs would.
    #[derive(Debug, Default, Clone)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl SpanProcessor for Kept {
        fn on_start(&self, _: &mut Span, _: &Context) {}

        fn on_end(&self, span: SpanData) {
            self.0.lock().push(span);
        }

        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    }

    #[test]
    fn no_more_spans_wait_than_may_and_the_rest_is_counted_as_dropped() {
        let (counts, kept) = (Arc::new(Counts::default()), Kept::default());
        let processor = CountedProcessor::new(kept.clone(), &counts, 3);
        let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
        let tracer = provider.tracer("test");
        (0..10).for_each(|_| tracer.start("span").end());
        let read = |count: &AtomicU64| count.load(Relaxed);
        assert_eq!(kept.0.lock().len(), 3);
        assert_eq!((read(&counts.ended), read(&counts.dropped), counts.waiting.load(Relaxed)), (10, 7, 3));
    }
}
