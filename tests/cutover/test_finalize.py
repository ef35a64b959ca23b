"""Finalizing."""

from __future__ import annotations

import pytest

from flags.models import TenantHome
from migration_portal.cutover import finalize, requests
from migration_portal.locks import Lock, only_one
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


@pytest.mark.parametrize(("side", "words"), [("legacy", "captured on legacy"), ("iam", "captured on the IAM")])
def test_changes_that_still_wait_keep_it_from_being_finalized(world: World, home: str, side: str, words: str) -> None:
    moved(home)
    ask = legacy if side == "legacy" else iam
    ask(world, "INSERT INTO portal_capture.queue (table_name, key) VALUES ('users', '{a}')")
    with pytest.raises(Refusal, match=words):
        finalize.finalize(by="tester", reason="done")
    assert not TenantHome.objects.get().final


def test_open_strays_and_moves_under_way_keep_it_from_being_finalized(world: World, home: str) -> None:
    moved(home)
    iam(
        world, "INSERT INTO portal_ledger.strays (run, direction, table_name, key, tenant, what)"
        " SELECT run, 'forward', 'users', '{a}', %s, 'written' FROM portal_ledger.chunks LIMIT 1", home,
    )  # fmt: skip
    requests.reverse([TenantHome.objects.get()], by="tester", reason="test")
    with pytest.raises(Refusal, match=r"being moved: 1\. .*stray writes: 1"):
        finalize.finalize(by="tester", reason="done")


def test_it_waits_for_whoever_moves_tenants(world: World, home: str) -> None:
    moved(home)
    with world.portal() as other, only_one(other, Lock.MOVES), pytest.raises(Refusal, match="being moved"):
        finalize.finalize(by="tester", reason="done")
