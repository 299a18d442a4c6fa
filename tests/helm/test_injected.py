"""The whole way of a pod: the chart's template in a running control plane, asked as the API server asks, and what comes of it
started and called."""

import base64
import copy
import http.client
import json
import socket
import ssl

import kubernetes_validate
import pytest
import yaml

from pods import LIMIT
from release import EXAMPLES, VERSIONS, Release, data_of, pods_of, read
from test_programs import ask, said_by, the_pod

HOST = "fusebox-injector.fusebox.svc"


@pytest.fixture
def injector(pod):
    """A control plane that injects, by what the chart makes of vLLM's values; it needs no Redis for that."""
    release = Release(read(EXAMPLES / "vllm" / "values.yaml"))
    unit = pod(*the_pod(release, "Deployment fusebox-control-plane"), release.objects,
               hosts={"fusebox-redis.fusebox.svc:6379": "127.0.0.1:1"})
    unit.release = release
    unit.containers["control-plane"].wait_for("startupProbe")
    return unit


def webhook(release, name):
    [one] = release.all("MutatingWebhookConfiguration")
    [found] = [one for one in one["webhooks"] if one["name"].startswith(name)]
    return found["clientConfig"]


def reviewed(unit, which, metadata, spec, namespace):
    """The pod as it is after the API server has asked the webhook, trusting whom the chart says, and what was warned of."""
    client = webhook(unit.release, which)
    context = ssl.create_default_context(cadata=base64.b64decode(client["caBundle"]).decode())
    host, port = unit.containers["control-plane"].address("injector").rsplit(":", 1)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "pod-", **metadata}, "spec": spec}
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "1", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE", "namespace": namespace,
        "resource": {"group": "", "version": "v1", "resource": "pods"}, "object": pod, "oldObject": None, "dryRun": False}}
    connection = http.client.HTTPConnection(host, int(port), timeout=LIMIT)
    connection.sock = context.wrap_socket(socket.create_connection((host, int(port)), LIMIT), server_hostname=HOST)
    try:
        connection.request("POST", client["service"]["path"], json.dumps(review), {"content-type": "application/json"})
        answer = json.loads(connection.getresponse().read())["response"]
    finally:
        connection.close()
    assert answer["allowed"] is True and answer["uid"] == "1"
    return patched(pod, json.loads(base64.b64decode(answer.get("patch", "W10=")))), answer.get("warnings", [])


def patched(pod, patch):
    """The pod with a JSON Patch of additions made to it."""
    pod = copy.deepcopy(pod)
    for step in patch:
        assert step["op"] == "add"
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]]
        at = pod
        for part in parents:
            at = at[int(part)] if isinstance(at, list) else at[part]
        if isinstance(at, list):
            at.insert(len(at) if last == "-" else int(last), step["value"])
        else:
            at[last] = step["value"]
    return pod


def documents(name, file):
    return [one for one in yaml.safe_load_all((EXAMPLES / name / file).read_text()) if one]


def secret(name, **data):
    return {"kind": "Secret", "metadata": {"name": name}, "stringData": data}


def is_right(pod):
    named = pod | {"metadata": {"name": "pod", **pod["metadata"]}}
    for version in VERSIONS:
        kubernetes_validate.validate(named, version, strict=True)
    assert pod["spec"]["initContainers"][0]["name"] == "fusebox"
    assert pod["spec"]["terminationGracePeriodSeconds"] >= 45


