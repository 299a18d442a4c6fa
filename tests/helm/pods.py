"""A pod's containers as processes of this machine, from a pod's spec and the ConfigMaps and Secrets that it names.

Volumes are folders, laid out and exchanged as the kubelet does it; where a text names a path that something is mounted at,
it names that folder instead. Addresses to listen on become free ports, and hosts of the cluster what the test says.
Containers whose image is not ours or Redis are left out. What only a kernel does, such as users and limits, is not done.
"""

import http.client
import json
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import time

from programs import binary
from release import containers_of, data_of

# How long anything may take on a machine that has much else to do.
LIMIT = 30
# What speaks of other pods, whose paths are theirs.
OTHERS = ("template.yaml",)
OURS = ("fusebox-sidecar", "fusebox-control-plane", "fusebox")


class Pod:
    """A pod: `start` starts what has to start, in its order, and `stop` ends it, in the other."""

    def __init__(self, folder, metadata, spec, objects, namespace="fusebox", hosts=None):
        self.folder, self.metadata, self.spec, self.namespace = folder, metadata, spec, namespace
        self.objects = {(one["kind"], one["metadata"].get("namespace", namespace), one["metadata"]["name"]): one
                        for one in objects if one["kind"] in ("ConfigMap", "Secret")}
        self.hosts = hosts or {}
        self.containers = {}
        folder.mkdir(parents=True)
        self.versions = {}
        self.write_volumes()

    def start(self):
        """Starts the containers: those of initContainers one after the other, each once the one before has started or ended."""
        for container in self.spec.get("initContainers", []):
            one = self._add(container)
            if one and container.get("restartPolicy") == "Always":
                one.wait_for("startupProbe")
            elif one:
                assert one.process.wait(LIMIT) == 0, one.log
        for container in self.spec["containers"]:
            self._add(container)

    def _add(self, container):
        command = container.get("command") or [image_of(container)]
        program = pathlib.PurePath(command[0]).name
        path = binary(program) if program in OURS else shutil.which(program) if program == "redis-server" else None
        if path is None:
            return None
        one = Container(self, container, [path, *command[1:], *container.get("args", [])])
        self.containers[container["name"]] = one
        return one

    def stop(self):
        """Tells them to end as the kubelet does: sidecars after all others, the first one last. Answers their exit statuses."""
        sidecars = [one["name"] for one in self.spec.get("initContainers", []) if one["name"] in self.containers]
        others = [name for name in self.containers if name not in sidecars]
        grace = self.spec.get("terminationGracePeriodSeconds", 30)
        statuses = {name: self.containers[name].process.send_signal(signal.SIGTERM) for name in others}
        statuses = {name: self.containers[name].process.wait(grace) for name in others}
        for name in reversed(sidecars):
            self.containers[name].process.send_signal(signal.SIGTERM)
            statuses[name] = self.containers[name].process.wait(grace)
        return statuses

    def kill(self):
        """Ends what still runs."""
        for one in self.containers.values():
            one.process.kill()
            one.process.wait(LIMIT)

    def change(self, one):
        """Puts an object in the place of the one of its kind and name, and exchanges the volumes as the kubelet would."""
        self.objects[(one["kind"], one["metadata"].get("namespace", self.namespace), one["metadata"]["name"])] = one
        self.write_volumes()

    def write_volumes(self):
        """Each volume as a folder of links to its current version."""
        for volume in self.spec.get("volumes", []):
            root = self.folder / "volumes" / volume["name"]
            root.mkdir(parents=True, exist_ok=True)
            self.versions[root] = self.versions.get(root, 0) + 1
            version = root / f"..{self.versions[root]}"
            version.mkdir()
            for path, text in self._files(volume).items():
                file = version / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text if file.name in OTHERS else self.relocated(text))
                file.chmod(0o440)
            link = root / "..new"
            link.symlink_to(version.name)
            link.rename(root / "..data")
            for entry in version.iterdir():
                if not (root / entry.name).is_symlink():
                    (root / entry.name).symlink_to(f"..data/{entry.name}")

    def _files(self, volume):
        """What a volume holds, by path."""
        sources = volume.get("projected", {}).get("sources") or [{key: value for key, value in volume.items() if key != "name"}]
        files = {}
        for source in sources:
            for kind, key, name in (("ConfigMap", "configMap", "name"), ("Secret", "secret", "secretName")):
                if key in source:
                    data = self._data(kind, source[key].get(name) or source[key]["name"], source[key].get("optional"))
                    chosen = source[key].get("items") or [{"key": key, "path": key} for key in data]
                    files.update({item["path"]: data[item["key"]] for item in chosen if data})
            for item in source.get("downwardAPI", {}).get("items", []):
                files[item["path"]] = self._field(item["fieldRef"]["fieldPath"])
        return files

    def _data(self, kind, name, optional=False):
        one = self.objects.get((kind, self.namespace, name))
        assert one or optional, f"the pod would wait for ever: there is no {kind} {name} in {self.namespace}"
        return data_of(one) if one else {}

    def _field(self, path):
        inner = re.fullmatch(r"metadata\.(annotations|labels)\['(.+)'\]", path)
        if inner:
            return self.metadata.get(inner[1], {}).get(inner[2], "")
        return {"metadata.name": "pod-1", "metadata.namespace": self.namespace, "spec.nodeName": "node-1",
                "status.podIP": "127.0.0.1"}[path]

    def environment(self, container):
        """Its variables, with `$(NAME)` filled in from those before."""
        found = {}
        for source in container.get("envFrom", []):
            for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                if key in source:
                    found.update(self._data(kind, source[key]["name"], source[key].get("optional")))
        for variable in container.get("env", []):
            value = self._value(variable)
            if value is not None:
                found[variable["name"]] = re.sub(r"\$\((\w+)\)", lambda name: found.get(name[1], name[0]), value)
        return {name: self.relocated(value) for name, value in found.items()}

    def _value(self, variable):
        source = variable.get("valueFrom", {})
        for key, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            if key in source:
                return self._data(kind, source[key]["name"], source[key].get("optional")).get(source[key]["key"])
        if "fieldRef" in source:
            return self._field(source["fieldRef"]["fieldPath"])
        return variable.get("value", "")

    def relocated(self, text):
        """`text` with this machine's folders and addresses in the place of the pod's and the cluster's."""
        every = containers_of(self.spec)
        mounts = {mount["mountPath"]: mount["name"] for one in every for mount in one.get("volumeMounts", [])}
        for path in sorted(mounts, key=len, reverse=True):
            folder = self.folder / "volumes" / mounts[path]
            text = re.sub(rf"(?<![\w./]){re.escape(path)}(?=[/\"'\s]|$)", str(folder), text)
        for host, address in self.hosts.items():
            text = text.replace(host, address)
        return text


