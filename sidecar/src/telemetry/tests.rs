use std::{io, time::Duration};

use fusebox_base::testing::page::Page;
use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

use super::{
    fixture::{answered, call, context, failed, outcome, telemetry},
    *,
};
use crate::{
    call::{
        Priority,
        outcome::{Source, WaitReason},
    },
    chat::answer::Usage,
    error::ErrorKind,
};

mod trace;

fn page(telemetry: &Telemetry) -> Page {
    Page::read(&telemetry.render(Format::default()))
}

#[test]
fn a_call_and_its_attempt_are_counted_once_each_with_what_they_took() {
    let (telemetry, labels) = telemetry(None);
    let call = call("chat");
    let mut trace = Telemetry::begin(&telemetry, &labels, &call, Door::Http);
    assert_eq!(telemetry.in_flight(), 1);
    let mut attempt = trace.attempt(1, Some("claude"), 1);
    attempt.first_token(clock::now());
    trace.first_token();
    trace.first_token();
    attempt.ended(Ok(&Facts { usage: Some(Usage { input_tokens: 100, output_tokens: 400 }), ..Facts::default() }));
    trace.ended(answered(&outcome(&[("cloud", None)])));

    let page = page(&telemetry);
    assert_eq!(page.value("fusebox_calls_total{model=\"chat\",source=\"primary\",kind=\"ok\"}"), Some(1.0));
    assert_eq!(page.sum("fusebox_calls_total"), 1.0);
    assert_eq!(page.sum("fusebox_attempts_total{provider=\"cloud\""), 1.0);
    assert_eq!(page.value("fusebox_attempt_duration_seconds_count{provider=\"cloud\"}"), Some(1.0));
    for name in ["fusebox_call_duration", "fusebox_first_token", "fusebox_overhead"] {
        assert_eq!(page.value(&format!("{name}_seconds_count")), Some(1.0), "{name}");
    }
    assert_eq!(page.value("fusebox_tokens_total{provider=\"cloud\",direction=\"input\"}"), Some(100.0));
    assert_eq!(page.value("fusebox_tokens_total{provider=\"cloud\",direction=\"output\"}"), Some(400.0));
    assert_eq!(page.value("fusebox_cost_total{provider=\"cloud\"}"), Some(1.0));
    assert_eq!(page.value("fusebox_in_flight"), Some(0.0));
}

#[test]
fn what_attempts_used_is_counted_whatever_came_of_them_and_kept_in_the_calls_account() {
    let (telemetry, labels) = telemetry(None);
    let mut trace = Telemetry::begin(&telemetry, &labels, &call("chat"), Door::Http);
    let usage = Usage { input_tokens: 100, output_tokens: 150 };
    let before = trace.attempt(1, None, 1);
    let ledger = trace.account();
    let failed_at = Failure::new(ErrorKind::InvalidResponse, "empty").used(Some(usage));
    before.ended(Err(&failed_at));
    assert_eq!(ledger.tokens(), 0, "nobody kept account yet");
    trace.attempt(1, None, 2).ended(Err(&failed_at));
    trace.attempt(1, None, 3).ended(Err(&Failure::new(ErrorKind::NetworkError, "cut")));
    trace.attempt(0, None, 4).ended(Ok(&Facts { usage: Some(usage), ..Facts::default() }));
    assert_eq!(
        (ledger.tokens(), ledger.cost_nanos()),
        (500, 500_000_000),
        "the one at 2 for a thousand, the other free"
    );
    let page = page(&telemetry);
    assert_eq!(page.value("fusebox_cost_total{provider=\"cloud\"}"), Some(1.0));
    assert_eq!(page.sum("fusebox_tokens_total"), 750.0);
}

#[tokio::test(start_paused = true)]
async fn the_time_fusebox_took_is_the_calls_less_its_attempts() {
    let (telemetry, labels) = telemetry(None);
    let call = call("chat");
    tokio::time::advance(Duration::from_millis(2)).await;
    let mut trace = Telemetry::begin(&telemetry, &labels, &call, Door::Http);
    let attempt = trace.attempt(0, None, 1);
    tokio::time::advance(Duration::from_millis(500)).await;
    attempt.ended(Ok(&Facts::default()));
    tokio::time::advance(Duration::from_millis(1)).await;
    let mut outcome = outcome(&[("vllm", None)]);
    outcome.attempts[0].started_after = Duration::from_millis(2);
    outcome.attempts[0].took = Duration::from_millis(500);
    trace.ended(answered(&outcome));

    let page = page(&telemetry);
    assert_eq!(page.value("fusebox_overhead_seconds_sum"), Some(0.003));
    assert_eq!(page.value("fusebox_call_duration_seconds_sum"), Some(0.503));
    assert_eq!(page.value("fusebox_attempt_duration_seconds_sum{provider=\"vllm\"}"), Some(0.5));
    assert_eq!(page.value("fusebox_attempt_duration_seconds_bucket{provider=\"vllm\",le=\"0.25\"}"), Some(0.0));
    assert_eq!(page.value("fusebox_attempt_duration_seconds_bucket{provider=\"vllm\",le=\"0.5\"}"), Some(1.0));
}

