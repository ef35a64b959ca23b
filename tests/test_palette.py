"""The command palette: what an operator finds by a name, and what not."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client

from flags.models import TenantHome
from migration_portal.audit.models import Event
from migration_portal.runs.models import Run
from tests.console.browsing import browser, words
from tests.world import World


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    cache.clear()


def found(client: Client, term: str) -> str:
    return words(client.get("/admin/search/", {"s": term, "extended": "1"}))


def test_pages_runs_tenants_features_and_help_are_found(world: World) -> None:
    run = Run.objects.create(plan_name="p", plan_text="", state="completed", started_by="anna")
    TenantHome.objects.create(tenant="t-1", legacy_tenant="old-1", name="Acme")
    client = browser("operator")
    assert "Backups • Page" in found(client, "backup")
    assert "Run 1" in found(client, f"run {run.pk}") and "Run 1" in found(client, str(run.pk))
    assert "Acme" in found(client, "acm") and "Acme" in found(client, "OLD-1")
    assert "Roll-back and undo • Help" in found(client, "roll-back and")
    assert "Feature" in found(client, "database")


def test_people_are_searched_only_where_that_is_asked_for_and_on_record(world: World) -> None:
    assert "Find a person: ann@example.org" in found(browser("support"), "ann@example.org")
    assert "Find a person" not in found(browser("viewer"), "ann@example.org")
    assert not Event.objects.filter(verb="search_people").exists()


def test_nobody_finds_what_they_may_not_see(world: World) -> None:
    TenantHome.objects.create(tenant="t-1", legacy_tenant="t-1", name="Acme")
    assert "Acme" not in found(browser(), "acme")


@pytest.mark.parametrize("odd", ["9" * 40, "run ٣", "%", "_", "\\", "'", "<b>", "x" * 5000])
def test_odd_words_find_nothing_and_break_nothing(world: World, odd: str) -> None:
    assert browser("operator").get("/admin/search/", {"s": odd, "extended": "1"}).status_code == 200
