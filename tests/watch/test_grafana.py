"""The dashboards: Grafana's own types take them whole, and each panel shows something of a real fleet."""

import json
import re
import time

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from shipped import DASHBOARDS, dashboards, expressions, panels
from watched import Prometheus, until

register_default_plugins()
BOARDS = pytest.mark.parametrize("name, dashboard", dashboards().items(), ids=dashboards())
# How far back a panel's rates reach here, where pages are read once a second.
REACH = "20s"


def lost(written, read, at=""):
    """Where what Grafana's types made of it is not what was written: they drop what they do not know."""
    if isinstance(written, dict) and isinstance(read, dict):
        inner = (lost(value, read[key], f"{at}.{key}") if key in read else [f"{at}.{key}"] for key, value in written.items())
        return [place for places in inner for place in places]
    if isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        return [place for number, (one, other) in enumerate(zip(written, read)) for place in lost(one, other, f"{at}[{number}]")]
    return [] if written == read else [at]


def test_there_are_two():
    assert [path.stem for path in DASHBOARDS] == ["fleet", "sidecar"]


@BOARDS
def test_grafana_knows_all_that_is_written(name, dashboard):
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))
    assert lost(dashboard, read) == []


@BOARDS
def test_panels_have_a_place_and_a_name_of_their_own_and_ask_the_chosen_prometheus(name, dashboard):
    every = [*panels(dashboard), *(panel for panel in dashboard["panels"] if panel["type"] == "row")]
    ids = [panel["id"] for panel in every]
    assert len(set(ids)) == len(ids)
    taken = set()
    for panel in every:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, f"{panel['title']} lies on another"
        taken |= cells
    asking = [one["datasource"] for panel in panels(dashboard) for one in (panel, *panel["targets"])]
    asking += [variable["datasource"] for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
    assert all(one == {"type": "prometheus", "uid": "${datasource}"} for one in asking)


@BOARDS
def test_variables_are_those_that_are_used(name, dashboard):
    offered = {variable["name"] for variable in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)\}?", json.dumps(dashboard))) - {"__rate_interval", "__all"}
    assert offered == used
    assert {"datasource", "namespace", "fleet", "provider"} <= offered


def chosen(expression):
    """As Grafana asks with all chosen."""
    expression = expression.replace("$__rate_interval", REACH)
    return re.sub(r"\$(namespace|fleet|provider|pod|instance|model)\b", ".*", expression)


@pytest.fixture(scope="module")
def scraped(stage, tmp_path_factory):
    """What a Prometheus answers that has seen the fleet at work, as of a moment at which it had."""
    prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"), stage.targets())
    signs = ["count(up == 1) == 4", f"count(rate(fusebox_calls_total[{REACH}]) > 0) > 9", "fusebox:calls_failed:ratio_rate6h > 0",
             f"rate(fusebox_alert_deliveries_total[{REACH}])", f"count(rate(fusebox_first_token_seconds_count[{REACH}]) > 0) == 2"]

    def has_rates():
        stage.round()
        now = time.time()
        return all(prometheus.ask(sign, now) for sign in signs) and now

    try:
        then = until("rates", has_rates)
        yield lambda expression: prometheus.ask(expression, then)
    finally:
        prometheus.close()


ASKED = [(f"{name}: {title} {number}", expression) for name, dashboard in dashboards().items()
         for number, (title, expression) in enumerate(expressions(dashboard))]


@pytest.mark.parametrize("where, expression", ASKED, ids=[where for where, _ in ASKED])
def test_every_panel_shows_something(where, expression, scraped):
    found = scraped(chosen(expression))
    assert found, f"nothing for {chosen(expression)}"
    assert any(value == value for _, value in found), "not one number"


@BOARDS
def test_every_choice_has_something_to_choose_from(name, dashboard, scraped):
    for variable in dashboard["templating"]["list"]:
        if variable["type"] != "query":
            continue
        series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
        assert any(labels.get(label) for labels, _ in scraped(chosen(series))), variable["query"]["query"]


@BOARDS
def test_what_is_chosen_is_all_that_is_shown(name, dashboard, scraped):
    """A fleet, a namespace or a provider that is not there has nothing to show."""
    for variable in ("fleet", "namespace", "provider"):
        asking = [expression for _, expression in expressions(dashboard) if f"${variable}" in expression]
        assert asking
        for expression in asking:
            narrowed = expression.replace(f"${variable}", "nobody")
            assert scraped(chosen(narrowed)) == [], expression
