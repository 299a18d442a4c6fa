"""The runbook: it has a chapter for everything that rings, and its commands are there."""

import re
import shlex
import subprocess

import pytest

from shipped import ROOT, RUNBOOK, alerts, names
from programs import binary

TEXT = RUNBOOK.read_text()
PROGRAMS = ("fusebox", "fusebox-sidecar", "fusebox-control-plane")
# What each chapter answers, in this order.
QUESTIONS = ["**What it means.**", "**What callers notice.**", "**What to look at.**", "**What to do.**", "**It is over when**"]
OTHERS = ["Redis is lost", "A provider is out", "A bad configuration", "A sidecar that will not start", "Rolling back"]


def chapters():
    """By its heading, each chapter that answers the questions."""
    found = {}
    for part in re.split(r"^## ", TEXT, flags=re.M)[1:]:
        for section in re.split(r"^### ", part, flags=re.M)[1:]:
            heading, _, body = section.partition("\n")
            found[heading] = body
    return found


def fences(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.M | re.S)


def commands():
    """The commands of the shell's fences, and those that stand in a line."""
    lines = [line for fence in fences("sh") for line in fence.replace("\\\n", "").splitlines()]
    lines += re.findall(r"`((?:fusebox|fusebox-sidecar|fusebox-control-plane|kubectl|helm) [^`]*)`", TEXT)
    return sorted({line.strip() for line in lines if line.strip() and not line.startswith("#")})


def own(command):
    """The words that our own program is called with, if it is: alone, or in a pod."""
    words = shlex.split(command, comments=True)
    if "--" in words and words[0] == "kubectl":
        words = words[words.index("--") + 1:]
    if "|" in words:
        words = words[:words.index("|")]
    program = words[0].removeprefix("/usr/bin/")
    return [program, *words[1:]] if program in PROGRAMS else None


@pytest.mark.parametrize("heading", [*alerts(), *OTHERS])
def test_each_has_a_chapter_that_answers_what_is_asked_at_night(heading):
    body = chapters()[heading]
    places = [body.find(question) for question in QUESTIONS]
    assert -1 not in places and places == sorted(places), dict(zip(QUESTIONS, places))
    assert "```sh" in body or "`fusebox" in body or "`kubectl" in body, "no command"


def test_fuseboxs_own_alerts_have_each_a_chapter():
    written = (ROOT / "docs/alerts.md").read_text()
    kinds = re.findall(r"^\| `(\w+)` \| (?:critical|warning) \|", written, re.M)
    assert len(kinds) == 4
    for kind in kinds:
        body = chapters()[f"`{kind}`"]
        assert all(question in body for question in QUESTIONS), kind


def test_chapters_are_of_alerts_that_there_are():
    named = {heading for heading in chapters() if heading.startswith("Fusebox")}
    assert named == alerts().keys()


@pytest.mark.parametrize("command", commands())
def test_a_command_is_one_of_the_shells(command):
    checked = subprocess.run(["bash", "-n", "-c", command], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


OWN = [command for command in commands() if own(command)]


def test_there_are_commands_of_our_own():
    assert len(OWN) > 15
    assert {own(command)[0] for command in OWN} == set(PROGRAMS)


@pytest.mark.parametrize("command", OWN)
def test_a_command_of_our_own_is_one_that_there_is(command, tmp_path):
    program, *words = own(command)
    # The help is shown once all before it was understood.
    done = subprocess.run([binary(program), *words, "--help"], capture_output=True, text=True, timeout=60, cwd=tmp_path, env={})
    assert done.returncode == 0 and "Usage" in done.stdout, done.stdout + done.stderr
    asked = [word for word in words if re.fullmatch(r"[a-z][a-z-]*", word)]
    usage = next(line for line in done.stdout.splitlines() if line.startswith("Usage"))
    # What is no subcommand is shown the help of what it stands behind.
    assert not asked or asked[0] in usage, usage


def test_what_is_asked_of_prometheus_can_be_asked():
    queries = [line for fence in fences("promql") for line in fence.strip().splitlines()]
    assert len(queries) > 5
    for query in queries:
        checked = subprocess.run(["promtool", "check", "rules", "--lint=none", "/dev/stdin"], capture_output=True, text=True,
                                 input=f"groups: [{{name: a, rules: [{{record: a, expr: {query!r}}}]}}]")
        assert checked.returncode == 0, query + checked.stdout + checked.stderr
        assert names(query), query
