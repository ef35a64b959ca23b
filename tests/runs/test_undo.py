"""Undo removes exactly what a run wrote."""

import pytest

from migration_portal.refusal import Refusal
from migration_portal.runs.report import report
from migration_portal.runs.states import State
from migration_portal.runs.undo import undo
from tests import builders
from tests.engine.changes import caught_up, change
from tests.runs.constraints import constraints_of
from tests.world import World


def test_undo_removes_exactly_what_the_run_wrote(world: World) -> None:
    with world.iam() as iam:
        before = constraints_of(iam)
    world.sample()
    run = builders.migrated(world)
    undo(run, by="tester", reason="rehearsal")
    assert builders.finish(run).state == State.UNDONE
    with world.iam() as iam:
        for table in ("tenants", "users", "licenses", "tenant_settings", "user_roles"):
            assert iam.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
        assert iam.execute("SELECT count(*) FROM roles").fetchone() == (2,)
        assert constraints_of(iam) == before


def test_undo_leaves_and_reports_rows_edited_since(world: World) -> None:
    builders.legacy_tables(world)
    home, other = builders.tenant(world), builders.tenant(world)
    edited, plain = builders.user(world, home), builders.user(world, other)
    run = builders.migrated(world)
    with world.iam() as iam:
        iam.execute("UPDATE users SET bio = 'mine now' WHERE id = %s", [edited])
    undo(run, by="tester", reason="rehearsal")
    builders.finish(run)
    with world.iam() as iam:
        assert [str(row[0]) for row in iam.execute("SELECT id FROM users")] == [edited]
        assert [str(row[0]) for row in iam.execute("SELECT id FROM tenants")] == [home]
        left = iam.execute("SELECT table_name, key, reason FROM portal_ledger.left_in_place ORDER BY 1").fetchall()
    assert left == [("tenants", [home], "still referred to"), ("users", [edited], "edited since")]
    assert report(run).left_in_place == {"tenants": 1, "users": 1}
    assert plain


def test_undo_restores_what_the_run_overwrote(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world, name="New name")
    with world.iam() as iam:
        iam.execute("INSERT INTO tenants (id, name, slug) VALUES (%s, 'Old name', 'old')", [home])
    newcomer = builders.tenant(world)
    run = builders.migrated(world)
    with world.iam() as iam:
        assert iam.execute("SELECT name FROM tenants WHERE id = %s", [home]).fetchone() == ("New name",)
    undo(run, by="tester", reason="rehearsal")
    builders.finish(run)
    with world.iam() as iam:
        assert iam.execute("SELECT id::text, name, slug FROM tenants").fetchall() == [(home, "Old name", "old")]
    assert newcomer


def test_undo_needs_a_reason(world: World) -> None:
    world.sample()
    run = builders.migrated(world)
    with pytest.raises(Refusal, match="needs a reason"):
        undo(run, by="tester", reason=" ")


def test_undo_puts_back_what_catch_up_removed_and_changed(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world, name="Alike", slug="alike")
    user = builders.user(world, home, email="a@example.org", username="ann")
    with world.iam() as iam:
        iam.execute("INSERT INTO tenants (id, name, slug) VALUES (%s, 'Before', 'before')", [home])
        iam.execute(
            "INSERT INTO users (id, tenant_id, username, email, hashed_password) VALUES (%s, %s, 'ann', 'old@example.org', 'x')",
            [user, home],
        )
    run = builders.migrated(world, capture=True)
    change(world, "DELETE FROM users WHERE id = %s", user)
    change(world, "DELETE FROM tenants WHERE id = %s", home)
    caught_up(run)
    with world.iam() as iam:
        assert iam.execute("SELECT count(*) FROM users").fetchone() == (0,)
    undo(run, by="tester", reason="rehearsal")
    assert builders.finish(run).state == State.UNDONE
    with world.iam() as iam:
        assert iam.execute("SELECT id::text, name, slug FROM tenants").fetchall() == [(home, "Before", "before")]
        assert iam.execute("SELECT id::text, username, email FROM users").fetchall() == [
            (user, "ann", "old@example.org")
        ]
