"""What the page shows of a fleet."""

import json
import re

from playwright.sync_api import expect

import fixture


def test_the_top_says_the_health_the_level_and_why(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url)
    top = page.get_by_role("region", name="Fleet health: Degraded")
    expect(top).to_contain_text("1 of 12 live sidecars are critical (degraded from 10 %, critical from 50 %)")
    expect(top).to_contain_text("Degradation level: Full")
    expect(top).to_contain_text("calls a second61")
    expect(page).to_have_title("◆ Degraded · prod-eu · Fusebox")
    desk.change(
        health="HEALTH_STATUS_CRITICAL",
        healthReason="7 of 12 live sidecars are critical.",
        degradationLevel="DEGRADATION_LEVEL_MINIMAL",
    )
    expect(page.get_by_role("region", name="Fleet health: Critical")).to_contain_text(
        "7 of 12 live sidecars are critical."
    )
    expect(page).to_have_title("⛔ Critical · prod-eu · Fusebox")
    expect(page.locator("#level-word")).to_have_text("Minimal")


def test_old_data_is_marked_as_old_with_its_age(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url)
    expect(page.locator("#stale")).to_be_hidden()
    desk.fleet["at"] = fixture.stamp(-95)
    with desk.turn:
        desk.fleet["stale"] = True
        desk.version += 1
        desk.turn.notify_all()
    expect(page.locator("#stale")).to_contain_text("Old data. The control plane cannot reach its store")
    expect(page.locator("#stale-age")).to_have_text(re.compile(r"\d min( \d+ s)? ago"))
    desk.change(stale=False)
    expect(page.locator("#stale")).to_be_hidden()


def test_a_providers_card_tells_its_whole_state(stand_in, visit):
    desk = stand_in()
    desk.provider("openai")["breaker"]["halfOpenAt"] = fixture.stamp(400)
    page = visit(desk.url)
    names = page.locator("#provider-list h3")
    expect(names).to_have_text(["vllm-pod", "openai", "azure-eu", "anthropic", "together"])
    openai = page.locator(".card", has_text="openai")
    expect(openai).to_contain_text("Breaker open")
    expect(openai).to_contain_text("failure rate 0.59 over 412 calls")
    expect(openai).to_contain_text("3 sidecars of 12 have their own breaker open.")
    expect(openai).to_contain_text("59 % failing")
    expect(openai.get_by_role("img")).to_have_accessible_name(
        re.compile(r"openai in the last hour: [\d,]+ calls, [\d,]+ failed, most at \d\d:\d\d")
    )
    countdown = openai.locator(".due time")
    before = countdown.inner_text()
    assert re.fullmatch(r"\d:\d\d", before)
    expect(countdown).not_to_have_text(before)
    together = page.locator(".card", has_text="together")
    expect(together).to_contain_text(
        re.compile(
            r"Switched off by ana \d+ min ago: “wrong answers since their deploy, ticket 4711”; undone in \d+ min"
        )
    )
    expect(together.get_by_role("button", name="Off: switch together on")).to_be_visible()
    expect(page.locator(".card", has_text="vllm-pod")).to_contain_text("not shared")


def test_what_can_still_be_served_names_the_models_that_are_short(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url)
    chat = page.locator("#model-list > li", has_text="chat")
    expect(chat).to_contain_text("4 of 4")
    expect(chat.locator("ol")).to_have_text("vllm-podopenai breaker openazure-euanthropic half-open")
    desk.fleet["models"][2]["enabled"] = 0
    desk.change()
    expect(page.locator("#model-list > li").first).to_contain_text("vision")
    expect(page.locator("#model-list > li").first).to_contain_text("none left")


def test_alerts_tell_of_their_deliveries_and_the_gravest_comes_first(stand_in, visit):
    page = visit(stand_in().url)
    alerts = page.locator("#alert-list > li")
    expect(alerts).to_have_count(3)
    expect(alerts.nth(0)).to_contain_text("Critical Breaker opened: openai")
    expect(alerts.nth(0)).to_contain_text("ops-mail: failed after 4 attempts: 550 mailbox unavailable")
    expect(alerts.nth(1)).to_contain_text("272 errors/min against 3.2 before (×85)")
    expect(alerts.nth(1)).to_contain_text("oncall: pending after 2 attempts: 429 Too Many Requests")
    expect(alerts.nth(2)).to_contain_text("acknowledged by bo")
    expect(page.locator("#nav-alerts")).to_have_text("2")
    page.get_by_text("Deliveries").click()
    expect(page.locator("#channel-list")).to_contain_text(re.compile(r"ops-mail email, failing for \d+ min"))
    page.get_by_text("Resolved alerts").click()
    expect(page.locator("#earlier-list > li")).to_have_count(1)


