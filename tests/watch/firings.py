"""For each alert: when it fires, and when it is silent. One line is one series, in promtool's notation, a value a minute."""

from dataclasses import dataclass

# How many minutes a series goes on.
HOURS = 400


def grows(a_minute, minutes=HOURS, start=0):
    return f"{start}+{a_minute}x{minutes}"


def stays(value, minutes=HOURS):
    return f"{value}x{minutes}"


@dataclass
class Case:
    """What is scraped, when it is looked at, and with which labels the alert fires then; `None`: it is silent."""

    why: str
    series: dict
    at: str
    labels: dict | None = None


def calls(ok, failed, kind="provider_error", model="chat", source="none", namespace="shop"):
    """So many calls a minute."""
    return {
        f'fusebox_calls_total{{namespace="{namespace}",model="chat",source="primary",kind="ok"}}': grows(ok),
        f'fusebox_calls_total{{namespace="{namespace}",model="{model}",source="{source}",kind="{kind}"}}': grows(failed),
    }


def each(name, values, labels="", namespace="shop", job="sidecars"):
    """One value for each of several sidecars."""
    extra = f",{labels}" if labels else ""
    return {f'{name}{{namespace="{namespace}",job="{job}",instance="{at}"{extra}}}': value if isinstance(value, str) else stays(value)
            for at, value in enumerate(values)}


def many(value, number, other, of=100):
    """`number` sidecars of a hundred with one value, the others with another."""
    return [value] * number + [other] * (of - number)


def redis(connected, store="redis"):
    return {**each("fusebox_fleet_connected", connected),
            **each("fusebox_fleet_info", [1] * len(connected), f'fleet="f",store="{store}"')}


def replicas(name, values, labels=""):
    return each(name, values, labels, job="control-plane")


HERE = {"namespace": "shop"}
VLLM = {"namespace": "shop", "provider": "vllm"}
CONTROL = {"namespace": "shop", "job": "control-plane"}
STATE = 'provider="vllm",scope="pod"'
OPENED = 'provider="vllm",from="closed",to="open"'
LIMIT = 'provider="vllm",limit="tokens"'
CERTIFICATE = 'key="auth.tls.cert_file"'
DAY = 86_400


def slow(share):
    """A hundred calls a minute, of which this share took twenty milliseconds in Fusebox itself."""
    quick = 100 - share
    return {
        'fusebox_overhead_seconds_bucket{namespace="shop",le="0.001"}': grows(quick),
        'fusebox_overhead_seconds_bucket{namespace="shop",le="0.01"}': grows(quick),
        'fusebox_overhead_seconds_bucket{namespace="shop",le="0.025"}': grows(100),
        'fusebox_overhead_seconds_bucket{namespace="shop",le="+Inf"}': grows(100),
        'fusebox_overhead_seconds_count{namespace="shop"}': grows(100),
    }


def attempts(ok, kind, failed):
    return {'fusebox_attempts_total{namespace="shop",provider="vllm",kind="ok"}': grows(ok),
            f'fusebox_attempts_total{{namespace="shop",provider="vllm",kind="{kind}"}}': grows(failed)}


