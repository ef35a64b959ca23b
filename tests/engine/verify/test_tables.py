"""Verification finds every row and field that differs, and nothing else."""

import uuid
from typing import Any

import pytest

from migration_portal.cutover.tenants import sync_tenants
from migration_portal.engine import ledger
from migration_portal.engine.queries import queries
from migration_portal.engine.verify import tables
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import Finding, Run
from migration_portal.runs.report import report
from migration_portal.runs.verify import verify
from tests import builders
from tests.cutover.moves import both_loops, iam, moved
from tests.engine.changes import change
from tests.engine.verify.findings import found_after
from tests.world import World

ONE = "WHERE {0} = (SELECT {0} FROM {1} LIMIT 1)"


CORRUPTIONS = [
    ("UPDATE users SET full_name = full_name || ' ' " + ONE.format("id", "users"), ("users", "differs", "full_name")),
    (
        "UPDATE users SET mfa_enabled = NOT mfa_enabled " + ONE.format("id", "users"),
        ("users", "differs", "mfa_enabled"),
    ),
    (
        "UPDATE users SET created_at = created_at + interval '1 microsecond' " + ONE.format("id", "users"),
        ("users", "differs", "created_at"),
    ),
    ("UPDATE users SET email_verified = true " + ONE.format("id", "users"), ("users", "differs", "email_verified")),
    (
        "UPDATE licenses SET payload = (payload::text || ' ')::json " + ONE.format("id", "licenses"),
        ("licenses", "differs", "payload"),
    ),
    ("DELETE FROM licenses " + ONE.format("id", "licenses"), ("licenses", "missing", "")),
    (
        "UPDATE tenant_settings SET min_password_length = 99 " + ONE.format("tenant_id", "tenant_settings"),
        ("tenant_settings", "differs", "min_password_length"),
    ),
    (
        "UPDATE user_roles SET created_at = '2001-01-01' " + ONE.format("user_id", "user_roles"),
        ("user_roles", "differs", "created_at"),
    ),
]


@pytest.mark.parametrize(
    ("statement", "expected"), CORRUPTIONS, ids=[e[1][0] + "." + (e[1][2] or e[1][1]) for e in CORRUPTIONS]
)
def test_a_corruption_is_found_by_row_and_field(
    world: World, run: Run, statement: str, expected: tuple[str, str, str]
) -> None:
    with world.iam() as iam:
        iam.execute(statement)
    assert found_after(world, run) == [expected]
    assert not report(run).passed


def test_a_row_deleted_in_legacy_since_is_extra(world: World, run: Run) -> None:
    with world.legacy() as legacy:
        legacy.execute(
            "DELETE FROM licenses WHERE license_key = (SELECT license_key FROM licenses ORDER BY issued_at DESC LIMIT 1)"
        )
    assert found_after(world, run) == [("licenses", "extra", "")]


def test_equal_counts_alone_never_pass(world: World, run: Run) -> None:
    with world.iam() as iam:
        iam.execute(
            "WITH gone AS (DELETE FROM licenses WHERE id = (SELECT id FROM licenses LIMIT 1) RETURNING *)"
            " INSERT INTO licenses SELECT gen_random_uuid(), license_key, license_secret, tenant_id, template_id,"
            " linked_subscription, issued_at, validity_days, payload FROM gone"
        )
    assert ("licenses", "missing", "") in found_after(world, run)


def test_rows_the_iam_had_before_are_no_findings(world: World) -> None:
    builders.legacy_tables(world)
    builders.tenant(world)
    with world.iam() as iam:
        iam.execute("INSERT INTO tenants (name, slug) VALUES ('native', 'native')")
    run = builders.migrated(world)
    assert report(run).passed
    assert not Finding.objects.filter(run=run.key).exists()


def test_an_empty_text_is_not_the_same_as_none(world: World, run: Run) -> None:
    with world.iam() as iam:
        iam.execute("UPDATE users SET bio = '' WHERE id = (SELECT id FROM users WHERE bio IS NULL LIMIT 1)")
    assert found_after(world, run) == [("users", "differs", "bio")]


