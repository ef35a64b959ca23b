"""The table of kinds: every step of a run is in it, and its weights are shares of the whole."""

from __future__ import annotations

import pytest

from migration_portal.engine.kinds import KINDS, LOADING
from migration_portal.plan.model import Column, Plan, Table, TableInfo
from migration_portal.runs.steps import backward, forward

PLAN = Plan("p", "", (Table("users", "users", ("id",), (Column("id", "id"),)),), "")
CATALOG = {"users": TableInfo("users", {}, ("id",))}


def test_every_step_of_a_run_and_of_an_undo_has_a_kind() -> None:
    steps = forward(PLAN, CATALOG, {}, 1, dry_run=True, capture=True) + backward(PLAN, CATALOG, {}, 1)
    assert {step.kind for step in steps} == set(KINDS) - {"nothing", "grant"}


def test_the_weights_of_a_table_make_one() -> None:
    assert sum(kind.weight for kind in KINDS.values()) == pytest.approx(1.0)


def test_a_steps_name_begins_with_its_kind() -> None:
    for step in forward(PLAN, CATALOG, {}, 1, dry_run=False, capture=True) + backward(PLAN, CATALOG, {}, 2):
        assert step.name.split(":")[0] == step.kind


def test_what_reads_only_may_run_beside_catch_up() -> None:
    assert LOADING.isdisjoint({"analyze", "verify", "compare", "check"})
