"""A stand-in for the control plane: keeps to the interface well enough that the page cannot tell. For tests of the page
alone, and (`python stand_in.py`) for looking at it while it is written."""

import copy
import json
import socket
import sys
import threading
import time

import fixture
from door import Handler, Refusal, Server

# Of a sidecar in the stream, what it may leave out: the page asks for it where it shows it.
LEFT_OUT = ("checks", "load", "providers", "totals")


class StandIn:
    """The control plane's state, its operations, and what a test wants to go wrong."""

    def __init__(self, fleet=None, role="operator", token=None):
        self.fleet = fleet or fixture.fleet()
        self.role, self.token = role, token
        self.signed_in = token is None
        self.refuse_sign_in = None
        self.audit = [
            {
                "id": "e-1",
                "at": fixture.stamp(-2460),
                "actor": "ana",
                "action": "SetProvider",
                "outcome": "done",
                "source": "dashboard 10.0.3.7",
                "detail": '{"name":"together","enabled":false,"expiresAfter":"4440s"}',
                "reason": "wrong answers since their deploy, ticket 4711",
                "effect": "together: on → off",
                "settingsVersion": "41",
            },
            {
                "id": "e-0",
                "at": fixture.stamp(-5400),
                "actor": "bo",
                "action": "SetProvider",
                "outcome": "done",
                "source": "grpc 10.0.3.9",
                "detail": '{"name":"azure-eu","priority":3}',
                "reason": "cheaper until the quota is back",
                "effect": "azure-eu: rank 5 → 3",
                "settingsVersion": "40",
            },
            {
                "id": "e-x",
                "at": fixture.stamp(-7000),
                "actor": "cy",
                "action": "SetBreaker",
                "outcome": "refused",
                "source": "rest 10.0.3.12",
                "detail": '{"provider":"openai","mode":"BREAKER_MODE_FORCED_CLOSED"}',
                "effect": "cy has the role viewer",
            },
        ]
        self.silences = []
        self.resolved = [
            fixture.alerts()[1]
            | {"id": "a-0", "raisedAt": fixture.stamp(-9000), "resolvedAt": fixture.stamp(-8200), "deliveries": []}
        ]
        # What tests turn.
        self.gone = False
        self.mute = False
        self.next_refusal = None
        self.held_back = set()
        self.seen = []
        self.turn = threading.Condition()
        self.version = 0
        self.streams = set()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.stand_in = self
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"

    def close(self):
        self.gone = True
        self.drop()
        self.server.shutdown()
        self.server.server_close()

    def change(self, **fields):
        """Changes the fleet, and tells it."""
        with self.turn:
            self.fleet |= {"at": fixture.stamp(0)} | fields
            self.version += 1
            self.turn.notify_all()

    def drop(self):
        """Breaks every stream, as a dead replica would."""
        with self.turn:
            self.version += 1
            for stream in list(self.streams):
                try:
                    stream.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            self.turn.notify_all()

    def provider(self, name):
        for one in self.fleet["providers"]:
            if one["name"] == name:
                return one
        raise Refusal(404, "NOT_FOUND", f"no sidecar has a provider {name}")

    def changes(self):
        """The changes that were asked for and were not dry runs."""
        return [one for one in self.seen if one[0] != "GET" and not (one[2] or {}).get("change", {}).get("dryRun")]

    # The operations.

    def settings(self, body, action, dry, apply):
        """What is common to all changes: reason, version, dry run, word, audit, waiting."""
        change = body.get("change", {})
        if not body.get("reason", "").strip():
            raise Refusal(
                400, "INVALID_ARGUMENT", "reason must be given", [{"field": "reason", "message": "must be given"}]
            )
        expected = int(change.get("expectedVersion", 0))
        if expected and expected != int(self.fleet["settingsVersion"]):
            raise Refusal(
                409, "ABORTED", "the settings have moved on", details={"settingsVersion": self.fleet["settingsVersion"]}
            )
        live = [one for one in self.fleet["sidecars"] if not one.get("late")]
        if change.get("dryRun"):
            return {
                "result": {"settingsVersion": self.fleet["settingsVersion"], "sidecarsTotal": len(live), "effects": dry}
            }
        word = {"by": "ana", "reason": body["reason"], "at": fixture.stamp(0)}
        if "expiresAfter" in body:
            word["expiresAt"] = fixture.stamp(float(body["expiresAfter"].rstrip("s")))
        version = str(int(self.fleet["settingsVersion"]) + 1)
        apply(word)
        event = {
            "id": f"e-{version}",
            "at": fixture.stamp(0),
            "actor": "ana",
            "action": action,
            "detail": json.dumps(body),
            "reason": body["reason"],
            "outcome": "done",
            "effect": "; ".join(dry),
            "source": "dashboard 127.0.0.1",
            "settingsVersion": version,
        }
        self.audit.insert(0, event)
        self.change(settingsVersion=version)
        wait = float(change.get("wait", "0s").rstrip("s"))
        return {"result": self.applied(live, version, min(wait, 3.0)) | {"effects": dry}}

    def applied(self, live, version, wait):
        end = time.monotonic() + wait
        while True:
            behind = [one["id"] for one in live if one["id"] in self.held_back]
            for one in live:
                if one["id"] not in self.held_back:
                    one["settingsVersion"] = version
            for one in self.fleet["providers"]:
                one["sidecarsApplied"] = len(live) - len(behind)
                one["sidecarsTotal"] = len(live)
            self.change()
            if not behind or time.monotonic() >= end:
                return {
                    "settingsVersion": version,
                    "sidecarsApplied": len(live) - len(behind),
                    "sidecarsTotal": len(live),
                    "waitingFor": behind[:20],
                }
            with self.turn:
                self.turn.wait(0.05)

    def set_provider(self, name, body):
        one = self.provider(name)
        effects, word_of = [], {}
        if "enabled" in body and body["enabled"] != one.get("enabled", False):
            effects.append(f"{name}: {'off → on' if body['enabled'] else 'on → off'}")
            word_of["enabledWord"] = ("enabled", body["enabled"])
        if "priority" in body and body["priority"] != one.get("priority", 0):
            effects.append(f"{name}: rank {one.get('priority', 0)} → {body['priority']}")
            word_of["priorityWord"] = ("priority", body["priority"])
        if body.get("reset"):
            effects.append(f"{name}: as each configuration says")
        last = []
        for model in self.fleet["models"]:
            if name in model["providers"] and body.get("enabled") is False:
                left = [other for other in model["providers"] if other != name and self.provider(other).get("enabled")]
                effects.append(f"{model['name']} would be served by {', '.join(left) or 'nobody'}")
                if not left:
                    last.append(model["name"])
        if last and not body.get("change", {}).get("force"):
            raise Refusal(
                412,
                "FAILED_PRECONDITION",
                f"{name} is the last provider of {', '.join(last)}",
                details={"models": last},
            )

        def apply(word):
            if body.get("reset"):
                one.pop("enabledWord", None)
                one.pop("priorityWord", None)
                one["enabled"] = True
            for key, (field, value) in word_of.items():
                one[field] = value
                one[key] = word
            for model in self.fleet["models"]:
                model["enabled"] = sum(bool(self.provider(other).get("enabled")) for other in model["providers"])

        return self.settings(body, "SetProvider", effects, apply) | {"provider": one}

    def set_breaker(self, name, body):
        one = self.provider(name)
        state = {"BREAKER_MODE_FORCED_OPEN": "OPEN", "BREAKER_MODE_FORCED_CLOSED": "CLOSED"}.get(body.get("mode"))
        effects = [f"{name}: breaker {body.get('mode', '').removeprefix('BREAKER_MODE_').lower().replace('_', ' ')}"]

        def apply(word):
            one["breaker"] = (
                one["breaker"] | {"mode": body["mode"]} | ({"state": f"BREAKER_STATE_{state}"} if state else {})
            )
            one["breakerWord"] = word

        return self.settings(body, "SetBreaker", effects, apply) | {"provider": one}

    def set_degradation(self, _, body):
        level = body.get("level", "DEGRADATION_LEVEL_UNSPECIFIED")
        held = level != "DEGRADATION_LEVEL_UNSPECIFIED"
        target = body.get("sidecar", "")
        whom = [one for one in self.fleet["sidecars"] if target in ("", one["id"])]
        effects = [
            f"{target or f'all {len(whom)} sidecars'}: {'held at ' + level.removeprefix('DEGRADATION_LEVEL_').lower() if held else 'by load'}"
        ]

        def apply(word):
            for one in whom:
                one["degradationLevel"] = level if held else "DEGRADATION_LEVEL_FULL"
                one["degradationWord"] = word if held else None
            if not target:
                self.fleet |= {
                    "degradationLevel": level if held else "DEGRADATION_LEVEL_FULL",
                    "degradationOverridden": held,
                    "degradationWord": word if held else None,
                }

        return self.settings(body, "SetDegradation", effects, apply) | {"fleet": self.fleet}

    def acknowledge(self, id, _):
        for one in self.fleet["firingAlerts"]:
            if one["id"] == id:
                one |= {"acknowledgedAt": fixture.stamp(0), "acknowledgedBy": "ana"}
                self.change()
                return one
        raise Refusal(404, "NOT_FOUND", "no such alert fires")

    def silence(self, _, body):
        made = {key: body[key] for key in ("kind", "provider", "sidecar") if body.get(key)}
        made |= {
            "id": f"s-{len(self.silences) + 1}",
            "word": {
                "by": "ana",
                "reason": body["reason"],
                "at": fixture.stamp(0),
                "expiresAt": fixture.stamp(float(body["expiresAfter"].rstrip("s"))),
            },
        }
        self.silences.append(made)
        for one in self.fleet["firingAlerts"]:
            kind = made.get("kind", "ALERT_KIND_UNSPECIFIED")
            if kind in ("ALERT_KIND_UNSPECIFIED", one["kind"]) and made.get("provider", one.get("provider")) == one.get(
                "provider"
            ):
                one["silence"] = made["id"]
        self.change()
        return made

    def end_silence(self, id, _):
        self.silences = [one for one in self.silences if one["id"] != id]
        for one in self.fleet["firingAlerts"]:
            if one.get("silence") == id:
                del one["silence"]
        self.change()
        return {}

    def sidecar(self, id):
        for one in self.fleet["sidecars"]:
            if one["id"] == id:
                return one
        raise Refusal(404, "NOT_FOUND", f"no sidecar {id}")

    def told(self):
        """The fleet for the stream, without what it may leave out."""
        with self.turn:
            told = copy.copy(self.fleet)
            told["sidecars"] = [
                {key: value for key, value in one.items() if key not in LEFT_OUT} for one in told["sidecars"]
            ]
            return json.dumps(told, separators=(",", ":"))


if __name__ == "__main__":
    desk = StandIn(fixture.fleet(int(sys.argv[1]) if len(sys.argv) > 1 else 12))
    print(desk.url)
    while True:
        time.sleep(1)
        for one in desk.fleet["sidecars"]:
            one["callsPerSecond"] = one.get("callsPerSecond", 1) * (
                0.97 + 0.06 * (hash((one["id"], time.time())) % 100) / 100
            )
        desk.change()
