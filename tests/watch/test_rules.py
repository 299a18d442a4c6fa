"""The rules by themselves: Prometheus' own tool reads them, and each alert fires when it should and only then."""

import re
import subprocess

import pytest
import yaml

from firings import CASES
from shipped import RULES, RUNBOOK, alerts, rules


def promtool(*arguments):
    return subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=120)


def test_prometheus_takes_the_rules():
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", *RULES)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_no_two_rules_have_one_name():
    given = [rule.get("alert") or rule["record"] for rule in rules()]
    assert len(set(given)) == len(given)


@pytest.mark.parametrize("name, rule", alerts().items(), ids=alerts())
def test_an_alert_says_how_bad_it_is_what_it_is_and_where_to_read_on(name, rule):
    assert name.startswith("Fusebox")
    assert rule["labels"]["severity"] in ("critical", "warning")
    said = rule["annotations"]
    assert all(said[key].rstrip().endswith((".", "?")) for key in ("summary", "description")), said
    page, anchor = said["runbook_url"].split("#")
    assert page.endswith("/docs/runbook.md")
    headings = re.findall(r"^#+ (.*)$", RUNBOOK.read_text(), re.M)
    # As GitHub makes them.
    anchors = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    assert anchors.count(anchor) == 1, f"the runbook has no heading, or several, for {anchor}"
    assert anchor == name.lower()


@pytest.mark.parametrize("name, rule", alerts().items(), ids=alerts())
def test_what_an_alert_says_names_only_labels_that_it_has(name, rule):
    said = " ".join(rule["annotations"].values())
    fired = next(case for case in CASES[name] if case.labels)
    assert set(re.findall(r"\$labels\.(\w+)", said)) <= fired.labels.keys()


def test_each_alert_is_seen_to_fire_and_to_be_silent():
    assert CASES.keys() == alerts().keys()
    for name, cases in CASES.items():
        fires = [case.labels is not None for case in cases]
        assert any(fires) and not all(fires), name


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """The rules without annotations, which these tests would have to repeat word for word."""
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    groups = []
    for one in RULES:
        for group in yaml.safe_load(one.read_text())["groups"]:
            groups.append(group | {"rules": [{key: value for key, value in rule.items() if key != "annotations"}
                                             for rule in group["rules"]]})
    path.write_text(yaml.safe_dump({"groups": groups}))
    return path


ALL = [(name, case) for name, cases in CASES.items() for case in cases]


@pytest.mark.parametrize("name, case", ALL, ids=[f"{name}: {case.why}" for name, case in ALL])
def test_an_alert_fires_when_it_should_and_only_then(name, case, bare, tmp_path):
    severity = alerts()[name]["labels"]["severity"]
    expected = [] if case.labels is None else [{"exp_labels": case.labels | {"severity": severity}}]
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump({
        "rule_files": [str(bare)],
        "evaluation_interval": "1m",
        "tests": [{
            "interval": "1m",
            "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
            "alert_rule_test": [{"eval_time": case.at, "alertname": name, "exp_alerts": expected}],
        }],
    }))
    tested = promtool("test", "rules", path)
    assert tested.returncode == 0, tested.stdout + tested.stderr
