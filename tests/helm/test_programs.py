"""Pods of the chart started for real: their commands, arguments, variables, configuration and probes as rendered, called as
applications and operators call them."""

import json
import re
import subprocess
import threading

import pytest

from pods import LIMIT, free_port, run
from release import EXAMPLES, ROOT, Release, data_of, read
from test_rendered import SETS, injected, rendered

VLLM = EXAMPLES / "vllm" / "values.yaml"
MESSAGES = [{"role": "user", "content": "hello"}]


def the_pod(release, name):
    """The pod that `name` makes."""
    [(_, metadata, spec)] = [pod for pod in release.pods() if pod[0] == name]
    return metadata, spec


def ask(container, **more):
    """One chat call to a sidecar's OpenAI surface: the status, the answer, and who gave it."""
    body = json.dumps({"model": "chat", "messages": MESSAGES, **more})
    status, text = container.get("http", "/v1/chat/completions", method="POST", body=body, content_type="application/json")
    return status, json.loads(text)


def said_by(answer):
    return answer["choices"][0]["message"]["content"]


@pytest.fixture
def redis(pod):
    """Starts a release's Redis, which then knows its port, and where others find its host."""

    def start(release, name="fusebox-redis"):
        metadata, spec = the_pod(release, f"StatefulSet {name}")
        port = free_port()
        spec["containers"][0]["args"] += ["--port", str(port)]
        # What a claim would be.
        spec["volumes"] = [*(one for one in spec["volumes"] if one["name"] != "data"), {"name": "data", "emptyDir": {}}]
        running = pod(metadata, spec, release.objects, hosts={"-p 6379": f"-p {port}"})
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            running.containers["redis"].wait_for(probe)
        running.port, running.hosts_of_it = port, {f"{name}.{release.namespace}.svc:6379": f"127.0.0.1:{port}"}
        return running

    return start


def cli(port, *words, password=None, user=None):
    """What Redis says to a command; with a password, of the programs' user."""
    user = user or ("fusebox" if password else None)
    login = ["--user", user, "--pass", password or "any", "--no-auth-warning"] if user else []
    done = subprocess.run(["redis-cli", "-p", str(port), *login, *words], capture_output=True, text=True, timeout=LIMIT)
    return done.stdout.strip()


@pytest.mark.parametrize("name", [name for name, values in SETS.items() if values.get("check", {}).get("enabled", True)])
def test_both_programs_accept_what_the_chart_would_give_them(name, pod):
    """The Job before an installation, with placeholders for what is secret."""
    release = rendered(name)
    [job] = [one for one, _, _ in release.pods() if one.startswith("Job ")]
    metadata, spec = the_pod(release, job)
    for container in spec["containers"]:
        container["image"] = f"fusebox-{container['name']}"
    running = pod(metadata, spec, release.objects)
    for one in running.containers.values():
        assert one.process.wait(LIMIT) == 0, one.log
        assert "the configuration is good" in one.log
    assert running.containers.keys() == {"sidecar", "control-plane"}


def test_the_job_says_what_is_wrong_and_fails(pod):
    values = {"sidecar": {"config": {"providers": [{"name": "a", "base_url": "http://a/v1", "timeouts": {"total": "soon"}}]}},
              "controlPlane": {"config": {"audit": {"keep": 1}}}}
    release = Release(values)
    running = pod(*the_pod(release, "Job fusebox-check"), release.objects)
    for name, fault in [("sidecar", "providers[0].timeouts.total: "), ("control-plane", "audit.keep: 1 is less than 100")]:
        one = running.containers[name]
        assert one.process.wait(LIMIT) == 2
        assert fault in one.log


