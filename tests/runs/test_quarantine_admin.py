"""Quarantine in the console."""

import re

import pytest

from migration_portal.audit.models import Event
from migration_portal.runs.models import QuarantinedRow, Run
from tests import builders
from tests.console.browsing import browser, decided
from tests.world import World


def test_quarantine_can_be_filtered_searched_and_exported(world: World) -> None:
    world.sample(rate=0.02)
    builders.migrated(world)
    client = browser("operator")
    page = client.get("/admin/runs/quarantinedrow/?table_name=users&reason=id_not_uuid").content.decode()
    assert set(re.findall(r"user-\d+", page)) == {"user-1", "user-2"}
    assert "user-1" in client.get("/admin/runs/quarantinedrow/?q=user-1").content.decode()
    lines = client.get("/admin/runs/quarantinedrow/export/?table_name=users").getvalue().decode().splitlines()
    assert len(lines) == 1 + QuarantinedRow.objects.filter(table_name="users").count()
    assert lines[0].startswith("table,legacy_key,tenant,reason")


def test_exported_cells_are_no_formulas(world: World) -> None:
    builders.legacy_tables(world)
    builders.tenant(world, id="=cmd()", name="+1", slug="@x")
    builders.migrated(world)
    body = browser("operator").get("/admin/runs/quarantinedrow/export/").getvalue().decode()
    assert "'=cmd()" in body


GONE = "00000000-0000-4000-8000-00000000dead"
PLACE = "/admin/runs/quarantinedrow/"


def test_the_list_is_of_the_run_in_force_unless_another_is_chosen(world: World) -> None:
    world.sample(rate=0.02)
    builders.migrated(world, dry_run=True)
    client = browser("operator")
    assert "Nothing in quarantine here" in client.get(PLACE).content.decode()
    assert "Dry run 1" in client.get(f"{PLACE}?of=1").content.decode()
    run = builders.migrated(world)
    page = client.get(PLACE).content.decode()
    assert str(run) in page and page.count("Dry run 1") == 1  # as a choice of the filter
    assert client.get(f"{PLACE}?of=all").context["cl"].result_count == QuarantinedRow.objects.count()
    in_force = QuarantinedRow.objects.in_force().count()
    assert QuarantinedRow.objects.count() == 2 * in_force
    Run.objects.filter(pk=run.pk).update(state="undone")
    assert not QuarantinedRow.objects.in_force().exists()


@pytest.mark.parametrize("odd", ["0", "-1", "x", "9" * 30, "٣"])
def test_a_run_that_is_none_shows_nothing_and_breaks_nothing(world: World, odd: str) -> None:
    world.sample(rate=0.02)
    builders.migrated(world)
    assert browser("operator").get(f"{PLACE}?of={odd}").status_code in (200, 302)


def test_many_are_retried_and_one_that_is_still_wrong_keeps_no_other(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    lost = builders.user(world, GONE), builders.user(world, GONE, username="bob", email="bob@example.org")
    builders.migrated(world, dry_run=True)
    builders.migrated(world)
    with world.legacy() as legacy:
        legacy.execute("UPDATE users SET tenant_id = %s WHERE id = %s", [home, lost[0]])
    place, client = f"{PLACE}?table_name=users&of=all", browser("operator")
    ticked = QuarantinedRow.objects.values_list("pk", flat=True)[0]
    # Those of the dry run match, too, and cannot be retried.
    assert "Open rows 2 … because of missing tenants 2 Tenants 1" in decided(
        client, place, "retry_many", ticked, everything=True
    )
    said = decided(client, place, "retry_many", ticked, everything=True, reason="mended")
    assert f"Copied: 1. Not copied: 1. users {lost[1]}: It is still not right: missing tenants." in said


def test_many_are_discarded_with_one_reason_and_each_is_on_record(world: World) -> None:
    world.sample(rate=0.02)
    builders.migrated(world)
    rows = QuarantinedRow.objects.filter(table_name="users")
    count, client = rows.count(), browser("approver")
    place = f"{PLACE}?table_name=users"
    assert "Discard…" not in browser("viewer").get(place).content.decode()
    assert "needs a reason" in decided(client, place, "discard_many", rows[0].pk, everything=True, reason="")
    said = decided(client, place, "discard_many", rows[0].pk, everything=True, reason="nobody's")
    assert f"Discarded: {count}." in said
    assert not rows.filter(state="open").exists() and QuarantinedRow.objects.filter(state="open").exists()
    assert Event.objects.filter(verb="discard_row", reason="nobody's").count() == count
