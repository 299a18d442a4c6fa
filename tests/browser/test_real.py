"""The page in front of real programs: what is toggled there is done by real sidecars."""

import pathlib
import re
import subprocess
import time
import urllib.request

import pytest
from playwright.sync_api import expect

ROOT = pathlib.Path(__file__).resolve().parents[2]
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/")


@pytest.fixture
def demonstration():
    """A fleet with callers: the dashboard's address, and the sidecars' pages of metrics."""
    program = ROOT / "target" / "debug" / "demonstration"
    process = subprocess.Popen([program, "127.0.0.1:0", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
    said = []
    while not said or "Ctrl-C" not in said[-1]:
        line = process.stdout.readline()
        assert line, f"it ended: {said}"
        said.append(line)
    addresses = ADDRESS.findall("".join(said))
    yield addresses[0], [f"{address}metrics" for address in addresses[1:]]
    process.send_signal(2)
    process.wait(timeout=20)


def attempts(pages, provider):
    """Attempts at a provider, over all sidecars."""
    total = 0
    for page in pages:
        text = urllib.request.urlopen(page, timeout=5).read().decode()
        lines = re.findall(rf'^fusebox_attempts_total\{{[^}}]*provider="{provider}"[^}}]*\}} (\d+)', text, re.M)
        total += sum(map(int, lines))
    return total


def until(what, holds):
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.05)


def switch(page, name, to):
    page.get_by_role("button", name=f"switch {name} {to}").click()
    dialog = page.get_by_role("dialog", name=f"Switch {name} {to}")
    dialog.get_by_label("Reason").fill("a drill")
    dialog.get_by_role("button", name=f"Switch {to}").click()
    expect(dialog).to_contain_text("applied by all 5", timeout=15_000)
    dialog.locator("#change-go").click()
    expect(dialog).to_be_hidden()


def test_a_provider_that_is_switched_off_on_the_page_gets_no_call_from_any_sidecar(demonstration, visit):
    dashboard, metrics = demonstration
    # The one that is well: breakers of the others keep calls away from them, too.
    until("its calls", lambda: attempts(metrics, "spare") > 5)
    page = visit(dashboard)
    expect(page.get_by_role("button", name="switch spare off")).to_be_visible()
    switch(page, "spare", "off")
    before = -1

    def is_quiet():
        # What was under way may still be counted as it ends.
        nonlocal before
        last, before = before, attempts(metrics, "spare")
        return last == before

    def elsewhere():
        return attempts(metrics, "vllm") + attempts(metrics, "hosted")

    until("an end of calls", is_quiet)
    others = elsewhere()
    until("more calls elsewhere", lambda: elsewhere() > others)
    assert attempts(metrics, "spare") == before, "no call went there since"
    switch(page, "spare", "on")
    until("calls again", lambda: attempts(metrics, "spare") > before)
    expect(page.locator("#audit-rows tr").first).to_contain_text("a drill")