def test_a_vllm_pod_with_the_sidecar_answers_falls_back_and_drains(pod, redis, provider):
    """The example's values: its sidecar beside a vLLM that works, then not; in one fleet with the control plane."""
    release = Release(read(VLLM))
    hosts = redis(release).hosts_of_it
    plane = pod(*the_pod(release, "Deployment fusebox-control-plane"), release.objects, hosts=hosts)
    vllm, others = provider({"text": ["from vLLM"]}), provider({"status": 503, "body": {}})
    hosted = provider({"text": ["from afar"]})
    at = {"127.0.0.1:8000": vllm.root.removeprefix("http://"), "vllm.chat.svc:8000": others.root.removeprefix("http://"),
          "https://api.anthropic.com/v1": hosted.root}
    [(_, metadata, spec)] = injected(release)
    keys = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "provider-keys", "namespace": "chat"},
            "stringData": {"anthropic": "sk-1"}}
    sidecars = pod(metadata, spec, [*release.objects, keys], namespace="chat", hosts=hosts | at)
    sidecar = sidecars.containers["fusebox"]
    for one in (sidecar, plane.containers["control-plane"]):
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            one.wait_for(probe)

    status, answer = ask(sidecar)
    assert (status, said_by(answer), answer["model"]) == (200, "from vLLM", "meta-llama/Llama-3.1-8B-Instruct")
    vllm.play({"status": 500, "body": {}})
    status, answer = ask(sidecar)
    assert (status, said_by(answer)) == (200, "from afar")
    assert hosted.seen()[0]["headers"]["x-api-key"] == "sk-1"

    # One fleet, by the Secret that was copied to the namespace; and the users' file lets both do all that they do.
    sidecar.until(lambda: "fusebox_fleet_connected 1" in sidecar.get("admin", "/metrics")[1], "it is connected")
    test = pod(*the_pod(release, "Pod fusebox-test-status"), release.objects, hosts={
        "fusebox-control-plane.fusebox.svc:50052": plane.containers["control-plane"].address("grpc")})
    plane.containers["control-plane"].until(lambda: "1 sidecar" in shown(plane, release), "the control plane shows it")
    assert test.containers["status"].process.wait(LIMIT) == 0, test.containers["status"].log
    for unit in (plane, sidecars):
        assert not re.search("NOPERM|NOAUTH", "".join(one.log for one in unit.containers.values()))

    # What is asked before the end is answered: the sidecar is told to stop only when the pod's others have ended.
    vllm.play({"text": ["to ", "the ", "end"], "every_ms": 300})
    got = []
    caller = threading.Thread(target=lambda: got.append(ask(sidecar)))
    before = len(vllm.seen())
    caller.start()
    sidecar.until(lambda: len(vllm.seen()) > before, "the call is under way")
    assert sidecars.stop() == {"fusebox": 0}
    caller.join(LIMIT)
    assert [(status, said_by(answer)) for status, answer in got] == [(200, "to the end")]
    assert plane.stop() == {"control-plane": 0}


def shown(plane, release):
    """What `fusebox status` says of the release's fleet."""
    token = data_of(release.get("Secret", "fusebox-tokens"))["token"]
    address = f"http://{plane.containers['control-plane'].address('grpc')}"
    return run(["fusebox", "status"], {"FUSEBOX_ADDRESS": address, "FUSEBOX_TOKEN": token})[1]


def test_the_control_plane_asks_for_the_token_that_the_chart_made(pod, redis):
    release = Release()
    hosts = redis(release).hosts_of_it
    plane = pod(*the_pod(release, "Deployment fusebox-control-plane"), release.objects, hosts=hosts).containers["control-plane"]
    plane.wait_for("readinessProbe")
    token = data_of(release.get("Secret", "fusebox-tokens"))["token"]
    assert plane.get("http", "/api/v1/fleet")[0] == 401
    assert plane.get("http", "/api/v1/fleet", authorization=f"Bearer {token}")[0] == 200
    assert plane.get("http", "/metrics")[0] == 200


def test_a_changed_token_is_taken_without_a_restart(pod, redis):
    release = Release()
    hosts = redis(release).hosts_of_it
    unit = pod(*the_pod(release, "Deployment fusebox-control-plane"), release.objects, hosts=hosts)
    plane = unit.containers["control-plane"]
    plane.wait_for("readinessProbe")
    secret = release.get("Secret", "fusebox-tokens")
    old, new = (f"Bearer {token}" for token in (secret["stringData"]["token"], "0123456789abcdef"))
    secret["stringData"]["tokens"] = "viewer eve 0123456789abcdef\n"
    unit.change(secret)
    plane.until(lambda: plane.get("http", "/api/v1/fleet", authorization=old)[0] == 401, "the old one is out")
    assert plane.get("http", "/api/v1/fleet", authorization=new)[0] == 200


@pytest.fixture(scope="module")
def pair():
    """A certificate of the chart's own making stands for one that somebody brought."""
    made = rendered("minimal")
    authority = data_of(made.get("Secret", "fusebox-injector-ca"))["tls.crt"]
    return data_of(made.get("Secret", "fusebox-injector-tls")) | {"ca.crt": authority}


