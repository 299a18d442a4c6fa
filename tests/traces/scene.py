"""The call that the picture in the documentation shows: an application asks a sidecar; its pod's own vLLM is overloaded, is
asked again after a wait, and fails again; the next provider, which is a pod with a sidecar of its own, answers."""

OVERLOADED = {"status": 503, "after_ms": 60, "body": {"error": {"message": "overloaded", "type": "overloaded_error"}}}


def start(provider, sidecar, endpoint):
    """The sidecar in front, with all that stands behind it."""
    def telling(pod):
        resource = f"k8s.namespace.name=shop,k8s.pod.name={pod}"
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_RESOURCE_ATTRIBUTES": resource}

    overloaded, well = provider(OVERLOADED), provider({"tokens": 12, "after_ms": 40, "every_ms": 20})
    served = {"provider": "vllm", "model": "llama-3.1-8b"}
    behind = sidecar(("vllm", {"base_url": well.base_url}), env=telling("inference-2"),
                     models=[{"name": "chat", "providers": [served]}])
    retry = {"max_retries": 1, "base_delay": "120ms", "jitter": False}
    return sidecar(
        ("vllm", {"base_url": overloaded.base_url, "retry": retry}),
        ("other-pod", {"base_url": behind.base_url}),
        env=telling("inference-1"),
        models=[{"name": "chat", "providers": [served, {"provider": "other-pod", "model": "chat"}]}],
    )
