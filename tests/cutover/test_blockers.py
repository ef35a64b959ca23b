"""What keeps a tenant from being moved."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from legacy_compat.standing import unanswered
from migration_portal.backups.models import Backup
from migration_portal.catchup.models import FlowStatus
from migration_portal.cutover import blockers, finalize
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.runs.models import Run
from migration_portal.runs.verify import verify
from migration_portal.traffic.give_up import give_up
from tests import builders
from tests.cutover.moves import both_loops, moved
from tests.engine.copy.test_staging import plan_without
from tests.world import World


def test_an_open_quarantined_row_blocks_the_tenant_and_nobody_else(world: World) -> None:
    builders.legacy_tables(world)
    clean, dirty = builders.tenant(world), builders.tenant(world)
    builders.user(world, clean)
    builders.user(world, dirty, id="not-a-uuid")
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    assert moved(clean).state == "done"
    refused = moved(dirty)
    assert refused.state == "blocked" and "quarantine" in refused.error


def test_a_row_that_differs_blocks_the_tenant_and_is_named(world: World, home: str) -> None:
    with world.iam() as connection:
        connection.execute("SET portal.applying = 'on'")
        key = connection.execute("UPDATE users SET full_name = 'tampered' RETURNING id::text").fetchone()
    refused = moved(home)
    assert refused.state == "blocked" and key is not None
    assert "differ" in refused.error and "users" in refused.error


def test_a_plan_whose_way_back_loses_a_column_is_refused(world: World, tmp_path: Any) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    plan = plan_without(tmp_path, 'last_login = "coalesce')
    builders.migrated(world, capture=True, plan_path=plan)
    sync_tenants()
    both_loops()
    refused = moved(home)
    assert refused.state == "blocked" and "users: last_login" in refused.error


def test_a_way_back_in_trouble_keeps_others_from_leaving(world: World, many: list[str]) -> None:
    assert moved(many[0]).error == ""
    FlowStatus.objects.filter(pk="reverse").update(error="permission denied for table users.")
    refused = moved(many[1])
    assert refused.state == "blocked" and "Reverse catch-up does not work: permission denied" in refused.error


def test_the_way_back_is_asked_about_once_for_many_tenants_and_again_after_a_while(
    world: World, many: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    real = blockers.returning.failing
    monkeypatch.setattr(blockers.returning, "failing", lambda *about: asked.append(1) or real(*about))
    monkeypatch.setattr(blockers, "_known", {})
    for tenant in many[:2]:
        assert moved(tenant).error == ""
    assert len(asked) == 1
    monkeypatch.setattr(blockers, "_KNOWN_SECONDS", -1.0)
    assert moved(many[2]).error == ""
    assert len(asked) == 2


def test_without_a_living_loop_nothing_is_cut_over(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    builders.migrated(world, capture=True)
    sync_tenants()
    refused = moved(home)
    assert refused.state == "blocked" and "has not started" in refused.error


def test_an_undecided_stray_write_blocks_its_tenant(world: World, home: str) -> None:
    run = Run.objects.get()
    with world.iam() as connection:
        connection.execute(
            "INSERT INTO portal_ledger.strays (run, direction, table_name, key, tenant, what)"
            " VALUES (%s, 'reverse', 'users', %s, %s, 'written')", [run.key, ["a"], home],
        )  # fmt: skip
    refused = moved(home)
    assert refused.state == "blocked" and "undecided stray writes: 1" in refused.error
    with world.iam() as connection:
        connection.execute("UPDATE portal_ledger.strays SET state = 'accepted'")
    assert moved(home).error == ""


def test_a_run_that_is_being_verified_blocks_every_tenant(world: World, home: str) -> None:
    verify(Run.objects.get(), by="tester")
    assert "must be completed and verified" in moved(home).error


def test_a_run_that_is_being_verified_keeps_nobody_from_moving_back(world: World, home: str) -> None:
    moved(home)
    both_loops()
    verify(Run.objects.get(), by="tester")
    assert moved(home, "legacy").error == ""


def test_a_loop_in_trouble_blocks_every_tenant(world: World, home: str) -> None:
    FlowStatus.objects.filter(pk="forward").update(error="Its triggers are gone.")
    assert "Its triggers are gone." in moved(home).error


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("DELETE FROM user_roles; DELETE FROM users WHERE username = 'ann'", "users"),
        ("INSERT INTO users (tenant_id, username, hashed_password) SELECT id, 'eve', 'x' FROM tenants", "users"),
    ],
    ids=["missing", "extra"],
)
def test_a_row_that_one_side_lacks_blocks_the_tenant(world: World, home: str, statement: str, kind: str) -> None:
    with world.iam() as connection:
        connection.execute("SET portal.applying = 'on'")
        connection.execute(statement)
    assert f"differ between the two systems ({kind} " in moved(home).error


def test_an_endpoint_that_nobody_would_answer_blocks_until_it_is_accepted(
    world: World, home: str, settings: Any
) -> None:
    settings.LEGACY_CONTRACT, settings.LEGACY_UPSTREAM_URL = "observed", "http://127.0.0.1:1"
    refused = moved(home)
    assert refused.state == "blocked" and "API surface" in refused.error
    give_up(unanswered(), by="anna", reason="nobody calls them")
    assert moved(home).state == "done"
    assert any("API surface" in reason for reason in finalize.blockers())


def test_a_tenant_leaves_legacy_only_when_what_it_leaves_can_be_restored(
    world: World, home: str, settings: Any
) -> None:
    settings.BACKUP_FRESH_HOURS = 1.0
    assert "Legacy has no validated backup" in moved(home).error
    backup = Backup.objects.create(
        side="legacy", place="legacy-1", level=2, finished_at=timezone.now(),
        manifest={"snapshot_at": (timezone.now() - timedelta(hours=2)).isoformat()},
    )  # fmt: skip
    assert "Legacy has no validated backup" in moved(home).error
    Backup.objects.update(level=3)
    assert "is older than 1 h" in moved(home).error
    Backup.objects.update(manifest=backup.manifest | {"snapshot_at": timezone.now().isoformat()})
    assert moved(home).error == ""