def test_the_control_plane_serves_tls_and_helms_test_trusts_it(pod, redis, pair):
    release = Release(SETS["everything"] | {"injector": {"enabled": False}})
    secrets = [{"kind": "Secret", "metadata": {"name": name}, "stringData": data} for name, data in
               [("plane-tls", pair), ("hook", {"secret": "0123456789abcdef", "ca.crt": pair["ca.crt"], "mail": "m"})]]
    hosts = redis(release, "resilience-redis").hosts_of_it
    metadata, spec = the_pod(release, "Deployment resilience-control-plane")
    spec["containers"][0]["image"] = "fusebox-control-plane"
    spec["containers"][0]["env"].append({"name": "HOOK", "value": "https://hook.example.com/"})
    plane = pod(metadata, spec, release.objects + secrets, hosts=hosts).containers["control-plane"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        plane.wait_for(probe)
    metadata, spec = the_pod(release, "Pod resilience-test-status")
    # The certificate is the webhook's, and the Service is here by another name.
    spec["containers"][0]["env"].append({"name": "FUSEBOX_SERVER_NAME", "value": "fusebox-injector.fusebox.svc"})
    test = pod(metadata, spec, release.objects + secrets,
               hosts={"resilience-control-plane.fusebox.svc:81": plane.address("grpc")}).containers["status"]
    assert test.process.wait(LIMIT) == 0, test.log


def test_probes_pass_by_a_sidecar_that_asks_its_callers_for_certificates(pod, pair):
    release = rendered("everything")
    [(_, metadata, spec)] = injected(release)
    spec["initContainers"][0]["image"] = "fusebox-sidecar"
    secrets = [{"kind": "Secret", "metadata": {"name": "sidecar-tls"}, "stringData": pair},
               {"kind": "Secret", "metadata": {"name": "key"}, "stringData": {"key": "sk-1"}}]
    config = metadata["annotations"]["fusebox.dev/config"].replace("/run/secrets/key", "/run/fusebox/fleet/secret")
    metadata = metadata | {"annotations": {"fusebox.dev/config": config}}
    sidecar = pod(metadata, spec, release.objects + secrets).containers["fusebox"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        sidecar.wait_for(probe)
    with pytest.raises(OSError, match="(?i)certificate"):
        sidecar.get("http", "/v1/models", "HTTPS")


def test_a_chart_of_ones_own_has_a_sidecar_that_reads_a_changed_configuration(pod, provider, own_chart):
    """Without the fleet's Secret in its namespace, it runs alone."""
    vllm, hosted = provider({"status": 500, "body": {}}), provider({"text": ["from afar"]})
    metadata, spec = the_pod(own_chart, "Deployment chat")
    keys = {"kind": "Secret", "metadata": {"name": "provider-keys"}, "stringData": {"anthropic": "sk-1"}}
    unit = pod(metadata, spec, [*own_chart.objects, keys], namespace="chat", hosts={
        "127.0.0.1:8000": vllm.root.removeprefix("http://"), "https://api.anthropic.com/v1": hosted.root})
    sidecar = unit.containers["fusebox"]
    sidecar.wait_for("readinessProbe")
    assert said_by(ask(sidecar)[1]) == "from afar"

    [name] = [volume["configMap"]["name"] for volume in spec["volumes"] if volume["name"] == "fusebox-config"]
    one = own_chart.get("ConfigMap", name)
    good = one["data"]["config.yaml"]
    one["data"]["config.yaml"] = good.replace("name: chat", "name: talk")
    unit.change(one)
    models = lambda: [model["id"] for model in json.loads(sidecar.get("http", "/v1/models")[1])["data"]]
    sidecar.until(lambda: models() == ["talk"], "it has read it")
    one["data"]["config.yaml"] = good.replace("base_url", "bse_url")
    unit.change(one)
    sidecar.until(lambda: "bse_url" in sidecar.log, "it has said what is wrong")
    assert models() == ["talk"], "the last good one stays"
    assert unit.stop() == {"fusebox": 0}


def test_what_is_in_redis_outlives_its_pod_and_is_for_who_shows_the_password(redis):
    release = Release()
    password = data_of(release.get("Secret", "fusebox-redis"))["password"]
    server = redis(release)
    assert cli(server.port, "set", "fb1:x", "kept", password=password) == "OK"
    for words in (["set", "other", "1"], ["config", "get", "dir"], ["flushall"], ["acl", "list"], ["keys", "*"]):
        assert cli(server.port, *words, password=password).startswith("NOPERM")
    assert cli(server.port, "get", "fb1:x").startswith("NOPERM")
    assert cli(server.port, "get", "fb1:x", password="wrong").startswith(("WRONGPASS", "AUTH failed", "NOPERM"))
    assert server.stop() == {"redis": 0}
    server.start()
    kept = lambda: cli(server.port, "get", "fb1:x", password=password) == "kept"
    server.containers["redis"].until(kept, "it has read its file")


def test_the_users_file_allows_every_command_of_the_scripts(redis):
    """Also of those that nothing here calls: Redis itself says what it would allow."""
    release = Release()
    users = release.get("Secret", "fusebox-redis")
    users["stringData"]["users.acl"] += "user default on nopass ~* &* +@all\n".replace("default", "admin")
    port = redis(release).port
    scripts = "".join(path.read_text() for path in sorted((ROOT / "proto" / "scripts").glob("*.lua")))
    commands = sorted(set(re.findall(r"\bcall\('([A-Z]+)'", scripts)))
    assert {"HSET", "XADD", "TIME", "ZPOPMIN"} <= set(commands)
    for command in commands:
        least = abs(int(cli(port, "command", "info", command, user="admin").splitlines()[1]))
        said = cli(port, "acl", "dryrun", "fusebox", command, *["fb1:x"] * (least - 1), user="admin")
        assert said == "OK", f"{command}: {said}"
    assert cli(port, "acl", "dryrun", "fusebox", "get", "other", user="admin") != "OK"
    assert cli(port, "acl", "dryrun", "fusebox", "flushall", user="admin") != "OK"
