"""What tests of several folders start alike, and what ends with them."""

import pytest

from programs import Provider


@pytest.fixture
def provider():
    """Starts scripted providers, and ends them with the test."""
    started = []

    def start(*acts):
        started.append(Provider(*acts))
        return started[-1]

    yield start
    for one in started:
        one.close()