#[test]
fn a_call_that_is_dropped_was_cancelled_and_so_was_its_attempt() {
    let (telemetry, labels) = telemetry(None);
    let mut trace = telemetry.begin(&labels, &call("chat"), Door::Grpc);
    drop(trace.attempt(0, None, 1));
    drop(trace);

    let page = page(&telemetry);
    assert_eq!(page.value("fusebox_calls_total{model=\"chat\",source=\"none\",kind=\"cancelled\"}"), Some(1.0));
    assert_eq!(page.sum("fusebox_calls_total"), 1.0);
    assert_eq!(page.value("fusebox_attempts_total{provider=\"vllm\",kind=\"cancelled\"}"), Some(1.0));
    assert_eq!(page.sum("fusebox_attempts_total{provider=\"vllm\""), 1.0);
    assert_eq!(page.value("fusebox_in_flight"), Some(0.0));
}

#[test]
fn callers_cannot_make_series() {
    let (telemetry, labels) = telemetry(None);
    let before = page(&telemetry).series("fusebox_").len();
    let failure = Failure::new(ErrorKind::ModelNotFound, "no such model");
    for index in 0..1_000 {
        let call = call(&format!("made-up-{index}"));
        telemetry.begin(&labels, &call, Door::Http).ended(failed(&outcome(&[]), &failure));
    }
    telemetry.begin(&labels, &call(""), Door::Http).ended(answered(&outcome(&[("vllm", None)])));

    let page = page(&telemetry);
    let all_of_them = "fusebox_calls_total{model=\"other\",source=\"none\",kind=\"model_not_found\"}";
    assert_eq!(page.value(all_of_them), Some(1_000.0));
    assert_eq!(page.series("fusebox_").len(), before + 1);
    let the_default = "fusebox_calls_total{model=\"chat\",source=\"primary\",kind=\"ok\"}";
    assert_eq!(page.value(the_default), Some(1.0), "no name means the first model");
}

#[test]
fn labels_of_two_generations_count_into_one_series() {
    let (telemetry, old) = telemetry(None);
    let new = fixture::labels(&telemetry);
    for labels in [&old, &new] {
        telemetry.begin(labels, &call("big"), Door::Http).ended(answered(&outcome(&[("cloud", None)])));
    }
    let series = "fusebox_calls_total{model=\"big\",source=\"primary\",kind=\"ok\"}";
    assert_eq!(page(&telemetry).value(series), Some(2.0));
}

#[test]
fn retries_refusals_and_a_broken_stream_are_told_by_their_kinds() {
    let (telemetry, labels) = telemetry(None);
    let mut trace = telemetry.begin(&labels, &call("chat"), Door::Http);
    trace.retry(0, ErrorKind::RateLimited, Duration::from_millis(5), WaitReason::RetryAfter);
    trace.fallback(0, 1, ErrorKind::RateLimited);
    let broken = Failure::new(ErrorKind::StreamBroken, "the stream was cut");
    trace.ended(CallEnd { source: Some(Source::Fallback), ..failed(&outcome(&[]), &broken) });
    let shed = Failure::new(ErrorKind::Shed, "too many calls");
    telemetry.begin(&labels, &call("chat"), Door::Http).ended(failed(&outcome(&[]), &shed));
    let invalid = Failure::new(ErrorKind::InvalidInput, "no messages");
    let refusal = Refusal {
        failure: &invalid,
        correlation_id: &"c".into(),
        arrived: clock::now(),
        door: Door::Grpc,
        operation: None,
        trace: &TraceContext::default(),
    };
    telemetry.refused(&refusal);

    let page = page(&telemetry);
    assert_eq!(page.value("fusebox_retries_total{provider=\"vllm\",reason=\"rate_limited\"}"), Some(1.0));
    for (series, what) in [
        ("model=\"chat\",source=\"fallback\",kind=\"stream_broken\"", "broken after it began"),
        ("model=\"chat\",source=\"none\",kind=\"shed\"", "shed"),
        ("model=\"other\",source=\"none\",kind=\"invalid_input\"", "refused at the door"),
    ] {
        assert_eq!(page.value(&format!("fusebox_calls_total{{{series}}}")), Some(1.0), "{what}");
    }
    assert_eq!(page.value("fusebox_shed_total{priority=\"interactive\"}"), Some(1.0));
    assert_eq!(page.value("fusebox_in_flight"), Some(0.0));
}

