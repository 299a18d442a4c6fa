"""Exemplars: from a slow bucket of a histogram to a trace that was slow. Read by Prometheus' own strict parser of OpenMetrics,
and by a real Prometheus that keeps them."""

import json
import shutil
import subprocess
import urllib.parse
import urllib.request

import pytest
from application import ask_in
from collector import PATIENCE_S, free_port, until
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as older_families

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
SAMPLED, UNSAMPLED = "4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"
HISTOGRAMS = ["fusebox_call_duration_seconds", "fusebox_first_token_seconds", "fusebox_attempt_duration_seconds"]


def get(url, accept=None):
    request = urllib.request.Request(url, headers={"accept": accept} if accept else {})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.headers["content-type"], answer.read().decode()


def exemplars(page):
    """Exemplars by family, each with its bucket's bound."""
    found = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.exemplar:
                found.setdefault(family.name, []).append((float(sample.labels["le"]), sample.exemplar))
    return found


@pytest.fixture
def traced(rotel, provider, sidecar):
    behind = provider({"tokens": 3, "after_ms": 30})
    return sidecar(("a", {"base_url": behind.base_url}), env={"OTEL_EXPORTER_OTLP_ENDPOINT": rotel.endpoint})


def test_the_page_is_strict_open_metrics_and_only_for_who_asks_for_it(traced):
    ask_in(SAMPLED, traced)
    kind, page = get(f"{traced.admin}/metrics", OPEN_METRICS)
    assert kind.startswith("application/openmetrics-text; version=1.0.0") and page.endswith("\n# EOF\n")
    open_names = {family.name for family in text_string_to_metric_families(page)}
    kind, page = get(f"{traced.admin}/metrics")
    assert kind.startswith("text/plain; version=0.0.4") and "# EOF" not in page and "trace_id" not in page
    # The older parser takes the ending off counters' names too.
    assert {family.name for family in older_families(page)} == open_names


def test_exemplars_lead_to_sampled_traces_and_to_no_others(traced):
    ask_in(UNSAMPLED, traced, sampled=False)
    for _ in range(3):
        ask_in(SAMPLED, traced)
    _, page = get(f"{traced.admin}/metrics", OPEN_METRICS)
    found = exemplars(page)
    assert sorted(found) == sorted(HISTOGRAMS)
    for name, kept in found.items():
        bounds = [0.0, *sorted({float(sample.labels["le"]) for family in text_string_to_metric_families(page)
                                if family.name == name for sample in family.samples if "le" in sample.labels})]
        for bound, exemplar in kept:
            assert exemplar.labels["trace_id"] == SAMPLED and len(exemplar.labels["span_id"]) == 16
            assert bounds[bounds.index(bound) - 1] < exemplar.value <= bound, "it is one of its own bucket"
            assert float(exemplar.timestamp) > 1.6e9


def test_without_traces_there_are_none(provider, sidecar):
    one = sidecar(("a", {"base_url": provider({"tokens": 3}).base_url}))
    ask_in(SAMPLED, one)
    assert not exemplars(get(f"{one.admin}/metrics", OPEN_METRICS)[1])


class Prometheus:
    """A real one, which keeps exemplars."""

    def __init__(self, folder, target):
        self.address = f"http://127.0.0.1:{free_port()}"
        listen = self.address.removeprefix("http://")
        folder.mkdir()
        config = {"global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"},
                  "scrape_configs": [{"job_name": "fusebox", "static_configs": [{"targets": [target]}]}]}
        (folder / "prometheus.yml").write_text(json.dumps(config))
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
                 f"--web.listen-address={listen}", "--enable-feature=exemplar-storage"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )

    def ask(self, path, **query):
        assert self.process.poll() is None, self.log.read_text()
        try:
            _, answer = get(f"{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}")
            return json.loads(answer)["data"]
        except OSError:
            return None

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        finally:
            self.process.kill()
            self.process.wait(10)


@pytest.mark.skipif(not shutil.which("prometheus"), reason="Debian's package prometheus; tests/run installs it")
def test_a_real_prometheus_finds_the_trace_behind_a_slow_call(ends, traced, sink, tmp_path):
    ask_in(SAMPLED, traced)
    until("the call's spans", lambda: len(sink.of(SAMPLED)) == 2)
    prometheus = ends(Prometheus(tmp_path / "prometheus", traced.admin.removeprefix("http://")))

    def kept():
        found = {}
        for name in HISTOGRAMS:
            series = prometheus.ask("query_exemplars", query=f"{name}_bucket", start=0, end=4e9)
            for one in series or []:
                found.setdefault(name, set()).update(each["labels"]["trace_id"] for each in one["exemplars"])
        return len(found) == len(HISTOGRAMS) and found

    assert until("exemplars of all three", kept) == {name: {SAMPLED} for name in HISTOGRAMS}
    up = prometheus.ask("query", query="up")["result"]
    assert [one["value"][1] for one in up] == ["1"], "it takes the whole page"
    spans = {name: prometheus.ask("query_exemplars", query=f"{name}_bucket", start=0, end=4e9) for name in HISTOGRAMS}
    call, attempt = (next(span.id for span in sink.of(SAMPLED) if span.kind == kind) for kind in (2, 3))
    named = {name: series[0]["exemplars"][0]["labels"]["span_id"] for name, series in spans.items()}
    assert named == dict(zip(HISTOGRAMS, [call, call, attempt]))
