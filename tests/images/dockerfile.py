"""images/Dockerfile, read: its stages, and what each says. Knows what that file uses, and no more of the language."""

import json
import re
import shlex


class Stage:
    def __init__(self, base, name):
        self.base, self.name, self.lines = base, name, []

    def all(self, instruction):
        return [rest for word, rest in self.lines if word == instruction]


def read(text):
    """The stages by their names, in their order, and the arguments before the first with their defaults."""
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"\\\n\s*", "", text)
    stages, arguments = {}, {}
    for line in filter(None, map(str.strip, text.splitlines())):
        word, rest = line.split(maxsplit=1)
        if word == "FROM":
            base, name = re.fullmatch(r"(\S+) AS (\S+)", rest).groups()
            stage = stages[name] = Stage(base, name)
        elif not stages:
            assert word == "ARG", f"{line} before the first stage"
            arguments.update([rest.split("=", 1)])
        else:
            stage.lines.append((word, rest))
    return stages, arguments


def run_lines(stage):
    """What its RUN lines have a shell do, without the mounts that are the builder's affair."""
    return [re.sub(r"--mount=\S+\s+", "", rest) for rest in stage.all("RUN")]


def settings(stages, name):
    """What an image made of this stage says to whoever runs it, as OCI's configuration names it."""
    chain, stage = [], stages[name]
    while stage:
        chain.insert(0, stage)
        stage = stages.get(stage.base)
    said = {"Env": [], "Labels": {}, "ExposedPorts": {}}
    defaults = {}
    for stage in chain:
        for word, rest in stage.lines:
            for argument, default in defaults.items():
                rest = rest.replace(f"${{{argument}}}", default)
            if word == "ARG":
                defaults.update([rest.split("=", 1)])
            elif word == "LABEL":
                said["Labels"].update(pair.split("=", 1) for pair in shlex.split(rest))
            elif word == "ENV":
                said["Env"].extend(shlex.split(rest))
            elif word == "EXPOSE":
                said["ExposedPorts"].update({f"{port}/tcp": {} for port in rest.split()})
            elif word == "ENTRYPOINT":
                said["Entrypoint"] = json.loads(rest)
            elif word in ("USER", "STOPSIGNAL"):
                said[{"USER": "User", "STOPSIGNAL": "StopSignal"}[word]] = rest
            else:
                assert word == "COPY", f"{word} is not read here"
    return {key: value for key, value in said.items() if value}
