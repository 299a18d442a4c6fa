"""Providers and sidecars that end with the test that started them."""

import pytest

from programs import Provider, Sidecar


@pytest.fixture
def provider():
    """Starts providers, and ends them with the test."""
    started = []

    def start(*acts):
        started.append(Provider(*acts))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def sidecar(tmp_path):
    """Starts sidecars, and ends them with the test."""
    started = []

    def start(*providers, **more):
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Sidecar(folder, *providers, **more))
        return started[-1]

    yield start
    for one in started:
        one.close()
