"""Prometheus, Redis and the control plane as child processes of a test, and whoever asks them."""

import contextlib
import json
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

from shipped import RULES
from programs import binary

# How long anything may take on a machine that has much else to do.
LIMIT = 60


def until(what, holds):
    """Looks again and again until it holds, and gives back what was found: nobody tells of these things."""
    end = time.monotonic() + LIMIT
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.05)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def fetched(url, timeout=10):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read().decode()


def answers(url):
    with contextlib.suppress(OSError):
        return fetched(url, timeout=2)
    return None


class Child:
    """A process whose words are read all the time, lest it block."""

    def __init__(self, arguments, **more):
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
        self.said = []
        self.reader = threading.Thread(target=lambda: self.said.extend(self.process.stdout), daemon=True)
        self.reader.start()

    def until(self, what, holds):
        """Waits for it; who waits in vain leaves no process behind."""
        try:
            return until(what, lambda: self.is_up() and holds())
        except BaseException:
            self.close()
            raise

    def is_up(self):
        assert self.process.poll() is None, "it ended:\n" + "".join(self.said)
        return True

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
            self.reader.join(10)
            self.process.stdout.close()


class Redis(Child):
    def __init__(self, folder):
        self.port = free_port()
        super().__init__(["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--dir", str(folder)])
        self.url = f"redis://127.0.0.1:{self.port}"
        self.until("Redis", self.is_there)

    def is_there(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 2) as one:
            one.sendall(b"PING\r\n")
            return one.recv(5) == b"+PONG"
        return False


class ControlPlane(Child):
    def __init__(self, folder, redis, **more):
        path, ready = folder / "config.yaml", folder / "ready.json"
        config = {"fleet": {"name": "prod", "redis": redis.url}, "listen": {"grpc": "127.0.0.1:0", "http": "127.0.0.1:0"}, **more}
        path.write_text(json.dumps(config))
        super().__init__([binary("fusebox-control-plane"), "run", "--config", str(path)], env={"FUSEBOX_READY_FILE": str(ready)})
        self.until("the control plane", ready.is_file)
        addresses = json.loads(ready.read_text())
        self.grpc, self.http = addresses["grpc"], addresses["http"]

    def command(self, *words):
        done = subprocess.run([binary("fusebox"), "--address", self.grpc, *words], capture_output=True, text=True, timeout=LIMIT, env={})
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


class Prometheus(Child):
    """It scrapes and judges once a second. `targets`: by the job's name, pairs of an address and its pod."""

    def __init__(self, folder, targets, rules=RULES, namespace="shop"):
        jobs = [{"job_name": job,
                 "static_configs": [{"targets": [address], "labels": {"namespace": namespace, "pod": pod}} for address, pod in pods]}
                for job, pods in targets.items()]
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                  "rule_files": [str(path) for path in rules], "scrape_configs": jobs}
        path = folder / "prometheus.yml"
        path.write_text(yaml.safe_dump(config))
        self.address = f"127.0.0.1:{free_port()}"
        super().__init__(["prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder / 'data'}",
                          f"--web.listen-address={self.address}", "--log.level=warn"])
        self.until("Prometheus", lambda: answers(f"http://{self.address}/-/ready"))

    def api(self, path, **parameters):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            return json.loads(fetched(url, LIMIT))["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def ask(self, expression, then=None):
        """The series that it has now, or had `then`, as pairs of labels and a value."""
        found = self.api("query", query=expression, **({"time": then} if then else {}))["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    def firing(self):
        return [alert for alert in self.api("alerts")["alerts"] if alert["state"] == "firing"]
