"""Parts of a page that ask for themselves, in a real browser: what a person ticked, looked at or typed stays."""

from __future__ import annotations

import time
import uuid
from typing import Any

from django.contrib.sessions.models import Session

from flags.models import TenantHome
from migration_portal.runs.start import start
from tests.journeys.test_browser import page as page
from tests.journeys.test_browser import site as site
from tests.world import World

FOCUSED = "document.activeElement?.id"


def tenants(*names: str) -> None:
    for name in names:
        TenantHome.objects.create(tenant=uuid.uuid5(uuid.NAMESPACE_URL, name), name=name)


def polled(page: Any, times: int = 1) -> None:
    """Until the page has asked for itself so often, and shows the answer."""
    page.evaluate(
        "window.answers ??= (document.addEventListener('htmx:afterSettle', () => window.settled++), window.settled = 0, 1)"
    )
    before = page.evaluate("window.settled")
    page.wait_for_function(f"window.settled >= {before + times}", timeout=20_000)


def test_ticks_focus_and_what_is_typed_survive_polls_in_flight(world: World, site: str, page: Any) -> None:
    tenants("b", "c")
    page.route("**/live/**", lambda route: (time.sleep(0.5), route.continue_()))
    page.goto(f"{site}/admin/cutover/")
    ticks = page.locator("input[name=tenant]")
    with page.expect_request("**/live/**"):
        pass
    ticks.nth(0).check()  # while an answer is on its way that knows nothing of it
    ticks.nth(1).check()
    ticks.nth(1).uncheck()
    ticks.nth(0).focus()
    focused = page.evaluate(FOCUSED)
    tenants("a")  # a row comes in before them
    page.wait_for_selector("td >> text=a")
    polled(page)
    assert [ticks.nth(place).is_checked() for place in range(3)] == [False, True, False]
    assert page.evaluate(FOCUSED) == focused
    page.keyboard.press("Space")
    assert [ticks.nth(place).is_checked() for place in range(3)] == [False, False, False]


def test_a_button_that_became_another_is_not_pressed_by_who_had_the_first(world: World, site: str, page: Any) -> None:
    world.sample()
    run = start(by="anna")
    page.goto(f"{site}/admin/runs/run/{run.pk}/change/")
    page.focus("#opens-pause")
    polled(page, 2)
    assert page.evaluate(FOCUSED) == "opens-pause"
    type(run).objects.update(state="paused")
    page.wait_for_selector("#opens-resume")
    assert page.evaluate(FOCUSED) == "live"


def test_nobody_asks_for_a_hidden_tab_and_a_page_out_of_date_says_so(world: World, site: str, page: Any) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/live/" in request.url else None)
    page.goto(f"{site}/admin/cutover/")
    polled(page)
    page.evaluate(
        "Object.defineProperty(document, 'hidden', { get: () => window.away, configurable: true }); window.away = true"
    )
    page.wait_for_timeout(300)
    asked.clear()
    page.wait_for_timeout(4500)
    assert asked == []
    page.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(500)
    assert asked  # at once
    page.route("**/live/**", lambda route: route.abort())
    page.wait_for_selector("#stale >> text=The portal does not answer")
    page.unroute("**/live/**")
    page.wait_for_selector("#stale", state="detached")
    Session.objects.all().delete()
    page.wait_for_url("**/login/**")


def test_the_keyboard_skips_the_menu(world: World, site: str, page: Any) -> None:
    page.goto(f"{site}/admin/backups/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.getElementById('content').contains(document.activeElement)")
