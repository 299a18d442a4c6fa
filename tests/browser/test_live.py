"""The stream and the session: breaking, coming back, signing in."""

import re

from playwright.sync_api import expect

import fixture
from door import Refusal


def test_a_lost_connection_is_told_and_comes_back_by_itself(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url)
    expect(page.locator("#link-word")).to_have_text("Live")
    desk.gone = True
    desk.drop()
    expect(page.locator("#link-word")).to_have_text(re.compile("Connection lost, trying"))
    expect(page.locator("#stale")).to_contain_text("Old data. This page has lost the control plane.")
    expect(page.locator("#news")).to_contain_text("The connection to the control plane is lost.")
    expect(page.locator("#provider-list h3")).to_have_count(5)
    desk.fleet["health"] = "HEALTH_STATUS_CRITICAL"
    desk.gone = False
    expect(page.locator("#link-word")).to_have_text("Live")
    expect(page.locator("#stale")).to_be_hidden()
    expect(page.locator("#health-word")).to_have_text("Critical")
    expect(page.locator("#news")).to_contain_text("The connection is back.")


def test_it_waits_longer_each_time_and_can_be_told_not_to(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url)
    waits = page.evaluate(
        "async () => { const { backoff } = await import('./events.js'); return [0, 1, 2, 3, 50].map((failed) => [backoff(failed, 0), backoff(failed, 1)]); }"
    )
    assert waits == [[375, 500], [750, 1000], [1500, 2000], [3000, 4000], [15000, 20000]]
    desk.gone = True
    desk.drop()
    expect(page.locator("#link-age")).to_have_text(re.compile(r"in [3-9] s|in \d\d s"), timeout=20_000)
    desk.gone = False
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("#link-word")).to_have_text("Live", timeout=2000)


def test_a_line_that_went_dead_without_a_word_is_noticed(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url, board=False)
    page.clock.install()
    page.reload()
    page.clock.run_for(1000)
    expect(page.locator("#link-word")).to_have_text("Live")
    desk.mute = True
    page.clock.run_for(36_000)
    expect(page.locator("#link-word")).to_have_text(re.compile("Connection lost"))
    desk.mute = False
    page.clock.run_for(2000)
    expect(page.locator("#link-word")).to_have_text("Live")


def test_a_page_that_nobody_looks_at_holds_no_connection_and_still_keeps_watch(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url, board=False)
    page.clock.install()
    page.reload()
    page.clock.run_for(1000)
    expect(page.locator("#link-word")).to_have_text("Live")
    look = "(hidden) => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true }); document.dispatchEvent(new Event('visibilitychange')); }"
    page.evaluate(look, True)
    page.clock.run_for(61_000)
    expect(page.locator("#link-word")).to_have_text("Resting")
    with desk.turn:
        # A broken line is noticed when the next keep-alive is written to it.
        desk.version += 1
        desk.turn.notify_all()
        assert desk.turn.wait_for(lambda: not desk.streams, timeout=10)
    desk.fleet["health"] = "HEALTH_STATUS_CRITICAL"
    page.clock.run_for(31_000)
    expect(page).to_have_title(re.compile("⛔ Critical"))
    desk.gone = True
    page.clock.run_for(31_000)
    expect(page).to_have_title(re.compile("^⚠ old data"))
    desk.gone = False
    page.evaluate(look, False)
    page.clock.run_for(1000)
    expect(page.locator("#link-word")).to_have_text("Live")


def test_events_are_read_however_they_are_cut(stand_in, visit):
    page = visit(stand_in().url)
    read = page.evaluate("""async () => {
        const { reader } = await import('./events.js');
        const text = ': hello\\n\\nevent: fleet\\r\\ndata: {"a":\\r\\ndata: 1}\\r\\n\\r\\nid: 7\\ndata:x\\n\\nevent: none\\n\\ndata: cut';
        const all = [];
        for (let size = 1; size <= text.length; size += 1) {
            const told = [];
            const take = reader((event) => told.push(event));
            for (let from = 0; from < text.length; from += size) take(text.slice(from, from + size));
            all.push(JSON.stringify(told));
        }
        return [...new Set(all)];
    }""")
    assert read == ['[{"event":"fleet","data":"{\\"a\\":\\n1}"},{"event":"message","data":"x"}]']


def test_signing_in_is_asked_for_refused_and_granted(stand_in, visit):
    desk = stand_in(token="t-right")
    page = visit(desk.url, board=False)
    dialog = page.get_by_role("dialog", name="Sign in to Fusebox")
    token = dialog.get_by_label("Token")
    expect(token).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    expect(page.locator("#board")).to_be_hidden()
    token.fill("t-wrong")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_have_text("No operator or viewer has this token.")
    desk.refuse_sign_in = Refusal(429, "RESOURCE_EXHAUSTED", "too many failed logins", headers={"retry-after": "2"})
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_have_text(re.compile(r"Too many failed attempts. Try again in \d seconds?."))
    expect(dialog.get_by_role("button", name="Sign in")).to_be_disabled()
    desk.refuse_sign_in = None
    expect(dialog.get_by_role("button", name="Sign in")).to_be_enabled()
    token.fill("t-right")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.locator("#who")).to_have_text("ana, operator")
    expect(page.locator("#health-word")).to_have_text("Degraded")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("dialog", name="Sign in to Fusebox")).to_be_visible()
    expect(page.locator("#provider-list > li")).to_have_count(0)
    assert not desk.signed_in


def test_a_session_that_ends_asks_again_and_keeps_what_was_shown(stand_in, visit):
    desk = stand_in(token="t-1")
    desk.signed_in = True
    page = visit(desk.url)
    desk.signed_in = False
    desk.drop()
    dialog = page.get_by_role("dialog", name="Sign in to Fusebox")
    expect(dialog).to_contain_text("Your session is over.")
    expect(page.locator("#stale")).to_be_visible()
    dialog.get_by_label("Token").fill("t-1")
    dialog.get_by_role("button", name="Sign in").click()
    expect(dialog).to_be_hidden()
    expect(page.locator("#link-word")).to_have_text("Live")
    expect(page.locator("#stale")).to_be_hidden()


def test_a_page_opened_before_the_control_plane_waits_for_it(stand_in, visit):
    desk = stand_in()
    asked = []

    def fail_twice(route):
        asked.append(route)
        if len(asked) < 3:
            route.abort()
        else:
            route.continue_()

    page = visit(desk.url, board=False, before=lambda page: page.route("**/api/v1/session", fail_twice))
    expect(page.locator("#opening")).to_contain_text(
        "The control plane cannot be reached. It is tried again by itself."
    )
    expect(page.locator("#board")).to_be_visible(timeout=15_000)


def test_countdowns_go_by_the_servers_clock(stand_in, visit):
    page = visit(stand_in(fixture.fleet()).url)
    learned = page.evaluate("""async () => {
        const { learn, now } = await import('./clock.js');
        learn(new Date(Date.now() + 300_000).toUTCString());
        const ahead = now() - Date.now();
        learn(new Date(Date.now() - 900).toUTCString());
        return [ahead, now() - Date.now()];
    }""")
    assert 298_000 < learned[0] < 302_000, "five minutes ahead"
    assert learned[1] == 0, "what a rounded second can explain is not believed"
