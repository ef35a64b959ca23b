"""Starting a run, and what refuses it."""

from pathlib import Path

import pytest
from django.conf import settings

from migration_portal.plan.errors import PlanError
from migration_portal.runs.models import Run
from migration_portal.runs.start import RunOverlaps, start
from tests.world import World


def test_two_runs_of_one_plan_cannot_overlap(world: World) -> None:
    world.sample()
    start(by="one")
    with pytest.raises(RunOverlaps, match="Run 1 of this plan is running"):
        start(by="two")
    assert Run.objects.count() == 1


def test_a_legacy_table_without_primary_key_is_refused_before_anything_is_done(world: World) -> None:
    world.sample()
    with world.legacy() as legacy:
        legacy.execute("ALTER TABLE licenses DROP CONSTRAINT licenses_pkey")
    with pytest.raises(PlanError, match="licenses: The legacy table has no primary key.*have the legacy owner add one"):
        start(by="tester")
    assert not Run.objects.exists()


def test_a_plan_with_an_unknown_column_is_refused(world: World, tmp_path: Path) -> None:
    world.sample()
    path = tmp_path / "plan.toml"
    path.write_text(Path(settings.MIGRATION_PLAN).read_text().replace('bio = "bio"', 'biography = "bio"', 1))
    with pytest.raises(PlanError, match="users.biography"):
        start(by="tester", plan_path=path)
