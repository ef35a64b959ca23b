"""A corrupted byte or a missing row anywhere is found, by row and field."""

from collections.abc import Callable

import pytest

from migration_portal.engine import verification
from migration_portal.runs.models import Finding, Run
from migration_portal.runs.report import report
from migration_portal.runs.verify import verify
from tests import builders
from tests.stack import World


def found_after(world: World, run: Run) -> list[tuple[str, str, str]]:
    verify(run, by="tester")
    builders.finish(run)
    findings = Finding.objects.filter(run=run.key, verification=run.verification)
    return sorted((f.table_name, f.kind, f.field) for f in findings)


@pytest.fixture
def run(world: World) -> Run:
    world.sample()
    return builders.migrated(world)


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


def test_servers_that_hash_differently_are_compared_by_md5(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    never: Callable[..., bool] = lambda sides: False  # noqa: E731
    monkeypatch.setattr(verification, "same_hashes", never)
    assert found_after(world, run) == []
    with world.iam() as iam:
        iam.execute("UPDATE users SET bio = 'x' WHERE id = (SELECT id FROM users LIMIT 1)")
    assert found_after(world, run) == [("users", "differs", "bio")]


def test_rows_the_iam_had_before_are_no_findings(world: World) -> None:
    builders.legacy_tables(world)
    home = builders.tenant(world)
    with world.iam() as iam:
        iam.execute("INSERT INTO tenants (name, slug) VALUES ('native', 'native')")
    run = builders.migrated(world)
    assert home
    assert report(run).passed
    assert not Finding.objects.filter(run=run.key).exists()


def test_an_orphan_smuggled_past_the_constraints_fails_the_integrity_check(world: World, run: Run) -> None:
    with world.iam() as iam:
        iam.execute("SET session_replication_role = replica")
        iam.execute("DELETE FROM tenants WHERE id = (SELECT tenant_id FROM users LIMIT 1)")
    found_after(world, run)
    checks = {check["name"]: check["severity"] for check in report(run).checks}
    assert checks["referential_integrity"] == "error"
    assert checks["users_without_tenant"] == "error"
