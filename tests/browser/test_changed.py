"""What can be changed from the page, and what it says when a change cannot be made."""

import re

import pytest
from playwright.sync_api import expect

import fixture
from door import Refusal


def switch(page, name, to="off"):
    page.get_by_role("button", name=f"switch {name} {to}").click()
    return page.get_by_role("dialog", name=f"Switch {name} {to}")


def test_a_provider_is_switched_off_after_it_was_shown_what_that_does(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url)
    dialog = switch(page, "azure-eu")
    expect(dialog).to_contain_text("vision would be served by openai")
    expect(dialog).to_contain_text("Goes to 12 live sidecars.")
    assert desk.changes() == [], "a dry run changes nothing"
    dialog.get_by_label("Reason").fill("bad answers")
    dialog.get_by_label("Holds").select_option("1 hour")
    dialog.get_by_role("button", name="Switch off").click()
    expect(dialog).to_contain_text("Done: applied by all 12")
    [(method, path, body)] = desk.changes()
    assert (method, path) == ("PATCH", "providers/azure-eu")
    assert body == {
        "enabled": False,
        "reason": "bad answers",
        "expiresAfter": "3600s",
        "change": {"expectedVersion": "41", "force": False, "wait": "15s"},
    }
    dialog.locator("#change-go").click()
    expect(dialog).to_be_hidden()
    card = page.locator(".card", has_text="azure-eu")
    expect(card).to_contain_text(re.compile("Switched off by ana .*: “bad answers”; undone in (59 min|1 h)"))
    expect(page.get_by_role("button", name="switch azure-eu on")).to_be_focused()
    expect(page.locator("#audit-rows tr").first).to_contain_text("bad answers")


def test_what_was_set_is_handed_back_to_the_configuration(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url)
    card = page.locator(".card", has_text="azure-eu")
    expect(card).to_contain_text("Ranked")
    expect(page.locator(".card", has_text="openai").get_by_role("button", name="Hand back")).to_be_hidden()
    card.get_by_role("button", name="Hand back").click()
    dialog = page.get_by_role("dialog", name="Hand azure-eu back")
    expect(dialog).to_contain_text("as each configuration says")
    expect(dialog.get_by_label("Holds")).to_be_hidden()
    dialog.get_by_label("Reason").fill("good again")
    dialog.get_by_role("button", name="Hand back").click()
    expect(dialog).to_contain_text("Done: applied by all 12")
    (method, path, body) = desk.changes()[-1]
    assert (method, path) == ("PATCH", "providers/azure-eu")
    assert (body["reset"], body["reason"], "expiresAfter" in body) == (True, "good again", False)
    dialog.locator("#change-go").click()
    expect(card).not_to_contain_text("Ranked")
    expect(card.get_by_role("button", name="Hand back")).to_be_hidden()


def test_nothing_is_sent_without_a_reason(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url)
    dialog = switch(page, "azure-eu")
    dialog.get_by_role("button", name="Switch off").click()
    expect(dialog.get_by_role("alert").filter(has_text="Say why")).to_be_visible()
    expect(dialog.get_by_label("Reason")).to_be_focused()
    dialog.get_by_label("Reason").fill("now there is one")
    dialog.get_by_label("Holds").select_option("another length…")
    dialog.get_by_label("minutes").fill("1.5")
    dialog.get_by_role("button", name="Switch off").click()
    expect(dialog).to_contain_text("A whole number of minutes, from 1 to 43200")
    assert desk.changes() == []


def test_the_last_provider_of_a_model_goes_only_when_its_name_is_typed(stand_in, visit):
    desk = stand_in()
    desk.provider("openai")["enabled"] = False
    page = visit(desk.url)
    dialog = switch(page, "azure-eu")
    expect(dialog).to_contain_text("azure-eu is the last provider of vision")
    # What it would do is shown all the same.
    expect(dialog).to_contain_text("vision would be served by nobody")
    dialog.get_by_label("Reason").fill("it must be")
    dialog.get_by_role("button", name="Switch off").click()
    expect(dialog).to_contain_text("Type azure-eu, as it is written.")
    assert desk.changes() == []
    dialog.locator("#force-typed").fill("azure-eu")
    dialog.get_by_role("button", name="Switch off").click()
    expect(dialog).to_contain_text("Done")
    assert desk.changes()[0][2]["change"]["force"] is True


def test_a_change_that_somebody_else_overtook_says_whose_and_what(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url)
    dialog = switch(page, "azure-eu")
    expect(dialog).to_contain_text("azure-eu: on → off")
    dialog.get_by_label("Reason").fill("mine")
    # Refused before the page could have heard of it.
    desk.next_refusal = Refusal(409, "ABORTED", "the settings have moved on", details={"settingsVersion": "42"})
    with desk.turn:
        desk.fleet["settingsVersion"] = "42"
        desk.provider("openai").update(
            enabled=False, enabledWord={"by": "bo", "reason": "it burns", "at": fixture.stamp(0)}
        )
        desk.audit.insert(
            0,
            {
                "id": "e-42",
                "at": fixture.stamp(0),
                "actor": "bo",
                "action": "SetProvider",
                "effect": "openai: on → off",
                "outcome": "done",
                "settingsVersion": "42",
            },
        )
    dialog.get_by_role("button", name="Switch off").click()
    moved = dialog.get_by_role("alert").filter(has_text="Somebody else changed the settings meanwhile")
    expect(moved).to_contain_text("openai is off (bo: “it burns”)")
    expect(moved).to_contain_text(re.compile("bo .*: openai: on → off"))
    assert desk.provider("azure-eu")["enabled"] is True
    dialog.get_by_role("button", name="Look again").click()
    expect(dialog).to_contain_text("azure-eu is the last provider of vision")
    expect(dialog.get_by_label("Reason")).to_have_value("mine")