class Container:
    """One of its containers, running."""

    def __init__(self, pod, spec, command):
        self.pod, self.spec = pod, spec
        self.ready = pod.folder / f"{spec['name']}.ready"
        self.log_file = pod.folder / f"{spec['name']}.log"
        self.addresses = {}
        # What a probe was last refused by.
        self.last = None
        environment = pod.environment(spec)
        for name in environment:
            # A free port, on this machine alone.
            if name.startswith("FUSEBOX_LISTEN__") or name == "FUSEBOX_INJECTOR__LISTEN":
                environment[name] = "127.0.0.1:0"
        home = pod.folder / "empty"
        home.mkdir(exist_ok=True)
        with self.log_file.open("w") as log:
            self.process = subprocess.Popen(
                [pod.relocated(argument) for argument in command], cwd=home, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env={**environment, "FUSEBOX_READY_FILE": str(self.ready)})

    @property
    def log(self):
        return self.log_file.read_text()

    def until(self, done, what):
        """Waits until `done` answers something, which is its answer."""
        deadline = time.monotonic() + LIMIT
        while True:
            answer = done()
            if answer:
                return answer
            status = self.process.poll()
            assert status is None, f"{self.spec['name']} ended with {status} before {what}:\n{self.log}"
            assert time.monotonic() < deadline, f"{self.spec['name']}: not {what} after {LIMIT} s, but {self.last}:\n{self.log}"
            # Neither a file nor a port tells anybody that it has come.
            time.sleep(0.01)

    def address(self, port):
        """Where one of its ports is, by the port's name or number."""
        if not self.addresses:
            self.until(self.ready.is_file, "it says where it listens")
            self.addresses = json.loads(self.ready.read_text())
        names = {one["containerPort"]: one["name"] for one in self.spec["ports"]}
        return self.addresses[names.get(port, port)]

    def probe(self, kind):
        """Asks as a probe of its says: the status, and the answer. A command that succeeds counts as 200."""
        if "exec" in self.spec[kind]:
            command = [self.pod.relocated(word) for word in self.spec[kind]["exec"]["command"]]
            done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
            return 500 if done.returncode else 200, done.stdout + done.stderr
        ask = self.spec[kind]["httpGet"]
        try:
            return self.get(ask["port"], ask["path"], ask.get("scheme", "HTTP"))
        except OSError as error:
            self.last = error
            return 0, str(error)

    def get(self, port, path, scheme="HTTP", method="GET", body=None, **headers):
        """Asks one of its ports for a page. A certificate is not looked at, as by the kubelet."""
        address = self.address(port)
        if scheme == "HTTPS":
            context = ssl._create_unverified_context()
            connection = http.client.HTTPSConnection(address, timeout=LIMIT, context=context)
        else:
            connection = http.client.HTTPConnection(address, timeout=LIMIT)
        try:
            headers = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def wait_for(self, kind):
        """Waits until a probe of its is content."""
        self.until(lambda: 200 <= self.probe(kind)[0] < 400, kind)


def image_of(container):
    """The last word of its image's name."""
    return re.split(r"[:@]", container["image"].rsplit("/", 1)[-1])[0]


def free_port():
    """A port that nobody listens on now."""
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def run(command, environment):
    """Runs one of the programs to its end: its status and all it said."""
    done = subprocess.run([binary(command[0]), *command[1:]], env=environment, capture_output=True, text=True, timeout=LIMIT)
    return done.returncode, done.stdout + done.stderr
