"""Rows that the plan gives the IAM: added where they are missing, taken back by an undo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from migration_portal.inventory.preflight import preflight
from migration_portal.plan.errors import PlanError
from migration_portal.runs.report import report
from migration_portal.runs.start import start
from migration_portal.runs.states import State
from migration_portal.runs.undo import undo
from tests import builders
from tests.cutover.moves import iam
from tests.journeys.other_schemas import ONE, users
from tests.journeys.other_schemas import plan as plan
from tests.world import World

TENANTS = "SELECT id::text, name FROM tenants"


@pytest.fixture
def one(world: World, plan: Callable[..., None]) -> None:
    plan()
    users(world, "ann", "ben")


def _undone(run: Any) -> Any:
    undo(run, by="tester", reason="a test")
    return builders.finish(run)


def test_an_undo_takes_back_the_row_that_the_run_added(world: World, one: None) -> None:
    run = builders.migrated(world)
    assert report(run).passed and iam(world, TENANTS) == [(ONE, "Our organization")]
    assert _undone(run).state == State.UNDONE and iam(world, TENANTS) == []


def test_a_row_that_was_there_stays_as_it_was(world: World, one: None) -> None:
    iam(world, "INSERT INTO tenants (id, name, slug) VALUES (%s, 'By hand', 'hand')", ONE)
    run = builders.migrated(world)
    assert report(run).passed and iam(world, TENANTS) == [(ONE, "By hand")]
    _undone(run)
    assert iam(world, TENANTS) == [(ONE, "By hand")]


def test_a_row_that_others_refer_to_by_now_is_left_and_told(world: World, one: None) -> None:
    run = builders.migrated(world)
    iam(world, "INSERT INTO roles (id, name, tenant_id) VALUES (gen_random_uuid(), 'ours', %s)", ONE)
    _undone(run)
    assert iam(world, TENANTS) == [(ONE, "Our organization")]
    left = iam(world, "SELECT table_name, reason FROM portal_ledger.left_in_place")
    assert left == [("tenants", "still referred to")]


def test_a_dry_run_has_the_row_in_its_scratch_schema_alone(world: World, one: None) -> None:
    run = builders.migrated(world, dry_run=True)
    told = report(run)
    assert told.passed and told.tables["users"].copied == 2 and not told.tables["users"].reasons
    assert iam(world, TENANTS) == []


def test_a_row_in_whose_way_another_is_is_foretold(world: World, one: None) -> None:
    iam(world, "INSERT INTO tenants (id, name, slug) VALUES (gen_random_uuid(), 'Another', 'ours')")
    found = [each for each in preflight()["findings"] if each["severity"] == "error"]
    assert [(each["subject"], each["what"]) for each in found] == [
        ("tenants", "Another row of the IAM has its slug: it cannot be added.")
    ]
    with pytest.raises(PlanError, match="Another row of the IAM has its slug"):
        start(by="tester")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (f"'{ONE}'\"\nname", 'gen_random_uuid()"\nname', "another each time"),
        (
            "[[tables]]",
            f'[[rows]]\ntarget = "tenants"\n[rows.columns]\nid = "\'{ONE}\'"\n\n[[tables]]',
            "Rows 1 and 2 have one key",
        ),
    ],
)
def test_a_row_that_every_run_would_add_or_that_is_there_twice_is_refused(
    world: World, plan: Callable[..., None], old: str, new: str, why: str
) -> None:
    plan((old, new))
    with pytest.raises(PlanError, match=why):
        start(by="tester")


def test_each_run_takes_back_its_own(world: World, one: None) -> None:
    _undone(builders.migrated(world))
    second = builders.migrated(world)
    assert report(second).passed and iam(world, TENANTS) == [(ONE, "Our organization")]
    assert _undone(second).state == State.UNDONE and iam(world, TENANTS) == []
