"""Everything that a test here starts, and that ends with it."""

import pytest

from programs import Provider
from small_fleet import Stage


@pytest.fixture(scope="session")
def stage(tmp_path_factory):
    """A small fleet to which everything has happened that a page can tell of; nobody changes it any more."""
    stage = Stage()
    try:
        stage.play(tmp_path_factory.mktemp("stage"))
        yield stage
    finally:
        stage.close()


@pytest.fixture
def start(tmp_path):
    """Starts processes in folders of their own, and ends them with the test, the last first."""
    started = []

    def begin(kind, *arguments, **more):
        folder = tmp_path / str(len(started))
        folder.mkdir()
        arguments = arguments if kind is Provider else (folder, *arguments)
        started.append(kind(*arguments, **more))
        return started[-1]

    yield begin
    for one in reversed(started):
        one.close()
