"""The model holds with every mend, and finds what each mend is for."""

from __future__ import annotations

import itertools

import pytest

from tests.model.explore import explore
from tests.model.protocol import Mends, Setup


@pytest.mark.parametrize(("guard", "old_snapshots", "through_portal"), list(itertools.product([False, True], repeat=3)))
@pytest.mark.parametrize("fault", ["", "answers_get_lost", "restores"])
def test_no_interleaving_loses_a_write(guard: bool, old_snapshots: bool, through_portal: bool, fault: str) -> None:
    setup = Setup(
        guard=guard, old_snapshots=old_snapshots, through_portal=through_portal,
        answers_get_lost=fault == "answers_get_lost", restores=fault == "restores",
    )  # fmt: skip
    explored = explore(setup)
    assert explored.broken == "", explored.way
    assert explored.states > 500


@pytest.mark.parametrize(
    ("setup", "broken"),
    [
        (Setup(Mends(snapshot=False)), "I1"),
        (Setup(Mends(epoch=False), restores=True), "I1"),
        (Setup(Mends(exclusive_flip=False), through_portal=True), "wrong side"),
        (Setup(Mends(fresh_homes=False), guard=True, old_snapshots=True), "the guard let"),
        (Setup(Mends(ask_after_commit=False), guard=True, answers_get_lost=True), "the guard let"),
    ],
    ids=["1 ids for commits", "6 restored portal", "10 hold outlived", "12 old snapshots", "14 lost answer"],
)
def test_the_model_finds_what_a_mend_is_for(setup: Setup, broken: str) -> None:
    explored = explore(setup)
    assert broken in explored.broken, explored.way
