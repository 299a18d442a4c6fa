"""Draws docs/trace.svg from a real trace: `python3 tests/traces/draw.py docs/trace.svg`, once `tests/run` has passed.

The scene's programs are started, one call is made, and what the collector passes on is drawn. With `--json FILE` what it
passed on is kept there too; with `--from FILE` nothing is started, and that is drawn.
"""

import argparse
import contextlib
import json
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "python")]

import scene  # noqa: E402
from application import Application  # noqa: E402
from collector import Rotel, Sink, until  # noqa: E402
from programs import Provider, Sidecar  # noqa: E402
from waterfall import draw  # noqa: E402


def a_real_trace():
    """What a collector passes on of the scene's one call."""
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))

        def closing(one):
            stack.callback(one.close)
            return one

        def sidecar(*providers, env, **more):
            own = folder / str(len(list(folder.iterdir())))
            own.mkdir()
            return closing(Sidecar(own, *providers, env={"OTEL_BSP_SCHEDULE_DELAY": "50", **env}, **more))

        sink = closing(Sink())
        rotel = closing(Rotel(folder / "rotel", sink))
        front = scene.start(lambda *acts: closing(Provider(*acts)), sidecar, rotel.endpoint)
        application = closing(Application(rotel.endpoint))
        # The first call opens connections, which is another story.
        application.ask(front)
        trace, status, said = application.ask(front, stream=True)
        assert status == 200, said
        until("the whole trace", lambda: len(sink.of(trace)) == 7)
        return sink.document(trace)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("svg", type=pathlib.Path)
    arguments.add_argument("--json", type=pathlib.Path)
    arguments.add_argument("--from", type=pathlib.Path, dest="drawn")
    given = arguments.parse_args()
    document = json.loads(given.drawn.read_text()) if given.drawn else a_real_trace()
    if given.json:
        given.json.write_text(json.dumps(document, indent=1) + "\n")
    given.svg.write_text(draw(document))
