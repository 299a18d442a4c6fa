"""What Helm makes of the chart: right by Kubernetes' own schemas, of one mind with itself, and asking for no right."""

import base64
import functools
import ipaddress
import re

import helm_python as helm
import jsonschema
import kubernetes_validate
import pytest
import yaml

from release import CHART, VALUES, VERSIONS, Release, containers_of, read, data_of
from schemas import SPECS, schema_of

# The definitions of a version are read once, not with every object.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)
SETS = {"minimal": {}, **{path.stem: read(path) for path in sorted(VALUES.glob("*.yaml"))}}


@functools.cache
def rendered(name):
    return Release(SETS[name])


@pytest.fixture(params=SETS)
def release(request):
    return rendered(request.param)


def check(one, version):
    """Holds an object to its schema: Kubernetes' own, or ours where the kind is another's."""
    if (one["apiVersion"], one["kind"]) in SPECS:
        jsonschema.Draft202012Validator(schema_of(one)).validate(one)
        if one["kind"] == "InferenceService":
            # But for what says how many there are, a predictor is a pod.
            spec = {key: value for key, value in one["spec"]["predictor"].items() if key != "minReplicas"}
            one = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "predictor"}, "spec": spec}
        else:
            return
    kubernetes_validate.validate(one, version, strict=True)


def test_helm_finds_nothing_to_say_against_the_chart():
    for values in SETS.values():
        report = helm.lint(CHART, values, strict=True, namespace="fusebox", kube_version="v1.29.0")
        assert report["errors"] == []
        assert [one["error"] for one in report["messages"]] in ([], ["icon is recommended"])


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_right_by_its_schema(release, version):
    for one in release.objects:
        check(one, version)


def test_a_schema_sees_a_slip():
    for name, break_it in [
        ("Deployment", lambda one: one["spec"]["template"]["spec"]["containers"][0].update(imagePolicy="Always")),
        ("PodMonitor", lambda one: one["spec"]["podMetricsEndpoints"][0].update(prot="admin")),
    ]:
        one = yaml.safe_load(yaml.safe_dump(rendered("production").all(name)[0]))
        break_it(one)
        with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
            check(one, VERSIONS[-1])


def test_no_two_objects_have_one_name(release):
    names = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in release.objects]
    assert len(names) == len(set(names))


def test_pods_have_the_labels_by_which_they_are_selected(release):
    pods = [(name, metadata.get("labels", {})) for name, metadata, _ in release.pods()]

    def chosen(labels):
        return [name for name, has in pods if labels.items() <= has.items()]

    for one in release.objects:
        kind, spec = one["kind"], one.get("spec", {})
        if kind in ("Deployment", "StatefulSet"):
            assert chosen(spec["selector"]["matchLabels"]) == [f"{kind} {one['metadata']['name']}"]
        elif kind == "Service":
            assert len(chosen(spec["selector"])) == 1
        elif kind == "PodDisruptionBudget":
            assert len(chosen(spec["selector"]["matchLabels"])) == 1
        elif kind == "NetworkPolicy":
            assert len(chosen(spec["podSelector"]["matchLabels"])) == 1
        elif kind == "ServiceMonitor":
            services = [s for s in release.all("Service")
                        if spec["selector"]["matchLabels"].items() <= s["metadata"]["labels"].items()]
            ports = {port["name"] for service in services for port in service["spec"]["ports"]}
            assert len(services) == 1 and {endpoint["port"] for endpoint in spec["endpoints"]} <= ports


def ports_of(containers):
    return {port["name"]: port["containerPort"] for container in containers for port in container.get("ports", [])}


def test_every_port_that_is_named_is_there(release):
    pods = {name: (metadata, spec) for name, metadata, spec in release.pods()}
    for _, spec in [*pods.values(), *(pod[1:] for pod in injected(release))]:
        for container in containers_of(spec):
            ports = ports_of([container])
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                if "httpGet" in container.get(probe, {}):
                    assert container[probe]["httpGet"]["port"] in ports
    for one in release.objects:
        if one["kind"] == "Service":
            [spec] = [spec for metadata, spec in pods.values()
                      if one["spec"]["selector"].items() <= metadata.get("labels", {}).items()]
            assert {port["targetPort"] for port in one["spec"]["ports"]} <= ports_of(containers_of(spec)).keys()
        elif one["kind"] == "NetworkPolicy":
            [spec] = [spec for metadata, spec in pods.values()
                      if one["spec"]["podSelector"]["matchLabels"].items() <= metadata.get("labels", {}).items()]
            named = {port["port"] for rule in one["spec"]["ingress"] for port in rule["ports"]}
            assert named <= ports_of(containers_of(spec)).keys()
        elif one["kind"] in ("Ingress", "HTTPRoute", "GRPCRoute"):
            backends = re.findall(r"'name': '([^']+)', 'port': (?:\{'number': )?(\d+)", str(one["spec"]))
            assert backends
            for name, port in backends:
                assert int(port) in [p["port"] for p in release.get("Service", name)["spec"]["ports"]]
        elif one["kind"] == "MutatingWebhookConfiguration":
            for webhook in one["webhooks"]:
                service = webhook["clientConfig"]["service"]
                found = release.get("Service", service["name"])
                assert service["port"] in [port["port"] for port in found["spec"]["ports"]]
                assert service["namespace"] == found["metadata"]["namespace"]


