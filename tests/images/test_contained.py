"""The images' programs, alone in their roots: all they need is there, and what stops them stops them."""

import http.client
import json
import os
import pathlib
import urllib.error
import urllib.request

import pytest

import enter
from contained import LIMIT
from image import IMAGES
from names import Names
from secured import Authority, SecuredProvider

ANYWHERE = {"grpc": "127.0.0.1:0", "http": "127.0.0.1:0"}
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
HOSTS = "127.0.0.1 localhost\n"


def ask(url, body=None):
    """The status and the body of an answer, whatever its status."""
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers)
    try:
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def call(sidecar, **more):
    return ask(f"http://{sidecar.addresses()['http']}/v1/chat/completions",
               {"messages": [{"role": "user", "content": "hello"}], **more})


@pytest.fixture
def sidecar(contained):
    """A sidecar in its image in front of one provider."""

    def start(base_url, hosts=HOSTS, files=None, env=None):
        config = {
            "listen": ANYWHERE | {"admin": "127.0.0.1:0"},
            "providers": [{"name": "a", "base_url": base_url, "retry": {"max_retries": 0}}],
            "models": [{"name": "chat", "providers": [{"provider": "a", "model": "served"}]}],
            "cache": {"mode": "off"}, "health": {"model": "off"},
        }
        files = {"/etc/fusebox/config.yaml": json.dumps(config), "/etc/hosts": hosts} | (files or {})
        return contained("sidecar", "--config", "/etc/fusebox/config.yaml", files=files, env=env)

    return start


@pytest.fixture
def authority(tmp_path):
    folder = tmp_path / "authority"
    folder.mkdir()
    return Authority(folder)


@pytest.fixture
def secured(authority):
    """A provider behind TLS, by a name that its certificate has."""
    provider = SecuredProvider(*authority.sign("provider.test"))
    yield provider
    provider.close()


def test_a_call_is_answered_from_an_image_with_nothing_else_in_it(sidecar, provider):
    scripted = provider({"text": ["It is ", "sunny."]})
    running = sidecar(scripted.base_url.replace("127.0.0.1", "localhost"))
    status, body = call(running)
    assert (status, json.loads(body)["choices"][0]["message"]["content"]) == (200, "It is sunny.")
    status, body = call(running, stream=True)
    assert status == 200 and body.rstrip().endswith("data: [DONE]")
    assert ask(f"http://{running.addresses()['admin']}/readyz")[0] == 200


def start_bare(contained, image):
    """A program of an image with no configuration, at ports that are free."""
    doors = ["grpc", "http", "admin"] if image == "sidecar" else ["grpc", "http"]
    return contained(image, *(f"--listen-{door}=127.0.0.1:0" for door in doors))


@pytest.mark.parametrize("image", IMAGES)
def test_it_runs_as_nobody_as_process_1_and_can_do_nothing_else(contained, images, image):
    running = start_bare(contained, image)
    running.addresses()
    status = running.status()
    assert status["NSpid"][-1] == "1"
    # In a namespace of its own the user is seen from outside as who made that.
    user = images[image].user
    user = str(user) if enter.may_become(user) else str(os.geteuid())
    assert status["Uid"] == [user] * 4
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[capabilities][0], 16) == 0, capabilities
    assert status["NoNewPrivs"] == ["1"]
    mounts = pathlib.Path(f"/proc/{running.pid}/mountinfo").read_text().splitlines()
    root, = (line.split() for line in mounts if line.split()[4] == "/")
    assert "ro" in root[5].split(","), root


@pytest.mark.parametrize("image", IMAGES)
def test_process_1_has_no_children_whose_ends_it_would_have_to_wait_for(contained, image, provider):
    running = start_bare(contained, image)
    running.addresses()
    children = list(pathlib.Path(f"/proc/{running.pid}/task").glob("*/children"))
    assert children, "the kernel says who has which"
    assert "".join(child.read_text() for child in children) == ""


@pytest.mark.parametrize("image", IMAGES)
def test_there_is_no_shell_to_start(contained, image):
    running = contained(image, "-c", "true", program="/bin/sh")
    assert running.ended() == enter.NOT_ALLOWED + 1
    assert "No such file or directory" in "".join(running.said)


