"""Which tenants the board lists, and what moving them would touch."""

from __future__ import annotations

import pytest

from flags.models import TenantHome
from migration_portal.cutover import requests, tenants
from migration_portal.cutover.choosing import Choice
from migration_portal.cutover.models import Cutover
from tests import builders
from tests.console.browsing import browser, words
from tests.world import World


@pytest.fixture
def firms(world: World) -> None:
    builders.legacy_tables(world)
    for name in ("firm 10", "Firm 2", "firm 1b", "firm 1", "other"):
        tenant = builders.tenant(world, name=name, slug=name.replace(" ", "-").lower())
        builders.user(world, tenant)
    builders.migrated(world, capture=True)
    browser("viewer").get("/admin/cutover/")
    TenantHome.objects.bulk_create(
        TenantHome(tenant=tenant, legacy_tenant=tenant, name=name)
        for tenant, name in world.sql("iam", "SELECT id::text, name FROM tenants")
    )


def named(**chosen: str) -> list[str]:
    return [tenant.name for tenant in Choice.of(chosen).tenants(None)]


@pytest.mark.usefixtures("firms")
def test_names_are_sorted_as_people_count() -> None:
    assert named() == ["firm 1", "firm 1b", "Firm 2", "firm 10", "other"]


@pytest.mark.usefixtures("firms")
def test_tenants_are_sorted_by_their_users(world: World) -> None:
    born = "INSERT INTO users (id, tenant_id, hashed_password) SELECT gen_random_uuid(), %s, '' FROM generate_series(1, %s)"
    for name, more in (("firm 10", 1), ("other", 2)):
        tenant = TenantHome.objects.get(name=name).pk
        world.sql("iam", born, arguments=[tenant, more])
    tenants.count_users()
    assert named(order="largest") == ["other", "firm 10", "firm 1", "firm 1b", "Firm 2"]
    assert named(order="smallest") == ["firm 1", "firm 1b", "Firm 2", "firm 10", "other"]
    elsewhere = TenantHome.objects.get(name="Firm 2").pk
    world.sql("iam", "UPDATE users SET tenant_id = %s WHERE tenant_id = %s", arguments=[elsewhere, tenant])
    tenants.count_users()
    assert named(order="smallest")[0] == "other"


@pytest.mark.usefixtures("firms")
def test_tenants_are_found_by_home_wave_state_and_why_they_did_not_move() -> None:
    TenantHome.objects.filter(name="Firm 2").update(home="iam", wave="pilot")
    stuck = TenantHome.objects.get(name="firm 10")
    Cutover.objects.create(tenant=stuck, home="iam", state="blocked", error="In quarantine: 3 of its rows.")
    assert named(home="iam") == named(of_wave="pilot") == ["Firm 2"]
    assert named(state="blocked") == named(q="in quarantine: 3") == ["firm 10"]
    assert named(state="free", home="legacy") == ["firm 1", "firm 1b", "other"]
    assert named(home="nowhere", state="odd", order="odd") == named()


@pytest.mark.usefixtures("firms")
def test_the_dialog_says_what_moving_the_ticked_ones_or_all_that_match_would_touch() -> None:
    one = TenantHome.objects.get(name="other")
    client = browser("operator")
    assert "1 tenant with 1 user and 0 licences" in words(client.get(f"/admin/cutover/scope/?to=iam&tenant={one.pk}"))
    assert "4 tenants with 4 users" in words(client.get("/admin/cutover/scope/?to=iam&all=yes&q=firm"))
    TenantHome.objects.filter(pk=one.pk).update(home="iam")
    assert "0 tenants" in words(client.get(f"/admin/cutover/scope/?to=iam&tenant={one.pk}"))
    assert browser().get("/admin/cutover/scope/").status_code in (302, 403)


@pytest.mark.usefixtures("firms")
def test_all_that_match_are_moved_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        requests, "cut_over", lambda tenants, **about: asked.extend(each.name for each in tenants) or [1]
    )
    typed = {"to": "iam", "all": "yes", "q": "firm 1", "typed": "everything", "reason": "a test"}
    browser("operator").post("/admin/cutover/move/", typed)
    assert asked == ["firm 1", "firm 1b", "firm 10"]