def test_a_change_by_somebody_else_shows_while_the_dialog_is_open(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url)
    dialog = switch(page, "azure-eu")
    expect(dialog).to_contain_text("azure-eu: on → off")
    desk.set_provider("anthropic", {"priority": 9, "reason": "dear", "change": {}})
    expect(dialog).to_contain_text("anthropic has rank 9 (ana: “dear”)")
    dialog.get_by_role("button", name="Look again").click()
    dialog.get_by_label("Reason").fill("still")
    dialog.get_by_role("button", name="Switch off").click()
    expect(dialog).to_contain_text("Done")
    assert desk.changes()[-1][2]["change"]["expectedVersion"] == "42"


def test_progress_is_shown_until_the_last_sidecar(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url)
    desk.held_back = {"llm-0003", "llm-0007"}
    dialog = switch(page, "azure-eu")
    dialog.get_by_label("Reason").fill("slow ones")
    dialog.get_by_role("button", name="Switch off").click()
    expect(dialog.locator("#change-bar-label")).to_have_text("Applied by 10 of 12 sidecars")
    expect(dialog).to_contain_text("Waiting for llm-0003, llm-0007.")
    expect(page.locator(".card", has_text="azure-eu")).to_contain_text("Settings applied by 10 of 12 sidecars")
    for one in desk.fleet["providers"]:
        one["sidecarsApplied"] = 12
    desk.change()
    expect(dialog.locator("#change-bar-label")).to_have_text("Applied by 12 of 12 sidecars")


@pytest.mark.parametrize(
    "refusal, says",
    [
        (Refusal(403, "PERMISSION_DENIED", "ana is a viewer now"), "ana is a viewer now"),
        (Refusal(503, "UNAVAILABLE", "the store cannot be reached"), "the store cannot be reached"),
        (
            Refusal(400, "INVALID_ARGUMENT", "one fault", [{"field": "reason", "message": "at most 200 characters"}]),
            "at most 200 characters",
        ),
    ],
)
def test_a_refusal_is_shown_where_it_happened_and_what_was_typed_stays(stand_in, visit, refusal, says):
    desk = stand_in()
    page = visit(desk.url)
    dialog = switch(page, "azure-eu")
    expect(dialog).to_contain_text("azure-eu: on → off")
    dialog.get_by_label("Reason").fill("a long story")
    desk.next_refusal = refusal
    dialog.get_by_role("button", name="Switch off").click()
    expect(dialog.get_by_role("alert").filter(has_text=says)).to_be_visible()
    expect(dialog.get_by_label("Reason")).to_have_value("a long story")
    dialog.get_by_role("button", name="Switch off").click()
    expect(dialog).to_contain_text("Done")


def test_a_lost_answer_is_not_called_a_failure(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url)
    dialog = switch(page, "azure-eu")
    expect(dialog).to_contain_text("azure-eu: on → off")
    dialog.get_by_label("Reason").fill("x")
    desk.gone = True
    dialog.get_by_role("button", name="Switch off").click()
    expect(dialog).to_contain_text("it may have been made or not")


def test_what_fails_after_its_dialog_was_closed_is_told_all_the_same(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url)
    desk.held_back = {"llm-0003"}
    dialog = switch(page, "azure-eu")
    dialog.get_by_label("Reason").fill("x")
    dialog.get_by_role("button", name="Switch off").click()
    expect(dialog.locator("#change-go")).to_have_text("Sending…")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    desk.gone = True
    expect(page.get_by_role("alert").filter(has_text="Switch azure-eu off: No answer came")).to_be_visible()