#[test]
fn whoever_is_shed_is_counted_under_its_own_priority() {
    let (telemetry, labels) = telemetry(None);
    let shed = Failure::new(ErrorKind::Shed, "too many calls");
    for (priority, times) in [(Priority::Interactive, 1), (Priority::Batch, 2)] {
        let mut call = call("chat");
        call.options.priority = priority;
        for _ in 0..times {
            telemetry.begin(&labels, &call, Door::Http).ended(failed(&outcome(&[]), &shed));
        }
    }
    let page = page(&telemetry);
    assert_eq!(page.value("fusebox_shed_total{priority=\"interactive\"}"), Some(1.0));
    assert_eq!(page.value("fusebox_shed_total{priority=\"batch\"}"), Some(2.0));
}

#[test]
fn without_spans_the_callers_trace_context_is_passed_on_as_it_came() {
    let (telemetry, labels) = telemetry(None);
    // Even what OpenTelemetry would not have written so.
    let mut call = call("chat");
    call.trace = context("99-not-even-valid", "a=1,  b=2");
    let mut trace = telemetry.begin(&labels, &call, Door::Http);
    assert_eq!(trace.attempt(0, None, 1).headers(&call), call.trace);
}

#[test]
fn a_breakers_moves_are_counted_and_its_state_is_shown() {
    let (telemetry, _labels) = telemetry(None);
    let state = "fusebox_breaker_state{provider=\"cloud\",scope=\"fleet\"}";
    assert_eq!(page(&telemetry).value(state), Some(0.0));
    let moves = [(BreakerState::Closed, BreakerState::Open), (BreakerState::Open, BreakerState::HalfOpen)];
    for (from, to) in moves {
        telemetry.transition(&"cloud".into(), Scope::Fleet, Transition { from, to, reason: "five failures in a row" });
    }
    let seen = page(&telemetry);
    assert_eq!(seen.value(state), Some(1.0));
    for series in ["from=\"closed\",to=\"open\"", "from=\"open\",to=\"half_open\""] {
        let series = format!("fusebox_breaker_transitions_total{{provider=\"cloud\",{series}}}");
        assert_eq!(seen.value(&series), Some(1.0), "{series}");
    }
    telemetry.set_breaker(&"cloud".into(), BreakerState::Closed);
    assert_eq!(page(&telemetry).value(state), Some(0.0));
}

#[test]
fn connections_are_counted_while_they_are_held() {
    let (telemetry, _labels) = telemetry(None);
    let open = [telemetry.connection(Door::Http), telemetry.connection(Door::Http)];
    assert_eq!(page(&telemetry).value("fusebox_connections{door=\"http\"}"), Some(2.0));
    drop(open);
    assert_eq!(page(&telemetry).value("fusebox_connections{door=\"http\"}"), Some(0.0));
}

#[test]
fn the_error_summary_tells_attempts_from_calls() {
    let (telemetry, labels) = telemetry(None);
    let failure = Failure::new(ErrorKind::ProviderError, "it failed").by(&"vllm".into());
    let mut trace = telemetry.begin(&labels, &call("chat"), Door::Http);
    trace.attempt(0, None, 1).ended(Err(&failure));
    trace.attempt(0, None, 2).ended(Err(&failure));
    trace.ended(failed(&outcome(&[("vllm", Some(failure.kind)); 2]), &failure));

    let summary = telemetry.error_summary();
    assert_eq!(
        (summary.calls[0].kind, summary.calls[0].operation, summary.calls[0].count),
        ("provider_error", "chat", 1)
    );
    assert_eq!(summary.attempts[0].count, 2);
    let told: Vec<_> = summary.recent.iter().map(|one| (one.attempt, one.provider.as_deref())).collect();
    assert_eq!(told, [(None, Some("vllm")), (Some(2), Some("vllm")), (Some(1), Some("vllm"))]);
    assert_eq!(&*summary.recent[0].correlation_id, "corr-1");
}

