"""Values: what the schema knows is what there is, what is wrong is refused in words that help, and what is derived is of
today."""

import json
import re
import shlex

import helm_python as helm
import pytest
import yaml

import renew
from release import CHART, ROOT, Release, read

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = read(CHART / "values.yaml")
AGAIN = "run .venv/bin/python tests/helm/renew.py and look at what changed"


def refusal(values):
    """What Helm says against `values`."""
    with pytest.raises(helm.HelmError) as raised:
        Release(values)
    return str(raised.value)


def test_the_schema_knows_every_value_and_no_other():
    def walk(schema, values, path):
        properties = schema.get("properties")
        if "$ref" in schema or properties is None:
            return
        assert schema["additionalProperties"] is False, path
        assert properties.keys() - {"global"} == values.keys(), path
        for name, inner in properties.items():
            if name != "global":
                assert inner.get("description"), f"{path}.{name} is not explained"
                walk(inner, values[name], f"{path}.{name}")

    walk(SCHEMA, VALUES, "")


def test_the_schema_has_the_keys_of_todays_programs():
    assert (CHART / "values.schema.json").read_text() == renew.schema(), AGAIN


def test_the_readme_has_todays_values():
    assert (CHART / "README.md").read_text() == renew.readme(), AGAIN


@pytest.mark.parametrize("name", renew.GOLDENS)
def test_renders_are_as_they_were(name):
    assert (renew.GOLDEN / f"{name}.yaml").read_text() == renew.golden(name), AGAIN


def test_a_value_that_is_no_value_is_refused_with_its_place():
    for values, said in [
        ({"controlPlane": {"replica": 3}}, ["/controlPlane", "'replica'"]),
        ({"controlPlane": {"replicas": "three"}}, ["/controlPlane/replicas", "integer"]),
        ({"injector": {"failurePolicy": "ignore"}}, ["/injector/failurePolicy", "'Ignore', 'Fail'"]),
        ({"redis": {"external": {"url": "http://redis"}}}, ["/redis/external/url"]),
        ({"sidecar": {"listen": {"http": "8080"}}}, ["/sidecar/listen/http"]),
        ({"sidecar": {"providerKeys": [{"env": "KEY", "secret": "keys"}]}}, ["/sidecar/providerKeys/0", "'key'"]),
        ({"sidecar": {"config": {"providers": [{"name": "a", "base_ulr": "http://a"}]}}},
         ["/sidecar/config/providers/0", "'base_ulr'"]),
        ({"sidecar": {"config": {"providers": {"a": {}}}}}, ["/sidecar/config/providers"]),
        ({"controlPlane": {"config": {"audit": {"kep": 1}}}}, ["/controlPlane/config/audit", "'kep'"]),
    ]:
        text = refusal(values)
        for part in said:
            assert part in text, text


BUNDLED = {"bundled": {"enabled": False}}


