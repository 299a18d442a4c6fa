"""One trace, from the application's own span through the sidecar's to the provider's, as a collector that is not ours
passes it on."""

import pytest
from application import Application
from collector import Rotel, until
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.proto.trace.v1.trace_pb2 import Span

import scene

SERVER, CLIENT = Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT


def whole(sink, trace, count):
    return until(f"{count} spans", lambda: len(sink.of(trace)) >= count and sink.of(trace))


def test_one_trace_leads_from_the_application_through_failure_wait_and_failover_to_the_providers_own_spans(
    application, rotel, sink, provider, sidecar
):
    front = scene.start(provider, sidecar, rotel.endpoint)
    trace, status, said = application.ask(front, stream=True)
    assert status == 200 and said.rstrip().endswith("data: [DONE]"), said
    spans = whole(sink, trace, 7)
    by_id = {span.id: span for span in spans}
    told = [(span.service, span.name, span.kind, by_id[span.parent].name if span.parent else None) for span in spans]
    assert told == [
        ("shop", "answer a customer", CLIENT, None),
        ("fusebox-sidecar", "chat chat", SERVER, "answer a customer"),
        ("fusebox-sidecar", "chat llama-3.1-8b", CLIENT, "chat chat"),
        ("fusebox-sidecar", "chat llama-3.1-8b", CLIENT, "chat chat"),
        ("fusebox-sidecar", "chat chat", CLIENT, "chat chat"),
        ("fusebox-sidecar", "chat chat", SERVER, "chat chat"),
        ("fusebox-sidecar", "chat llama-3.1-8b", CLIENT, "chat chat"),
    ]
    _, call, first, second, third, behind, last = spans
    assert [span.parent for span in (first, second, third)] == [call.id] * 3
    assert (behind.parent, last.parent) == (third.id, behind.id)
    assert {span.resource["k8s.pod.name"] for span in (call, first, second, third)} == {"inference-1"}
    assert {span.resource["k8s.pod.name"] for span in (behind, last)} == {"inference-2"}
    assert all(span.resource["service.version"] for span in spans[1:])
    events = {name: (attributes, at) for name, attributes, at in call.events}
    waited, at = events["fusebox.retry"]
    assert waited["error.type"] == "model_overloaded" and waited["fusebox.wait.reason"] == "backoff"
    assert waited["fusebox.wait"] == pytest.approx(0.12) and first.end <= at <= second.start
    assert second.start - first.end >= 0.11e9, "the wait is a gap between two attempts"
    left, at = events["fusebox.fallback"]
    assert (left["fusebox.fallback.from"], left["fusebox.fallback.to"]) == ("vllm", "other-pod")
    assert second.end <= at <= third.start
    assert [span.failed for span in spans] == [False, False, True, True, False, False, False]
    assert call.attributes["fusebox.fallback"] is True and call.attributes["fusebox.attempts"] == 3
    assert first.attributes["http.response.status_code"] == 503
    assert third.start <= behind.start <= behind.end <= third.end, "one clock, and the provider's within the attempt"
    assert "Hello" not in repr([span.raw for span in spans]), "what is said is in no span"


def test_spans_come_by_http_and_compressed_too(application, rotel, sink, provider, sidecar):
    ways = [
        {"OTEL_EXPORTER_OTLP_ENDPOINT": rotel.endpoint, "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": rotel.http_endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{rotel.http_endpoint}/v1/traces",
         "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"},
    ]
    behind = provider({"tokens": 3})
    for env in ways:
        one = sidecar(("a", {"base_url": behind.base_url}), env=env)
        trace, status, _ = application.ask(one)
        assert status == 200
        spans = whole(sink, trace, 3)
        assert [span.name for span in spans] == ["answer a customer", "chat chat", "chat served-a"], env


def test_a_collector_that_is_killed_and_comes_back_loses_no_call_and_gets_spans_again(
    ends, application, rotel, sink, provider, sidecar, tmp_path
):
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": rotel.endpoint, "OTEL_EXPORTER_OTLP_TIMEOUT": "500"}
    one = sidecar(("a", {"base_url": provider({"tokens": 3}).base_url}), env=env)
    trace, status, _ = application.ask(one)
    assert status == 200 and whole(sink, trace, 3)
    rotel.kill()
    for _ in range(20):
        assert application.ask(one)[1] == 200
    until("that nothing is taken", lambda: any("spans cannot be exported" in line for line in one.log))
    ends(Rotel(tmp_path / "again", sink, rotel.grpc, rotel.http))
    until("that spans are taken", lambda: application.ask(one)[1] == 200 and any(
        "spans are exported again" in line for line in one.log))


def test_what_the_application_does_not_sample_is_in_no_trace(ends, rotel, sink, provider, sidecar):
    unsampled, sampled = ends(Application(rotel.endpoint, ALWAYS_OFF)), ends(Application(rotel.endpoint))
    one = sidecar(("a", {"base_url": provider({"tokens": 3}).base_url}),
                  env={"OTEL_EXPORTER_OTLP_ENDPOINT": rotel.endpoint})
    without, status, _ = unsampled.ask(one)
    assert status == 200
    trace, status, _ = sampled.ask(one)
    assert status == 200 and whole(sink, trace, 3)
    assert not sink.of(without), "one call's spans leave before the next one's"
