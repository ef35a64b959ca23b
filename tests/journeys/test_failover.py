"""Legacy's server dies, and its standby takes over without the last commits."""

from __future__ import annotations

from typing import Any

import pytest

from config.embedded.settings import EmbeddedError
from migration_portal.catchup.follow import follow
from migration_portal.catchup.models import FlowStatus
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.runs.models import Finding
from migration_portal.runs.report import report
from tests import builders
from tests.another_server import AnotherServer
from tests.cutover.moves import both_loops, moved
from tests.engine.changes import same
from tests.journeys.independent import differences
from tests.journeys.test_environments import Elsewhere
from tests.world import World


def test_what_a_standby_never_had_is_found_and_keeps_its_tenant_from_being_moved(world: World, settings: Any) -> None:
    try:
        primary = AnotherServer(15)
    except EmbeddedError:
        pytest.skip("no PostgreSQL 15 is installed")
    with primary:
        settings.LEGACY_DATABASE_URL = primary.url
        there = Elsewhere(world.name, world.server, legacy_url=primary.url)
        builders.legacy_tables(there)
        home, other = builders.tenant(there), builders.tenant(there)
        for tenant in (home, other):
            builders.user(there, tenant, full_name="Before", username=tenant)
        run = builders.migrated(there, capture=True)
        sync_tenants()
        both_loops()
        with AnotherServer(15, standby_of=primary.url) as standby:
            standby.kill()
            with there.legacy() as legacy:
                legacy.execute("UPDATE users SET full_name = 'Lost with the primary' WHERE username = %s", [home])
            both_loops()
            primary.kill()
            follow("forward", seconds=0.2)
            assert "does not answer" in FlowStatus.objects.get(pk="forward").trouble

            standby.start()
            standby.promote()
            settings.LEGACY_DATABASE_URL = there.legacy_url = standby.url
            follow("forward", seconds=0.2)
            run.refresh_from_db()
            assert run.verification == 2
            builders.finish(run)
            assert not report(run).passed
            finding = Finding.objects.get(run=run.key, verification=2)
            assert (finding.table_name, finding.field, finding.iam_value) == (
                "users",
                "full_name",
                "Lost with the primary",
            )
            both_loops()
            assert "differ" in moved(home).error
            assert moved(other).error == ""
            with there.legacy() as legacy:  # its owner decides what is right
                legacy.execute("UPDATE users SET full_name = 'Written again' WHERE username = %s", [home])
            both_loops()
            assert differences(there) == [] and same(run)
            assert moved(home).error == ""