@pytest.mark.parametrize("values, said", [
    ({"redis": {"external": {"url": "redis://a"}}}, "redis: there are two, bundled and external; set redis.bundled.enabled to false"),
    ({"redis": BUNDLED}, "redis: there is none, and without one the control plane shows a made-up fleet; set redis.external.url"),
    ({"redis": BUNDLED | {"external": {"url": "rediss://ada:hunter2@a"}}}, "redis.external.url: holds a user or a password"),
    ({"redis": BUNDLED | {"external": {"url": "redis://a", "existingSecret": {"passwordKey": "p"}}}},
     "redis.external.existingSecret.name: is missing"),
    ({"redis": BUNDLED | {"external": {"url": "redis://a", "existingSecret": {"name": "a", "userKey": "u"}}}},
     "redis.external.existingSecret.passwordKey: is missing"),
    ({"redis": BUNDLED | {"external": {"url": "redis://a", "tls": {"caSecret": "ca"}}}}, "begin with rediss"),
    ({"sidecar": {"listen": {"grpc": "0.0.0.0:8080"}}}, "port 8080 is also that of sidecar.listen."),
    ({"sidecar": {"listen": {"admin": "127.0.0.1:9090"}}}, "sidecar.listen.admin: is out of the kubelet's reach"),
    ({"controlPlane": {"tls": {"mode": "existing"}}}, "controlPlane.tls.secretName: is missing"),
    ({"controlPlane": {"tls": {"mode": "cert-manager"}}}, "controlPlane.tls.issuerRef.name: is missing"),
    ({"controlPlane": {"tls": {"mode": "existing", "secretName": "a", "clientCA": True}}}, "the kubelet's probes too"),
    ({"controlPlane": {"gateway": {"enabled": True}}}, "controlPlane.gateway.parentRefs: is empty"),
    ({"controlPlane": {"ingress": {"enabled": True}}}, "controlPlane.ingress.host: is missing"),
    ({"controlPlane": {"ingress": {"enabled": True, "host": "a", "grpc": {"enabled": True}}}},
     "controlPlane.ingress.grpc.host: is missing"),
    ({"injector": {"certificates": {"mode": "existing", "existingSecret": "a"}}}, "existingSecret or caBundle is missing"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_values_that_contradict_each_other_are_refused_with_what_to_do(values, said):
    text = refusal(values)
    assert said in text
    assert "hunter2" not in text


@pytest.mark.parametrize("part, key", [(part, key) for part, keys in renew.OWNED.items() for key in keys])
def test_a_key_that_the_chart_sets_is_refused_with_the_value_to_set_instead(part, key):
    value = "typed"
    for step in reversed(key.split(".")):
        value = {step: value}
    assert f"{part}.config.{key}: the chart sets this key; use {renew.OWNED[part][key]}" in refusal({part: {"config": value}})


def test_all_contradictions_are_told_at_once():
    text = refusal({"redis": BUNDLED, "sidecar": {"listen": {"admin": "127.0.0.1:9090"}}})
    assert "redis: there is none" in text and "sidecar.listen.admin" in text


def test_what_the_chart_adds_to_the_sidecars_defaults_is_little_and_said():
    """Whoever reads docs/configuration.md knows what holds, but for these."""
    assert VALUES["sidecar"]["config"].keys() == {"listen", "telemetry", "providers", "degradation"}
    assert VALUES["controlPlane"]["config"].keys() == {"telemetry"}
    defaults = {key: default for key, default, _ in renew.keys("fusebox-sidecar")}
    for door, address in VALUES["sidecar"]["listen"].items():
        assert address.rpartition(":")[2] == defaults[f"listen.{door}"].rpartition(":")[2], "the ports are the sidecar's own"
    defaults = {key: default for key, default, _ in renew.keys("fusebox-control-plane")}
    assert str(VALUES["controlPlane"]["service"]["httpPort"]) == defaults["listen.http"].rpartition(":")[2]
    assert str(VALUES["controlPlane"]["service"]["grpcPort"]) == defaults["listen.grpc"].rpartition(":")[2]


def test_large_numbers_stay_numbers():
    """Helm reads all numbers as floating-point ones, and would write a million as 1e+06."""
    release = Release({"sidecar": {"config": {"validation": {"max_input_chars": 2000000}}}})
    assert "max_input_chars: 2000000\n" in release.get("ConfigMap", "fusebox-sidecar")["data"]["config.yaml"]


def test_the_readmes_commands_name_files_and_values_that_there_are(own_chart_folder):
    """Each `helm install` and `helm upgrade` renders."""
    text = (CHART / "README.md").read_text()
    commands = [shlex.split(line) for block in re.findall(r"```sh\n(.*?)```", text, re.S)
                for line in block.replace("\\\n", " ").splitlines() if line.startswith(("helm install", "helm upgrade"))]
    assert len(commands) >= 2
    for _, _, name, chart, *rest in commands:
        values = {}
        for flag, value in zip(rest, rest[1:]):
            if flag == "-f":
                values = read(ROOT / value)
            elif flag == "--set":
                values |= helm.parse_set_string(value)
        path = own_chart_folder if chart == "helm/examples/own-chart" else ROOT / chart
        assert Release(values, path, name).all("Deployment")
    for path in re.findall(r"kubectl apply -f (\S+)", text):
        assert (ROOT / path).is_file()


def test_the_readmes_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)#:]+)\)", (CHART / "README.md").read_text()):
        # Those that others write may come later than this.
        assert (CHART / link).exists() or link.split("/")[-1] in ("rules", "dashboards", "runbook.md"), link


def test_the_yaml_of_the_readme_is_made_of_values():
    for block in re.findall(r"```yaml\n(.*?)```", (CHART / "README.md").read_text(), re.S):
        assert Release(yaml.safe_load(block)).all("Deployment")
