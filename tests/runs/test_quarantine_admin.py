"""Quarantine in the console."""

import re

from migration_portal.runs.models import QuarantinedRow
from tests import builders
from tests.console.browsing import browser
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
