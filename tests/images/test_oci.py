"""Images made without Docker: real tools read them, and find what the Dockerfile's would hold."""

import json
import os
import shutil
import subprocess
import tarfile

import pytest

from image import IMAGES, made, script


def run(*command):
    if not shutil.which(command[0]):
        pytest.fail(f"{command[0]} is missing: apt-get install {command[0]}")
    done = subprocess.run(command, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def archives(images):
    """Each image as an archive."""
    found = {}
    for name, image in images.items():
        made("oci", "--from", image.folder, "--revision", "0123abc", name)
        found[name] = image.folder / f"fusebox-{name}.oci.tar"
    return found


@pytest.mark.parametrize("name", IMAGES)
def test_it_says_of_itself_what_the_dockerfile_says(archives, images, name):
    config = json.loads(run("skopeo", "inspect", "--config", f"oci-archive:{archives[name]}"))
    said = {key: value for key, value in config["config"].items() if key != "WorkingDir"}
    expected = images[name].settings
    assert expected["Labels"]["org.opencontainers.image.revision"] == "unknown", "a build says which"
    expected = expected | {"Labels": expected["Labels"] | {"org.opencontainers.image.revision": "0123abc"}}
    assert said == expected
    assert config["os"] == "linux" and config["created"] == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize("name", IMAGES)
def test_unpacked_it_is_the_root(archives, images, name, tmp_path):
    layout = tmp_path / "layout"
    with tarfile.open(archives[name]) as packed:
        packed.extractall(layout, filter="data")
    reference = images[name].settings["Labels"]["org.opencontainers.image.version"]
    run("umoci", "unpack", "--rootless", "--image", f"{layout}:{reference}", tmp_path / "bundle")
    unpacked, root = tmp_path / "bundle/rootfs", images[name].root
    held = {path.relative_to(root): path for path in root.rglob("*")}
    assert {path.relative_to(unpacked) for path in unpacked.rglob("*")} == set(held)
    for path, original in held.items():
        assert (unpacked / path).stat().st_mode == original.stat().st_mode, path
        assert original.is_dir() or (unpacked / path).read_bytes() == original.read_bytes(), path


def test_a_copy_of_it_is_whole(archives, tmp_path):
    # skopeo checks each digest as it copies.
    run("skopeo", "copy", "--insecure-policy", f"oci-archive:{archives['sidecar']}", f"docker-archive:{tmp_path}/docker.tar:fusebox:test")
    assert json.loads(run("skopeo", "inspect", f"docker-archive:{tmp_path}/docker.tar"))["Os"] == "linux"


@pytest.fixture
def small(tmp_path):
    """A root with one file in it, which is packed in no time."""
    (tmp_path / "file").write_text("small")
    with tarfile.open(tmp_path / "sidecar.tar", "w") as packed:
        packed.add(tmp_path / "file", "file")
    return tmp_path


def test_the_same_root_gives_the_same_image(small):
    archive = small / "fusebox-sidecar.oci.tar"
    made("oci", "--from", small, "sidecar")
    first = archive.read_bytes()
    archive.unlink()
    # Another time, and another user's ways.
    os.utime(small / "sidecar.tar", (1, 1))
    made("oci", "--from", small, "sidecar", umask=0o077)
    assert archive.read_bytes() == first


def test_it_bears_the_time_that_it_is_given(small):
    made("oci", "--from", small, "sidecar", env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"})
    config = json.loads(run("skopeo", "inspect", "--config", f"oci-archive:{small}/fusebox-sidecar.oci.tar"))
    assert config["created"] == "2023-11-14T22:13:20Z"


def test_what_is_asked_for_wrongly_is_named(tmp_path):
    assert "usage:" in script("oci", "sidecar").stderr
    assert "images/root makes it" in script("oci", "--from", tmp_path, "sidecar").stderr
    assert 'is no commit' in script("oci", "--from", tmp_path, "--revision", 'a", "b', "sidecar").stderr