def test_what_listens_is_the_port_that_is_said(release):
    """The variables that say where to listen, against the ports that probes and Services name."""
    for _, _, spec in release.pods() + injected(release):
        for container in containers_of(spec):
            ports = ports_of([container])
            for variable in container.get("env", []):
                name = variable["name"]
                door = {"FUSEBOX_INJECTOR__LISTEN": "injector"}.get(name, name.removeprefix("FUSEBOX_LISTEN__").lower())
                if door in ports:
                    host, _, port = variable["value"].rpartition(":")
                    assert int(port) == ports[door]
                    ipaddress.ip_address(host.strip("[]"))


def injected(release):
    """What the injector would put into pods, as a pod."""
    found = [one for one in release.all("ConfigMap") if "template.yaml" in one["data"]]
    templates = [yaml.safe_load(one["data"]["template.yaml"]) for one in found]
    volume = {"name": "fusebox-config", "downwardAPI": {"items": [{"path": "config.yaml", "fieldRef": {
        "apiVersion": "v1", "fieldPath": "metadata.annotations['fusebox.dev/config']"}}]}}
    return [("injected", {"labels": template["labels"], "annotations": {"fusebox.dev/config": template["config"]}},
             {"initContainers": [template["container"]], "volumes": [*template["volumes"], volume],
              "containers": [{"name": "app", "image": "app", "env": template["app_env"]}]})
            for template in templates]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_injected_is_right_by_the_schema(release, version):
    for _, metadata, spec in injected(release):
        kubernetes_validate.validate(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod", **metadata}, "spec": spec}, version, strict=True)
        assert spec["initContainers"][0]["restartPolicy"] == "Always"


def test_all_pods_are_restricted_as_pod_security_has_it(release):
    for name, _, spec in release.pods() + injected(release):
        pod = spec.get("securityContext", {})
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}
        for volume in spec.get("volumes", []):
            assert volume.keys() & {"configMap", "secret", "projected", "emptyDir", "downwardAPI", "persistentVolumeClaim"}
        for container in containers_of(spec):
            if name == "injected" and container["name"] != "fusebox":
                continue
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, name
            assert own["capabilities"] == {"drop": ["ALL"]}, name
            assert own["readOnlyRootFilesystem"] is True, name
            assert (own.get("runAsNonRoot") or pod.get("runAsNonRoot")) is True, name
            assert (own.get("seccompProfile") or pod.get("seccompProfile")) == {"type": "RuntimeDefault"}, name
            assert own.get("runAsUser", pod.get("runAsUser", 1)) != 0, name
            assert "privileged" not in own, name


def test_nobody_is_given_a_right_or_a_token_of_kubernetes(release):
    assert not [one for one in release.objects if "rbac.authorization.k8s.io" in one["apiVersion"]]
    assert all(one["automountServiceAccountToken"] is False for one in release.all("ServiceAccount"))
    assert all(spec["automountServiceAccountToken"] is False for _, _, spec in release.pods())


def test_all_containers_say_what_they_need(release):
    for name, _, spec in release.pods() + injected(release):
        for container in containers_of(spec):
            if container["name"] == "app":
                continue
            resources = container["resources"]
            assert resources["requests"]["memory"] and resources["limits"]["memory"], name
            assert "cpu" not in resources["limits"], "being throttled costs latency"


def test_no_secret_stands_where_it_can_be_read(release):
    secrets = [value for one in release.all("Secret") for key, value in data_of(one).items()
               if key in ("password", "token", "secret", "tls.key", "redis-url")]
    assert secrets or not rendered("minimal") is release
    readable = yaml.safe_dump_all([one for one in release.objects if one["kind"] != "Secret"]) + release.notes
    for secret in secrets:
        assert secret.strip() not in readable
        # Neither a line of a key nor the password in an address.
        assert not any(line in readable for line in secret.splitlines()[1:-1])
    for one in release.all("ConfigMap"):
        assert not re.search(r"rediss?://[^ ]*@", str(one["data"]))


def test_secrets_that_the_chart_makes_agree_with_each_other():
    release = rendered("minimal")
    redis = data_of(release.get("Secret", "fusebox-redis"))
    url = data_of(release.get("Secret", "fusebox-fleet"))["redis-url"]
    assert url == f"redis://fusebox:{redis['password']}@fusebox-redis.fusebox.svc:6379"
    tokens = data_of(release.get("Secret", "fusebox-tokens"))
    assert tokens["tokens"] == f"operator admin {tokens['token']}\n"


