"""Key ranges hold every row once."""

import pytest
from django.conf import settings

from migration_portal.runs.report import report
from tests import builders
from tests.world import World


def test_chunks_cut_at_many_places_hold_every_row_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migration_portal.engine.copy.boundaries.GRANULE_BYTES", 100)
    monkeypatch.setattr(settings, "CHUNK_SECONDS", 0.01)
    world.sample(users=3000, tenants=30)
    run = builders.migrated(world)
    with world.iam() as iam:
        chunks = iam.execute("SELECT count(*) FROM portal_ledger.chunks WHERE step = 'copy:users'").fetchone()[0]
    assert chunks > 3
    assert report(run).passed
