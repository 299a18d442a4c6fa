"""What traces cost calls, whatever becomes of them: `.venv/bin/python tests/traces/cost.py [--sidecar FILE] [--seconds N]`.

The same load goes through a sidecar that makes no spans, one whose collector takes them, and one whose collector hangs; in
rounds, so that what else the machine does meets all three. Needs wrk. Prints a table, and ends with status 1 if a hanging
collector costs the p99 of calls more than half again as much as one that takes its spans.
"""

import argparse
import contextlib
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "python")]

import programs  # noqa: E402
from collector import Rotel, Sink  # noqa: E402

LUA = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = '{"model": "chat", "messages": [{"role": "user", "content": "Hello!"}]}'
"""


def load(sidecar, seconds, lua):
    """Calls a second, and what they took at the median and at p99, in ms."""
    command = ["wrk", "-t1", "-c8", f"-d{seconds}s", "--latency", "-s", lua, f"{sidecar.base_url}/chat/completions"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in said and "Socket errors" not in said, said
    units = {"us": 1e-3, "ms": 1.0, "s": 1e3}

    def at(share):
        number, unit = re.search(rf"{share}%\s+([\d.]+)(us|ms|s)", said).groups()
        return float(number) * units[unit]

    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]), at(50), at(99)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sidecar", type=pathlib.Path)
    arguments.add_argument("--seconds", type=int, default=5)
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    if given.sidecar:
        ours = programs.binary
        programs.binary = lambda name: str(given.sidecar.resolve()) if name == "fusebox-sidecar" else ours(name)
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))

        def closing(one):
            stack.callback(one.close)
            return one

        lua = folder / "post.lua"
        lua.write_text(LUA)
        hanging = closing(socket.create_server(("127.0.0.1", 0), backlog=64))
        rotel = closing(Rotel(folder / "rotel", closing(Sink())))
        answer = {"kind": "simulated", "simulated": {"first_token": "0s", "tokens_per_second": 0}}
        endpoints = {"no spans": None, "a collector takes them": rotel.endpoint,
                     "a collector hangs": f"http://127.0.0.1:{hanging.getsockname()[1]}"}
        contenders = {}
        for name, endpoint in endpoints.items():
            own = folder / str(len(contenders))
            own.mkdir()
            env = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint} if endpoint else {}
            contenders[name] = closing(programs.Sidecar(own, ("a", dict(answer)), env=env))
        measured = {name: [] for name in contenders}
        for _ in range(given.rounds):
            for name, sidecar in contenders.items():
                measured[name].append(load(sidecar, given.seconds, str(lua)))
    print("| spans | calls a second | median, ms | p99, ms |\n| --- | --- | --- | --- |")
    p99 = {}
    for name, rounds in measured.items():
        calls, median, p99[name] = (statistics.median(column) for column in zip(*rounds))
        print(f"| {name} | {calls:.0f} | {median:.2f} | {p99[name]:.2f} |")
    print(f"\n{os.cpu_count()} cores, 8 callers at once, medians of {given.rounds} rounds of {given.seconds} s")
    sys.exit(p99["a collector hangs"] > 1.5 * p99["a collector takes them"])


if __name__ == "__main__":
    main()
