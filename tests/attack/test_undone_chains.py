"""Undos of rows that refer to each other, where something keeps one of them."""

from __future__ import annotations

from typing import Any

import pytest

from migration_portal.runs.models import Run
from migration_portal.runs.undo import undo
from tests import builders
from tests.cutover.moves import iam, legacy
from tests.journeys.other_schemas import joined as joined
from tests.journeys.other_schemas import person
from tests.journeys.other_schemas import plan as plan
from tests.world import World


def bosses(world: World, joined: Any, rule: str) -> None:
    iam(world, f"ALTER TABLE users ADD boss uuid REFERENCES users {rule}")
    joined(
        ('is_active = "active"\n', 'is_active = "active"\nboss = "boss"\n'),
        ('active = "is_active"', 'active = "is_active"\nboss = "boss"'),
    )
    legacy(world, "ALTER TABLE people ADD boss uuid REFERENCES people")
    for name in ("ann", "bob", "cat"):
        person(world, name)
    legacy(world, "UPDATE people SET boss = (SELECT id FROM people WHERE login = 'ann') WHERE login = 'bob'")
    legacy(world, "UPDATE people SET boss = (SELECT id FROM people WHERE login = 'bob') WHERE login = 'cat'")


def undone(run: Run) -> None:
    undo(run, by="t", reason="r")
    builders.finish(Run.objects.get(pk=run.pk))


@pytest.mark.parametrize("rule", ["", "ON DELETE RESTRICT", "ON DELETE CASCADE", "ON DELETE SET NULL"])
def test_an_undo_keeps_whoever_was_edited_since_at_the_end_of_a_chain(
    world: World, settings: Any, joined: Any, rule: str
) -> None:
    bosses(world, joined, rule)
    run = builders.migrated(world, capture=True)
    assert run.state == "completed"
    iam(world, "UPDATE users SET email = 'edited' WHERE username = 'cat'")
    undone(run)
    assert iam(world, "SELECT u.username, b.username FROM users u LEFT JOIN users b ON b.id = u.boss ORDER BY 1") == [
        ("ann", None), ("bob", "ann"), ("cat", "bob")
    ], iam(world, "SELECT table_name, reason FROM portal_ledger.left_in_place")  # fmt: skip


@pytest.mark.parametrize("rule", ["", "ON DELETE CASCADE", "ON DELETE SET NULL"])
def test_an_undo_keeps_what_refers_to_one_in_the_middle_of_a_chain(
    world: World, settings: Any, joined: Any, rule: str
) -> None:
    """The IAM's own row of another table refers to Bob; Bob's boss is Ann. The chain's own keys are ON DELETE CASCADE."""
    bosses(world, joined, "ON DELETE CASCADE")
    iam(world, f"CREATE TABLE badges (id int PRIMARY KEY, holder uuid REFERENCES users {rule})")
    run = builders.migrated(world, capture=True)
    assert run.state == "completed"
    iam(world, "INSERT INTO badges SELECT 1, id FROM users WHERE username = 'bob'")
    undone(run)
    assert iam(world, "SELECT b.id, u.username FROM badges b LEFT JOIN users u ON u.id = holder") == [(1, "bob")]
