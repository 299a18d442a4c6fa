"""The rules and the dashboards as they are shipped, and what they name."""

import json
import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = sorted((ROOT / "helm/fusebox/rules").glob("*.yaml"))
DASHBOARDS = sorted((ROOT / "helm/fusebox/dashboards").glob("*.json"))
RUNBOOK = ROOT / "docs/runbook.md"

# What Prometheus itself puts on what it scrapes, and what its operator does in Kubernetes.
TARGET_LABELS = {"job", "instance", "namespace", "pod"}
# What a histogram's samples are called.
SUFFIXES = ("_bucket", "_sum", "_count")


def rules():
    """Every rule, those that record too."""
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def alerts():
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def panels(dashboard):
    """Every panel that is not a row, those in closed rows too."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", [])
        else:
            yield panel


def dashboards():
    return {path.stem: json.loads(path.read_text()) for path in DASHBOARDS}


def expressions(dashboard):
    """Each panel's title and what it asks for."""
    return [(panel["title"], target["expr"]) for panel in panels(dashboard) for target in panel.get("targets", [])]


def names(expression):
    """The metrics that an expression names, each with the labels and the values that it is asked by."""
    found = {}
    without = re.sub(r'"[^"]*"', lambda text: text.group().replace("{", "(").replace("}", ")"), expression)
    for name, matchers in re.findall(r"\b((?:fusebox|process)[_:][a-z0-9_:]+)(?:\{([^}]*)\})?", without):
        pairs = re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"', matchers)
        found.setdefault(name, []).extend(pairs)
    return found


def grouped(expression):
    """The labels that an expression groups or joins by."""
    lists = re.findall(r"\b(?:by|on|without|ignoring|group_left)\s*\(([^)]*)\)", expression)
    return {label.strip() for one in lists for label in one.split(",") if label.strip()}
