"""Undo removes exactly what a run wrote."""

import uuid

import pytest

from flags.models import TenantHome
from migration_portal.engine import ledger
from migration_portal.engine.copy import undo as undoing
from migration_portal.engine.errors import LeaseLost
from migration_portal.refusal import Refusal
from migration_portal.runs.advance import advance
from migration_portal.runs.connections import open_transfer
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
    edited = builders.user(world, home)
    builders.user(world, other)
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


def test_undo_restores_what_the_run_overwrote(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world, name="New name")
    with world.iam() as iam:
        iam.execute("INSERT INTO tenants (id, name, slug) VALUES (%s, 'Old name', 'old')", [home])
    builders.tenant(world)
    run = builders.migrated(world)
    with world.iam() as iam:
        assert iam.execute("SELECT name FROM tenants WHERE id = %s", [home]).fetchone() == ("New name",)
    undo(run, by="tester", reason="rehearsal")
    builders.finish(run)
    with world.iam() as iam:
        assert iam.execute("SELECT id::text, name, slug FROM tenants").fetchall() == [(home, "Old name", "old")]


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


def in_use(world: World) -> tuple[str, str]:
    """A tenant and a user that both sides have, alike but for the user's e-mail."""
    builders.legacy_tables(world)
    home = builders.tenant(world, name="Alike", slug="alike")
    user = builders.user(world, home, email="new@example.org", username="ann")
    with world.iam() as iam:
        iam.execute("INSERT INTO tenants (id, name, slug) VALUES (%s, 'Alike', 'alike')", [home])
        iam.execute(
            "INSERT INTO users (id, tenant_id, username, email, hashed_password) VALUES (%s, %s, 'ann', 'old@example.org', 'x')",
            [user, home],
        )
    return home, user


def test_undo_leaves_what_was_overwritten_and_edited_since(world: World) -> None:
    _, user = in_use(world)
    run = builders.migrated(world)
    with world.iam() as iam:
        iam.execute("UPDATE users SET email = 'mine@example.org'")
    undo(run, by="tester", reason="rehearsal")
    builders.finish(run)
    with world.iam() as iam:
        assert iam.execute("SELECT email FROM users").fetchall() == [("mine@example.org",)]
        left = iam.execute("SELECT key, reason FROM portal_ledger.left_in_place WHERE table_name = 'users'").fetchall()
    assert left == [([user], "edited since")]


def test_undo_restores_the_first_image_whatever_catch_up_wrote_later(world: World) -> None:
    in_use(world)
    run = builders.migrated(world, capture=True)
    for email in ("later@example.org", "latest@example.org"):
        change(world, "UPDATE users SET email = %s", email)
        caught_up(run)
    undo(run, by="tester", reason="rehearsal")
    builders.finish(run)
    with world.iam() as iam:
        assert iam.execute("SELECT email FROM users").fetchall() == [("old@example.org",)]


def test_undo_restores_a_row_that_only_catch_up_changed(world: World) -> None:
    builders.legacy_tables(world)
    builders.user(world, builders.tenant(world), email="alike@example.org")
    builders.migrated(world)
    run = builders.migrated(world, capture=True)  # finds everything alike: there is no image yet
    change(world, "UPDATE users SET email = 'later@example.org'")
    caught_up(run)
    undo(run, by="tester", reason="rehearsal")
    builders.finish(run)
    with world.iam() as iam:
        assert iam.execute("SELECT email FROM users").fetchall() == [("alike@example.org",)]


def test_the_pieces_of_an_undo_may_be_done_in_any_order(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undoing, "PIECE_BLOCKS", 1)
    home, _ = in_use(world)
    users = [builders.user(world, home) for _ in range(60)]
    with world.iam() as iam:
        for user in users:
            iam.execute(
                "INSERT INTO users (id, tenant_id, username, bio, hashed_password) VALUES (%s, %s, %s, %s, 'x')",
                [user, home, user, "b" * 500],
            )
        iam.execute(
            "CREATE FUNCTION last_first() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN NEW.ordinal := -NEW.ordinal; RETURN NEW; END $$"
        )
        iam.execute(
            "CREATE TRIGGER last_first BEFORE INSERT ON portal_ledger.chunks FOR EACH ROW"
            " WHEN (NEW.kind = 'undo') EXECUTE FUNCTION last_first()"
        )
    run = builders.migrated(world)
    undo(run, by="tester", reason="rehearsal")
    assert builders.finish(run).state == State.UNDONE
    with world.iam() as iam:
        assert iam.execute("SELECT min(ordinal) < -2 FROM portal_ledger.chunks WHERE kind = 'undo'").fetchone() == (
            True,
        )
        assert iam.execute("SELECT count(*) FROM users WHERE hashed_password = 'x'").fetchone() == (61,)


def test_a_worker_that_lost_its_piece_of_an_undo_may_not_commit(world: World) -> None:
    in_use(world)
    run = builders.migrated(world)
    undo(run, by="tester", reason="rehearsal")
    advance(run)
    with open_transfer(run, "test") as transfer:
        chunk = ledger.claim(transfer.target, run.key, "one")
        ledger.failed(transfer.target, chunk, "away", passing=True)
        with pytest.raises(LeaseLost):
            undoing.undo_piece(transfer, chunk)


def test_undo_waits_for_tenants_that_live_in_the_iam(world: World) -> None:
    home, _ = in_use(world)
    run = builders.migrated(world)
    TenantHome.objects.create(tenant=home, legacy_tenant=home, home="iam")
    with pytest.raises(Refusal, match="at home in the IAM"):
        undo(run, by="tester", reason="rehearsal")


def test_undo_leaves_what_another_run_kept_alone(world: World) -> None:
    in_use(world)
    builders.user(world, str(uuid.uuid4()), username="orphan")
    first = builders.migrated(world)
    change(world, "UPDATE users SET email = 'second@example.org' WHERE username = 'ann'")
    second = builders.migrated(world)
    undo(second, by="tester", reason="rehearsal")
    assert builders.finish(second).state == State.UNDONE
    with world.iam() as iam:
        assert iam.execute("SELECT email FROM users").fetchall() == [("new@example.org",)]
        states = iam.execute("SELECT run, state FROM portal_ledger.quarantine WHERE table_name = 'users'").fetchall()
    assert dict(states) == {first.key: "open", second.key: "discarded"}
