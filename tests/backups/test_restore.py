"""Restoring into a new database, swapping it in, and deciding about what was written since."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from migration_portal.backups import back_up, reconcile, restore, scratch, swap
from migration_portal.backups.adopt import adopt_backups
from migration_portal.backups.models import Backup, Reconciliation, Restoration, Written
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.refusal import Refusal
from tests import builders
from tests.backups.builders import backed_up
from tests.cutover.moves import both_loops, moved
from tests.servers import drop
from tests.world import World


@pytest.fixture
def databases_left(world: World) -> Iterator[list[str]]:
    names: list[str] = []
    yield names
    for name in names:
        drop(name)


def restored(world: World, left: list[str]) -> Restoration:
    name = f"{world.name}_new"
    left.append(name)
    made = restore.request(backed_up("legacy"), into=name, by="tester", reason="a drill")
    restore.perform(made)
    made.refresh_from_db()
    return made


def swapped(made: Restoration, left: list[str]) -> str:
    kept = swap.swap(made, by="tester", reason="a drill")
    left.append(kept)
    made.refresh_from_db()
    return kept


def reconciled(asked: Reconciliation) -> Reconciliation:
    reconcile.perform(asked)
    asked.refresh_from_db()
    assert asked.error == ""
    return asked


def rows(world: World, table: str) -> set[str]:
    with world.legacy() as legacy:
        return {row[0] for row in legacy.execute(f"SELECT t::text FROM {table} AS t")}


def test_what_is_restored_is_equal_and_replaces_nothing(world: World, backups: Path, databases_left: list[str]) -> None:
    world.sample(users=200, tenants=5)
    before = rows(world, "users")
    made = restored(world, databases_left)
    assert (made.state, made.finding, made.error) == ("restored", "", "")
    assert rows(world, "users") == before


def test_a_taken_name_is_refused(world: World, backups: Path) -> None:
    builders.legacy_tables(world)
    with pytest.raises(Refusal, match="There is a database of this name"):
        restore.request(backed_up("legacy"), into=f"{world.name}_iam", by="tester", reason="x")


def test_the_drill_loses_nothing(world: World, backups: Path, databases_left: list[str]) -> None:
    """Back up, write more, destroy, restore, take what was written: as if nothing had been destroyed."""
    builders.legacy_tables(world)
    acme, other = builders.tenant(world), builders.tenant(world)
    kept, changed = builders.user(world, acme), builders.user(world, acme)
    gone = builders.user(world, other)
    made = restored(world, databases_left)
    new = builders.user(world, acme, full_name="New since")
    with world.legacy() as legacy:
        legacy.execute("UPDATE users SET full_name = 'Changed since' WHERE id = %s", [changed])
    wanted = rows(world, "users")
    with world.legacy() as legacy:
        legacy.execute("DELETE FROM users WHERE id = ANY(%s)", [[kept, gone]])  # the disaster
    swapped(made, databases_left)
    assert len(rows(world, "users")) == 3
    reconciled(reconcile.list_since(made, by="tester"))
    found = {row.tenant: (row.added, row.changed, row.removed) for row in Written.objects.filter(table="public.users")}
    assert found == {acme: (1, 1, 1), other: (0, 0, 1)}
    assert reconciled(reconcile.take(made, [acme], removals=False, by="tester", reason="theirs")).rows == 2
    assert reconcile.leave(made, [other], by="tester", reason="the disaster") == 1
    assert rows(world, "users") == wanted
    assert new and set(Written.objects.values_list("tenant", "decision")) == {(acme, "taken"), (other, "left")}


def test_removals_are_made_again_only_when_asked(world: World, backups: Path, databases_left: list[str]) -> None:
    builders.legacy_tables(world)
    acme = builders.tenant(world)
    gone = builders.user(world, acme)
    made = restored(world, databases_left)
    with world.legacy() as legacy:
        legacy.execute("DELETE FROM users WHERE id = %s", [gone])
    swapped(made, databases_left)
    reconciled(reconcile.list_since(made, by="tester"))
    reconciled(reconcile.take(made, [acme], removals=True, by="tester", reason="they meant it"))
    assert rows(world, "users") == set()


def test_rows_that_refer_to_what_was_not_taken_change_nothing(
    world: World, backups: Path, databases_left: list[str]
) -> None:
    with world.legacy() as legacy:
        legacy.execute("CREATE TABLE tenants (id text PRIMARY KEY, name text)")
        legacy.execute("CREATE TABLE plans (id text PRIMARY KEY)")
        legacy.execute("CREATE TABLE users (id text PRIMARY KEY, tenant_id text, plan text REFERENCES plans)")
    made = restored(world, databases_left)
    acme = str(uuid.uuid4())
    with world.legacy() as legacy:
        legacy.execute("INSERT INTO plans VALUES ('gold')")
        legacy.execute("INSERT INTO users VALUES ('1', %s, 'gold')", [acme])
    swapped(made, databases_left)
    reconciled(reconcile.list_since(made, by="tester"))
    asked = reconcile.take(made, [acme], removals=False, by="tester", reason="x")
    reconcile.perform(asked)
    asked.refresh_from_db()
    assert "does not take the rows" in asked.error
    assert rows(world, "users") == set() and Written.objects.filter(decision="open").count() == 2
    reconciled(reconcile.take(made, [acme, ""], removals=False, by="tester", reason="x"))
    assert len(rows(world, "users")) == 1


def test_keys_given_out_since_the_backup_are_not_given_out_again(
    world: World, backups: Path, databases_left: list[str]
) -> None:
    with world.legacy() as legacy:
        legacy.execute("CREATE TABLE tenants (id text PRIMARY KEY)")
        legacy.execute("CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text)")
    made = restored(world, databases_left)
    with world.legacy() as legacy:
        legacy.execute("INSERT INTO users (tenant_id) VALUES ('acme'), ('acme')")
    swapped(made, databases_left)
    reconciled(reconcile.list_since(made, by="tester"))
    reconciled(reconcile.take(made, ["acme"], removals=False, by="tester", reason="x"))
    with world.legacy() as legacy:
        assert legacy.execute("INSERT INTO users (tenant_id) VALUES ('acme') RETURNING id").fetchone() == (3,)


def test_what_differs_from_its_backup_is_not_swapped(world: World, backups: Path, databases_left: list[str]) -> None:
    builders.legacy_tables(world)
    made = restored(world, databases_left)
    Restoration.objects.filter(pk=made.pk).update(finding="rows of public.users differ")
    made.refresh_from_db()
    with pytest.raises(Refusal, match=r"rows of public\.users differ"):
        swap.swap(made, by="tester", reason="x")


def test_a_swap_ends_sessions_and_keeps_the_settings(world: World, backups: Path, databases_left: list[str]) -> None:
    builders.legacy_tables(world)
    with world.legacy() as legacy:
        legacy.execute(f"ALTER DATABASE {world.name}_legacy SET statement_timeout = '77s'")
    made = restored(world, databases_left)
    session = world.legacy()
    swapped(made, databases_left)
    with pytest.raises(psycopg.OperationalError):
        session.execute("SELECT 1")
    with world.legacy() as legacy:
        assert legacy.execute("SHOW statement_timeout").fetchone() == ("77s",)


def test_a_restored_portal_still_knows_its_backups(world: World, backups: Path, databases_left: list[str]) -> None:
    backup = backed_up("portal")
    place = backup.place
    made = restore.request(backup, into=f"{world.name}_new", by="tester", reason="a drill")
    restore.perform(made)
    made.refresh_from_db()
    databases_left.append(swap.swap(made, by="tester", reason="a drill"))
    # The dump was taken while the backup was being made: its record there is unfinished, and ends as it did.
    record = Backup.objects.get(place=place)
    assert record.finished_at is None
    Backup.objects.update(beat_at=None)
    back_up.perform(record)
    record.refresh_from_db()
    assert record.state == "done" and record.manifest == backup.manifest
    Backup.objects.all().delete()
    assert [found.place for found in adopt_backups(by="tester")] == [place]


def test_after_a_swap_the_iam_follows_what_was_restored(world: World, backups: Path, databases_left: list[str]) -> None:
    builders.legacy_tables(world)
    acme, moved_one = builders.tenant(world), builders.tenant(world)
    builders.user(world, acme, full_name="Before")
    mover = builders.user(world, moved_one, full_name="Mover")
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    made = restored(world, databases_left)
    new = builders.user(world, acme, full_name="Since")
    both_loops()
    assert moved(moved_one).error == ""
    with world.iam() as iam:
        iam.execute("UPDATE users SET full_name = 'Written in the IAM' WHERE id = %s", [mover])
        assert iam.execute("SELECT count(*) FROM users WHERE id = %s", [new]).fetchone() == (1,)
    both_loops()
    swapped(made, databases_left)
    both_loops()
    with world.iam() as iam, world.legacy() as legacy:
        # What legacy no longer has is gone from the IAM, and what the IAM owns is brought to legacy again.
        assert iam.execute("SELECT count(*) FROM users WHERE id = %s", [new]).fetchone() == (0,)
        name = legacy.execute("SELECT full_name FROM users WHERE id = %s", [mover]).fetchone()
        assert name == ("Written in the IAM",)
    reconciled(reconcile.list_since(made, by="tester"))
    assert set(Written.objects.values_list("tenant", flat=True)) == {acme}
    reconciled(reconcile.take(made, [acme], removals=False, by="tester", reason="theirs"))
    both_loops()
    with world.iam() as iam:
        assert iam.execute("SELECT count(*) FROM users WHERE id = %s", [new]).fetchone() == (1,)


def test_a_database_that_is_not_ours_is_never_dropped(world: World) -> None:
    name = f"{world.name}_theirs"
    with scratch.server_of("legacy") as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            for comment in ("NULL", "'theirs'", "'Sigma Transit: restored from another place'"):
                server.execute(f"COMMENT ON DATABASE {name} IS {comment}")
                with pytest.raises(Refusal, match="It is no database of ours"):
                    scratch.drop(server, name, what="restored from a place")
        finally:
            drop(name)
