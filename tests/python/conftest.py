"""Providers and sidecars that end with the test that started them."""

import pytest

from programs import Sidecar
from provided import provider  # noqa: F401


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
