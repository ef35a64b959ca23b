"""Capture: what it records, whoever writes, and what it leaves in a database that is not ours."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from migration_portal.engine import capture, capture_queue, catalog
from migration_portal.plan.model import Column, Plan, Table
from migration_portal.runs.connections import open_transfer
from tests import builders
from tests.engine.changes import caught_up, change, iam, same
from tests.world import World


def everything(world: World) -> list[tuple[Any, ...]]:
    with world.legacy() as legacy:
        return legacy.execute(
            "SELECT 'class', relname, relnamespace::regnamespace::text FROM pg_class"
            " WHERE relnamespace::regnamespace::text !~ '^pg_'"
            " UNION SELECT 'trigger', tgname, tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal"
            " UNION SELECT 'function', proname, pronamespace::regnamespace::text FROM pg_proc"
            " UNION SELECT 'schema', nspname, '' FROM pg_namespace ORDER BY 1, 2, 3"
        ).fetchall()


def watch(world: World, key: tuple[str, ...], *tables: str) -> None:
    """Record changes of these tables by this key."""
    columns = tuple(Column(name, name) for name in key)
    plan = Plan("test", "", tuple(Table(table, table, key, columns) for table in tables), "")
    with world.legacy() as legacy:
        capture.install(legacy, plan, catalog.read(legacy, "public"))


def things(connection: Any) -> tuple[Plan, Any]:
    plan = Plan("test", "", (Table("things", "things", ("id",), (Column("id", "id"),)),), "")
    return plan, catalog.read(connection, "public")


def recorded(world: World) -> list[tuple[Any, ...]]:
    with world.legacy() as legacy:
        return legacy.execute("SELECT table_name, key FROM portal_capture.queue ORDER BY id").fetchall()


def test_two_sessions_that_install_at_once_both_succeed(world: World) -> None:
    change(world, "CREATE TABLE things (id int PRIMARY KEY)")
    with world.legacy() as first, ThreadPoolExecutor(1) as beside:
        with first.transaction():
            capture.install(first, *things(first))
            second = beside.submit(watch, world, ("id",), "things")
            with pytest.raises(TimeoutError):
                second.result(0.5)
        second.result(20)
    change(world, "INSERT INTO things VALUES (1)")
    assert recorded(world) == [("things", ["1"])]


def test_capture_goes_without_a_trace(world: World, home: str) -> None:
    before = everything(world)
    run = builders.migrated(world, capture=True)
    with open_transfer(run, "test") as transfer:
        assert capture.unwatched(transfer.queue, transfer.plan) == []
        capture.remove(transfer.queue, transfer.plan.source_schema)
        assert capture.unwatched(transfer.queue, transfer.plan) == list(transfer.plan.sources)
        assert capture_queue.lag(transfer.queue) == capture_queue.Lag(entries=0, retrying=0, seconds=0.0, last=None)
    assert everything(world) == before


@pytest.mark.parametrize(
    "setting", ["TimeZone = 'Asia/Tokyo'", "DateStyle = 'German'", "extra_float_digits = -3", "bytea_output = 'escape'"]
)
def test_a_key_is_recorded_alike_whatever_the_writers_settings(world: World, setting: str) -> None:
    with world.legacy() as legacy:
        legacy.execute("CREATE TABLE t (at timestamptz, x float8, b bytea, PRIMARY KEY (at, x, b))")
        watch(world, ("at", "x", "b"), "t")
        legacy.execute(f"SET {setting}")
        legacy.execute(r"INSERT INTO t VALUES ('2026-03-04 05:06:07.5+00', 0.1234567890123, '\x00ff')")
    assert recorded(world) == [("t", ["2026-03-04 05:06:07.5+00", "0.1234567890123", r"\x00ff"])]


def test_two_tables_that_begin_alike_are_told_apart(world: World) -> None:
    names = [f"{'a_table_with_quite_a_long_name_' * 2}{n}"[-60:] for n in (1, 2)]
    names = [f"{'x' * 58}_{n}" for n in (1, 2)]
    with world.legacy() as legacy:
        for name in names:
            legacy.execute(f"CREATE TABLE {name} (id text PRIMARY KEY)")
        watch(world, ("id",), *names)
        for name in names:
            legacy.execute(f"INSERT INTO {name} VALUES ('1')")
    assert recorded(world) == [(names[0], ["1"]), (names[1], ["1"])]


def test_a_renamed_column_fails_no_write_and_the_table_is_looked_at_whole(world: World) -> None:
    with world.legacy() as legacy:
        legacy.execute("CREATE TABLE t (id text PRIMARY KEY)")
        watch(world, ("id",), "t")
        legacy.execute("ALTER TABLE t RENAME id TO ident")
        legacy.execute("INSERT INTO t VALUES ('1'), ('2')")
        legacy.execute("DELETE FROM t")
    assert recorded(world) == [("t", None)]


def test_a_queue_that_nobody_reads_is_cut_short_and_nothing_is_lost(world: World, home: str) -> None:
    users = [builders.user(world, home) for _ in range(20)]
    run = builders.migrated(world, capture=True)
    change(world, "UPDATE portal_capture.brake SET upto = (SELECT last_value FROM portal_capture.queue_id_seq) + 5")
    for n, user in enumerate(users):
        change(world, "UPDATE users SET full_name = %s WHERE id = %s", f"Name {n}", user)
    change(world, "DELETE FROM users WHERE id = %s", users[0])
    assert [key for _, key in recorded(world)].count(None) == 1 and len(recorded(world)) < 10
    caught_up(run)
    names = {name for (name,) in iam(world, "SELECT full_name FROM users")}
    assert names == {f"Name {n}" for n in range(1, 20)}
    assert same(run)


def test_a_whole_table_is_left_alone_while_its_writer_has_not_committed(world: World, home: str) -> None:
    user = builders.user(world, home)
    run = builders.migrated(world, capture=True)
    change(world, "UPDATE portal_capture.brake SET upto = 0")
    change(world, "UPDATE users SET full_name = 'one'")
    with world.legacy() as writer, writer.transaction():
        writer.execute("UPDATE users SET full_name = 'two' WHERE id = %s", [user])
        caught_up(run)
        assert len(recorded(world)) == 1  # the writer relies on this entry
    caught_up(run)
    assert iam(world, "SELECT full_name FROM users") == [("two",)]
    assert recorded(world) == []


def test_what_version_0_1_installed_is_brought_up_to_date_under_its_writers(world: World, home: str) -> None:
    user = builders.user(world, home)
    run = builders.migrated(world, capture=True)
    change(world, "ALTER TABLE portal_capture.queue DROP COLUMN xid")
    change(world, "DROP TABLE portal_capture.brake")
    change(world, "DROP FUNCTION portal_capture.whole")
    change(world, "COMMENT ON SCHEMA portal_capture IS NULL")
    change(world, "INSERT INTO portal_capture.queue (table_name, key) VALUES ('users', ARRAY[%s])", user)
    with open_transfer(run, "test") as transfer:
        assert capture.installed(transfer.queue), "or nobody would follow it, and so nobody bring it up to date"
        assert capture.upgrade(transfer.queue, transfer.plan, transfer.source_catalog)
        assert not capture.upgrade(transfer.queue, transfer.plan, transfer.source_catalog)
    change(world, "UPDATE users SET full_name = 'after'")
    with world.legacy() as legacy:
        xids = [row[0] is None for row in legacy.execute("SELECT xid FROM portal_capture.queue ORDER BY id")]
    assert xids == [True, False]
    caught_up(run)
    assert iam(world, "SELECT full_name FROM users") == [("after",)]


def test_compaction_keeps_one_entry_a_key_and_tenant(world: World, home: str) -> None:
    user = builders.user(world, home)
    run = builders.migrated(world, capture=True)
    for n in range(50):
        change(world, "UPDATE users SET full_name = %s WHERE id = %s", f"Name {n}", user)
    other = builders.tenant(world)
    change(world, "UPDATE users SET tenant_id = %s WHERE id = %s", other, user)
    with open_transfer(run, "test") as transfer:
        assert capture_queue.compact(transfer.queue) == 50
        assert capture_queue.tenants_waiting(transfer.queue) == {home: 1, other: 2}
    caught_up(run)
    assert iam(world, "SELECT full_name FROM users") == [("Name 49",)]


def test_compaction_keeps_every_entry_of_a_tenant_that_has_left(world: World, home: str) -> None:
    user = builders.user(world, home)
    run = builders.migrated(world, capture=True)
    for n in range(3):
        change(world, "UPDATE users SET full_name = %s WHERE id = %s", f"Name {n}", user)
    with open_transfer(run, "test") as transfer:
        assert capture_queue.compact(transfer.queue, left=[home]) == 0


def test_compaction_tells_the_same_key_in_two_tables_apart(world: World, home: str) -> None:
    run = builders.migrated(world, capture=True)
    for table in ("tenants", "tenant_settings", "tenant_settings"):
        change(
            world, "INSERT INTO portal_capture.queue (table_name, key, tenant) VALUES (%s, %s, %s)", table, [home], home
        )
    with open_transfer(run, "test") as transfer:
        assert capture_queue.compact(transfer.queue) == 1
    assert recorded(world) == [("tenants", [home]), ("tenant_settings", [home])]


def test_compaction_keeps_what_is_tried_again(world: World, home: str) -> None:
    run = builders.migrated(world, capture=True)
    for attempts in (1, 0, 0):
        change(
            world, "INSERT INTO portal_capture.queue (table_name, key, tenant, attempts) VALUES ('users', %s, %s, %s)",
            ["a"], home, attempts,
        )  # fmt: skip
    with open_transfer(run, "test") as transfer:
        assert capture_queue.compact(transfer.queue) == 1
        assert capture_queue.lag(transfer.queue).retrying == 1


def test_who_writes_legacy_may_leave_keys_and_nothing_else(world: World, home: str) -> None:
    builders.migrated(world, capture=True)
    with world.legacy() as legacy:
        may = legacy.execute(
            "SELECT privilege FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS privilege"
            " WHERE has_table_privilege('pg_monitor', 'portal_capture.queue', privilege)"
        ).fetchall()
    assert may == [("INSERT",)]