def test_other_namespaces_get_the_same_secret():
    release = rendered("everything")
    found = [one for one in release.all("Secret") if one["metadata"]["name"] == "resilience-fleet"]
    assert [one["metadata"]["namespace"] for one in found] == ["fusebox", "chat", "search"]
    assert len({str(one["stringData"]) for one in found}) == 1 and found[0]["stringData"].keys() == {"redis-url", "secret"}


def test_dashboards_and_rules_are_the_files_that_are_there():
    """Whatever lies in these folders becomes an object, and nothing else does."""
    release = rendered("production")
    rules = {path.stem: read(path) for path in (CHART / "rules").glob("*.yaml")}
    found = {one["metadata"]["name"].removeprefix("fusebox-"): one["spec"] for one in release.all("PrometheusRule")}
    assert found == {name: {"groups": rule["groups"]} for name, rule in rules.items()}
    dashboards = {path.name: path.read_text().strip() for path in (CHART / "dashboards").glob("*.json")}
    found = [one for one in release.all("ConfigMap") if "-dashboard-" in one["metadata"]["name"]]
    assert {name: text.strip() for one in found for name, text in one["data"].items()} == dashboards
    for one in found:
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert len(str(one)) < 1_000_000, "a ConfigMap holds a mebibyte at most"


def test_the_notes_say_what_to_do_next():
    notes = rendered("minimal").notes
    for command in ["helm test fusebox -n fusebox", "port-forward svc/fusebox-control-plane 8081:8081",
                    "get secret fusebox-tokens", "kubectl label namespace NAMESPACE fusebox.dev/injection=enabled",
                    "sidecar.namespaces={NAMESPACE}"]:
        assert command in notes
    assert "your Secret operators" in rendered("production").notes
    assert "in the clear" in Release({"controlPlane": {"service": {"type": "LoadBalancer"}}}).notes


def test_a_pod_has_longer_to_end_than_its_sidecar():
    """1m30s of its own, 3 s before that, and 15 s to spare."""
    release = rendered("everything")
    assert yaml.safe_load(release.get("ConfigMap", "resilience-injector")["data"]["template.yaml"])["grace"] == "1m30s"
    [spec] = [spec for name, _, spec in rendered("production").pods() if name == "Deployment fusebox-control-plane"]
    assert spec["terminationGracePeriodSeconds"] == 20 + 5 + 15


def test_the_webhook_leaves_alone_what_it_must_not_hold_up():
    for name in ("minimal", "production", "everything"):
        release = rendered(name)
        [one] = release.all("MutatingWebhookConfiguration")
        for webhook in one["webhooks"]:
            [excluded] = [rule["values"] for rule in webhook["namespaceSelector"]["matchExpressions"]
                          if rule["key"] == "kubernetes.io/metadata.name"]
            assert {"kube-system", "fusebox"} <= set(excluded)
            assert webhook["timeoutSeconds"] <= 10 and webhook["sideEffects"] == "None"
            assert webhook["failurePolicy"] == ("Fail" if name == "production" else "Ignore")


def test_the_certificate_of_the_webhook_is_good_for_its_service():
    release = rendered("minimal")
    data = data_of(release.get("Secret", "fusebox-injector-tls"))
    authority = data_of(release.get("Secret", "fusebox-injector-ca"))
    [one] = release.all("MutatingWebhookConfiguration")
    for webhook in one["webhooks"]:
        assert base64.b64decode(webhook["clientConfig"]["caBundle"]).decode() == authority["tls.crt"]
    assert data["tls.crt"] != authority["tls.crt"]
    mounted = [source["secret"]["name"] for _, _, spec in release.pods() for volume in spec.get("volumes", [])
               for source in volume.get("projected", {}).get("sources", []) if "secret" in source]
    assert "fusebox-injector-tls" in mounted and "fusebox-injector-ca" not in mounted


def test_injected_pods_are_let_in_to_redis_and_are_scraped():
    for name, prefix in (("minimal", "fusebox"), ("everything", "resilience")):
        release = rendered(name)
        [(_, metadata, spec)] = injected(release)
        rules = release.get("NetworkPolicy", f"{prefix}-redis")["spec"]["ingress"][0]["from"]
        assert any(rule.get("namespaceSelector") == {} and
                   rule["podSelector"]["matchLabels"].items() <= metadata["labels"].items() for rule in rules)
        for monitor in release.all("PodMonitor"):
            assert monitor["spec"]["selector"]["matchLabels"].items() <= metadata["labels"].items()
            assert monitor["spec"]["podMetricsEndpoints"][0]["port"] in ports_of(spec["initContainers"])
    assert rendered("everything").all("PodMonitor")
