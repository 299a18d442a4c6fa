"""A thousand sidecars, told anew every second."""

import fixture

WATCH = """() => {
    window.tasks = [];
    window.touched = 0;
    new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((one) => Math.round(one.duration)))).observe({ type: 'longtask' });
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


def test_a_thousand_sidecars_do_not_make_the_page_stutter(stand_in, visit):
    desk = stand_in(fixture.fleet(1000))
    page = visit(desk.url)
    page.locator("#sidecars").scroll_into_view_if_needed()
    assert page.locator("#grid [role=option]").count() == 1000
    tell(desk, page, 0)
    nodes = page.evaluate("document.querySelectorAll('*').length")
    page.evaluate(WATCH)
    # A machine that is busy with something else stands still now and then: the page is slow only if it always is.
    for attempt in range(3):
        page.evaluate("window.tasks = []")
        for step in range(1, 9):
            tell(desk, page, 8 * attempt + step)
            page.wait_for_timeout(250)
        tasks = page.evaluate("window.tasks")
        if max(tasks, default=0) <= 100:
            break
    print("long tasks, ms:", tasks)
    assert max(tasks, default=0) <= 100, tasks
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
