"""What an image holds, running: see enter.py for how. The mount points are made as container runtimes make them."""

import json
import os
import pathlib
import subprocess
import sys
import tarfile
import threading
import time

import pytest

import enter

# How long anything may take on a machine that has much else to do, in seconds.
LIMIT = 30


class Contained:
    """A program of an image in a copy of its root. `files` are put at their places in it, and cannot be written to."""

    def __init__(self, folder, image, arguments=(), files=None, env=None, program=None):
        self.root, self.shared = folder / "root", folder / "shared"
        with tarfile.open(image.tar) as packed:
            packed.extractall(self.root, filter="fully_trusted")
        self.shared.mkdir()
        # Anyone's, so that the image's user can write there, whoever runs the tests.
        self.shared.chmod(0o777)
        mounts = [(str(self.shared), "/shared")]
        (self.root / "shared").mkdir()
        (self.root / "proc").mkdir()
        for number, (inside, content) in enumerate((files or {}).items()):
            outside = folder / f"file-{number}"
            outside.write_bytes(content if isinstance(content, bytes) else content.encode())
            outside.chmod(0o644)
            mounts.append((str(outside), inside))
            target = self.root / inside.removeprefix("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        told, tell = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, enter.__file__, json.dumps({
                "root": str(self.root), "mounts": mounts, "user": image.user, "tell": tell,
                "command": [program or image.entrypoint, *arguments],
                "env": image.env | {"FUSEBOX_READY_FILE": "/shared/ready.json"} | (env or {}),
            })],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=[tell],
        )
        os.close(tell)
        self.said, self.printed = [], []
        # Read all the time, or it would block on a full pipe.
        self.readers = [threading.Thread(target=lambda pipe=pipe, lines=lines: lines.extend(pipe), daemon=True)
                        for pipe, lines in ((self.process.stderr, self.said), (self.process.stdout, self.printed))]
        for reader in self.readers:
            reader.start()
        with os.fdopen(told) as told:
            line = told.readline()
        if not line:
            self.process.wait(LIMIT)
            self.close()
            pytest.fail("".join(self.said))
        self.pid = int(line)

    def addresses(self):
        """Where it listens, once it does."""
        deadline = time.monotonic() + LIMIT
        ready = self.shared / "ready.json"
        # A file tells nobody that it has come, so it is looked for.
        while not ready.is_file():
            assert self.process.poll() is None and time.monotonic() < deadline, "it did not start:\n" + "".join(self.said)
            time.sleep(0.005)
        return json.loads(ready.read_text())

    def status(self):
        """What the kernel says of the process, seen from outside."""
        lines = pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {name: value.split() for name, value in (line.split(":", 1) for line in lines)}

    def terminate(self):
        self.process.terminate()

    def ended(self):
        """Its exit code, once it has ended, with all that it has said."""
        code = self.process.wait(LIMIT)
        for reader in self.readers:
            reader.join(LIMIT)
        return code

    def close(self):
        # Process 1 of the namespace is told to die with the process outside, and takes all others with it.
        self.process.kill()
        self.ended()
        self.process.stdout.close()
        self.process.stderr.close()
