//! What the tests of this room are made of.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use fusebox_rules::{breaker, error::ErrorKind, fleet::allowance::RateLimits, retry};
use http::HeaderValue;

use super::{CallEnd, Door, Labels, Telemetry};
use crate::{
    call::{
        Call, Options, TraceContext,
        outcome::{Attempt, Outcome, Source, WaitReason},
    },
    chat::{
        answer::{Finish, Usage},
        request::{Operation, Request},
    },
    clock,
    config::{self, LogFormat, Model, Provider, ProviderKind, Scope, Served, Simulated, Timeouts},
    error::Failure,
};

/// Settings without spans, or with spans sent to `endpoint`.
pub(super) fn settings(endpoint: Option<&str>) -> config::Telemetry {
    config::Telemetry { otlp_endpoint: endpoint.map(Into::into), log: "info".into(), log_format: LogFormat::Text }
}

/// Telemetry whose labels are those of models `chat` and `big` and providers `vllm` (0) and `cloud` (1), which
/// takes 2 for a thousand tokens of `chat`.
pub(super) fn telemetry(endpoint: Option<&str>) -> (Arc<Telemetry>, Arc<Labels>) {
    let telemetry = Telemetry::try_new(&settings(endpoint), 2).unwrap();
    let labels = labels(&telemetry);
    (telemetry, labels)
}

pub(super) fn labels(telemetry: &Arc<Telemetry>) -> Arc<Labels> {
    let providers = [
        provider("vllm", ProviderKind::OpenAi, "http://127.0.0.1:8000/v1", Scope::Pod),
        provider("cloud", ProviderKind::Anthropic, "https://user:secret@api.example.com/v1", Scope::Fleet),
    ];
    let served = |provider, price| Served { provider, model: None, context_window: None, cost_per_1k_tokens: price };
    let model = |name: &str, providers| Arc::new(Model { name: name.into(), providers, smaller: None });
    let models = [model("chat", vec![served(0, 0.0), served(1, 2.0)]), model("big", vec![served(1, 0.0)])];
    Arc::new(Labels::new(telemetry, &providers, &models))
}

pub(super) fn provider(name: &str, kind: ProviderKind, base_url: &str, scope: Scope) -> Arc<Provider> {
    const SECOND: Duration = Duration::from_secs(1);
    Arc::new(Provider {
        name: name.into(),
        kind,
        base_url: base_url.into(),
        api_key: None,
        api_key_file: None,
        scope,
        enabled: true,
        priority: 0,
        timeouts: Timeouts { connect: SECOND, first_token: SECOND, idle: SECOND, total: SECOND, stream_total: SECOND },
        retry: retry::Policy {
            max_retries: 3,
            base_delay: SECOND,
            backoff_factor: 2.0,
            max_delay: SECOND,
            jitter: true,
            max_elapsed: SECOND,
        },
        breaker: breaker::Settings {
            failure_threshold: 5,
            failure_rate: 0.5,
            minimum_calls: 20,
            window: SECOND,
            slow_first_token: None,
            min_tokens_per_second: None,
            open_for: SECOND,
            max_open_for: SECOND,
            half_open_max_calls: 3,
            success_threshold: 3,
            ramp: SECOND,
            probe: breaker::Probe::Passive,
        },
        continuation: fusebox_rules::survive::Continuation::None,
        rate_limit: RateLimits::default(),
        max_batch: 2_048,
        metrics_url: None,
        simulated: Simulated {
            first_token: Duration::ZERO,
            tokens_per_second: 0.0,
            failure_rate: 0.0,
            failure: ErrorKind::ProviderError,
            answer: None,
        },
    })
}

/// A call for `model`, arrived just now.
pub(super) fn call(model: &str) -> Call {
    let request = Request {
        operation: Operation::Chat,
        body: Bytes::from_static(b"{\"messages\":[{\"role\":\"user\",\"content\":\"the secret plan\"}]}"),
        model: model.into(),
        model_span: None,
        stream: false,
        choices: 1,
        max_tokens: None,
        max_tokens_span: None,
        formats: crate::chat::request::Formats::default(),
        removed: 0,
        aside: None,
        may_be_empty: false,
    };
    Call {
        request,
        door: Door::Http,
        arrived: clock::now(),
        timeout: None,
        correlation_id: "corr-1".into(),
        options: Options::default(),
        trace: TraceContext::default(),
    }
}

/// A caller's trace context.
pub(super) fn context(parent: &'static str, state: &'static str) -> TraceContext {
    let value = |text| Some(HeaderValue::from_static(text));
    TraceContext { parent: value(parent), state: value(state), baggage: None }
}

/// The outcome of a call that `attempts` were made for, the last of which answered unless it failed.
pub(super) fn outcome(attempts: &[(&str, Option<ErrorKind>)]) -> Outcome {
    let attempts: Vec<Attempt> = attempts
        .iter()
        .map(|(provider, error)| Attempt {
            provider: (*provider).into(),
            started_after: Duration::ZERO,
            took: Duration::ZERO,
            error: *error,
            waited: Duration::ZERO,
            wait_reason: WaitReason::None,
        })
        .collect();
    let answered = attempts.last().filter(|attempt| attempt.error.is_none());
    Outcome {
        source: answered.map(|_| Source::Primary),
        quality: crate::call::outcome::Quality::Full,
        limited: false,
        level: fusebox_rules::degradation::Level::Full,
        age: None,
        provider: answered.map(|attempt| Arc::clone(&attempt.provider)),
        provider_model: None,
        warnings: Vec::new(),
        correlation_id: "corr-1".into(),
        image: fusebox_rules::image::Measure::default(),
        attempts,
    }
}

/// The end of a call that was answered.
pub(super) fn answered(outcome: &Outcome) -> CallEnd<'_> {
    CallEnd {
        source: outcome.source,
        error: None,
        outcome,
        finish: Some(Finish::Stop),
        usage: Some(Usage { input_tokens: 100, output_tokens: 400 }),
        response_model: Some("llama-answered"),
    }
}

/// The end of a call that was not.
pub(super) fn failed<'a>(outcome: &'a Outcome, failure: &'a Failure) -> CallEnd<'a> {
    CallEnd { source: None, error: Some(failure), outcome, finish: None, usage: None, response_model: None }
}
