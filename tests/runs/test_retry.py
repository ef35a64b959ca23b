"""Rows are retried after they were fixed in legacy, with what other tables make of them; or discarded with a reason."""

import pytest

from flags.models import TenantHome
from migration_portal.audit.models import Event
from migration_portal.refusal import Refusal
from migration_portal.runs.models import QuarantinedRow
from migration_portal.runs.report import report
from migration_portal.runs.retry import discard_rows, retry_rows
from tests import builders
from tests.world import World

GONE = "00000000-0000-4000-8000-00000000dead"


def test_a_fixed_row_arrives_with_its_role(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    lost = builders.user(world, GONE)
    run = builders.migrated(world)
    with world.legacy() as legacy:
        legacy.execute("UPDATE users SET tenant_id = %s WHERE id = %s", [home, lost])
    row = QuarantinedRow.objects.get(table_name="users")
    assert retry_rows([row], by="anna") == (2, 0)
    assert not QuarantinedRow.objects.filter(state="open").exists()
    with world.iam() as iam:
        assert iam.execute("SELECT count(*) FROM user_roles WHERE user_id = %s", [lost]).fetchone() == (1,)
    tables = report(run).tables
    assert (tables["users"].source, tables["users"].copied, tables["users"].quarantined) == (1, 1, 0)
    assert Event.objects.filter(verb="retry_row", actor="anna").count() == 2


def test_a_row_that_is_still_wrong_stays_with_its_new_reason(world: World) -> None:
    builders.legacy_tables(world)
    lost = builders.user(world, GONE)
    builders.migrated(world)
    with world.legacy() as legacy:
        legacy.execute("SET session_replication_role = replica")
        legacy.execute("UPDATE users SET tenant_id = 'acme' WHERE id = %s", [lost])
    assert retry_rows([QuarantinedRow.objects.get(table_name="users")], by="anna") == (0, 2)
    assert QuarantinedRow.objects.get(table_name="users").reason == "tenant_id_not_uuid"


def test_a_row_gone_from_legacy_is_to_be_discarded(world: World) -> None:
    builders.legacy_tables(world)
    builders.user(world, GONE)
    builders.migrated(world)
    with world.legacy() as legacy:
        legacy.execute("DELETE FROM users")
    row = QuarantinedRow.objects.get(table_name="users")
    with pytest.raises(Refusal, match="gone from the legacy database"):
        retry_rows([row], by="anna")
    with pytest.raises(Refusal, match="needs a reason"):
        discard_rows([row], by="anna", reason="")
    assert discard_rows([row], by="anna", reason="deleted by its owner") == 1
    row.refresh_from_db()
    assert (row.state, row.decided_by) == ("discarded", "anna")


def test_undo_also_removes_a_retried_row(world: World) -> None:
    from migration_portal.runs.undo import undo

    builders.legacy_tables(world)
    home = builders.tenant(world)
    lost = builders.user(world, GONE)
    run = builders.migrated(world)
    with world.legacy() as legacy:
        legacy.execute("UPDATE users SET tenant_id = %s WHERE id = %s", [home, lost])
    retry_rows([QuarantinedRow.objects.get(table_name="users")], by="anna")
    undo(run, by="anna", reason="rehearsal")
    builders.finish(run)
    with world.iam() as iam:
        assert iam.execute("SELECT count(*) FROM users").fetchone() == (0,)


def test_a_row_of_a_tenant_that_has_left_is_not_retried_over_the_iams(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    lost = builders.user(world, GONE)
    builders.migrated(world, capture=True)
    with world.legacy() as legacy:
        legacy.execute("UPDATE users SET tenant_id = %s WHERE id = %s", [home, lost])
    TenantHome.objects.create(tenant=home, legacy_tenant=home, home="iam")
    with pytest.raises(Refusal, match="at home in the IAM"):
        retry_rows([QuarantinedRow.objects.get(table_name="users")], by="tester")