def test_vllms_pod_gets_a_sidecar_that_answers_from_it(injector, pod, provider):
    [(_, metadata, spec)] = pods_of(documents("vllm", "vllm.yaml"))
    made, warnings = reviewed(injector, "namespaces", metadata, spec, "chat")
    assert warnings == []
    is_right(made)
    assert made["spec"]["containers"] == spec["containers"]
    vllm = provider({"text": ["from vLLM"]})
    unit = pod(made["metadata"], made["spec"], [*injector.release.objects, secret("provider-keys", anthropic="sk-1")],
               namespace="chat", hosts={"127.0.0.1:8000": vllm.root.removeprefix("http://"),
                                        "fusebox-redis.fusebox.svc:6379": "127.0.0.1:1"})
    sidecar = unit.containers["fusebox"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        sidecar.wait_for(probe)
    assert said_by(ask(sidecar)[1]) == "from vLLM"
    assert unit.stop() == {"fusebox": 0}


def test_an_applications_pod_gets_the_configuration_and_the_keys_that_it_names(injector, pod, provider):
    """In another namespace, whose sidecars are no part of the fleet: there is no Secret with its address."""
    objects = documents("application", "application.yaml")
    [(_, metadata, spec)] = pods_of(objects)
    made, warnings = reviewed(injector, "pods", metadata, spec, "assistant")
    assert warnings == []
    is_right(made)
    openai, claude = provider({"status": 500, "body": {}}), provider({"text": ["from Claude"]})
    keys = secret("provider-keys", OPENAI_API_KEY="sk-1", ANTHROPIC_API_KEY="sk-2", anthropic="sk-2")
    unit = pod(made["metadata"], made["spec"], [*objects, keys], namespace="assistant", hosts={
        "https://api.openai.com": openai.root, "https://api.anthropic.com/v1": claude.root})
    sidecar = unit.containers["fusebox"]
    sidecar.wait_for("readinessProbe")
    status, answer = ask(sidecar, model="assistant")
    assert (status, said_by(answer)) == (200, "from Claude")
    assert openai.seen()[0]["headers"]["authorization"] == "Bearer sk-1"
    assert claude.seen()[0]["headers"]["x-api-key"] == "sk-2"


def test_kserves_predictor_gets_a_sidecar_before_it(injector):
    [one] = documents("kserve", "inference-service.yaml")
    spec = {key: value for key, value in one["spec"]["predictor"].items() if key != "minReplicas"}
    made, warnings = reviewed(injector, "pods", {"annotations": one["metadata"]["annotations"]}, spec, "chat")
    assert warnings == []
    is_right(made)
    variables = {variable["name"]: variable.get("value") for variable in made["spec"]["initContainers"][0]["env"]}
    assert variables["FUSEBOX_PROVIDERS__0__BASE_URL"] == "http://127.0.0.1:8000/v1"


def test_a_pod_that_asks_for_nothing_is_left_alone_and_one_that_asks_wrongly_is_warned(injector):
    spec = {"containers": [{"name": "app", "image": "app"}]}
    made, warnings = reviewed(injector, "pods", {}, spec, "other")
    assert (made["spec"], warnings) == (spec, [])
    made, warnings = reviewed(injector, "pods", {"annotations": {"fusebox.dev/inject": "maybe"}}, spec, "other")
    assert made["spec"] == spec and any("fusebox.dev/inject" in warning for warning in warnings)


def test_a_renewed_certificate_and_a_changed_template_are_taken_without_a_restart(injector):
    release = injector.release
    spec = {"containers": [{"name": "app", "image": "app"}]}
    template = release.get("ConfigMap", "fusebox-injector")
    template["data"]["template.yaml"] = template["data"]["template.yaml"].replace(":0.1.0", ":0.2.0")
    injector.change(template)
    plane = injector.containers["control-plane"]

    def image():
        made, _ = reviewed(injector, "namespaces", {}, spec, "chat")
        return made["spec"]["initContainers"][0]["image"]

    plane.until(lambda: image().endswith(":0.2.0"), "it has read it")
    other = Release(read(EXAMPLES / "vllm" / "values.yaml"))
    injector.change(other.get("Secret", "fusebox-injector-tls"))
    [release.objects.remove(one) for one in release.all("MutatingWebhookConfiguration")]
    release.objects += other.all("MutatingWebhookConfiguration")

    def is_trusted():
        try:
            return image()
        except ssl.SSLCertVerificationError:
            return None

    plane.until(is_trusted, "it shows the new one")
    assert data_of(other.get("Secret", "fusebox-injector-tls")) != data_of(release.get("Secret", "fusebox-injector-tls"))
