"""The run page in a real browser: progress without reload, buttons with confirmation, nothing asked of other hosts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from migration_portal.engine.copy import boundaries
from migration_portal.runs.models import Run
from migration_portal.runs.states import State
from tests import builders
from tests.serving import served
from tests.world import World

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    if os.environ.get("PORTAL_BROWSER_REQUIRED"):
        raise RuntimeError("CI needs chromium for the browser tests.")
    pytest.skip("chromium is not installed: browser tests are skipped", allow_module_level=True)


@pytest.fixture
def site(world: World, settings: Any) -> Iterator[str]:
    """The console behind its web server, on this test's databases."""
    with served(settings) as url:
        yield url


@pytest.fixture
def page(site: str) -> Iterator[Any]:
    """A browser signed in as operator and approver, that fails the test on any script error or foreign request."""
    from playwright.sync_api import sync_playwright

    builders.member("operator", "approver", username="anna")
    wrong: list[str] = []
    # Playwright's event loop would make Django think that it is called from asynchronous code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        opened = browser.new_page(viewport={"width": 1400, "height": 900})
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        opened.on("request", lambda request: wrong.append(request.url) if not request.url.startswith(site) else None)
        opened.goto(f"{site}/admin/")
        opened.fill("#id_username", "anna")
        opened.fill("#id_password", "secret-pass-1")
        opened.click("button[type=submit]")
        opened.wait_for_selector("text=What to do next")
        yield opened
        # Inside Playwright's loop Django keeps connections of its own, which outlive this test's databases.
        connections.close_all()
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
    assert [item for item in wrong if not item.startswith("data:")] == []


def test_an_operator_starts_watches_pauses_and_finishes_a_run(
    world: World, site: str, page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boundaries, "GRANULE_BYTES", 1)
    world.sample(users=10_000, tenants=40)
    page.goto(f"{site}/admin/runs/run/")
    page.click("text=Start run")
    page.wait_for_selector("dialog[open] >> text=Start the run?")
    page.click("dialog[open] >> text=Cancel")
    assert not Run.objects.exists()
    page.click("text=Start run")
    page.click("dialog[open] button[type=submit]")
    page.wait_for_selector("h2:has-text('Tables')")
    assert page.url.endswith("/admin/runs/run/1/change/")
    # Pressed before a worker is up, so that there is something left to pause.
    page.click("button:has-text('Pause')")
    page.fill("dialog[open] input[name=reason]", "x") if page.query_selector(
        "dialog[open] input[name=reason]"
    ) else None
    page.click("dialog[open] button[type=submit]")
    world.worker()
    world.beat()
    page.wait_for_selector("span.p-badge:has-text('paused')", timeout=30_000)  # without a reload
    page.click("button:has-text('Resume')")
    page.click("dialog[open] button[type=submit]")
    page.wait_for_function("document.querySelector('progress[aria-label=\"Whole run\"]').value > 0")
    page.wait_for_selector("span.p-badge:has-text('completed')", timeout=90_000)
    assert "is completed" in page.inner_text("[aria-live=polite]")
    assert page.get_attribute("[aria-label='Whole run']", "value") == "100"
    assert page.locator(".p-map .done").count() > 5
    page.click("text=Report")
    page.wait_for_selector("text=Every row is accounted for")


def test_undo_is_asked_for_by_typing_the_runs_name(world: World, site: str, page: Any) -> None:
    world.sample()
    run = builders.migrated(world)
    page.goto(f"{site}/admin/runs/run/{run.pk}/change/")
    page.click("button:has-text('Undo')")
    page.click("dialog[open] button[type=submit]")
    assert page.is_visible("dialog[open]")  # the browser wants both fields filled
    page.fill("dialog[open] input[name=reason]", "rehearsal")
    page.fill("dialog[open] input[name=typed]", f"Run {run.pk}")
    page.click("dialog[open] button[type=submit]")
    page.wait_for_selector("span.p-badge:has-text('undoing')")
    run.refresh_from_db()
    assert run.state == State.UNDOING
