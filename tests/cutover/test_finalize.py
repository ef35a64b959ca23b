"""Finalizing."""

from __future__ import annotations

import pytest

from migration_portal.cutover import finalize
from migration_portal.refusal import Refusal
from tests.cutover.moves import iam, legacy, moved
from tests.world import World


def moved_back_is_refused(tenant: str) -> bool:
    return moved(tenant, "legacy").state == "blocked"


def test_finalize_is_refused_with_all_reasons_and_then_leaves_no_trace_in_legacy(world: World, home: str) -> None:
    with pytest.raises(Refusal, match="still at home in legacy"):
        finalize.finalize(by="tester", reason="test")
    moved(home)
    archive = finalize.finalize(by="tester", reason="done")
    assert legacy(world, "SELECT count(*) FROM pg_namespace WHERE nspname = 'portal_capture'") == [(0,)]
    assert iam(world, "SELECT count(*) > 0 FROM " + archive + ".chunks") == [(True,)]
    assert moved_back_is_refused(home)
