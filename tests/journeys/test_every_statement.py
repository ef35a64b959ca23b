"""A move whose session is cut at every single statement, on each database, before or after it was done: nothing is lost.

`make test` takes a seeded fortieth of the cases, `make endure` all of them (PORTAL_TEST_CASES=all).
"""

from __future__ import annotations

import contextlib

import psycopg
import pytest
from django.db import DatabaseError

from flags.models import TenantHome
from migration_portal.cutover import guard, requests
from migration_portal.cutover.models import UNDER_WAY, Cutover, Stray
from migration_portal.cutover.work import work
from migration_portal.refusal import Refusal
from tests import builders
from tests.cutover.moves import moved
from tests.journeys.moving import CUTS, accepts, at_every_statement, names, other, recover, write
from tests.wire import Cut, Wire
from tests.world import World, eventually


@pytest.mark.parametrize(("side", "cut"), CUTS)
def test_a_move_cut_at_any_statement_loses_nothing(world: World, wires: dict[str, Wire], side: str, cut: Cut) -> None:
    builders.legacy_tables(world)
    tenant = builders.tenant(world)
    builders.user(world, tenant, username="ann", full_name="0")
    builders.migrated(world, capture=True)
    guard.switch(on=True, by="tester")
    recover()
    said = wires[side].count(lambda: _to_and_fro(world, tenant)) // 2
    at_every_statement(lambda at: _case(world, wires[side], tenant, at, cut), said, f"{side} {cut}")


def _to_and_fro(world: World, tenant: str) -> None:
    for home in ("iam", "legacy"):
        assert moved(tenant, home).error == ""


def _case(world: World, wire: Wire, tenant: str, at: int, cut: Cut) -> bool:
    """Write, move with the wire cut, recover, look. Returns whether the move has said that many statements."""
    before = TenantHome.objects.get(pk=tenant).home
    write(world, before, f"{at} before")
    home = TenantHome.objects.get(pk=tenant)
    ask = requests.cut_over if before == "legacy" else requests.reverse
    ask([home], by="tester", reason="test")
    wire.arm(at, cut)
    with contextlib.suppress(DatabaseError, psycopg.Error, Refusal):
        work()
    was_cut = wire.disarm()
    assert not (accepts(world, "legacy") and accepts(world, "iam")), (at, "both sides accept writes")
    recover()
    after = TenantHome.objects.get(pk=tenant).home
    assert not Cutover.objects.filter(state__in=UNDER_WAY).exists(), (at, "the move stands still")
    last = Cutover.objects.order_by("-id").first()
    assert last is not None and (last.state == "done") == (after != before), (at, last.state, last.error)
    assert accepts(world, after) and not accepts(world, other(after)), (at, after, "the guards are wrong")
    write(world, after, f"{at} after")
    eventually(lambda: recover() or names(world) == {f"{at} after"}, 20)
    assert not Stray.objects.exists(), (at, "a false stray")
    return was_cut
