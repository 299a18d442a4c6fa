"""A fleet of two sidecars on a real Redis, with a control plane, providers that misbehave, and all that pages tell of done."""

import concurrent.futures
import http.server
import json
import threading
import urllib.error
import urllib.request

from shipped import ROOT
from programs import Provider, Sidecar
from watched import ControlPlane, Redis, fetched, until

CERTIFICATE = ROOT / "base/src/testing/certificates/one.pem"
BROKEN = {"status": 500, "body": {}}


class Refusing(http.server.ThreadingHTTPServer):
    """A receiver of alerts that is never ready."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer503)
        self.url = f"http://127.0.0.1:{self.server_port}/"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


class Answer503(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(503)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def call(sidecar, model="chat", **more):
    """One call, however it ends; its status and its source."""
    headers = {"content-type": "application/json", **more.pop("headers", {})}
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}], **more}).encode()
    request = urllib.request.Request(f"{sidecar.base_url}/chat/completions", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()
            return answer.status, answer.headers["x-fusebox-source"]
    except urllib.error.HTTPError as error:
        error.read()
        return error.code, None


def template(folder):
    """What the webhook puts into pods; nobody asks it to here."""
    path = folder / "template.yaml"
    path.write_text(json.dumps({"container": {"name": "fusebox", "image": "fusebox-sidecar", "restartPolicy": "Always"}, "config": "{}"}))
    return path


class Stage:
    def __init__(self):
        self.started = []

    def play(self, folder):
        """Starts it, and does all of it."""
        self.redis = self._start(Redis, self._folder(folder, "redis"))
        self.well = self._start(Provider, {"text": ["It is ", "sunny."]})
        self.ill = self._start(Provider, BROKEN)
        self.limited = self._start(Provider, {"status": 429, "body": {}, "headers": {"retry-after": "1"}})
        receiver = self._start(Refusing)
        hook = {"name": "oncall", "kind": "webhook", "url": receiver.url}
        injector = {"listen": "127.0.0.1:0", "template_file": str(template(folder)),
                    "tls": {"cert_file": str(CERTIFICATE), "key_file": str(CERTIFICATE)}}
        alerts = {"channels": [hook], "routes": [{"group_wait": "0s", "group_interval": "1s"}]}
        self.control = self._start(ControlPlane, self._folder(folder, "control"), self.redis, alerts=alerts, injector=injector)
        # The first has a set answer where no provider gives one; at the second such calls fail.
        self.sidecars = [self._start(Sidecar, self._folder(folder, name), *self._providers(), **self._settings(answer))
                         for name, answer in (("one", "Later, please."), ("two", None))]
        # Its calls are served with a certificate, so that nobody here calls it.
        tls = {"cert_file": str(CERTIFICATE), "key_file": str(CERTIFICATE)}
        self.secure = self._start(Sidecar, self._folder(folder, "secure"), ("ill", {"base_url": self.ill.base_url}),
                                  auth={"tls": tls}, telemetry={"otlp_endpoint": "http://127.0.0.1:1"})
        self._happen()

    def _folder(self, folder, name):
        made = folder / name
        made.mkdir()
        return made

    def _start(self, kind, *arguments, **more):
        self.started.append(kind(*arguments, **more))
        return self.started[-1]

    def _providers(self):
        ill = {"base_url": self.ill.base_url, "scope": "fleet", "retry": {"max_retries": 1, "base_delay": "1ms"},
               "breaker": {"failure_threshold": 30, "open_for": "10m"}}
        return (("ill", ill), ("limited", {"base_url": self.limited.base_url}),
                ("well", {"base_url": self.well.base_url, "rate_limit": {"requests_per_minute": 6000, "tokens_per_minute": 1000000}}))

    def _settings(self, answer):
        def served(*names):
            return [{"provider": name, "model": "m", "cost_per_1k_tokens": 0.5} for name in names]

        return {
            "fleet": {"name": "prod", "redis": self.redis.url},
            "models": [{"name": "chat", "providers": served("ill", "well")}, {"name": "code", "providers": served("well")},
                       {"name": "doomed", "providers": served("ill")}, {"name": "busy", "providers": served("limited")}],
            "retry_budget": {"ratio": 0.0, "minimum_per_second": 0.5},
            "cache": {"mode": "fallback"},
            # Its levels are never reached: the machine has other things to do.
            "degradation": {"reduced_above": 0.998, "minimal_above": 0.999, "fallback_response": answer},
            "run_budgets": {"max_calls": 2},
        }

    def _happen(self):
        """Until the fleet's breaker of the one that is ill has opened, and for some calls more."""
        self.round()
        until("the shared breaker", lambda: self.round() or self._is_open())
        until("an alert that cannot be delivered", lambda: 'fusebox_alert_channel_failing{channel="oncall"} 1' in self.pages()["control-plane"][0])
        self.control.command("provider", "priority", "well", "7", "--reason", "a drill", "--yes")
        self.round()

    def _is_open(self):
        return 'fusebox_fleet_breaker_state{provider="ill"} 2' in self.pages()["control-plane"][0]

    def round(self):
        """Some calls of each kind at both sidecars."""
        with concurrent.futures.ThreadPoolExecutor(8) as callers:
            list(callers.map(self._calls, self.sidecars * 4))

    def _calls(self, sidecar):
        for _ in range(3):
            call(sidecar)
            call(sidecar, "code")
            call(sidecar, "code", stream=True)
            call(sidecar, "doomed")
            call(sidecar, "busy")
        call(sidecar, "code", headers={"x-fusebox-run-id": "a-run"})
        call(sidecar, "code", temperature=9)

    def targets(self):
        """For Prometheus: by job, addresses and the pods behind them."""
        sidecars = [(one.admin.removeprefix("http://"), f"llm-{place}") for place, one in enumerate([*self.sidecars, self.secure])]
        return {"sidecars": sidecars, "control-plane": [(self.control.http, "control-0")]}

    def pages(self):
        """The pages of metrics as they are now, by job."""
        return {job: [fetched(f"http://{address}/metrics") for address, _ in pods] for job, pods in self.targets().items()}

    def close(self):
        for one in reversed(self.started):
            one.close()
