"""What an operator does, by keyboard alone: nothing here is clicked, while the pages change under the hand."""

from __future__ import annotations

from typing import Any

import pytest

from flags.change import change
from flags.models import Flag, TenantHome
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.engine.copy import boundaries
from migration_portal.rollback.models import RollBack
from migration_portal.runs.models import Run
from migration_portal.runs.states import State
from tests import builders
from tests.cutover.moves import both_loops
from tests.journeys.test_browser import page as page
from tests.journeys.test_browser import site as site  # the fixtures
from tests.world import World, eventually

_FOCUSED = """([selector, text]) => {
  const there = document.activeElement;
  return there.matches(selector) && there.innerText.trim().endsWith(text);
}"""


def reach(page: Any, selector: str, text: str = "", *, key: str = "Tab", most: int = 250) -> None:
    """Go on with the key until what has the focus is this."""
    for _ in range(most):
        if page.evaluate(_FOCUSED, [selector, text]):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{selector} {text} is not reached by {key}.")


def press(page: Any, button: str, *, key: str = "Tab", **fields: str) -> None:
    """Press a button; fill in the dialog that it opens, and confirm by Enter."""
    reach(page, "button", button, key=key)
    page.keyboard.press("Enter")
    for name, value in fields.items():
        reach(page, f"dialog[open] [name={name}]")
        page.keyboard.type(value)
    if not fields:
        reach(page, "dialog[open] button[type=submit]")
    page.keyboard.press("Enter")


def test_a_run_is_started_paused_and_resumed_without_a_mouse(
    world: World, site: str, page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boundaries, "GRANULE_BYTES", 1)
    world.sample(users=10_000, tenants=40)
    reach(page, "a", "Runs")
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/run/")
    press(page, "Start run")
    page.wait_for_selector("h2:has-text('Tables')")
    press(page, "Pause")
    world.worker()
    world.beat()
    page.wait_for_selector("span.p-badge:has-text('paused')", timeout=30_000)
    press(page, "Resume")
    page.wait_for_selector("span.p-badge:has-text('completed')", timeout=90_000)
    assert Run.objects.get().state == State.COMPLETED


def test_single_keys_lead_to_pages_and_through_rows(world: World, site: str, page: Any) -> None:
    world.sample(users=60, tenants=5, rate=0)
    builders.migrated(world, capture=True)
    sync_tenants()
    page.keyboard.press("?")
    page.wait_for_selector("dialog#shortcuts[open]")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_url("**/admin/cutover/")
    boxes = page.locator("input[name=tenant]")
    for key in "jjkjx":
        page.keyboard.press(key)
    assert [boxes.nth(at).is_checked() for at in range(3)] == [False, True, False]
    page.keyboard.press("/")
    page.keyboard.type("jx?")  # words now
    assert page.evaluate("document.activeElement.value") == "jx?"


def test_who_wants_no_single_keys_is_spared_them(world: World, site: str, page: Any) -> None:
    page.keyboard.press("?")
    page.uncheck("[data-shortcuts]")
    page.keyboard.press("Escape")
    for key in "?gr":
        page.keyboard.press(key)
    page.wait_for_timeout(500)
    assert page.url.endswith("/admin/") and not page.locator("dialog#shortcuts[open]").count()


def test_the_fortieth_tenant_is_cut_over_and_reversed_without_a_mouse(world: World, site: str, page: Any) -> None:
    world.sample(users=200, tenants=45, rate=0)
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    for start in (world.follower, world.beat):
        start()
    page.goto(f"{site}/admin/cutover/")
    pk = page.locator("input[name=tenant]").nth(39).get_attribute("value")
    box = f"input[name=tenant][value='{pk}']"
    reach(page, box)
    page.keyboard.press("Space")
    page.wait_for_timeout(3000)  # the board has asked for itself meanwhile
    assert page.evaluate(_FOCUSED, [f"{box}:checked", ""])
    press(page, "Cut over", key="Shift+Tab", typed="cut over")
    eventually(lambda: TenantHome.objects.get(pk=pk).home == "iam", seconds=60)
    assert TenantHome.objects.filter(home="iam").count() == 1
    reach(page, "input[name=q]")
    page.keyboard.type(pk)
    page.keyboard.press("Enter")
    page.wait_for_url("**q=*")
    reach(page, box)
    page.keyboard.press("Space")
    press(page, "Reverse", key="Shift+Tab", reason="as practised", typed="reverse")
    eventually(lambda: TenantHome.objects.get(pk=pk).home == "legacy", seconds=60)


def test_a_feature_is_rolled_back_without_a_mouse(world: World, site: str, page: Any) -> None:
    change(Flag.objects.get(name="oauth2_enabled"), by="tester", reason="test", percentage=50)
    page.goto(f"{site}/admin/rollback/")
    reach(page, "button[data-opens=start-front_end]")
    page.keyboard.press("Enter")
    reach(page, "dialog[open] input[value=oauth2_enabled]")
    page.keyboard.press("Space")
    reach(page, "dialog[open] input[name=reason]")
    page.keyboard.type("the new screens are blank")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=It is under way")
    made = RollBack.objects.get()
    assert (made.kind, made.features) == ("front_end", ["oauth2_enabled"])
