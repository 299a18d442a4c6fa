"""The scripted provider and the sidecar as child processes of a test."""

import json
import os
import pathlib
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"


def binary(name):
    path = BINARIES / name
    assert path.is_file(), f"{path} is not there: run `cargo build --workspace` first"
    return str(path)


class Provider:
    """A provider that follows a script: a list of acts, each for one request, the last one repeating."""

    def __init__(self, *acts):
        self.process = subprocess.Popen(
            [binary("scripted-provider"), json.dumps(acts or [{"tokens": 3}])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self.base_url = json.loads(self.process.stdout.readline())["base_url"]
        self.root = self.base_url.removesuffix("/v1")

    def _ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def play(self, *acts):
        self._ask(json.dumps(acts))

    def seen(self):
        return self._ask("seen")

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


class Sidecar:
    """A sidecar in front of providers, each a pair of a name and a configuration. Its environment is `env` alone."""

    def __init__(self, folder, *providers, env=None, **more):
        config = {
            "listen": {"grpc": "127.0.0.1:0", "http": "127.0.0.1:0", "admin": "127.0.0.1:0", "workers": 1},
            "providers": [
                {"name": name, "priority": rank,
                 "retry": {"max_retries": 0, "base_delay": "5ms", "max_delay": "50ms"},
                 "breaker": {"failure_threshold": 100000, "failure_rate": 1.0, "minimum_calls": 100000},
                 **provider}
                for rank, (name, provider) in enumerate(providers)
            ],
            # Tests mean to be answered, or failed, each time, however busy the machine is.
            "cache": {"mode": "off"},
            "degradation": {"enabled": False},
            "health": {"model": "off"},
            "models": [{"name": "chat", "providers": [{"provider": name, "model": f"served-{name}"}
                                                      for name, _ in providers]}],
            **more,
        }
        path = folder / "config.yaml"
        path.write_text(json.dumps(config))
        ready = folder / "ready.json"
        self.process = subprocess.Popen(
            [binary("fusebox-sidecar"), "run", "--config", str(path)],
            env={"FUSEBOX_READY_FILE": str(ready), **(env or {})}, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        )
        # Read all the time, or the sidecar would block on a full pipe.
        self.log = []
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True)
        self.reader.start()
        deadline = time.monotonic() + 10
        # A file tells nobody that it has come, so it is looked for.
        while not ready.is_file():
            assert self.process.poll() is None and time.monotonic() < deadline, "it did not start:\n" + "".join(self.log)
            time.sleep(0.005)
        addresses = json.loads(ready.read_text())
        self.grpc = addresses["grpc"]
        self.base_url = f"http://{addresses['http']}/v1"
        self.admin = f"http://{addresses['admin']}"

    def close(self):
        self.process.terminate()
        try:
            assert self.process.wait(10) == 0, "".join(self.log)
        finally:
            self.process.kill()
            self.reader.join(10)
            self.process.stderr.close()
