"""The chart rendered by Helm itself, as a cluster would get it."""

import base64
import pathlib

import helm_python as helm
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "fusebox"
EXAMPLES = ROOT / "helm" / "examples"
VALUES = pathlib.Path(__file__).parent / "values"
# Those that the chart says it works on, the oldest, one between and the newest whose schemas there are.
VERSIONS = ["1.29", "1.33", "1.37"]


def read(path):
    """The values that a file holds."""
    return yaml.safe_load(path.read_text()) or {}


class Release:
    """What Helm makes of the chart at `path` with `values`."""

    def __init__(self, values=None, path=CHART, name="fusebox", namespace="fusebox", **more):
        with helm.Chart.load(path) as chart:
            self.texts = chart.render(values or {}, name=name, namespace=namespace, **more)
        self.namespace = namespace
        self.objects = [
            document
            for file, text in sorted(self.texts.items())
            if not file.endswith(".txt")
            for document in yaml.safe_load_all(text)
            if document
        ]

    def all(self, kind):
        return [one for one in self.objects if one["kind"] == kind]

    def get(self, kind, name):
        """The one object of this kind and name in the release's namespace."""
        found = [one for one in self.all(kind) if one["metadata"]["name"] == name
                 and one["metadata"].get("namespace", self.namespace) == self.namespace]
        assert len(found) == 1, f"{len(found)} objects are {kind} {name}"
        return found[0]

    @property
    def notes(self):
        return next(text for file, text in self.texts.items() if file.endswith("NOTES.txt"))

    def pods(self):
        """Every pod that comes of it: (the object's kind and name, the pod's metadata, its spec)."""
        return pods_of(self.objects)


def pods_of(objects):
    """Every pod that comes of `objects`: (the object's kind and name, the pod's metadata, its spec)."""
    found = []
    for one in objects:
        name = f"{one['kind']} {one['metadata']['name']}"
        if one["kind"] == "Pod":
            found.append((name, one["metadata"], one["spec"]))
        elif one["kind"] in ("Deployment", "StatefulSet", "Job"):
            template = one["spec"]["template"]
            found.append((name, template["metadata"], template["spec"]))
    return found


def containers_of(spec):
    """Its containers, those that start first first."""
    return spec.get("initContainers", []) + spec["containers"]


def data_of(one):
    """What a ConfigMap or a Secret holds, as text, however it is written."""
    data = one.get("data") or {}
    if one["kind"] == "Secret":
        data = {key: base64.b64decode(value).decode() for key, value in data.items()} | (one.get("stringData") or {})
    return data
