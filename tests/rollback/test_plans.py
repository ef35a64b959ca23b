"""The ladder, as plans."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks

from migration_portal.rollback.actions import ACTIONS
from migration_portal.rollback.plans import PHASES, TITLES, Kind, planned
from migration_portal.rollback.rehearse import REHEARSED


@pytest.mark.parametrize("kind", Kind)
def test_every_action_of_a_plan_can_be_carried_out_and_comes_in_the_order_of_the_phases(kind: Kind) -> None:
    steps = list(planned(kind, asks=frozenset()))
    phases = [list(PHASES).index(step.phase) for step in steps]
    assert phases == sorted(phases)
    assert {step.action for step in steps} <= ACTIONS.keys() and ACTIONS.keys() == TITLES.keys() >= REHEARSED.keys()


def test_what_asks_is_a_setting() -> None:
    asking = [step.action for step in planned(Kind.FULL, asks=frozenset({"open_doors", "close_doors"})) if step.asks]
    assert asking == ["close_doors", "open_doors"]


def test_a_full_one_opens_the_doors_only_when_everybody_is_back() -> None:
    actions = [step.action for step in planned(Kind.FULL, asks=frozenset())]
    assert actions.index("close_doors") < actions.index("restore_backup") < actions.index("decide_written")
    assert actions.index("decide_written") < actions.index("reverse_tenants") < actions.index("open_doors")


def test_a_name_with_a_slip_among_what_asks_is_an_error(settings: object) -> None:
    settings.ROLLBACK_ASKS = ["swap_databse"]  # type: ignore[attr-defined]
    assert [found.id for found in run_checks() if found.id == "rollback.E001"]
