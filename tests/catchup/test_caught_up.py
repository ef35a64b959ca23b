"""Until when catch-up says that the IAM has what was written, and of whom it does not."""

from __future__ import annotations

import pytest

from flags import reads
from flags.models import CaughtUp, TenantHome
from migration_portal.catchup import follow as following
from migration_portal.catchup.caught_up import Teller
from migration_portal.catchup.follow import follow
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.runs.models import QuarantinedRow, Run
from migration_portal.runs.undo import undo
from tests import builders
from tests.engine.changes import change
from tests.world import World


@pytest.fixture
def reading(world: World, home: str, monkeypatch: pytest.MonkeyPatch) -> str:
    builders.migrated(world, capture=True)
    sync_tenants()
    TenantHome.objects.update(reads_since="2026-01-01T00:00:00Z")
    monkeypatch.setattr(reads, "_known", reads._Known())
    monkeypatch.setattr(reads, "BEGIN_SECONDS", 0)
    monkeypatch.setattr(following, "_teller", Teller())
    return home


def said() -> list[str]:
    """Of whom it is so; by a loop's turn."""
    CaughtUp.objects.all().delete()
    follow("forward", seconds=0.5)
    return CaughtUp.objects.get().tenants


def test_it_is_said_of_a_tenant_whose_changes_are_applied(world: World, reading: str) -> None:
    change(world, "UPDATE users SET full_name = 'Changed'")
    assert said() == [reading]


def test_it_is_not_said_of_a_tenant_with_an_entry_that_waits(world: World, reading: str) -> None:
    with world.legacy() as legacy:
        legacy.execute(
            "INSERT INTO portal_capture.queue (table_name, key, tenant, attempts, not_before)"
            " VALUES ('users', '{x}', upper(%s), 1, now() + interval '1 hour')",
            [reading],
        )
    assert said() == []


def test_nothing_is_said_while_an_entry_may_concern_anybody(world: World, reading: str) -> None:
    with world.legacy() as legacy:
        legacy.execute(
            "INSERT INTO portal_capture.queue (table_name, key, attempts, not_before)"
            " VALUES ('users', '{x}', 1, now() + interval '1 hour')"
        )
    follow("forward", seconds=0.5)
    assert not CaughtUp.objects.exists()


def test_it_is_not_said_of_a_tenant_with_a_row_in_quarantine(world: World, reading: str) -> None:
    run = Run.objects.get()
    with world.iam() as iam:
        iam.execute(
            "INSERT INTO portal_ledger.quarantine (run, table_name, source_table, source_key, tenant, reason, detail, data)"
            " VALUES (%s, 'users', 'users', '{x}', %s, 'orphan', '', '{}')",
            [run.key, reading],
        )
    assert said() == []
    QuarantinedRow.objects.update(state="discarded")
    assert said() == [reading]


def test_nothing_is_said_while_a_row_that_may_be_anybodys_is_in_quarantine(world: World, reading: str) -> None:
    with world.iam() as iam:
        iam.execute(
            "INSERT INTO portal_ledger.quarantine (run, table_name, source_table, source_key, reason, detail, data)"
            " VALUES (%s, 'roles', 'roles', '{x}', 'id_not_uuid', '', '{}')",
            [Run.objects.get().key],
        )
    follow("forward", seconds=0.5)
    assert not CaughtUp.objects.exists()


def test_a_tenant_counts_once_everybody_must_know_of_it(
    world: World, reading: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "BEGIN_SECONDS", 1.0)
    assert said() == []
    follow("forward", seconds=1.5)
    assert CaughtUp.objects.get().tenants == [reading]


def test_an_undo_ends_it_with_the_request(world: World, reading: str) -> None:
    undo(Run.objects.get(), by="otto", reason="back")
    assert not TenantHome.objects.filter(reads_since__isnull=False).exists()


def test_nothing_is_said_while_the_run_is_not_verified(world: World, reading: str) -> None:
    Run.objects.update(state="paused")
    follow("forward", seconds=0.5)
    assert not CaughtUp.objects.exists()


def test_nothing_is_asked_where_nobody_reads_first(world: World, reading: str, monkeypatch: pytest.MonkeyPatch) -> None:
    TenantHome.objects.update(reads_since=None)
    follow("forward", seconds=0.5)
    assert not CaughtUp.objects.exists()
