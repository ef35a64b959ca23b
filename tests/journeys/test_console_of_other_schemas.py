"""Every page of the console, where legacy has none of our tables: none breaks, and people are found by what the plan says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse

from flags.models import TenantHome
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.inventory.requests import take_now
from tests import builders
from tests.cutover.moves import both_loops, moved
from tests.drafting.schemas import drafted
from tests.world import World

PEOPLE = {"django": "user7", "keycloak": "u7"}


@pytest.fixture(params=PEOPLE)
def schema(request: Any, world: World, settings: Any, tmp_path: Path) -> str:
    settings.MIGRATION_PLAN = drafted(world, request.param, tmp_path)
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    take_now("inventory", by="tester")
    take_now("preflight", by="tester")
    return str(request.param)


@pytest.fixture
def client() -> Client:
    made = Client(raise_request_exception=False)
    made.force_login(User.objects.create_superuser("root", password="secret-pass-1"))
    return made


def _pages(patterns: Any, before: str = "") -> list[str]:
    """The names of all pages that need no argument."""
    found: list[str] = []
    for each in patterns:
        if isinstance(each, URLResolver):
            space = f"{before}{each.namespace}:" if each.namespace else before
            found += _pages(each.url_patterns, space)
        elif isinstance(each, URLPattern) and each.name:
            found.append(f"{before}{each.name}")
    return found


def test_no_page_of_the_console_breaks(schema: str, client: Client) -> None:
    broken, opened = {}, 0
    for name in _pages(get_resolver().url_patterns):
        try:
            url = reverse(name)
        except NoReverseMatch:
            continue
        if not url.startswith("/admin/") or "logout" in url:
            continue
        answer = client.get(url)
        opened += 1
        text = answer.content.decode(errors="replace") if not answer.streaming else ""
        if answer.status_code >= 500 or "does not exist." in text:
            broken[url] = answer.status_code
    assert broken == {} and opened > 60


def test_one_of_a_tenants_people_is_shown_on_both_sides(schema: str, client: Client) -> None:
    person = PEOPLE[schema]
    pages = [
        client.get(f"/admin/cutover/tenant/{home.pk}/?user={person}&compare=yes").content.decode()
        for home in TenantHome.objects.all()
    ]
    [page] = [page for page in pages if "hashed_password" in page]
    assert f"{person}@example.org" in page and "(secret)" in page
    assert "Every row of this tenant is the same on both sides" in page


def test_support_finds_people_before_and_after_their_tenant_moves(schema: str, client: Client) -> None:
    for _ in range(2):
        page = client.get(f"/admin/support/?q={PEOPLE[schema]}@example.org", follow=True).content.decode()
        assert f"{PEOPLE[schema]}@example.org" in page and "does not exist" not in page
        for home in TenantHome.objects.all():
            moved(home.pk)