def test_the_chart_has_a_table_behind_it_and_can_be_of_one_provider(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url)
    page.get_by_text("The chart as a table").click()
    # One minute as it was told, and the row of the table that has its time.
    told = desk.fleet["history"][30]
    row = page.locator("#minutes tbody tr", has_text=told["at"][11:16])
    expect(row).to_have_count(1)
    head = page.locator("#minutes thead th").all_inner_texts()
    cells = row.locator("td").all_inner_texts()
    shown = dict(zip(head[1:], cells, strict=True))
    assert shown.pop("Calls").replace(",", "") == told["calls"]
    assert {kind.replace(" ", "_"): number for kind, number in shown.items() if number != "0"} == told["errors"]
    page.get_by_label("Errors of").select_option("azure-eu")
    expect(page.locator("#kind-rows th")).to_have_text(["rate limited", "invalid response"])


def test_one_sidecar_is_shown_in_full(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url)
    page.get_by_role("option", name="llm-0001, critical").click()
    drawer = page.get_by_role("dialog", name="llm-0001")
    # The stream leaves checks out: these were asked for.
    expect(drawer.get_by_role("row", name="provider:vllm-pod critical")).to_contain_text("fails connection refused")
    expect(drawer.get_by_role("meter", name="GPU memory")).to_be_visible()
    expect(drawer.get_by_role("row", name="together")).to_contain_text("off")
    expect(drawer).to_contain_text(desk.fleet["sidecars"][1]["pod"])
    desk.fleet["sidecars"][1]["checks"][0]["message"] = "timed out"
    expect(drawer).to_contain_text("timed out")
    del desk.fleet["sidecars"][1]
    expect(drawer).to_contain_text("It is gone")


def test_sidecars_are_found_by_state_and_by_name(stand_in, visit):
    page = visit(stand_in().url)
    shown = page.locator("#grid [role=option]:visible")
    expect(shown).to_have_count(12)
    page.get_by_role("button", name="Degraded 2").click()
    expect(shown).to_have_count(2)
    page.get_by_role("button", name="All 12").click()
    page.get_by_label("Find").fill("eu-1b 0004")
    expect(shown).to_have_text(["llm-00048.7/s"])
    page.get_by_label("Find").fill("nowhere")
    expect(page.get_by_text("No sidecar is like that.")).to_be_visible()


def test_an_empty_fleet_is_shown_as_what_it_is(stand_in, visit):
    desk = stand_in(
        {"name": "new", "settingsVersion": "0", "providers": [], "sidecars": [], "firingAlerts": [], "models": []}
    )
    desk.resolved, desk.audit = [], []
    page = visit(desk.url)
    expect(page.get_by_text("No sidecar has been heard of.")).to_be_visible()
    expect(page.get_by_text("no sidecar has named one yet")).to_be_visible()
    expect(page.get_by_text("none is firing")).to_be_visible()
    expect(page.get_by_text("Nothing has been changed yet.")).to_be_visible()
    expect(page.get_by_text("no channel: alerts reach nobody")).to_be_visible()


def test_what_others_wrote_is_text_and_never_markup(stand_in, visit):
    evil = "<img src=x onerror=document.title='owned'>"
    told = json.loads(
        json.dumps(fixture.fleet())
        .replace("openai", evil.replace("'", "\\u0027"))
        .replace("prod-eu", evil.replace("'", "\\u0027"))
    )
    told["providers"][2]["priorityWord"]["reason"] = evil
    page = visit(stand_in(told).url)
    expect(page.locator("#provider-list h3").nth(1)).to_have_text(evil)
    expect(page.locator(".words").nth(2)).to_contain_text(evil)
    assert page.locator("img").count() == 0


def test_the_audit_is_read_on_and_comes_anew_after_a_change(stand_in, visit):
    desk = stand_in()
    desk.audit += [desk.audit[1] | {"id": f"old-{index}", "actor": f"person-{index}"} for index in range(40)]
    page = visit(desk.url)
    rows = page.locator("#audit-rows tr")
    expect(rows).to_have_count(25)
    page.locator("#audit").get_by_role("button", name="More").click()
    expect(rows).to_have_count(43)
    expect(page.locator("#audit-more")).to_be_hidden()
    desk.set_provider("azure-eu", {"enabled": False, "reason": "from elsewhere"})
    expect(rows.first).to_contain_text("from elsewhere")
    expect(rows).to_have_count(44)
    expect(page.get_by_role("link", name="Export")).to_have_attribute("href", "api/v1/audit/export")
