"""Drafting in a real browser: from an unknown database to a green dry run, and an editor that checks as one types."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migration_portal.drafting.models import PlanDraft
from migration_portal.runs.models import Run
from tests import builders
from tests.drafting.schemas import fill
from tests.journeys.test_browser import page as page
from tests.journeys.test_browser import site as site
from tests.world import World

SHOTS = os.environ.get("PORTAL_TEST_SHOTS", "")


@pytest.fixture
def drafter(world: World, site: str, page: Any) -> Iterator[Any]:
    """The browser of somebody who may write plans."""
    from django.contrib.auth.models import Permission, User

    User.objects.get(username="anna").user_permissions.add(Permission.objects.get(codename="write_plandraft"))
    page.goto(f"{site}/admin/draft/")
    yield page


def _shot(page: Any, name: str) -> None:
    if not SHOTS:
        return
    for theme in ("light", "dark"):
        page.evaluate("theme => document.documentElement.classList.toggle('dark', theme === 'dark')", theme)
        for width in (1400, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.screenshot(path=str(Path(SHOTS) / f"{name}-{theme}-{width}.png"))
    page.evaluate("document.documentElement.classList.remove('dark')")
    page.set_viewport_size({"width": 1400, "height": 900})


def test_a_stranger_goes_from_an_unknown_database_to_a_green_dry_run(world: World, site: str, drafter: Any) -> None:
    fill(world, "keycloak")
    _shot(drafter, "empty")
    drafter.click("button:has-text('Draft a plan')")
    drafter.wait_for_selector("text=Drafted: 4 tables.")
    drafter.wait_for_selector("text=It fits both databases.")
    _shot(drafter, "drafted")
    drafter.click("button:has-text('Dry run of the saved version')")
    drafter.wait_for_selector("text=Dry run 1 has started")
    run = builders.finish(Run.objects.get())
    assert run.state == "completed" and run.dry_run


def test_what_is_typed_is_checked_and_kept_only_when_saved(world: World, site: str, drafter: Any) -> None:
    fill(world, "django")
    drafter.click("button:has-text('Draft a plan')")
    drafter.wait_for_selector("text=It fits both databases.")
    first = drafter.locator("#checked [data-line]:has-text('full_name')").first
    first.click()
    drafter.keyboard.press("Shift+End")
    drafter.keyboard.type('full_name = "upper(first_nam)"')
    drafter.wait_for_selector("text=It cannot be carried out yet.")
    drafter.wait_for_selector("text=users.full_name")
    _shot(drafter, "wrong")
    assert PlanDraft.objects.count() == 1
    drafter.keyboard.press("Control+z")
    drafter.wait_for_selector("text=It fits both databases.")
    drafter.keyboard.type(" # decided")
    drafter.click("button:has-text('Save')")
    drafter.wait_for_selector("text=Saved as a new version.")
    assert PlanDraft.objects.count() == 2


def test_the_keyboard_leaves_the_editor_by_tab(world: World, site: str, drafter: Any) -> None:
    fill(world, "django")
    drafter.click("button:has-text('Draft a plan')")
    drafter.wait_for_selector(".CodeMirror")
    drafter.click(".CodeMirror")
    drafter.keyboard.press("Tab")
    assert not drafter.evaluate("document.activeElement.closest('.CodeMirror') !== null")


def test_a_check_that_fails_takes_its_green_word_back(world: World, site: str, drafter: Any) -> None:
    fill(world, "django")
    drafter.click("button:has-text('Draft a plan')")
    drafter.wait_for_selector("text=It fits both databases.")
    drafter.route("**/draft/check/", lambda route: route.abort())
    drafter.click(".CodeMirror")
    drafter.keyboard.type("# more")
    drafter.wait_for_selector("text=It could not be checked: the portal does not answer. What you typed is still here.")
    assert drafter.get_attribute("#checked", "aria-busy") == "true"
