"""A move whose session is cut at every single statement, on each database, before or after it was done: nothing is lost.

`make test` takes a seeded tenth of the cases, `make endure` all of them (PORTAL_TEST_CASES=all).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connections

from flags.models import TenantHome
from migration_portal.catchup.follow import follow
from migration_portal.cutover import follow_up, guard, requests
from migration_portal.cutover.models import UNDER_WAY, Cutover, Stray
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.cutover.work import work
from migration_portal.refusal import Refusal
from tests import builders
from tests.wire import Cut, Wire
from tests.world import World, eventually

ALL = os.environ.get("PORTAL_TEST_CASES") == "all"
SIDES = ("portal", "legacy", "iam")
_SHARE = 10
_MOST = 400


@pytest.fixture
def wires(world: World, settings: Any) -> Iterator[dict[str, Wire]]:
    """One to each of the three databases, in use by the product; the test itself goes past them."""
    made = {side: Wire(world.url(side)) for side in SIDES}
    settings.LEGACY_DATABASE_URL, settings.IAM_DATABASE_URL = made["legacy"].url, made["iam"].url
    for alias, side in (("default", "portal"), ("iam", "iam")):
        connections[alias].close()
        connections[alias].settings_dict |= {"HOST": "127.0.0.1", "PORT": made[side].port}
    yield made
    for wire in made.values():
        wire.close()
    for alias in ("default", "iam"):
        connections[alias].close()


@pytest.mark.parametrize("cut", ["before", "after"])
@pytest.mark.parametrize("side", SIDES)
def test_a_move_cut_at_any_statement_loses_nothing(world: World, wires: dict[str, Wire], side: str, cut: Cut) -> None:
    builders.legacy_tables(world)
    tenant = builders.tenant(world)
    builders.user(world, tenant, username="ann", full_name="0")
    builders.migrated(world, capture=True)
    guard.switch(on=True, by="tester")
    recover()
    chosen = random.Random(f"{side} {cut}")
    for at in range(1, _MOST):
        if not ALL and chosen.randrange(_SHARE):
            continue
        if not _case(world, wires[side], tenant, at, cut):
            assert at > 20, "the move says fewer statements than that: the wire is not in use"
            return
    raise AssertionError(f"more than {_MOST} statements")


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


def recover() -> None:
    """What the loops and ticks do once the databases are back."""
    for alias in ("default", "iam"):
        connections[alias].close()
    for _ in range(2):
        sync_tenants()
        follow("forward", seconds=0.15)
        follow("reverse", seconds=0.15)
        work()
        follow_up.resume()
        guard.agree()
    TenantHome.objects.update(held_until=None)


def other(side: str) -> str:
    return "iam" if side == "legacy" else "legacy"


def connect(world: World, side: str) -> psycopg.Connection[Any]:
    return world.legacy() if side == "legacy" else world.iam()


def write(world: World, side: str, name: str) -> None:
    with connect(world, side) as session:
        session.execute("UPDATE users SET full_name = %s", [name])


def accepts(world: World, side: str) -> bool:
    with connect(world, side) as session:
        try:
            with session.transaction(force_rollback=True):
                session.execute("UPDATE users SET full_name = 'x'")
        except psycopg.Error:
            return False
        return True


def names(world: World) -> set[str]:
    """The row on both sides, by SQL of our own."""
    read = "SELECT full_name FROM users"
    return set(
        itertools.chain.from_iterable(row for side in ("legacy", "iam") for row in connect(world, side).execute(read))
    )
