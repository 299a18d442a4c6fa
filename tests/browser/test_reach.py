"""Whom the page reaches: by keyboard, by screen reader, on a phone, by night, without motion."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

import fixture

RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}
PHONE = {"viewport": {"width": 360, "height": 760}}


def faults(page):
    found = Axe().run(page, options=RULES).response["violations"]
    return [
        (one["id"], [node["html"][:160] + " " + node["failureSummary"] for node in one["nodes"][:3]]) for one in found
    ]


@pytest.mark.parametrize(
    "scheme, size", [("light", {}), ("dark", {}), ("light", PHONE)], ids=["light", "dark", "phone"]
)
def test_no_rule_of_wcag_aa_is_broken(stand_in, visit, scheme, size):
    desk = stand_in(fixture.fleet(80))
    desk.silence("", {"kind": "ALERT_KIND_DEGRADED", "reason": "known", "expiresAfter": "900s"})
    page = visit(desk.url, color_scheme=scheme, bypass_csp=True, **size)
    # Sections that are out of sight are not laid out, and would not be looked at.
    page.add_style_tag(content="#board > section { content-visibility: visible !important; }")
    for summary in page.locator("summary:visible").all():
        summary.click()
    assert faults(page) == []

    page.get_by_role("button", name="switch azure-eu off").click()
    expect(page.locator("#would")).to_contain_text("azure-eu: on → off")
    page.locator("#change-go").click()
    assert faults(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Set level…").click()
    expect(page.locator("#would")).to_contain_text("by load")
    assert faults(page) == []
    page.keyboard.press("Escape")
    page.locator("#silence-new").click()
    assert faults(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("option").nth(1).click()
    expect(page.get_by_role("table", name="Checks")).to_be_visible()
    assert faults(page) == []
    page.keyboard.press("Escape")

    desk.gone = True
    desk.drop()
    expect(page.locator("#stale")).to_be_visible()
    assert faults(page) == []


def test_no_rule_is_broken_at_the_door_nor_for_a_viewer(stand_in, visit):
    desk = stand_in(token="t", role="viewer")
    page = visit(desk.url, board=False, bypass_csp=True)
    expect(page.get_by_label("Token")).to_be_focused()
    assert faults(page) == []
    page.get_by_label("Token").fill("t")
    page.keyboard.press("Enter")
    expect(page.locator("#viewer-note")).to_be_visible()
    assert faults(page) == []


def test_a_provider_is_switched_off_by_keyboard_alone(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the fleet")).to_be_focused()
    page.keyboard.press("Enter")
    lever = page.get_by_role("button", name="switch azure-eu off")
    for _ in range(40):
        page.keyboard.press("Tab")
        if lever.evaluate("(node) => node === document.activeElement"):
            break
    expect(lever).to_be_focused()
    assert lever.evaluate("(node) => getComputedStyle(node).outlineStyle") == "solid", "where the focus is can be seen"
    page.keyboard.press("Enter")
    expect(page.locator("#change-reason")).to_be_focused()
    page.keyboard.type("by hand")
    page.keyboard.press("Enter")
    expect(page.locator("#change-done")).to_contain_text("Done")
    page.keyboard.press("Enter")
    expect(page.locator("#change")).to_be_hidden()
    assert desk.provider("azure-eu")["enabled"] is False
    expect(page.get_by_role("button", name="switch azure-eu on")).to_be_focused()


def test_arrow_keys_walk_the_grid_and_escape_comes_back_to_it(stand_in, visit):
    page = visit(stand_in(fixture.fleet(200)).url)
    cells = page.locator("#grid [role=option]")
    columns = page.evaluate(
        "() => { const all = [...document.querySelectorAll('#grid > *')]; return all.filter((one) => one.offsetTop === all[0].offsetTop).length; }"
    )
    assert page.locator("#grid [tabindex='0']").count() == 1, "the grid is one stop of the tab key"
    cells.nth(0).focus()
    for key, place in [
        ("ArrowRight", 1),
        ("ArrowDown", 1 + columns),
        ("ArrowLeft", columns),
        ("ArrowUp", 0),
        ("ArrowUp", 0),
        ("End", 199),
        ("ArrowRight", 199),
        ("Home", 0),
        ("PageDown", 5 * columns),
    ]:
        page.keyboard.press(key)
        expect(cells.nth(place)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#sidecar")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#sidecar")).to_be_hidden()
    expect(cells.nth(5 * columns)).to_be_focused()
    page.get_by_role("button", name=re.compile("^Critical")).click()
    assert page.locator("#grid [tabindex='0']:visible").count() == 1, "a filter leaves a way in"


def test_the_focus_stays_where_it_is_while_the_fleet_changes(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url)
    button = page.get_by_role("button", name="Breaker… of anthropic")
    button.focus()
    desk.provider("anthropic")["priority"] = 0
    desk.change()
    expect(page.locator("#provider-list h3").first).to_have_text("anthropic")
    expect(button).to_be_focused()


def test_screen_readers_hear_of_turns_and_not_of_every_figure(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url)
    page.evaluate("""() => {
        window.told = [];
        const live = document.querySelectorAll('[aria-live], [role=status], [role=alert], output');
        const watch = new MutationObserver((records) => window.told.push(...records.map((one) => one.target.textContent)));
        for (const node of live) watch.observe(node, { childList: true, characterData: true, subtree: true });
    }""")
    for step in range(8):
        desk.fleet["totals"]["callsPerSecond"] = 60 + step
        for one in desk.fleet["sidecars"]:
            one["callsPerSecond"] = step
        desk.change()
        expect(page.locator("#figures .value").first).to_have_text(str(60 + step))
    assert page.evaluate("window.told") == []
    desk.change(health="HEALTH_STATUS_CRITICAL", healthReason="7 of 12 are critical.")
    expect(page.locator("#news")).to_have_text("The fleet is critical. 7 of 12 are critical.")
    assert len(page.evaluate("window.told")) == 1


def test_nothing_sticks_out_of_a_narrow_phone(stand_in, visit):
    desk = stand_in(fixture.fleet(80))
    page = visit(desk.url, **PHONE)

    def fits():
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        out = page.evaluate(
            """() => [...document.querySelectorAll('dialog[open], dialog[open] *, #board > section')]
            .filter((node) => !node.closest('.scroll table') && node.getBoundingClientRect().right > 361).map((node) => node.outerHTML.slice(0, 120))"""
        )
        assert out == []

    for section in ["status", "alerts", "providers", "sidecars", "errors", "totals", "audit"]:
        page.locator(f"#{section}").scroll_into_view_if_needed()
        fits()
    page.get_by_role("button", name="switch azure-eu off").click()
    expect(page.locator("#would")).to_contain_text("azure-eu: on → off")
    fits()
    page.keyboard.press("Escape")
    page.get_by_role("option").nth(3).click()
    expect(page.get_by_role("table", name="Checks")).to_be_visible()
    fits()


def test_nothing_moves_for_who_does_not_want_it(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url, reduced_motion="reduce")
    desk.gone = True
    desk.drop()
    expect(page.locator("#stale")).to_be_visible()
    assert page.evaluate("document.getAnimations().length") == 0


def test_states_are_told_apart_without_colour(stand_in, visit):
    page = visit(stand_in(fixture.fleet(200)).url)
    letters = {
        state: page.locator(f"#grid [data-state={state}]").first.inner_text()
        for state in ["healthy", "degraded", "critical", "late"]
    }
    assert letters == {"healthy": "", "degraded": "D", "critical": "C", "late": "L"}
    blades = page.locator(".contact .blade").evaluate_all("(all) => all.map((one) => one.getAttribute('d'))")
    assert len(set(blades[:4])) == 3, "closed, open and half-open are drawn differently"
