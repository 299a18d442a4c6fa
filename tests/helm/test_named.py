"""What the runbook names in a cluster is what the chart puts there."""

import re

import pytest
from release import ROOT, Release, data_of

TEXT = (ROOT / "docs" / "runbook.md").read_text()
KINDS = {"deploy": "Deployment", "deployment": "Deployment", "sts": "StatefulSet", "svc": "Service",
         "secret": "Secret", "certificate": "Certificate"}
ISSUER = {"name": "issuer", "kind": "ClusterIssuer"}


@pytest.fixture(scope="module")
def release():
    return Release({"controlPlane": {"tls": {"mode": "cert-manager", "issuerRef": ISSUER}}})


def commands():
    """Those about the release's own namespace."""
    return sorted(set(re.findall(r"kubectl -n fusebox [^\n`]*", TEXT)))


def named():
    """Each object that a command names: (kind, name)."""
    words = "|".join(KINDS)
    found = re.findall(rf"\b({words})[/ ](fusebox[\w-]*)", "\n".join(commands()))
    return sorted({(KINDS[kind], name) for kind, name in found})


@pytest.mark.parametrize("kind, name", named())
def test_an_object_of_the_release_is_called_what_it_is_called(kind, name, release):
    assert release.get(kind, name)


def test_secrets_that_are_written_are_those_that_are_read(release):
    read = {volume["secret"]["secretName"] for _, _, spec in release.pods()
            for volume in spec.get("volumes", []) if "secret" in volume}
    read |= {source["secret"]["name"] for _, _, spec in release.pods() for volume in spec.get("volumes", [])
             for source in volume.get("projected", {}).get("sources", []) if "secret" in source}
    written = set(re.findall(r"kubectl -n fusebox create secret (?:tls|generic) ([\w-]+)", TEXT))
    assert written and written <= read


def test_components_are_labels_of_pods(release):
    asked = set(re.findall(r"app\.kubernetes\.io/component=([\w-]+)", "\n".join(commands())))
    there = {metadata["labels"]["app.kubernetes.io/component"] for _, metadata, _ in release.pods()}
    assert asked and asked <= there


def test_keys_of_secrets_are_there(release):
    asked = re.findall(r"get secret ([\w-]+) -o jsonpath='\{\.data\.([\w-]+)\}'", TEXT)
    assert asked
    for name, key in asked:
        assert key in data_of(release.get("Secret", name)), f"{name} has no {key}"


def test_redis_is_asked_by_a_user_who_may(release):
    asked = re.findall(r"redis-cli ([^\n]*)", TEXT)
    assert asked and all("--user fusebox" in line and "--pass" in line for line in asked), asked
    users = data_of(release.get("Secret", "fusebox-redis"))["users.acl"]
    assert "+info" in next(line for line in users.splitlines() if line.startswith("user fusebox "))
