"""Upgrades against a cluster that holds what was installed: no password changes, certificates change once they are old, and
what the API server trusts never changes faster than what it is shown."""

import base64
import ssl
import time

import helm_python as helm
import pytest
import yaml

from cluster import Cluster
from release import CHART, data_of

HOST = "fusebox-injector.fusebox.svc"
OLD = str(int(time.time()) - 1)


@pytest.fixture
def cluster():
    started = []

    def start(*objects, **more):
        started.append(Cluster(objects, **more))
        return started[-1]

    yield start
    for one in started:
        assert one.refused == [], "a dry run changes nothing"
        one.close()


def made_in(cluster, values=None):
    """What Helm would install into the cluster."""
    with helm.Config(kubeconfig_content=cluster.kubeconfig, namespace="fusebox", storage_driver="memory",
                     qps=1000, burst_limit=1000) as config:
        release = config.install(CHART, "fusebox", values or {}, namespace="fusebox", dry_run="server")
    return [one for one in yaml.safe_load_all(release["manifest"]) if one]


def secret(objects, name):
    [one] = [one for one in objects if one["kind"] == "Secret" and one["metadata"]["name"] == name]
    return one


def secrets(objects):
    return {one["metadata"]["name"]: data_of(one) for one in objects if one["kind"] == "Secret"}


def installed(objects):
    """Its Secrets as the cluster would hold them: all data in base64, and marked as Helm's."""
    held = []
    for one in (one for one in objects if one["kind"] == "Secret"):
        data = {key: base64.b64encode(text.encode()).decode() for key, text in data_of(one).items()}
        notes = one["metadata"].get("annotations", {}) | {
            "meta.helm.sh/release-name": "fusebox", "meta.helm.sh/release-namespace": "fusebox"}
        held.append(one | {"data": data, "stringData": None, "metadata": one["metadata"] | {"annotations": notes}})
    return held


def bundle(objects):
    [webhooks] = [one["webhooks"] for one in objects if one["kind"] == "MutatingWebhookConfiguration"]
    [found] = {webhook["clientConfig"]["caBundle"] for webhook in webhooks}
    return base64.b64decode(found).decode()


def is_trusted(pair, authorities, folder):
    """Whether a server with this pair is who it should be, for a client that trusts these: a handshake without a network."""
    for name in ("tls.crt", "tls.key"):
        (folder / name).write_text(pair[name])
    server_side, client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cadata=authorities)
    server_side.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    client = client_side.wrap_bio(to_client, to_server, server_hostname=HOST)
    done = set()
    while len(done) < 2:
        for one in (client, server):
            try:
                one.do_handshake()
                done.add(one)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLCertVerificationError:
                return False
    return True


def test_an_upgrade_keeps_every_secret(cluster):
    values = {"fleet": {"secret": "always"}, "sidecar": {"namespaces": ["chat"]}}
    before = made_in(cluster(), values)
    after = made_in(cluster(*installed(before)), values)
    assert secrets(after) == secrets(before)
    assert bundle(after) == bundle(before)
    assert secrets(made_in(cluster(), values)) != secrets(before), "another installation has others"


def test_tokens_that_somebody_added_stay(cluster):
    before = made_in(cluster())
    tokens = secret(before, "fusebox-tokens")
    tokens["stringData"]["tokens"] += "viewer eve 0123456789abcdef\n"
    after = made_in(cluster(*installed(before)))
    assert secrets(after)["fusebox-tokens"] == data_of(tokens)


def test_an_old_certificate_is_made_anew_and_trusted_by_who_trusted_the_old_one(cluster, tmp_path):
    before = made_in(cluster())
    secret(before, "fusebox-injector-tls")["metadata"]["annotations"]["fusebox.dev/renew-after"] = OLD
    after = made_in(cluster(*installed(before)))
    old, new = secrets(before), secrets(after)
    assert new["fusebox-injector-tls"] != old["fusebox-injector-tls"]
    assert new["fusebox-injector-ca"] == old["fusebox-injector-ca"] and bundle(after) == bundle(before)
    assert is_trusted(old["fusebox-injector-tls"], bundle(after), tmp_path)
    assert is_trusted(new["fusebox-injector-tls"], bundle(before), tmp_path)
    assert not is_trusted(secrets(made_in(cluster()))["fusebox-injector-tls"], bundle(after), tmp_path)
    assert int(secret(after, "fusebox-injector-tls")["metadata"]["annotations"]["fusebox.dev/renew-after"]) > time.time()


def test_an_old_authority_is_joined_by_a_new_one(cluster, tmp_path):
    """Replicas take the new pair a while after the API server hears of the new authority: till then it takes both."""
    before = made_in(cluster())
    for name in ("ca", "tls"):
        secret(before, f"fusebox-injector-{name}")["metadata"]["annotations"]["fusebox.dev/renew-after"] = OLD
    after = made_in(cluster(*installed(before)))
    for objects in (before, after):
        assert is_trusted(secrets(objects)["fusebox-injector-tls"], bundle(after), tmp_path)
    assert not is_trusted(secrets(after)["fusebox-injector-tls"], bundle(before), tmp_path)
    # The next upgrade changes nothing of it.
    assert bundle(made_in(cluster(*installed(after)))) == bundle(after)


def test_a_pair_for_another_service_is_not_kept(cluster, tmp_path):
    before = made_in(cluster())
    secret(before, "fusebox-injector-tls")["metadata"]["annotations"]["fusebox.dev/host"] = "other.fusebox.svc"
    after = made_in(cluster(*installed(before)))
    assert secrets(after)["fusebox-injector-tls"] != secrets(before)["fusebox-injector-tls"]


@pytest.mark.parametrize("version, has", [("1.29", False), ("1.30", True)])
def test_a_replica_waits_before_it_ends_where_kubernetes_knows_how(cluster, version, has):
    [deployment] = [one for one in made_in(cluster(version=version)) if one["kind"] == "Deployment"]
    assert ("lifecycle" in deployment["spec"]["template"]["spec"]["containers"][0]) is has


def test_an_older_kubernetes_is_refused(cluster):
    with pytest.raises(helm.HelmError, match="1.28"):
        made_in(cluster(version="1.28"))
