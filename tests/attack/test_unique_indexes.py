"""Unique indexes of an IAM, and reject rules that look into tables, as nobody expected them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from migration_portal.runs.models import QuarantinedRow, Run
from migration_portal.runs.report import report
from migration_portal.runs.undo import undo
from tests import builders
from tests.engine.changes import caught_up, change, iam
from tests.engine.copy.planning import with_rules
from tests.inventory.findings import preflight
from tests.world import World

INDEXES = {
    "coalesce": "CREATE UNIQUE INDEX odd ON users (tenant_id, coalesce(full_name, ''))",
    "quoted": "CREATE UNIQUE INDEX \"Odd Name\" ON users (tenant_id, (full_name || coalesce(email, 'x')::text))",
    "operator class": "CREATE UNIQUE INDEX odd ON users (tenant_id, lower(full_name) text_pattern_ops)",
    "collation": 'CREATE UNIQUE INDEX odd ON users (tenant_id, (full_name COLLATE "C"))',
    "cast": "CREATE UNIQUE INDEX odd ON users ((tenant_id::text || full_name::text))",
    "deferred": "ALTER TABLE users ADD CONSTRAINT odd UNIQUE (tenant_id, full_name) DEFERRABLE INITIALLY DEFERRED",
    "not mapped": "CREATE UNIQUE INDEX odd ON users (tenant_id, full_name) WHERE last_password_change IS NULL",
}


def named(world: World) -> None:
    """Two users called Ann, one Ben, and one without a name."""
    home = builders.tenant(world)
    for number, name in enumerate(("Ann", "Ann", "Ben", None), 1):
        builders.user(world, home, id=f"00000000-0000-4000-8000-{number:012}", full_name=name, email=None)


def quarantined() -> Counter[str]:
    return Counter(QuarantinedRow.objects.filter(table_name="users", state="open").values_list("reason", flat=True))


@pytest.mark.parametrize("kind", INDEXES)
def test_one_of_two_is_kept_back_in_a_dry_run_and_a_real_one_and_comes_in_once_it_differs(
    world: World, kind: str
) -> None:
    builders.legacy_tables(world)
    with world.iam() as connection:
        connection.execute(INDEXES[kind])
    named(world)
    [users] = [table for table in preflight()["completeness"] if table["table"] == "users"]
    foretold = Counter({rule["rule"]: rule["count"] for rule in users["rejected"]})
    assert users["unforeseen"] == (["odd"] if kind == "not mapped" else [])
    builders.migrated(world, dry_run=True)
    of_dry_run = quarantined()
    QuarantinedRow.objects.all().delete()
    run = builders.migrated(world, capture=True)
    assert quarantined() == of_dry_run and of_dry_run.total() == 1
    assert foretold == of_dry_run or kind == "not mapped"
    change(world, "UPDATE users SET full_name = 'Ben 2' WHERE full_name = 'Ben'")
    change(world, "UPDATE users SET full_name = 'Ann 2' WHERE id LIKE '%%02'")
    assert caught_up(run).collided == 0 and len(iam(world, "SELECT FROM users")) == 4
    undo(run, by="tester", reason="a test")
    assert builders.finish(Run.objects.get(pk=run.pk)).state == "undone"


RULES = {
    "comment": "EXISTS (SELECT 1 /* in (select */ FROM users AS o WHERE o.full_name = users.full_name AND o.id < users.id)",
    "NULL": "(NULL::boolean OR full_name IN (SELECT NULL::text UNION ALL SELECT 'Ben'))",
    "not in": "full_name NOT IN (SELECT 'Ann' UNION ALL SELECT 'Ben')",
    "in a string": "full_name = 'in (select '",
    "or": "full_name = 'Ben' OR EXISTS (SELECT FROM users AS o WHERE o.full_name = users.full_name AND o.id < users.id)",
}
NAMES = {"comment": 1, "NULL": 1, "not in": 0, "in a string": 0, "or": 2}
THEN = {"comment": 1, "NULL": 0, "not in": 1, "in a string": 0, "or": 1}
"""How many rows each names, and how many when Ben is called Cem."""


@pytest.mark.parametrize("kind", RULES)
def test_a_rule_that_looks_into_a_partitioned_table_names_the_same_rows_everywhere(
    world: World, settings: Any, tmp_path: Path, kind: str
) -> None:
    builders.legacy_tables(world)
    with world.legacy() as legacy:
        legacy.execute("ALTER TABLE users RENAME TO before")
        legacy.execute("CREATE TABLE users (LIKE before INCLUDING DEFAULTS, PRIMARY KEY (id)) PARTITION BY HASH (id)")
        for part in range(3):
            legacy.execute(f"CREATE TABLE p{part} PARTITION OF users FOR VALUES WITH (MODULUS 3, REMAINDER {part})")
        legacy.execute("DROP TABLE before CASCADE")
    settings.MIGRATION_PLAN = with_rules(tmp_path, f"odd = {json.dumps(RULES[kind])}")
    named(world)
    found = {rule["rule"]: rule["count"] for table in preflight()["completeness"] for rule in table["rejected"]}
    run = builders.migrated(world, capture=True)
    assert quarantined()["odd"] == found.get("odd", 0) == NAMES[kind]
    assert report(run).passed and report(run).accounted
    change(world, "UPDATE users SET full_name = 'Cem' WHERE full_name = 'Ben'")
    caught_up(run)
    assert quarantined()["odd"] == THEN[kind]
