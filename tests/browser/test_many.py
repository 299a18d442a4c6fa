"""A thousand sidecars, told anew every second."""

import json

import fixture

WATCH = """() => {
    window.touched = 0;
    new MutationObserver((records) => { window.touched += new Set(records.map((one) => one.target)).size; })
        .observe(document.getElementById('grid'), { childList: true, attributes: true, characterData: true, subtree: true });
}"""


def tell(desk, page, step):
    """Moves every sidecar's figures, and ten sidecars' health; waits until the page shows it."""
    for index, one in enumerate(desk.fleet["sidecars"]):
        one["callsPerSecond"] = (index + step) % 17 + 0.5
        one["inFlight"] = (index * step) % 5
        one["totals"]["calls"] = str(int(one["totals"]["calls"]) + 7)
    for one in desk.fleet["sidecars"][100 + 10 * step : 110 + 10 * step]:
        one["health"] = fixture.HEALTH[1]
    desk.fleet["totals"]["callsPerSecond"] = 1000 + step
    desk.change()
    page.wait_for_function(
        "(value) => document.querySelector('#figures .value').textContent === value", arg=f"{1000 + step:,}"
    )


def tasks(trace):
    """How long each task of the page's main thread took: as (on the processor, by the clock), in milliseconds."""
    events = json.loads(trace)["traceEvents"]
    named = [one for one in events if one["name"] == "thread_name" and one["args"]["name"] == "CrRendererMain"]
    threads = {(one["pid"], one["tid"]) for one in named}
    mine = [one for one in events if one["name"] == "RunTask" and (one["pid"], one["tid"]) in threads]
    return [(one["tdur"] / 1000, one["dur"] / 1000) for one in mine if "tdur" in one]


def test_a_thousand_sidecars_do_not_make_the_page_stutter(stand_in, visit):
    desk = stand_in(fixture.fleet(1000))
    page = visit(desk.url)
    page.locator("#sidecars").scroll_into_view_if_needed()
    assert page.locator("#grid [role=option]").count() == 1000
    tell(desk, page, 0)
    nodes = page.evaluate("document.querySelectorAll('*').length")
    page.context.browser.start_tracing(page=page, categories=["toplevel", "disabled-by-default-devtools.timeline"])
    for step in range(1, 13):
        tell(desk, page, step)
    found = tasks(page.context.browser.stop_tracing())
    assert len(found) > 20, "the page's thread was seen at work"
    # By the clock a task takes as long as the machine lets it; what the page asks of the processor is its own.
    longest = max(found)
    print(f"longest task: {longest[0]:.0f} ms on the processor, {longest[1]:.0f} ms by the clock")
    assert longest[0] <= 100
    assert page.evaluate("document.querySelectorAll('*').length") == nodes, "nothing grows"


def test_only_the_cells_that_differ_are_touched(stand_in, visit):
    desk = stand_in(fixture.healthy(1000))
    page = visit(desk.url)
    tell(desk, page, 0)
    page.evaluate(WATCH)
    for step in range(1, 6):
        tell(desk, page, step)
    # The cell, and the text of its letter.
    assert page.evaluate("window.touched") <= 5 * 10 * 2
    assert page.locator("#grid [data-state=degraded]").count() == 60


def test_fleets_that_come_faster_than_they_can_be_drawn_are_passed_over(stand_in, visit):
    page = visit(stand_in(fixture.fleet(1000)).url)
    drawn = page.evaluate("""async () => {
        const picture = await import('./picture.js');
        let drawn = 0;
        const end = picture.watch(() => { drawn += 1; });
        drawn = 0;
        const fleet = picture.fleet();
        for (let index = 0; index < 50; index += 1) picture.put(fleet);
        await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
        end();
        return drawn;
    }""")
    assert drawn <= 2