#[derive(Default)]
struct Lines(Mutex<Vec<u8>>);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

impl io::Write for &Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is logged at `level` by `doing`.
fn logged(level: tracing::Level, doing: impl FnOnce()) -> Vec<serde_json::Value> {
    let lines = Arc::new(Lines::default());
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_max_level(level);
    tracing::subscriber::with_default(subscriber.with_writer(Arc::clone(&lines)).finish(), doing);
    let text = String::from_utf8(lines.0.lock().clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The same without what is told of critical errors, of which there is a line in ten seconds at most.
fn logged_of_calls(level: tracing::Level, doing: impl FnOnce()) -> Vec<serde_json::Value> {
    let mut lines = logged(level, doing);
    lines.retain(|line| line["message"] != "critical error");
    lines
}

/// A call that tries `vllm` in vain and ends so.
fn failing_call(kind: ErrorKind) {
    let (telemetry, labels) = telemetry(None);
    let failure = Failure::new(kind, "in our words").by(&"vllm".into()).inside("in the provider's raw words");
    let mut trace = telemetry.begin(&labels, &call("chat"), Door::Http);
    trace.attempt(0, None, 1).ended(Err(&failure));
    trace.ended(failed(&outcome(&[("vllm", Some(kind))]), &failure));
}

#[test]
fn a_failed_call_is_one_line_at_info_that_tells_its_story_without_the_providers_words() {
    let lines = logged_of_calls(tracing::Level::INFO, || failing_call(ErrorKind::ProviderError));
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    for (field, value) in [
        ("level", "WARN"),
        ("target", "fusebox::call"),
        ("message", "call failed"),
        ("correlation_id", "corr-1"),
        ("model", "chat"),
        ("provider", "vllm"),
        ("kind", "provider_error"),
        ("attempts", "vllm:provider_error@0ms+0ms"),
        ("error", "in our words"),
        ("door", "http"),
        ("operation", "chat"),
    ] {
        assert_eq!(line[field], value, "{field} in {line}");
    }
    assert!(line["took_ms"].is_number());
    assert!(!line.to_string().contains("raw words"));
}

#[test]
fn the_providers_raw_words_are_told_at_debug_once_and_the_prompt_never() {
    let lines = logged(tracing::Level::TRACE, || failing_call(ErrorKind::ProviderError));
    let told: Vec<_> = lines.iter().filter(|line| line.to_string().contains("raw words")).collect();
    assert_eq!(told.len(), 1, "{lines:?}");
    assert_eq!((&told[0]["level"], &told[0]["message"]), (&"DEBUG".into(), &"attempt failed".into()));
    assert!(lines.iter().all(|line| !line.to_string().contains("secret plan")));
}

#[test]
fn what_callers_do_and_what_is_refused_in_bulk_says_nothing_at_info() {
    for kind in [ErrorKind::InvalidInput, ErrorKind::Cancelled, ErrorKind::Shed, ErrorKind::CircuitOpen] {
        assert_eq!(
            logged_of_calls(tracing::Level::INFO, || failing_call(kind)),
            Vec::<serde_json::Value>::new(),
            "{kind}"
        );
    }
}

#[test]
fn an_answered_call_with_a_retry_says_nothing_at_info_and_all_of_it_at_debug() {
    let answer = || {
        let (telemetry, labels) = telemetry(None);
        let mut trace = telemetry.begin(&labels, &call("chat"), Door::Grpc);
        trace.retry(0, ErrorKind::NetworkError, Duration::from_millis(50), WaitReason::Backoff);
        trace.fallback(0, 1, ErrorKind::NetworkError);
        trace.first_token();
        trace.ended(answered(&outcome(&[("vllm", Some(ErrorKind::NetworkError)), ("cloud", None)])));
    };
    assert!(logged(tracing::Level::INFO, answer).is_empty());
    let lines = logged(tracing::Level::DEBUG, answer);
    let messages: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["trying again", "falling back", "call answered"]);
    assert_eq!((&lines[0]["wait_ms"], &lines[0]["wait_reason"]), (&50.0.into(), &"backoff".into()));
    assert_eq!((&lines[2]["source"], &lines[2]["provider"]), (&"primary".into(), &"cloud".into()));
    assert_eq!((&lines[2]["input_tokens"], &lines[2]["output_tokens"]), (&100.into(), &400.into()));
    assert!(lines[2]["first_token_ms"].is_number());
}
