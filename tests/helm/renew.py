"""Writes anew what is derived: the parts of the schema that are the programs' own keys, the table of values in the chart's
README, and the golden renders. Run it after a change of those, and look at what `git diff` says:

    .venv/bin/python tests/helm/renew.py
"""

import json
import pathlib
import re
import subprocess
import sys

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))

from programs import binary
from release import CHART, VALUES, Release, read

SCHEMA = CHART / "values.schema.json"
README = CHART / "README.md"
GOLDEN = pathlib.Path(__file__).parent / "golden"
# What each golden file is made of: the name of a file of values, or of none.
GOLDENS = {"default": None, "production": VALUES / "production.yaml"}
# Keys that the chart sets, and the values by which it is told what to.
OWNED = {
    "sidecar": {
        "fleet.name": "fleet.name", "fleet.redis": "redis.external or redis.bundled", "fleet.secret_file": "fleet.secret",
        "listen.grpc": "sidecar.listen.grpc", "listen.http": "sidecar.listen.http", "listen.admin": "sidecar.listen.admin",
        "auth.tokens_file": "sidecar.tokensSecret", "auth.tls": "sidecar.tls",
    },
    "controlPlane": {
        "fleet.name": "fleet.name", "fleet.redis": "redis.external or redis.bundled", "listen": "controlPlane.service",
        "auth.tokens_file": "controlPlane.auth.existingSecret", "auth.tls": "controlPlane.tls", "injector": "injector",
    },
}
PROGRAMS = {"sidecar": "fusebox-sidecar", "controlPlane": "fusebox-control-plane"}
ROW = re.compile(r"^\| `(?P<key>[^`]+)` \| (?P<default>.*?) \| (?P<doc>.*) \|$")


def keys(program):
    """Every key of a program's configuration, as `check --keys` says them: (path, default, what it is)."""
    said = subprocess.run([binary(program), "check", "--keys"], capture_output=True, text=True, check=True).stdout
    return [(row["key"], row["default"], row["doc"]) for row in map(ROW.match, said.splitlines()) if row]


def schema_of(name):
    """A program's keys as a JSON schema that knows all names, and leaves what stands there to the program's own check."""
    owned = OWNED[name]
    rows = [(path, f"{doc}; default: {default}") for path, default, doc in keys(PROGRAMS[name])
            if not any(f"{path}.".startswith(f"{key}.") for key in owned)]
    root = {}
    for path, doc in rows + [(path, f"the chart sets it; use {instead}") for path, instead in owned.items()]:
        at = root
        for part in path.replace("[]", ".[]").split("."):
            if part == "[]":
                at = at.setdefault("items", {})
            else:
                at.setdefault("additionalProperties", False)
                at = at.setdefault("properties", {}).setdefault(part, {})
        at["description"] = doc
    # The chart always gives this map itself.
    return with_types(root) | {"type": "object"}


def with_types(at):
    """A section that is no key itself, and a list, have the types that they must have."""
    if "items" in at:
        at["type"] = ["array", "null"]
        with_types(at["items"])
    elif "properties" in at and "description" not in at:
        at["type"] = ["object", "null"]
    for inner in at.get("properties", {}).values():
        with_types(inner)
    return at


def schema():
    """The chart's schema with the programs' keys of today."""
    whole = json.loads(SCHEMA.read_text())
    for name in PROGRAMS:
        whole["$defs"][f"{name}Config"] = schema_of(name)
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def table():
    """Every value with its default and what it is, as the README has them."""
    rows = ["| value | default | what it is |", "| --- | --- | --- |"]
    whole = json.loads(SCHEMA.read_text())

    def walk(at, path, default, of=""):
        inner = at.get("properties") if "$ref" not in at else None
        if inner:
            for name, below in inner.items():
                walk(below, f"{path}.{name}" if path else name, (default or {}).get(name), at.get("description"))
            return
        shown = "" if default == "" else json.dumps(default, ensure_ascii=False)
        shown = f"`{shown}`" if shown else "empty"
        if path.endswith(".config"):
            shown = "see values.yaml"
        # `whether there is one` says little without what it is one of.
        doc = f"{of}: {at['description']}" if path.count(".") > 1 else at["description"]
        doc = doc.replace("|", "\\|")
        rows.append(f"| `{path}` | {shown} | {doc} |")

    walk({"properties": {k: v for k, v in whole["properties"].items() if k != "global"}}, "", read(CHART / "values.yaml"))
    return "\n".join(rows) + "\n"


def readme():
    """The chart's README with the table of today."""
    text = README.read_text()
    head, rest = text.split("<!-- values -->\n")
    return head + "<!-- values -->\n" + table() + "<!-- end of values -->\n" + rest.split("<!-- end of values -->\n")[1]


def golden(name):
    """What Helm makes of a set of values, without what differs every time, and without the files of other folders."""
    values = read(GOLDENS[name]) if GOLDENS[name] else {}
    # Rules, dashboards and what Helm runs as hooks have tests of their own.
    objects = [one for one in Release(values).objects
               if one["kind"] != "PrometheusRule" and "-dashboard-" not in one["metadata"]["name"]
               and "helm.sh/hook" not in one["metadata"].get("annotations", {})]
    return yaml.safe_dump_all([settled(one) for one in objects], sort_keys=False, width=120)


def settled(one):
    """The object with `(…)` for whatever is drawn, or follows the clock, and without the labels that all have."""
    for metadata in [one["metadata"], one.get("spec", {}).get("template", {}).get("metadata", {})]:
        for label in [key for key in metadata.get("labels") or {} if key.startswith(("app.kubernetes.io/", "helm.sh/"))]:
            del metadata["labels"][label]
    if one["kind"] == "Secret":
        for part in ("data", "stringData"):
            one[part] = {key: "(…)" for key in one.get(part) or {}} or None
    if one["kind"] == "MutatingWebhookConfiguration":
        for webhook in one["webhooks"]:
            if "caBundle" in webhook["clientConfig"]:
                webhook["clientConfig"]["caBundle"] = "(…)"
    notes = one["metadata"].get("annotations") or {}
    notes.update({key: "(…)" for key in notes if key == "fusebox.dev/renew-after"})
    return one


def main():
    SCHEMA.write_text(schema())
    README.write_text(readme())
    GOLDEN.mkdir(exist_ok=True)
    for name in GOLDENS:
        (GOLDEN / f"{name}.yaml").write_text(golden(name))


if __name__ == "__main__":
    main()
