"""Collectors, applications that trace, and what the tests of the SDKs start: all of it ends with the test."""

import contextlib

import pytest
from application import Application
from collector import Rotel, Sink
from programs import Sidecar
from provided import provider  # noqa: F401

# Spans leave at once.
AT_ONCE = {"OTEL_BSP_SCHEDULE_DELAY": "50"}


@pytest.fixture
def ends():
    """Closes what it is given, the last first."""
    with contextlib.ExitStack() as stack:
        def later(one):
            stack.callback(one.close)
            return one
        yield later


@pytest.fixture
def sink(ends):
    return ends(Sink())


@pytest.fixture
def rotel(ends, sink, tmp_path):
    return ends(Rotel(tmp_path / "rotel", sink))


@pytest.fixture
def application(ends, rotel):
    return ends(Application(rotel.endpoint))


@pytest.fixture
def sidecar(ends, tmp_path):
    """Starts sidecars; `env` is added to what makes spans leave at once."""
    count = 0

    def start(*providers, env=None, **more):
        nonlocal count
        count += 1
        folder = tmp_path / f"sidecar-{count}"
        folder.mkdir()
        return ends(Sidecar(folder, *providers, env={**AT_ONCE, **(env or {})}, **more))

    return start