@pytest.fixture
def names():
    """Starts servers of names, and ends them with the test."""
    started = []

    def start(name):
        try:
            started.append(Names(name))
        except PermissionError:
            pytest.fail("resolvers ask at port 53, where only root may listen: run this as root")
        return started[-1]

    yield start
    for one in started:
        one.close()


def named(provider):
    """The provider's address by a name instead."""
    return provider.base_url.replace("127.0.0.1", "provider.test")


def test_a_provider_is_found_by_etc_hosts_and_dns_is_not_asked(sidecar, provider, names):
    scripted, server = provider({"text": ["here"]}), names("other.test")
    running = sidecar(named(scripted), hosts=HOSTS + "127.0.0.1 provider.test\n",
                      files={"/etc/resolv.conf": f"nameserver {server.address}\n"})
    assert call(running)[0] == 200
    assert server.asked == []


def test_a_provider_is_found_by_dns(sidecar, provider, names):
    scripted, server = provider({"text": ["here"]}), names("provider.test")
    running = sidecar(named(scripted), files={"/etc/resolv.conf": f"nameserver {server.address}\n"})
    assert call(running)[0] == 200
    assert "provider.test" in server.asked


@pytest.mark.parametrize("place, env", [(CERTIFICATES, {}), ("/etc/own.pem", {"SSL_CERT_FILE": "/etc/own.pem"})])
def test_tls_is_spoken_with_whom_an_authority_vouches_for_that_is_mounted(sidecar, secured, authority, place, env):
    running = sidecar(f"https://provider.test:{secured.port}/v1", hosts=HOSTS + "127.0.0.1 provider.test\n",
                      files={place: authority.certificate.read_bytes()}, env=env)
    status, body = call(running)
    assert (status, json.loads(body)["choices"][0]["message"]["content"]) == (200, "over TLS")


def test_tls_is_not_spoken_with_anybody_else(sidecar, secured):
    running = sidecar(f"https://provider.test:{secured.port}/v1", hosts=HOSTS + "127.0.0.1 provider.test\n")
    status, body = call(running)
    assert (status, json.loads(body)["error"]["type"]) == (503, "network_error")


def test_told_to_end_the_sidecar_finishes_the_call_that_it_has_and_takes_no_other(sidecar, provider):
    scripted = provider({"tokens": 10, "every_ms": 100})
    running = sidecar(scripted.base_url)
    addresses = running.addresses()
    connection = http.client.HTTPConnection(addresses["http"], timeout=LIMIT)
    connection.request("POST", "/v1/chat/completions",
                       json.dumps({"stream": True, "messages": [{"role": "user", "content": "hello"}]}))
    answer = connection.getresponse()
    first = answer.readline()
    running.terminate()
    # Its health is told for as long as it drains; then nobody is there.
    while ready(addresses["admin"]):
        assert running.process.poll() is None, "it ended, and was never seen not to be ready"
    rest = answer.read().decode()
    assert first.startswith(b"data: ") and rest.rstrip().endswith("data: [DONE]"), rest
    connection.close()
    assert running.ended() == 0


def ready(admin):
    """Whether it wants to be sent calls."""
    return ask(f"http://{admin}/readyz")[0] == 200


def test_the_control_plane_answers_and_the_command_beside_it_asks_it(contained):
    running = start_bare(contained, "control-plane")
    addresses = running.addresses()
    assert ask(f"http://{addresses['http']}/livez")[0] == 200
    status, page = ask(f"http://{addresses['http']}/")
    assert status == 200 and "<title>" in page
    command = contained("control-plane", "--address", addresses["grpc"], "status", "--json", program="/usr/bin/fusebox")
    assert command.ended() == 0, command.said
    assert json.loads("".join(command.printed))["name"] == "default"


def test_told_to_end_the_control_plane_ends(contained):
    running = start_bare(contained, "control-plane")
    running.addresses()
    running.terminate()
    assert running.ended() == 0, running.said


@pytest.mark.parametrize("image", IMAGES)
def test_a_wrong_configuration_is_told_and_ends_it(contained, image):
    running = contained(image, "--config", "/etc/fusebox/config.yaml", files={"/etc/fusebox/config.yaml": "listn: {}\n"})
    assert running.ended() == 2
    assert "listen" in "".join(running.said), "it suggests what was meant"
