"""A fleet as the control plane tells it: canonical protobuf JSON, so that what is nought, false or empty is not there."""

import datetime
import random
import time


def stamp(seconds):
    """A timestamp this many seconds from now."""
    at = datetime.datetime.fromtimestamp(time.time() + seconds, datetime.UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def minute(ago):
    at = datetime.datetime.fromtimestamp((time.time() // 60 - ago) * 60, datetime.UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def history(dice, calls, errors):
    """An hour; `errors` answers, by the minutes ago, what went wrong in one."""
    minutes = []
    for ago in range(59, -1, -1):
        found = {kind: str(number) for kind, number in errors(ago).items() if number}
        made = max(int(calls * dice.uniform(0.85, 1.15)), sum(map(int, found.values())))
        minutes.append(
            {"at": minute(ago), **({"calls": str(made)} if made else {}), **({"errors": found} if found else {})}
        )
    return minutes


def provider(name, rank, models, **more):
    return {
        "name": name,
        "enabled": True,
        "priority": rank,
        "models": models,
        "shared": True,
        "breaker": {"state": "BREAKER_STATE_CLOSED", "mode": "BREAKER_MODE_AUTO", "epoch": "1", "since": stamp(-86400)},
        "errors": {},
        **more,
    }


def providers(dice, sidecars):
    told = {"sidecarsApplied": sidecars, "sidecarsTotal": sidecars}
    wave = lambda ago: {
        "rate_limited": dice.randint(20, 60) if 31 <= ago < 44 else dice.randint(0, 3),
        "inference_timeout": dice.randint(90, 180) if ago < 7 else dice.randint(0, 2),
        "provider_error": dice.randint(200, 320) if ago < 5 else 0,
        "model_overloaded": dice.randint(15, 40) if ago < 9 else 0,
    }
    quiet = lambda ago: {"stream_broken": dice.randint(0, 2), "inference_timeout": dice.randint(0, 2)}
    return [
        provider(
            "vllm-pod",
            1,
            ["chat", "code"],
            **told,
            shared=False,
            callsPerSecond=38.4,
            errorsPerSecond=0.08,
            sidecarsOpen=1,
            history=history(dice, 2300, quiet),
        ),
        provider(
            "openai",
            2,
            ["chat", "vision"],
            **told,
            callsPerSecond=11.7,
            errorsPerSecond=6.9,
            sidecarsOpen=3,
            history=history(dice, 720, wave),
            breaker={
                "state": "BREAKER_STATE_OPEN",
                "mode": "BREAKER_MODE_AUTO",
                "epoch": "1795362000123",
                "since": stamp(-21),
                "reason": "failure rate 0.59 over 412 calls",
                "halfOpenAt": stamp(38),
            },
        ),
        provider(
            "azure-eu",
            3,
            ["chat", "code", "vision"],
            **told,
            callsPerSecond=9.2,
            errorsPerSecond=0.11,
            history=history(
                dice,
                510,
                lambda ago: {
                    "rate_limited": dice.randint(0, 4),
                    "invalid_response": dice.randint(0, 3) if ago < 20 else 0,
                },
            ),
            priorityWord={
                "by": "bo",
                "reason": "cheaper until the quota is back",
                "at": stamp(-5400),
                "expiresAt": stamp(9000),
            },
        ),
        provider(
            "anthropic",
            4,
            ["chat"],
            **told,
            callsPerSecond=2.1,
            history=history(dice, 130, lambda ago: {"content_filtered": dice.randint(0, 1)}),
            breaker={
                "state": "BREAKER_STATE_HALF_OPEN",
                "mode": "BREAKER_MODE_AUTO",
                "epoch": "7",
                "since": stamp(-4),
                "reason": "probing after 60 s open",
            },
        ),
        provider(
            "together",
            5,
            ["code"],
            **told,
            enabled=False,
            history=history(dice, 0, lambda ago: {}),
            enabledWord={
                "by": "ana",
                "reason": "wrong answers since their deploy, ticket 4711",
                "at": stamp(-2460),
                "expiresAt": stamp(1980),
            },
        ),
    ]


HEALTH = ["HEALTH_STATUS_HEALTHY", "HEALTH_STATUS_DEGRADED", "HEALTH_STATUS_CRITICAL"]


def sidecar(index, dice, **more):
    zone = "abc"[index % 3]
    calls = round(dice.uniform(2, 9), 2)
    return {
        "id": f"llm-{index:04d}",
        "pod": f"llm-server-{dice.getrandbits(32):08x}",
        "node": f"gpu-{zone}-{index // 3 % 40:02d}",
        "zone": f"eu-1{zone}",
        "version": "0.7.2",
        "startedAt": stamp(-dice.randint(4000, 400000)),
        "seenAt": stamp(-dice.uniform(0, 2)),
        "health": HEALTH[0],
        "degradationLevel": "DEGRADATION_LEVEL_FULL",
        "callsPerSecond": calls,
        "inFlight": dice.randint(0, 9),
        "settingsVersion": "41",
        "load": {
            "cpu": round(dice.uniform(0.1, 0.9), 3),
            "memory": round(dice.uniform(0.3, 0.8), 3),
            "gpu": round(dice.uniform(0.2, 0.99), 3),
            "gpuMemory": 0.91,
            "queue": round(dice.uniform(0, 0.4), 3),
            "kvCache": round(dice.uniform(0.2, 0.9), 3),
        },
        "checks": [
            {"name": "provider:vllm-pod", "critical": True, "healthy": True, "took": "0.004s"},
            {
                "name": "model:vllm-pod",
                "critical": False,
                "healthy": True,
                "took": "0.312s",
                "message": "answered in 312 ms",
            },
            {"name": "disk", "healthy": True, "took": "0.000200s"},
        ],
        "providers": [
            {
                "name": name,
                "enabled": name != "together",
                "priority": rank,
                "breaker": f"BREAKER_STATE_{'OPEN' if name == 'openai' else 'CLOSED'}",
                "shared": name != "vllm-pod",
                "callsPerSecond": 0 if name == "together" else round(calls / rank / 2, 2),
                "errorsPerSecond": 0.4 if name == "openai" else 0,
            }
            for rank, name in enumerate(["vllm-pod", "openai", "azure-eu", "anthropic", "together"], 1)
        ],
        "totals": {
            "calls": str(dice.randint(10**4, 10**6)),
            "errors": str(dice.randint(10, 900)),
            "answers": {"primary": "81234", "fallback": "4021", "cache": "903"},
            "inputTokens": str(dice.randint(10**6, 10**8)),
            "outputTokens": str(dice.randint(10**5, 10**7)),
            "cost": 12.31,
        },
        **more,
    }


def sidecars(number, dice):
    made = [sidecar(index, dice) for index in range(number)]
    if number < 5:
        return made
    spread = range(1, number, 4) if number < 100 else sorted(dice.sample(range(number), 41))
    for place, index in enumerate(spread):
        one = made[index]
        if place % 5 == 0:
            one |= {"health": HEALTH[2]}
            one["checks"][0] |= {"message": "connection refused"}
            del one["checks"][0]["healthy"]
        elif place % 5 == 4:
            one |= {"late": True, "seenAt": stamp(-47)}
        else:
            one |= {
                "health": HEALTH[1],
                "degradationLevel": f"DEGRADATION_LEVEL_{'REDUCED' if place % 2 else 'MINIMAL'}",
            }
    return made


def alerts():
    return [
        {
            "id": "a-1",
            "kind": "ALERT_KIND_BREAKER_OPENED",
            "severity": "SEVERITY_CRITICAL",
            "provider": "openai",
            "raisedAt": stamp(-21),
            "message": "The shared breaker of openai opened: failure rate 0.59 over 412 calls.",
            "deliveries": [
                {"channel": "oncall", "state": "delivered", "attempts": 1, "at": stamp(-10)},
                {
                    "channel": "ops-mail",
                    "state": "failed",
                    "attempts": 4,
                    "lastError": "550 mailbox unavailable",
                    "at": stamp(-3),
                },
            ],
        },
        {
            "id": "a-2",
            "kind": "ALERT_KIND_ERROR_SPIKE",
            "severity": "SEVERITY_WARNING",
            "provider": "openai",
            "errorKind": "provider_error",
            "recentRate": 271.5,
            "historicalRate": 3.2,
            "multiplier": 84.8,
            "raisedAt": stamp(-190),
            "message": "provider_error is 85 times what it was in the last hour.",
            "deliveries": [
                {"channel": "oncall", "state": "pending", "attempts": 2, "lastError": "429 Too Many Requests"}
            ],
        },
        {
            "id": "a-3",
            "kind": "ALERT_KIND_DEGRADED",
            "severity": "SEVERITY_WARNING",
            "sidecar": "llm-0005",
            "raisedAt": stamp(-1260),
            "acknowledgedAt": stamp(-900),
            "acknowledgedBy": "bo",
            "message": "llm-0005 has been at level minimal for 20 minutes: GPU memory 0.97.",
            "deliveries": [{"channel": "oncall", "state": "delivered", "attempts": 1, "at": stamp(-1250)}],
        },
    ]


def fleet(number=12, seed=7):
    """A fleet in some trouble; the same for the same seed, but for the times."""
    dice = random.Random(seed)
    all_providers = providers(dice, number)
    whole = {}
    for one in all_providers:
        for at in one["history"]:
            sum_up = whole.setdefault(at["at"], {"calls": 0, "errors": {}})
            sum_up["calls"] += int(at.get("calls", 0))
            for kind, count in at.get("errors", {}).items():
                sum_up["errors"][kind] = sum_up["errors"].get(kind, 0) + int(count)
    minutes = [
        {"at": at, "calls": str(one["calls"]), "errors": {kind: str(count) for kind, count in one["errors"].items()}}
        for at, one in whole.items()
    ]
    kinds = {kind for one in minutes for kind in one["errors"]}
    rates = {kind: round(sum(int(one["errors"].get(kind, 0)) for one in minutes) / 60, 3) for kind in kinds}
    all_sidecars = sidecars(number, dice)
    critical = sum(one["health"] == HEALTH[2] for one in all_sidecars)
    live = sum(not one.get("late") for one in all_sidecars)
    return {
        "name": "prod-eu",
        "at": stamp(0),
        "health": HEALTH[1],
        "healthReason": f"{critical} of {live} live sidecars are critical (degraded from 10 %, critical from 50 %), and the breaker of openai is open.",
        "degradationLevel": "DEGRADATION_LEVEL_FULL",
        "settingsVersion": "41",
        "providers": all_providers,
        "sidecars": all_sidecars,
        "firingAlerts": alerts(),
        "totals": {
            "calls": "4182337",
            "errors": "20412",
            "answers": {
                "primary": "3719244",
                "fallback": "402118",
                "cache": "38211",
                "simplified": "1904",
                "static": "448",
            },
            "inputTokens": "2918223411",
            "outputTokens": "402118221",
            "cost": 8123.4567,
            "callsPerSecond": 61.4,
        },
        "errors": {
            "rate1m": {kind: float(minutes[-1]["errors"].get(kind, 0)) for kind in kinds},
            "rate1h": rates,
            "calls1m": minutes[-1]["calls"],
            "errors1m": str(sum(map(int, minutes[-1]["errors"].values()))),
            "topPatterns": [
                {"pattern": "provider_error:stream_generate", "count": "1288"},
                {"pattern": "inference_timeout:generate", "count": "941"},
                {"pattern": "rate_limited:generate", "count": "522"},
            ],
        },
        "history": minutes,
        "models": [
            {"name": "chat", "providers": ["vllm-pod", "openai", "azure-eu", "anthropic"], "enabled": 4},
            {"name": "code", "providers": ["vllm-pod", "azure-eu", "together"], "enabled": 2},
            {"name": "vision", "providers": ["openai", "azure-eu"], "enabled": 2},
        ],
        "channels": [
            {"name": "oncall", "kind": "pagerduty", "pending": 1, "deliveredAt": stamp(-10)},
            {"name": "ops-mail", "kind": "email", "lastError": "550 mailbox unavailable", "failingSince": stamp(-640)},
        ],
    }


def healthy(number=12):
    """A fleet in which nothing is wrong."""
    told = fleet(number)
    told |= {"health": HEALTH[0], "healthReason": f"All {number} sidecars are healthy.", "firingAlerts": []}
    for one in told["sidecars"]:
        one |= {"health": HEALTH[0], "degradationLevel": "DEGRADATION_LEVEL_FULL", "late": False}
    for one in told["providers"]:
        one |= {
            "enabled": True,
            "breaker": {"state": "BREAKER_STATE_CLOSED", "mode": "BREAKER_MODE_AUTO"},
            "sidecarsOpen": 0,
        }
        one.pop("enabledWord", None)
    return told
