"""An application that traces itself with OpenTelemetry's own SDK, and calls a sidecar as part of what it does."""

import json
import urllib.error
import urllib.request

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import inject
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def ask_in(trace, sidecar, sampled=True):
    """Asks for a stream as part of a trace that nobody else tells of."""
    body = {"model": "chat", "stream": True, "messages": [{"role": "user", "content": "Hello!"}]}
    headers = {"content-type": "application/json", "traceparent": f"00-{trace}-00f067aa0ba902b7-0{int(sampled)}"}
    request = urllib.request.Request(f"{sidecar.base_url}/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.read().decode().rstrip().endswith("data: [DONE]")


class Application:
    def __init__(self, endpoint, sampler=None):
        self.provider = TracerProvider(sampler, resource=Resource.create({"service.name": "shop"}))
        exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True)
        self.provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=50))
        self.tracer = self.provider.get_tracer("shop")

    def ask(self, sidecar, what="answer a customer", stream=False, content="Hello!"):
        """Asks a question within a span; its trace, the answer's status and the answer."""
        body = {"model": "chat", "stream": stream, "messages": [{"role": "user", "content": content}]}
        with self.tracer.start_as_current_span(what, kind=trace.SpanKind.CLIENT) as span:
            headers = {"content-type": "application/json"}
            inject(headers)
            request = urllib.request.Request(f"{sidecar.base_url}/chat/completions", json.dumps(body).encode(), headers)
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    status, said = answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                status, said = error.code, error.read().decode()
                span.set_status(trace.StatusCode.ERROR)
            return f"{span.get_span_context().trace_id:032x}", status, said

    def flush(self):
        assert self.provider.force_flush(30_000)

    def close(self):
        self.provider.shutdown()
