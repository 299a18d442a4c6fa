"""OTLP over TLS, with headers, compressed, and with a certificate of one's own: to a server of gRPC's own library."""

import concurrent.futures
import subprocess

import grpc
import pytest
from application import ask_in
from collector import until
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, and what it has issued to a server and to a client."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=tests")
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for name in ("server", "client"):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-out", f"{name}.pem", "-days", "2", "-extfile", "ext")
    return folder


class Secure(service.TraceServiceServicer):
    """Takes spans over TLS from clients that show a certificate, and remembers how they came."""

    def __init__(self, folder):
        self.heard, self.spans = [], []
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
        service.add_TraceServiceServicer_to_server(self, self.server)
        pair = ((folder / "server.key").read_bytes(), (folder / "server.pem").read_bytes())
        credentials = grpc.ssl_server_credentials([pair], (folder / "ca.pem").read_bytes(), require_client_auth=True)
        self.port = self.server.add_secure_port("127.0.0.1:0", credentials)
        self.server.start()

    def Export(self, request, context):
        self.heard.append(dict(context.invocation_metadata()) | {"who": context.auth_context()["x509_common_name"]})
        self.spans += [span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]
        return messages.ExportTraceServiceResponse()

    def close(self):
        self.server.stop(None).wait()


def test_spans_go_over_tls_with_headers_compressed_and_under_a_certificate_of_ones_own(
    ends, certificates, provider, sidecar
):
    server = ends(Secure(certificates))
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"https://localhost:{server.port}",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(certificates / "ca.pem"),
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(certificates / "client.pem"),
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(certificates / "client.key"),
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20s3cret,x-tenant=shop",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
    }
    one = sidecar(("a", {"base_url": provider({"tokens": 3}).base_url}), env=env)
    ask_in(TRACE, one)
    until("both spans", lambda: len(server.spans) >= 2)
    assert {span.trace_id.hex() for span in server.spans} == {TRACE}
    heard = server.heard[0]
    assert (heard["authorization"], heard["x-tenant"], heard["who"]) == ("Bearer s3cret", "shop", [b"client"])
    assert "s3cret" not in "".join(one.log)


def test_a_server_that_is_not_trusted_gets_nothing_and_calls_go_on(ends, certificates, provider, sidecar):
    server = ends(Secure(certificates))
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"https://localhost:{server.port}", "OTEL_EXPORTER_OTLP_TIMEOUT": "2000"}
    one = sidecar(("a", {"base_url": provider({"tokens": 3}).base_url}), env=env)
    ask_in(TRACE, one)
    until("that nothing is taken", lambda: any("spans cannot be exported" in line for line in one.log))
    ask_in(TRACE, one)
    assert not server.heard
