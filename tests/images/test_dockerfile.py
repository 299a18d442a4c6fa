"""The Dockerfile: what it runs is run here, in what of the repository its builder would see."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib

import pytest

import dockerfile
from image import IMAGES, ROOT
from programs import BINARIES

DOCKERFILE = ROOT / "images" / "Dockerfile"
# Stands in for cargo: notes what it was asked for, and has built what is under test.
CARGO = """#!/bin/sh
printf '%s\\n' "$*" "$CARGO_ENCODED_RUSTFLAGS" "$CFLAGS" >asked
mkdir -p target/release
ln BINARIES/fusebox-sidecar BINARIES/fusebox-control-plane BINARIES/fusebox target/release/ ||
    cp BINARIES/fusebox-sidecar BINARIES/fusebox-control-plane BINARIES/fusebox target/release/
"""


def reaches_the_builder(path):
    """By .dockerignore, whose last line that matches decides."""
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [rule for rule in rules if rule and not rule.startswith("#")]
    assert rules[0] == "*" and all(re.fullmatch(r"![\w./-]+", rule) for rule in rules[1:]), "no more of it is read here"
    return any(path == rule[1:] or path.startswith(rule[1:] + "/") for rule in rules[1:])


@pytest.fixture
def context(tmp_path):
    """What the builder sees: files that git keeps, or would, and .dockerignore lets through."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folder = tmp_path / "fusebox"
    for path in filter(reaches_the_builder, filter(None, listed.split("\0"))):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, folder / path)
    return folder


def test_each_line_that_it_runs_does_its_work(context, stages, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "cargo").write_text(CARGO.replace("BINARIES", str(BINARIES.resolve())))
    (tools / "cargo").chmod(0o755)
    env = {"PATH": f"{tools}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(tmp_path)}
    old = context / "proto/build.rs"
    os.utime(old, (1, 1))
    for line in dockerfile.run_lines(stages["build"]):
        done = subprocess.run(["/bin/sh", "-c", line], cwd=context, env=env, text=True, capture_output=True)
        assert done.returncode == 0, f"{line}: {done.stderr}"
    asked, flags, c_flags = (context / "asked").read_text().splitlines()
    assert "--release" in asked and "--locked" in asked
    for here, there in ((tmp_path / ".cargo", "/cargo"), (context, "/fusebox")):
        assert f"--remap-path-prefix={here}={there}" in flags.split("\x1f")
        assert f"-ffile-prefix-map={here}={there}" in c_flags.split()
    assert old.stat().st_mtime > 1, "cargo must not take an older file for one that it has compiled"
    for name in IMAGES:
        (copied,) = stages[name].all("COPY")
        source, target = re.fullmatch(r"--from=build /fusebox/(\S+) (\S+)", copied).groups()
        assert target == "/" and (context / source / "usr/bin").is_dir(), copied


def test_cargo_finds_every_crate_in_what_the_builder_sees(context):
    done = subprocess.run(
        ["cargo", "metadata", "--locked", "--offline", "--no-deps", "--format-version=1", "--manifest-path", context / "Cargo.toml"],
        text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    # What a program takes in while it is compiled must be there too.
    for source in context.glob("*/**/*.rs"):
        for taken in re.findall(r'include_(?:str|bytes)!\("([^"]+)"\)', source.read_text()):
            assert (source.parent / taken).is_file(), f"{source.relative_to(context)} takes in {taken}"


def test_the_builder_sees_nothing_that_it_does_not_build():
    for path in (".git/config", "target/debug/fusebox", ".venv/bin/python", "README.md", "docs/trouble.yaml", "helm/fusebox/values.yaml",
                 "tests/python/programs.py", "images/Dockerfile"):
        assert not reaches_the_builder(path), path
    assert reaches_the_builder("sidecar/src/main.rs") and reaches_the_builder("images/root")


def test_a_linter_finds_nothing_to_say():
    hadolint = shutil.which("hadolint", path=pathlib.Path(sys.executable).parent)
    done = subprocess.run([hadolint, "--no-color", DOCKERFILE], text=True, capture_output=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_the_builder_is_the_workspaces_rust_on_a_named_debian(stages):
    _, arguments = dockerfile.read(DOCKERFILE.read_text())
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]
    rust = re.escape(workspace["rust-version"])
    assert re.fullmatch(rf"rust:{rust}\.\d+-slim-bookworm", arguments["BUILDER"])
    assert stages["build"].base == "${BUILDER}"
    assert f"VERSION={workspace['version']}" in stages["common"].all("ARG")


def test_the_images_start_from_nothing_and_as_nobody(stages):
    assert stages["common"].base == "scratch" and list(stages)[-1] == "sidecar"
    for name in IMAGES:
        assert stages[name].base == "common"
        said = dockerfile.settings(stages, name)
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", said["User"]), "a number, and not root's"
        assert said["Entrypoint"] == [f"/usr/bin/fusebox-{name}"], "a program, and no shell around it"
        assert said["StopSignal"] == "SIGTERM"
        assert all(f"org.opencontainers.image.{label}" in said["Labels"] for label in ("title", "version", "revision", "licenses"))
    for stage in list(stages.values())[1:]:
        assert not stage.all("RUN") and not stage.all("ADD"), "nothing runs in an image that has no shell"


def test_the_ports_that_it_names_are_those_of_the_defaults(stages):
    for name, page in (("sidecar", "configuration.md"), ("control-plane", "control-plane.md")):
        keys = (ROOT / "docs" / page).read_text()
        defaults = re.findall(r"\| `listen\.\w+` \| [\d.]+:(\d+) \|", keys)
        assert {f"{port}/tcp" for port in defaults} == set(dockerfile.settings(stages, name)["ExposedPorts"])
