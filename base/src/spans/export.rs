//! What became of the spans: counted on their way through OpenTelemetry's batches and exporter, and
//! said once when exporting starts to fail and once when it works again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use opentelemetry::Context;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanExporter, SpanProcessor},
};

/// Spans by what became of them. Those that ended and were neither exported nor failed wait, or were dropped.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) ended: AtomicU64,
    pub(super) exported: AtomicU64,
    pub(super) failed: AtomicU64,
}

/// Counts what ends.
#[derive(Debug)]
pub(super) struct CountedProcessor<P> {
    inner: P,
    counts: Arc<Counts>,
}

/// Counts what is sent, and what is not.
#[derive(Debug)]
pub(super) struct CountedExporter<E> {
    inner: E,
    counts: Arc<Counts>,
    failing: AtomicBool,
}

impl<P> CountedProcessor<P> {
    pub(super) fn new(inner: P, counts: &Arc<Counts>) -> Self {
        Self { inner, counts: Arc::clone(counts) }
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
        self.counts.ended.fetch_add(1, Relaxed);
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
        let spans = batch.len() as u64;
        let result = self.inner.export(batch).await;
        match &result {
            Ok(()) => {
                self.counts.exported.fetch_add(spans, Relaxed);
                if self.failing.swap(false, Relaxed) {
                    tracing::info!(target: crate::LOG, "spans are exported again");
                }
            }
            Err(error) => {
                self.counts.failed.fetch_add(spans, Relaxed);
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
