"""Every example runs: pre-flight without errors, a run with capture, every row accounted for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.settings import BASE_DIR
from migration_portal.inventory.preflight import preflight
from migration_portal.refusal import Refusal
from migration_portal.runs.report import report
from migration_portal.sample import examples
from tests import builders
from tests.world import World

EXAMPLES = sorted(path.parent for path in (BASE_DIR / "examples").glob("*/plan.toml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs(world: World, settings: Any, example: Path) -> None:
    settings.MIGRATION_PLAN = example / "plan.toml"
    with world.legacy() as legacy:
        examples.fill_legacy(legacy, example)
    assert [each for each in preflight()["findings"] if each["severity"] == "error"] == []
    told = report(builders.migrated(world, capture=True))
    assert told.passed and told.accounted and sum(table.copied for table in told.tables.values()) >= 500


def test_a_database_that_holds_tables_is_left_alone(world: World) -> None:
    builders.legacy_tables(world)
    with world.legacy() as legacy, pytest.raises(Refusal, match="already holds licenses"):
        examples.fill_legacy(legacy, EXAMPLES[0])


def test_what_is_no_example_is_named(world: World, tmp_path: Path) -> None:
    with world.legacy() as legacy, pytest.raises(Refusal, match="has no plan.toml"):
        examples.fill_legacy(legacy, tmp_path)
