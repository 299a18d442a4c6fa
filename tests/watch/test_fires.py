"""A real provider fails, and real alerts fire, with what they say filled in; it recovers, and they end."""

import re

import pytest

from shipped import RULES
from programs import Provider, Sidecar
from small_fleet import call
from watched import Prometheus, until

BROKEN = {"status": 500, "body": {}}
WELL = {"text": ["It is sunny."]}
# How full the machine's disk is, is no part of this.
HEALTH = {"model": "off", "min_disk_free": 0.0}


@pytest.fixture
def impatient(tmp_path):
    """The rules as shipped, but that an alert fires as soon as what it waits for holds."""
    copies = []
    for path in RULES:
        text, changed = re.subn(r"^( +for: ).*$", r"\g<1>0s", path.read_text(), flags=re.M)
        assert changed or "alert:" not in text
        copies.append(tmp_path / path.name)
        copies[-1].write_text(text)
    return copies


def test_a_provider_that_fails_is_heard_of_and_its_recovery_too(start, impatient):
    provider = start(Provider, WELL)
    breaker = {"failure_threshold": 12, "failure_rate": 1.0, "minimum_calls": 100000, "open_for": "500ms", "probe": "passive"}
    sidecar = start(Sidecar, ("vllm", {"base_url": provider.base_url, "breaker": breaker}), health=HEALTH)
    targets = {"sidecars": [(sidecar.admin.removeprefix("http://"), "llm-0")]}
    prometheus = start(Prometheus, targets, impatient)
    until("a page", lambda: prometheus.ask('fusebox_model_providers_available{model="chat"} == 1'))
    assert call(sidecar)[0] == 200
    assert prometheus.firing() == []

    provider.play(BROKEN)
    wanted = {"FuseboxModelWithoutProvider", "FuseboxProviderOut", "FuseboxErrorBudgetBurnsFast", "FuseboxSidecarCritical"}

    def fires():
        call(sidecar)
        firing = {alert["labels"]["alertname"]: alert for alert in prometheus.firing()}
        return wanted <= firing.keys() and firing

    firing = until("the alerts", fires)
    alert = firing["FuseboxModelWithoutProvider"]
    assert alert["labels"] == {"alertname": "FuseboxModelWithoutProvider", "severity": "critical", "namespace": "shop", "model": "chat"}
    assert alert["annotations"]["summary"] == "No sidecar in shop has a provider left for the model chat."
    assert firing["FuseboxProviderOut"]["annotations"]["summary"] == "vllm is out: its breaker is open at 100% of the sidecars in shop."
    assert re.fullmatch(r"[\d.]+% of the calls in shop failed in the last hour\.",
                        firing["FuseboxErrorBudgetBurnsFast"]["annotations"]["summary"])

    provider.play(WELL)

    def is_over():
        call(sidecar)
        return not {alert["labels"]["alertname"] for alert in prometheus.firing()} & (wanted - {"FuseboxErrorBudgetBurnsFast"})

    until("their end", is_over)
    assert call(sidecar)[0] == 200


def test_a_configuration_that_is_refused_is_heard_of_until_it_is_mended(start, impatient, tmp_path):
    provider = start(Provider, WELL)
    sidecar = start(Sidecar, ("vllm", {"base_url": provider.base_url}), health=HEALTH)
    prometheus = start(Prometheus, {"sidecars": [(sidecar.admin.removeprefix("http://"), "llm-0")]}, impatient)
    path = next(tmp_path.glob("*/config.yaml"))
    good = path.read_text()

    def names():
        return {alert["labels"]["alertname"] for alert in prometheus.firing()}

    until("a page", lambda: prometheus.ask("fusebox_config_last_reload_successful == 1"))
    path.write_text(good.replace('"retry":', '"retri":'))
    until("the alert", lambda: "FuseboxConfigurationRefused" in names())
    assert call(sidecar)[0] == 200, "the last good one stays"
    path.write_text(good)
    until("its end", lambda: "FuseboxConfigurationRefused" not in names())