def test_rank_breaker_and_levels_are_set(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url)

    def make(dialog, verb, reason):
        dialog.get_by_label("Reason").fill(reason)
        dialog.get_by_role("button", name=verb).click()
        expect(dialog).to_contain_text("Done")
        dialog.locator("#change-go").click()

    page.get_by_role("button", name="Rank 4 of anthropic").click()
    dialog = page.get_by_role("dialog", name="Rank anthropic")
    dialog.get_by_label("Rank").fill("0")
    expect(dialog).to_contain_text("anthropic: rank 4 → 0")
    make(dialog, "Set rank", "a")
    expect(page.locator("#provider-list h3").first).to_have_text("anthropic")

    page.get_by_role("button", name="Breaker… of openai").click()
    dialog = page.get_by_role("dialog", name="Breaker of openai")
    dialog.get_by_label("Forced open").check()
    expect(dialog).to_contain_text("openai: breaker forced open")
    make(dialog, "Set breaker", "b")
    expect(page.locator(".card", has_text="openai")).to_contain_text("forced open")

    page.get_by_role("button", name="Set level…").click()
    dialog = page.get_by_role("dialog", name="Level of the fleet")
    dialog.get_by_label("Reduced").check()
    expect(dialog).to_contain_text("all 12 sidecars: held at reduced")
    make(dialog, "Set level", "c")
    expect(page.locator("#level-why")).to_contain_text(re.compile("Held for the whole fleet, by ana .*: “c”"))

    page.get_by_role("option", name="llm-0002").click()
    page.get_by_role("button", name="Set its level…").click()
    dialog = page.get_by_role("dialog", name="Level of llm-0002")
    dialog.get_by_label("Minimal").check()
    make(dialog, "Set level", "d")
    expect(page.get_by_role("dialog", name="llm-0002")).to_contain_text("Level Minimal, set by ana")

    asked = [
        (method, path, {key: value for key, value in body.items() if key not in ("reason", "change")})
        for method, path, body in desk.changes()
    ]
    assert asked == [
        ("PATCH", "providers/anthropic", {"priority": 0}),
        ("PUT", "providers/openai/breaker", {"mode": "BREAKER_MODE_FORCED_OPEN"}),
        ("PUT", "degradation", {"level": "DEGRADATION_LEVEL_REDUCED"}),
        ("PUT", "degradation", {"level": "DEGRADATION_LEVEL_MINIMAL", "sidecar": "llm-0002"}),
    ]


def test_an_alert_is_acknowledged_and_silenced_and_the_silence_ended(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url)
    page.get_by_role("button", name="Acknowledge Breaker opened: openai").click()
    expect(page.locator("#alert-list > li", has_text="Breaker opened")).to_contain_text("acknowledged by ana")
    page.get_by_role("button", name="Silence… like Error spike: openai").click()
    dialog = page.get_by_role("dialog", name="Silence alerts")
    expect(dialog).to_contain_text("it would keep back 1.")
    dialog.get_by_role("button", name="Silence", exact=True).click()
    expect(dialog).to_contain_text("Say why: nobody will be told of these alerts.")
    dialog.get_by_label("Reason").fill("known")
    dialog.get_by_role("button", name="Silence", exact=True).click()
    expect(dialog).to_be_hidden()
    assert desk.changes()[-1] == (
        "POST",
        "silences",
        {
            "kind": "ALERT_KIND_ERROR_SPIKE",
            "provider": "openai",
            "sidecar": "",
            "reason": "known",
            "expiresAfter": "3600s",
        },
    )
    expect(page.locator("#alert-list > li", has_text="Error spike")).to_contain_text("silenced: not delivered")
    expect(page.locator("#silence-list")).to_contain_text(
        re.compile("Error spike of openai, by ana .*: “known”; undone in (59 min|1 h)")
    )
    page.get_by_role("button", name="End the silence: Error spike of openai").click()
    expect(page.locator("#silence-list > li")).to_have_count(0)
    expect(page.locator("#alert-list > li", has_text="Error spike")).not_to_contain_text("silenced")


def test_an_acknowledgement_that_fails_says_so_beside_its_alert(stand_in, visit):
    desk = stand_in()
    page = visit(desk.url)
    desk.next_refusal = Refusal(503, "UNAVAILABLE", "the store cannot be reached")
    page.get_by_role("button", name="Acknowledge Breaker opened: openai").click()
    expect(page.locator("#alert-list > li", has_text="Breaker opened").get_by_role("alert")).to_have_text(
        "the store cannot be reached"
    )


def test_a_session_that_ends_during_a_change_costs_nothing_that_was_typed(stand_in, visit):
    desk = stand_in(token="t-1")
    desk.signed_in = True
    page = visit(desk.url)
    dialog = switch(page, "azure-eu")
    expect(dialog).to_contain_text("azure-eu: on → off")
    dialog.get_by_label("Reason").fill("a long story")
    desk.signed_in = False
    dialog.get_by_role("button", name="Switch off").click()
    page.get_by_role("dialog", name="Sign in to Fusebox").get_by_label("Token").fill("t-1")
    page.keyboard.press("Enter")
    expect(page.locator("#link-word")).to_have_text("Live")
    expect(dialog.get_by_label("Reason")).to_have_value("a long story")
    dialog.get_by_role("button", name="Switch off").click()
    expect(dialog).to_contain_text("Done")


def test_a_viewer_sees_the_controls_and_why_they_do_nothing(stand_in, visit):
    desk = stand_in(role="viewer", token="t-1")
    desk.signed_in = True
    page = visit(desk.url)
    lever = page.get_by_role("button", name="switch azure-eu off")
    expect(lever).to_have_attribute("aria-disabled", "true")
    expect(lever).to_have_accessible_description(re.compile("only an operator can change anything"))
    for control in page.locator("[data-change]:visible").all():
        control.focus()
        page.keyboard.press("Enter")
        expect(page.locator("dialog[open]")).to_have_count(0)
    assert desk.changes() == []
