"""Pods of the chart as processes, and what they call, ended with the test that started them."""

import shutil

import pytest

from pods import Pod
from provided import provider  # noqa: F401
from release import CHART, EXAMPLES, Release


@pytest.fixture
def pod(tmp_path):
    """Starts pods, and ends them with the test, the last one first."""
    started = []

    def start(metadata, spec, objects, **more):
        folder = tmp_path / f"pod{len(started)}"
        started.append(Pod(folder, metadata, spec, objects, **more))
        started[-1].start()
        return started[-1]

    yield start
    for one in reversed(started):
        one.kill()


@pytest.fixture(scope="session")
def own_chart_folder(tmp_path_factory):
    """The example of a chart of one's own, with this chart where `helm dependency build` puts it."""
    folder = tmp_path_factory.mktemp("charts") / "chat"
    shutil.copytree(EXAMPLES / "own-chart", folder, ignore=shutil.ignore_patterns("charts"))
    shutil.copytree(CHART, folder / "charts" / "fusebox")
    return folder


@pytest.fixture
def own_chart(own_chart_folder):
    """What Helm makes of it."""
    return Release(path=own_chart_folder, name="chat", namespace="chat")