CASES = {
    "FuseboxErrorBudgetBurnsFast": [
        Case("a tenth of the calls fail", calls(90, 10), "65m", HERE),
        Case("any kind that is new counts as a failure", calls(90, 10, "something_new"), "65m", HERE),
        Case("a model that we have is not found", calls(90, 10, "model_not_found"), "65m", HERE),
        Case("one in a hundred fails", calls(99, 1), "65m"),
        Case("callers hang up, and ask for what is not to be had",
             calls(50, 50, "cancelled") | calls(50, 50, "invalid_input") | calls(50, 50, "content_filtered")
             | calls(50, 50, "context_length_exceeded") | calls(50, 50, "budget_exceeded"), "65m"),
        Case("somebody knocks without a token, and asks for models that there are not",
             calls(50, 50, "authentication", "other") | calls(50, 50, "model_not_found", "other"), "65m"),
        Case("three calls failed in a quiet hour",
             {'fusebox_calls_total{namespace="shop",model="chat",source="primary",kind="ok"}': "0+0x60 10",
              'fusebox_calls_total{namespace="shop",model="chat",source="none",kind="shed"}': "0x55 1 2 3 3 3 3"}, "60m"),
        Case("it is over, though the hour is still bad",
             {'fusebox_calls_total{namespace="shop",model="chat",source="primary",kind="ok"}': grows(90),
              'fusebox_calls_total{namespace="shop",model="chat",source="none",kind="shed"}': "0+30x40 1200x60"}, "62m"),
        Case("nobody calls", calls(0, 0), "65m"),
    ],
    "FuseboxErrorBudgetBurns": [
        Case("one call in twenty fails for hours", calls(95, 5), "6h25m", HERE),
        Case("one in a hundred fails", calls(99, 1), "6h25m"),
        Case("it is over", {
            'fusebox_calls_total{namespace="shop",model="chat",source="primary",kind="ok"}': grows(90),
            'fusebox_calls_total{namespace="shop",model="chat",source="none",kind="shed"}': "0+10x200 2000x200"}, "5h"),
    ],
    "FuseboxModelWithoutProvider": [
        Case("the only pod's only provider is out", each("fusebox_model_providers_available", [0], 'model="chat"'), "5m",
             HERE | {"model": "chat"}),
        Case("it is out at every pod", each("fusebox_model_providers_available", [0] * 9, 'model="chat"'), "5m",
             HERE | {"model": "chat"}),
        Case("one pod has one left", each("fusebox_model_providers_available", many(0, 99, 1), 'model="chat"'), "30m"),
        Case("it was a moment", each("fusebox_model_providers_available", ["1 1 1 0 1 1 1"], 'model="chat"'), "6m"),
    ],
    "FuseboxOverheadHigh": [
        Case("one call in twenty is slow", slow(5), "30m", HERE),
        Case("one in a thousand is", slow(0.1), "30m"),
        Case("there is a call now and then",
             {name: value.replace("+100x", "+1x").replace("+95x", "+0x") for name, value in slow(5).items()}, "30m"),
    ],
    "FuseboxAnswersReduced": [
        Case("a tenth are set texts", calls(90, 10, "ok", source="static"), "25m", HERE),
        Case("a tenth are of a smaller model", calls(90, 10, "ok", source="simplified"), "25m", HERE),
        Case("one in a hundred is", calls(99, 1, "ok", source="static"), "25m"),
        Case("a tenth are from the cache, as somebody wanted", calls(90, 10, "ok", source="cache"), "25m"),
        Case("all are of the next provider", calls(0, 100, "ok", source="fallback"), "25m"),
    ],
    "FuseboxCallsShed": [
        Case("one interactive call in twenty is turned away", calls(95, 5, "shed")
             | {'fusebox_shed_total{namespace="shop",priority="interactive"}': grows(5)}, "15m", HERE),
        Case("batches are", calls(50, 50, "shed") | {'fusebox_shed_total{namespace="shop",priority="batch"}': grows(50),
                                                    'fusebox_shed_total{namespace="shop",priority="interactive"}': stays(0)}, "15m"),
    ],
    "FuseboxRunBudgetsSpent": [
        Case("a tenth are refused", calls(90, 10, "budget_exceeded"), "40m", HERE),
        Case("one run in many is stopped", calls(99, 1, "budget_exceeded"), "40m"),
        Case("it was one run, one call", {
            'fusebox_calls_total{namespace="shop",model="chat",source="primary",kind="ok"}': "0x10 1x100",
            'fusebox_calls_total{namespace="shop",model="chat",source="none",kind="budget_exceeded"}': "0x10 1x100"}, "22m"),
    ],
    "FuseboxInternalErrors": [
        Case("one is enough", {'fusebox_critical_errors_total{namespace="shop",reason="internal_error"}': "0x10 1x20"}, "14m", HERE),
        Case("it was long ago", {'fusebox_critical_errors_total{namespace="shop",reason="internal_error"}': "0x10 1x60"}, "40m"),
        Case("it is a provider's", {'fusebox_critical_errors_total{namespace="shop",reason="out_of_memory"}': grows(1)}, "14m"),
    ],
    "FuseboxProviderOut": [
        Case("at the only sidecar", each("fusebox_breaker_state", [2], STATE), "7m", VLLM),
        Case("at most, half-open at some", each("fusebox_breaker_state", many(2, 40, 1, 60) + [0] * 40, STATE), "7m", VLLM),
        Case("it is probed now and then", each("fusebox_breaker_state", ["2 2 1 2 2 1 2 2 1 2 2"], STATE), "9m", VLLM),
        Case("at a third", each("fusebox_breaker_state", many(2, 33, 0), STATE), "20m"),
        Case("it recovers within two minutes", each("fusebox_breaker_state", ["0 2 2 0 0 0 2 2 0 0 0"], STATE), "10m"),
    ],
    "FuseboxBreakerStaysOpen": [
        Case("at one of a hundred", each("fusebox_breaker_state", many(2, 1, 0), STATE), "35m", VLLM),
        Case("at all, which is another alert", each("fusebox_breaker_state", [2] * 5, STATE), "35m"),
        Case("for a while", each("fusebox_breaker_state", many("2x20 0x20", 1, 0), STATE), "35m"),
    ],
    "FuseboxBreakerFlaps": [
        Case("every ten minutes", each("fusebox_breaker_transitions_total", ["0x9 1x9 2x9 3x9 4x9 5x9 6x9 7x30"], OPENED), "70m", VLLM),
        Case("at one of many", each("fusebox_breaker_transitions_total",
                                    many("0x9 1x9 2x9 3x9 4x9 5x9 6x9 7x30", 1, 0), OPENED), "70m"),
        Case("once", each("fusebox_breaker_transitions_total", ["0x20 1x60"], OPENED), "70m"),
    ],
    "FuseboxProviderRateLimits": [
        Case("a fifth are answered so", attempts(8, "rate_limited", 2), "25m", VLLM),
        Case("one in a hundred is", attempts(99, "rate_limited", 1), "25m"),
        Case("others fail", attempts(8, "provider_error", 2), "25m"),
    ],
    "FuseboxRateLimitReached": [
        Case("half find no room", attempts(10, "provider_error", 0)
             | each("fusebox_rate_limit_refusals_total", [grows(10)], LIMIT), "30m", VLLM),
        Case("nobody does", attempts(0, "provider_error", 0)
             | each("fusebox_rate_limit_refusals_total", [grows(10)], LIMIT), "30m", VLLM),
        Case("one in twenty does not", attempts(95, "provider_error", 0)
             | each("fusebox_rate_limit_refusals_total", [grows(5)], LIMIT), "30m"),
        Case("there is room", attempts(95, "provider_error", 0)
             | each("fusebox_rate_limit_refusals_total", [stays(0)], LIMIT), "30m"),
    ],
    "FuseboxRetryBudgetSpent": [
        Case("a fifth would be tried again", attempts(0, "provider_error", 50)
             | each("fusebox_retries_refused_total", [grows(10)], 'provider="vllm"'), "25m", VLLM),
        Case("some fail, and are", attempts(90, "provider_error", 10)
             | each("fusebox_retries_refused_total", [stays(0)], 'provider="vllm"'), "25m"),
    ],
    "FuseboxProviderKeyRefused": [
        Case("at one", each("fusebox_check_healthy", many(0, 1, 1), 'check="keys"'), "3m", HERE),
        Case("another check fails", each("fusebox_check_healthy", [0], 'check="disk"'), "30m"),
        Case("none does", each("fusebox_check_healthy", [1], 'check="keys"'), "30m"),
    ],
    "FuseboxSidecarCritical": [
        Case("one of many", each("fusebox_health", many(2, 1, 0)), "7m", HERE),
        Case("it starts", each("fusebox_health", ["2 2 0x20"]), "10m"),
        Case("all are degraded", each("fusebox_health", [1] * 5), "30m"),
    ],
    "FuseboxDegraded": [
        Case("the only one", each("fusebox_degradation_level", [1]), "12m", HERE),
        Case("most are at one level or the other", each("fusebox_degradation_level", [1, 2, 2, 0]), "12m", HERE),
        Case("a third are", each("fusebox_degradation_level", [1, 0, 0]), "30m"),
        Case("it comes and goes", each("fusebox_degradation_level", ["1 1 1 1 1 0 1 1 1 1 1 0 1 1"]), "13m"),
    ],
    "FuseboxRedisLost": [
        Case("at all", redis([0] * 5), "4m", HERE),
        Case("at the only one", redis([0]), "4m", HERE),
        Case("at one of three", redis([0, 1, 1]), "30m"),
        Case("there is none", redis([0] * 5, "none"), "30m"),
        Case("it is there", redis([1] * 5), "30m"),
    ],
    "FuseboxSidecarWithoutRedis": [
        Case("one of three", redis([0, 1, 1]), "12m", HERE),
        Case("all, which is another alert", redis([0, 0]), "30m"),
        Case("there is none", redis([0, 0, 0], "none"), "30m"),
    ],
    "FuseboxConfigurationRefused": [
        Case("by one sidecar", each("fusebox_config_last_reload_successful", many(0, 1, 1)), "7m",
             {"namespace": "shop", "job": "sidecars"}),
        Case("by a control plane", replicas("fusebox_config_last_reload_successful", [0]), "7m", CONTROL),
        Case("it was mended at once", each("fusebox_config_last_reload_successful", ["1 0 0 1 1 1 1 1 1"]), "8m"),
    ],
    # The clock of these tests begins at the epoch.
    "FuseboxCertificateEndsSoon": [
        Case("in two days", each("fusebox_certificate_expiry_timestamp_seconds", [2 * DAY], CERTIFICATE), "65m",
             {"namespace": "shop", "job": "sidecars", "key": "auth.tls.cert_file"}),
        Case("in ten", each("fusebox_certificate_expiry_timestamp_seconds", [10 * DAY], CERTIFICATE), "65m"),
    ],
    "FuseboxCertificateEnds": [
        Case("in an hour", each("fusebox_certificate_expiry_timestamp_seconds", [2 * 3600, 9 * DAY], CERTIFICATE), "60m",
             {"namespace": "shop", "job": "sidecars", "key": "auth.tls.cert_file"}),
        Case("it has ended", each("fusebox_certificate_expiry_timestamp_seconds", [60], CERTIFICATE), "60m",
             {"namespace": "shop", "job": "sidecars", "key": "auth.tls.cert_file"}),
        Case("in two days", each("fusebox_certificate_expiry_timestamp_seconds", [2 * DAY], CERTIFICATE), "60m"),
    ],
    "FuseboxFleetCritical": [
        Case("every replica says so", replicas("fusebox_fleet_health", [3, 3]), "4m", CONTROL),
        Case("it is degraded", replicas("fusebox_fleet_health", [2, 2]), "30m"),
    ],
    "FuseboxFleetEmpty": [
        Case("nobody is there", replicas("fusebox_fleet_health", [0]) | replicas("fusebox_control_store_connected", [1]), "12m", CONTROL),
        Case("one replica has just started", replicas("fusebox_fleet_health", [0, 1])
             | replicas("fusebox_control_store_connected", [1, 1]), "30m"),
        Case("nothing is known", replicas("fusebox_fleet_health", [0]) | replicas("fusebox_control_store_connected", [0]), "30m"),
    ],
    "FuseboxSettingsStuck": [
        Case("at one of four", replicas("fusebox_fleet_provider_sidecars", [4], 'provider="vllm"')
             | replicas("fusebox_fleet_settings_applied", [3], 'provider="vllm"'), "7m", CONTROL | {"provider": "vllm"}),
        Case("at none", replicas("fusebox_fleet_provider_sidecars", [4], 'provider="vllm"')
             | replicas("fusebox_fleet_settings_applied", [4], 'provider="vllm"'), "30m"),
        Case("it takes a moment", replicas("fusebox_fleet_provider_sidecars", [4], 'provider="vllm"')
             | replicas("fusebox_fleet_settings_applied", ["4 4 3 4 4 4 4 4 4"], 'provider="vllm"'), "8m"),
    ],
    "FuseboxAlertsNotDelivered": [
        Case("the receiver refuses", replicas("fusebox_alert_channel_failing", [1, 1], 'channel="oncall"'), "12m",
             CONTROL | {"channel": "oncall"}),
        Case("a message was given up", replicas("fusebox_alert_channel_failing", [0], 'channel="oncall"')
             | replicas("fusebox_alert_deliveries_total", ["0x10 1x60"], 'channel="oncall",result="given_up"'), "25m",
             CONTROL | {"channel": "oncall"}),
        Case("one was tried again", replicas("fusebox_alert_channel_failing", ["0 1 1 0 0 0 0 0 0 0 0 0 0 0"], 'channel="oncall"')
             | replicas("fusebox_alert_deliveries_total", ["0x1 1x60"], 'channel="oncall",result="tried_again"'), "13m"),
    ],
    "FuseboxControlPlaneBlind": [
        Case("no replica sees", replicas("fusebox_control_store_connected", [0, 0]), "7m", CONTROL),
        Case("one does", replicas("fusebox_control_store_connected", [0, 1]), "30m"),
    ],
    "FuseboxControlPlaneWithoutLeader": [
        Case("none leads", replicas("fusebox_control_leader", [0, 0]) | replicas("fusebox_control_store_connected", [1, 1]), "4m", CONTROL),
        Case("one does", replicas("fusebox_control_leader", [0, 1]) | replicas("fusebox_control_store_connected", [1, 1]), "30m"),
        Case("they have no Redis, which is another alert",
             replicas("fusebox_control_leader", [0]) | replicas("fusebox_control_store_connected", [0]), "30m"),
    ],
    "FuseboxInjectorFails": [
        Case("a pod was let in without", replicas("fusebox_injections_total", ["0x10 1x60"], 'result="failed"'), "14m", CONTROL),
        Case("one was kept out", replicas("fusebox_injections_total", ["0x10 1x60"], 'result="denied"'), "14m", CONTROL),
        Case("it was an hour ago", replicas("fusebox_injections_total", ["0x10 1x90"], 'result="failed"'), "80m"),
        Case("pods are injected, or are not to be", replicas("fusebox_injections_total", [grows(3)], 'result="injected"')
             | replicas("fusebox_injections_total", [grows(3)], 'result="skipped"'), "30m"),
    ],
    "FuseboxControlPlaneGone": [
        Case("it was there", replicas("fusebox_control_store_connected", ["1x10 stale"]), "20m", CONTROL),
        Case("there never was one", {}, "60m"),
        Case("one of two goes", replicas("fusebox_control_store_connected", ["1x10 stale", "1x60"]), "30m"),
    ],
}
