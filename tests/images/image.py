"""One of the images, and the scripts that make them."""

import pathlib
import subprocess
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[2]
IMAGES = ("sidecar", "control-plane")


@dataclass
class Image:
    """Where its root was assembled and packed, and what the Dockerfile says of running it."""

    name: str
    folder: pathlib.Path
    settings: dict

    @property
    def root(self):
        return self.folder / self.name

    @property
    def tar(self):
        return self.folder / f"{self.name}.tar"

    @property
    def entrypoint(self):
        return self.settings["Entrypoint"][0]

    @property
    def user(self):
        return int(self.settings["User"].split(":")[0])

    @property
    def env(self):
        return dict(pair.split("=", 1) for pair in self.settings.get("Env", []))


def script(name, *arguments, **more):
    """Runs a script of images/ to its end."""
    return subprocess.run([ROOT / "images" / name, *arguments], text=True, capture_output=True, **more)


def made(name, *arguments, **more):
    """Runs a script of images/, which must succeed."""
    done = script(name, *arguments, **more)
    assert done.returncode == 0, done.stderr
    return done
