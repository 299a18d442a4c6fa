"""A real Chromium, looking at the dashboard. A page that complains, breaks its own policy or asks anybody else fails its test."""

import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

import fixture
from stand_in import StandIn

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What Chromium itself says of an answer that is an error, and of a form that has a password and no name.
EXPECTED = ("Failed to load resource", "[DOM] Password forms")
# How long, in milliseconds, anything may take on a machine that has much else to do.
LIMIT = 30_000
expect.set_options(timeout=LIMIT)


@pytest.fixture(scope="session")
def browser():
    # Each launch has a new folder for its user's data.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def stand_in():
    """Starts stand-ins for the control plane, and ends them with the test."""
    started = []

    def start(fleet=None, **more):
        started.append(StandIn(fleet or fixture.fleet(), **more))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def visit(browser):
    """Opens pages in contexts of their own, and holds them to their word."""
    contexts, complaints = [], []

    def open_page(url, board=True, before=lambda page: None, **options):
        context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", "timezone_id": "UTC"} | options
        )
        context.set_default_timeout(LIMIT)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(f"thrown: {error}"))
        page.on(
            "console",
            lambda message: message.text.startswith(EXPECTED) or complaints.append(f"{message.type}: {message.text}"),
        )
        page.on(
            "request",
            lambda request: request.url.startswith((url, "data:"))
            or complaints.append(f"asked elsewhere: {request.url}"),
        )
        before(page)
        page.goto(url)
        if board:
            page.wait_for_selector("#board:not([hidden])")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints, complaints
