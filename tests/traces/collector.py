"""A collector of spans that is not ours, rotel, as a process; and whoever reads what it passes on."""

import gzip
import http.server
import importlib.util
import pathlib
import socket
import subprocess
import threading
import time

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

PATIENCE_S = 30


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def until(what, done):
    """What `done` comes to, as soon as that is true."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := done()):
        assert time.monotonic() < deadline, f"waited {PATIENCE_S} s for {what}"
        time.sleep(0.02)
    return found


class Span:
    """A span as it was passed on, with its attributes as plain values."""

    def __init__(self, span, resource):
        self.raw, self.resource_message, resource = span, resource, plain(resource.attributes)
        self.resource = resource
        self.name, self.kind = span.name, span.kind
        self.trace, self.id, self.parent = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
        self.start, self.end = span.start_time_unix_nano, span.end_time_unix_nano
        self.attributes = plain(span.attributes)
        self.events = [(event.name, plain(event.attributes), event.time_unix_nano) for event in span.events]
        self.failed = span.status.code == span.status.STATUS_CODE_ERROR
        self.service = resource.get("service.name")

    def __repr__(self):
        return f"{self.service}: {self.name} {self.attributes} {[event[0] for event in self.events]}"


def plain(attributes):
    return {one.key: value(one.value) for one in attributes}


def value(any_value):
    kind = any_value.WhichOneof("value")
    if kind == "array_value":
        return [value(one) for one in any_value.array_value.values]
    return getattr(any_value, kind) if kind else None


class Sink:
    """Takes spans by OTLP over HTTP, from whoever exports them."""

    def __init__(self):
        self.spans = []
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers["content-encoding"] == "gzip":
                    body = gzip.decompress(body)
                request = ExportTraceServiceRequest.FromString(body)
                for group in request.resource_spans:
                    sink.spans += [Span(span, group.resource) for scope in group.scope_spans for span in scope.spans]
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def of(self, trace):
        """The spans of one trace, in the order in which they began."""
        return sorted((span for span in self.spans if span.trace == trace), key=lambda span: span.start)

    def document(self, trace):
        """The same as OTLP's JSON."""
        def written(span):
            # OTLP's JSON has ids in hexadecimal, where protobuf's own has base64.
            ids = {"traceId": span.trace, "spanId": span.id, "parentSpanId": span.parent}
            return {**MessageToDict(span.raw), **ids}

        groups = [{"resource": MessageToDict(span.resource_message), "scopeSpans": [{"spans": [written(span)]}]}
                  for span in self.of(trace)]
        return {"resourceSpans": groups}

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class Rotel:
    """The collector: OTLP over gRPC and over HTTP in, OTLP over HTTP out."""

    def __init__(self, folder, sink, grpc=None, http=None):
        self.grpc, self.http = grpc or free_port(), http or free_port()
        folder.mkdir(exist_ok=True)
        package = importlib.util.find_spec("rotel").submodule_search_locations[0]
        self.log = folder / "rotel.log"
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [pathlib.Path(package) / "rotel-agent", "start",
                 "--otlp-grpc-endpoint", f"127.0.0.1:{self.grpc}", "--otlp-http-endpoint", f"127.0.0.1:{self.http}",
                 "--exporter", "otlp", "--otlp-exporter-endpoint", sink.address, "--otlp-exporter-protocol", "http",
                 "--otlp-exporter-compression", "none", "--batch-timeout", "50ms",
                 "--pid-file", str(folder / "pid"), "--log-file", str(folder / "log")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={},
            )
        for port in (self.grpc, self.http):
            until(f"rotel at {port}", lambda: self.answers(port))

    def answers(self, port):
        assert self.process.poll() is None, self.log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.grpc}"

    @property
    def http_endpoint(self):
        return f"http://127.0.0.1:{self.http}"

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        finally:
            self.process.kill()
            self.process.wait(10)
