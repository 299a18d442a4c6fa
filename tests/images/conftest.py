"""The images, made of the programs under test, and what is started of them, which ends with the test."""

import pytest

import dockerfile
from contained import Contained
from image import IMAGES, ROOT, Image, made
from programs import BINARIES, binary
from provided import provider  # noqa: F401


@pytest.fixture(scope="session")
def stages():
    return dockerfile.read((ROOT / "images" / "Dockerfile").read_text())[0]


@pytest.fixture(scope="session")
def images(tmp_path_factory, stages):
    folder = tmp_path_factory.mktemp("images")
    for name in ("fusebox-sidecar", "fusebox-control-plane", "fusebox"):
        binary(name)
    made("root", "--into", folder, "--binaries", BINARIES)
    return {name: Image(name, folder, dockerfile.settings(stages, name)) for name in IMAGES}


@pytest.fixture
def contained(tmp_path, images):
    """Starts programs of an image, and ends them with the test."""
    started = []

    def start(image, *arguments, **more):
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Contained(folder, images[image], arguments, **more))
        return started[-1]

    yield start
    for one in started:
        one.close()
