"""What the rules and the dashboards name is on the pages of real processes; and what is there is written down."""

import re
import subprocess

import pytest

from shipped import ROOT, SUFFIXES, TARGET_LABELS, dashboards, expressions, grouped, names, rules

HELP = re.compile(r"^# HELP (\S+) (.*)$", re.M)
TYPE = re.compile(r"^# TYPE (\S+) (\S+)$", re.M)
SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$", re.M)


@pytest.fixture(scope="module")
def pages(stage):
    return [page for all_of_job in stage.pages().values() for page in all_of_job]


@pytest.fixture(scope="module")
def known(pages):
    """Every metric that has a sample, and its labels with their values."""
    found = {}
    for page in pages:
        for name, labels, _ in SAMPLE.findall(page):
            of_metric = found.setdefault(name, {})
            for label, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels):
                of_metric.setdefault(label, set()).add(value)
    return found


def asked():
    """Each expression that is shipped, and where."""
    for rule in rules():
        yield rule.get("alert") or rule["record"], rule["expr"]
    for file, dashboard in dashboards().items():
        for title, expression in expressions(dashboard):
            yield f"{file}: {title}", expression
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                yield f"{file}: ${variable['name']}", variable["query"]["query"]


ASKED = list(asked())
RECORDED = {rule["record"] for rule in rules() if "record" in rule}
# Labels whose values are words of our own.
WORDS = {"priority", "reason", "from", "to", "store", "scope", "direction", "check", "result"}


def kinds():
    """Every kind of error, as the table of errors has them, and `ok`."""
    return {"ok", *re.findall(r'=> row\("(\w+)",', (ROOT / "sidecar/rules/src/error.rs").read_text())}


def sources():
    """Where answers come from; not all of them are easily had."""
    text = (ROOT / "sidecar/src/telemetry/metrics/series.rs").read_text()
    return set(re.findall(r'"(\w+)"', re.search(r"SOURCES: .* = \[(.*)\]", text).group(1)))


@pytest.mark.parametrize("where, expression", ASKED, ids=[where for where, _ in ASKED])
def test_what_is_asked_for_is_on_a_page(where, expression, known):
    found = names(expression)
    assert found or "ALERTS" in expression, expression
    given = set(TARGET_LABELS)
    for name, pairs in found.items():
        if name in RECORDED:
            given |= {"namespace"}
            continue
        assert name in known, f"{name} is on no page"
        given |= known[name].keys()
        for label, value in pairs:
            assert label in known[name] or label in TARGET_LABELS, f"{name} has no label {label}"
            if "$" in value or label in TARGET_LABELS:
                continue
            if label == "kind":
                assert set(value.split("|")) <= kinds(), value
            elif label == "source":
                assert set(value.split("|")) <= sources(), value
            elif label in WORDS:
                assert set(value.split("|")) <= known[name][label], f"{label} is never one of {value}"
    assert grouped(expression) <= given


def test_each_kind_of_error_is_somebodys():
    """A kind that is new counts as a failure of ours until somebody decides; this makes them decide."""
    excused = {"cancelled", "invalid_input", "content_filtered", "context_length_exceeded", "budget_exceeded"}
    callers = {"authentication", "permission_denied", "model_not_found"}
    ours = {"rate_limited", "inference_timeout", "network_error", "provider_error", "model_overloaded", "model_loading_failed",
            "out_of_memory", "generation_failed", "stream_broken", "invalid_response", "circuit_open", "shed", "shutting_down",
            "internal_error"}
    assert kinds() == {"ok"} | excused | callers | ours
    for rule in rules():
        if rule.get("record", "").startswith("fusebox:calls_failed:"):
            lists = [set(value.split("|")) for pairs in names(rule["expr"]).values() for label, value in pairs if label == "kind"]
            assert all(one - {"ok"} == excused or one == callers for one in lists) and lists, rule["record"]


def test_prometheus_finds_no_fault_with_the_pages(pages):
    for page in pages:
        checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, timeout=60)
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_every_metric_is_written_down_and_nothing_else(pages, known):
    """docs/metrics.md is what the pages say of themselves."""
    written = (ROOT / "docs/metrics.md").read_text()
    helps, types = {}, {}
    for page in pages:
        helps |= dict(HELP.findall(page))
        types |= dict(TYPE.findall(page))
    rows = []
    for name in sorted(helps):
        labels = set().union(*(known.get(name + suffix, {}).keys() for suffix in ("", *SUFFIXES))) - {"le"}
        rows.append(f"| `{name}` | {types[name]} | {', '.join(sorted(labels))} | {helps[name]} |")
    table = "\n".join(row for row in written.splitlines() if row.startswith("| `"))
    assert table.splitlines() == rows, "docs/metrics.md should say:\n" + "\n".join(rows)
