"""The examples: right by Kubernetes' schemas, of one mind with the chart, and configured as the sidecar accepts it."""

import subprocess

import pytest
import yaml

from programs import binary
from release import CHART, EXAMPLES, VERSIONS, Release, containers_of, pods_of, read
from test_rendered import check

# What a pod may say to the injector.
ANNOTATIONS = {"inject", "config", "config-map", "secret", "tokens-secret", "image", "cpu-request", "cpu-limit",
               "memory-request", "memory-limit", "log", "upstream", "app-env"}
MANIFESTS = sorted(path for path in EXAMPLES.rglob("*.yaml") if "own-chart" not in path.parts and path.name != "values.yaml")
VALUES = EXAMPLES / "vllm" / "values.yaml"


def documents(path):
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


def said_of(config, folder, **keys):
    """What the sidecar's own check says of a configuration."""
    path = folder / "config.yaml"
    path.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
    return subprocess.run([binary("fusebox-sidecar"), "check", "--config", path], env=keys, capture_output=True, text=True)


def test_there_are_examples():
    assert [path.parent.name for path in MANIFESTS] == ["application", "kserve", "vllm"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.parent.name)
def test_every_manifest_is_right_by_its_schema(path, version):
    for one in documents(path):
        check(one, version)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.parent.name)
def test_every_annotation_is_one_that_the_injector_knows(path):
    for one in documents(path):
        notes = {**one["metadata"].get("annotations", {}),
                 **one.get("spec", {}).get("template", {}).get("metadata", {}).get("annotations", {})}
        ours = {name.removeprefix("fusebox.dev/") for name in notes if name.startswith("fusebox.dev/")}
        assert ours <= ANNOTATIONS
        assert notes.get("fusebox.dev/inject", "true") in ("true", "false")


def test_what_services_send_to_is_the_sidecars_or_the_pods_own():
    objects = documents(EXAMPLES / "vllm" / "vllm.yaml")
    listen = read(CHART / "values.yaml")["sidecar"]["listen"]
    sidecars = {int(address.rpartition(":")[2]) for address in listen.values()}
    [(_, metadata, spec)] = pods_of(objects)
    own = {port["name"]: port["containerPort"] for container in containers_of(spec) for port in container["ports"]}
    assert not sidecars & set(own.values())
    for service in (one for one in objects if one["kind"] == "Service"):
        assert service["spec"]["selector"].items() <= metadata["labels"].items()
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in (*sidecars, *own)


def test_kserve_sends_to_the_sidecar():
    """KServe's Service sends to 8080 where the predictor's container declares no port."""
    [one] = documents(EXAMPLES / "kserve" / "inference-service.yaml")
    [container] = one["spec"]["predictor"]["containers"]
    assert container["name"] == "kserve-container" and "ports" not in container
    assert read(CHART / "values.yaml")["sidecar"]["listen"]["http"].endswith(":8080")
    assert container["args"][container["args"].index("--port") + 1] == one["metadata"]["annotations"]["fusebox.dev/upstream"]


def test_pods_have_longer_to_end_than_the_sidecar_needs():
    for path in MANIFESTS:
        for _, _, spec in pods_of(documents(path)):
            assert spec.get("terminationGracePeriodSeconds", 60) >= 30 + 15


def test_vllms_values_make_a_release_whose_sidecars_are_one_fleet():
    release = Release(read(VALUES))
    for version in VERSIONS:
        for one in release.objects:
            check(one, version)
    assert [one["metadata"]["namespace"] for one in release.all("Secret") if one["metadata"]["name"] == "fusebox-fleet"] == \
        ["fusebox", "chat"]


@pytest.mark.parametrize("name", ["vllm", "application", "own-chart"])
def test_the_sidecar_accepts_the_configuration_and_has_nothing_against_its_fallbacks(name, tmp_path):
    config = {
        "vllm": lambda: read(VALUES)["sidecar"]["config"],
        "application": lambda: next(one["data"]["config.yaml"] for one in documents(MANIFESTS[0]) if one["kind"] == "ConfigMap"),
        "own-chart": lambda: read(EXAMPLES / "own-chart" / "values.yaml")["fusebox"]["sidecar"]["config"],
    }[name]()
    said = said_of(config, tmp_path, OPENAI_API_KEY="k", ANTHROPIC_API_KEY="k", FUSEBOX_FLEET__REDIS="redis://redis:6379")
    assert said.returncode == 0, said.stderr
    assert "unwise" not in said.stdout


def test_a_chart_of_ones_own_has_the_sidecar_first_and_no_control_plane(own_chart):
    for version in VERSIONS:
        for one in own_chart.objects:
            check(one, version)
    [(_, metadata, spec)] = [pod for pod in own_chart.pods() if pod[0] == "Deployment chat"]
    sidecar = spec["initContainers"][0]
    assert (sidecar["name"], sidecar["restartPolicy"]) == ("fusebox", "Always")
    assert metadata["labels"]["fusebox.dev/sidecar"] == "true"
    assert spec["terminationGracePeriodSeconds"] == 45
    assert {mount["name"] for mount in sidecar["volumeMounts"]} <= {volume["name"] for volume in spec["volumes"]}
    [config] = [volume["configMap"]["name"] for volume in spec["volumes"] if volume["name"] == "fusebox-config"]
    assert own_chart.get("ConfigMap", config)
    kinds = {one["kind"] for one in own_chart.objects}
    assert not kinds & {"StatefulSet", "MutatingWebhookConfiguration", "NetworkPolicy", "ServiceAccount"}
    [service] = own_chart.all("Service")
    assert service["spec"]["ports"][0]["targetPort"] == 8080


def test_the_version_that_a_chart_of_ones_own_depends_on_is_this_charts():
    [dependency] = read(EXAMPLES / "own-chart" / "Chart.yaml")["dependencies"]
    assert (dependency["name"], dependency["version"]) == ("fusebox", read(CHART / "Chart.yaml")["version"])
