"""A client generated from the .proto by Google's own tools, against the sidecar."""

import importlib
import pathlib
import sys

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_tools import protoc

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"


@pytest.fixture(scope="session")
def generated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated")
    google = pathlib.Path(protoc.__file__).parent / "_proto"
    arguments = ["protoc", f"-I{PROTO}", f"-I{google}", f"--python_out={folder}", f"--grpc_python_out={folder}",
                 str(PROTO / "fusebox/v1/inference.proto")]
    assert protoc.main(arguments) == 0
    sys.path.insert(0, str(folder))
    yield (importlib.import_module("fusebox.v1.inference_pb2"), importlib.import_module("fusebox.v1.inference_pb2_grpc"))
    sys.path.remove(str(folder))


@pytest.fixture
def doors(generated, provider, sidecar):
    messages, services = generated
    channels = []

    def start(*acts):
        scripted = provider(*acts)
        channel = grpc.insecure_channel(sidecar(("a", {"base_url": scripted.base_url})).grpc)
        channels.append(channel)
        user = messages.Message(role=messages.ROLE_USER, content=[messages.Part(text="hi")])
        request = messages.GenerateRequest(model="chat", messages=[user])
        return services.InferenceServiceStub(channel), request, channel

    yield start
    for channel in channels:
        channel.close()


def test_generate(doors):
    stub, request, _ = doors({"text": ["It is ", "sunny."]})
    answer = stub.Generate(request, timeout=5)
    assert answer.message.content[0].text == "It is sunny."
    assert answer.outcome.provider == "a"


def test_stream_generate(doors):
    stub, request, _ = doors({"text": ["It is ", "sunny."]})
    parts = list(stub.StreamGenerate(request, timeout=5))
    assert "".join(part.text_delta for part in parts) == "It is sunny."
    assert parts[-1].usage.output_tokens == 2
    assert parts[-1].outcome.provider == "a"


def test_embed(generated, doors):
    stub, _, _ = doors()
    answer = stub.Embed(generated[0].EmbedRequest(inputs=["a", "bcd"]), timeout=5)
    assert [list(vector.values) for vector in answer.embeddings] == [[0.0, 1.0, -0.5], [1.0, 3.0, -0.5]]


def test_errors_and_deadlines(doors):
    stub, request, _ = doors({"status": 500, "body": {}}, {"hang": True})
    with pytest.raises(grpc.RpcError) as raised:
        stub.Generate(request, timeout=5)
    assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
    assert b"PROVIDER_ERROR" in dict(raised.value.trailing_metadata())["grpc-status-details-bin"]
    with pytest.raises(grpc.RpcError) as raised:
        stub.Generate(request, timeout=0.3)
    assert raised.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_cancelled_stream(doors):
    stub, request, _ = doors({"tokens": 2, "end": "hang"})
    stream = stub.StreamGenerate(request, timeout=5)
    assert next(part.text_delta for part in stream if part.text_delta) == "0:0 "
    stream.cancel()


def test_health(doors):
    _, _, channel = doors()
    answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