def test_a_secret_that_differs_is_named_and_not_shown(world: World, run: Run) -> None:
    with world.iam() as iam:
        iam.execute("UPDATE users SET hashed_password = 'theirs' WHERE id = (SELECT id FROM users LIMIT 1)")
    assert found_after(world, run) == [("users", "differs", "hashed_password")]
    finding = Finding.objects.get(run=run.key)
    assert (finding.legacy_value, finding.iam_value) == ("(secret)", "(secret)")


@pytest.mark.parametrize(
    ("legacy", "iam", "differ"),
    [(([1], [2], [7]), ([1], [2], [7]), []), (([1], [2], [7]), ([1], [2], [8]), [1]), (([1], [2], [7]), ([1], [3], [7]), [1]),
     (([1, 2], [2, 1], [7, 5]), ([1], [2], [7]), [2]), (([1], [2], [7]), ([1, 2], [2, 1], [7, 5]), [2])],
    ids=["alike", "another hash", "another count", "only in legacy", "only in the IAM"],
)  # fmt: skip
def test_buckets_differ_by_count_or_by_content(world: World, legacy: Any, iam: Any, differ: list[int]) -> None:
    about = {"run": uuid.uuid4(), "verification": 1, "table": "users"}
    with world.iam() as connection:
        ledger.install(connection)
        for side, (buckets, counts, hashes) in (("legacy", legacy), ("iam", iam)):
            sums = {"side": side, "piece": 0, "buckets": buckets, "counts": counts, "hashes": hashes}
            connection.execute(queries("verification")["sums"], about | sums)
        assert [row[0] for row in connection.execute(queries("verification")["differing"], about)] == differ


def test_the_rows_that_were_compared_are_counted(world: World, run: Run) -> None:
    found_after(world, run)
    with world.iam() as iam:
        counted = iam.execute(
            "SELECT spec->>'side', sum(rows_read) FROM portal_ledger.chunks WHERE run = %s AND kind = 'verify'"
            " AND table_name = 'licenses' AND spec->>'verification' = %s GROUP BY 1 ORDER BY 1",
            [run.key, str(run.verification)],
        ).fetchall()
        there = iam.execute("SELECT count(*) FROM licenses").fetchone()
    assert counted == [("iam", there[0]), ("legacy", there[0])]


def test_a_table_without_a_reverse_is_compared_for_tenants_at_home_in_legacy_alone(world: World) -> None:
    builders.legacy_tables(world)
    gone, stays = builders.tenant(world), builders.tenant(world)
    for tenant in (gone, stays):
        builders.user(world, tenant)
    run = builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    assert moved(gone).error == ""
    remove = "DELETE FROM user_roles WHERE user_id IN (SELECT id FROM users WHERE tenant_id = %s)"
    iam(world, remove, gone)
    assert found_after(world, run) == []
    iam(world, remove, stays)
    assert found_after(world, run) == [("user_roles", "missing", "")]


def test_each_of_several_rows_that_differ_is_named(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    people = sorted(builders.user(world, home) for _ in range(4))
    run = builders.migrated(world)
    iam(world, "UPDATE users SET bio = 'x' WHERE id::text = ANY(%s)", people[:3])
    verify(run, by="tester")
    builders.finish(run)
    found = Finding.objects.filter(run=run.key, verification=2, table_name="users")
    assert sorted(each.key[0] for each in found) == people[:3]


def test_what_is_captured_and_not_applied_is_no_difference(world: World, home: str) -> None:
    waits, differs = builders.user(world, home), builders.user(world, home)
    run = builders.migrated(world, capture=True)
    change(world, "UPDATE users SET full_name = 'New' WHERE id = %s", waits)
    iam(world, "UPDATE users SET full_name = 'Corrupted' WHERE id = %s", differs)
    with open_transfer(run, "test") as transfer:

        def different() -> list[tuple[str, ...]]:
            users = transfer.table("users")
            return [each.key for each in tables.look_again(transfer, users, [(waits,), (differs,)], set())]

        assert different() == [(differs,)]
        change(world, "UPDATE portal_capture.queue SET key = NULL, attempts = 3")
        assert different() == [], "the whole table waits"
