"""Moving a tenant over wires that can be cut or stopped, recovering as the loops do, and looking with SQL of our own."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import psycopg
from django.db import connections

from flags.models import TenantHome
from migration_portal.catchup.follow import follow
from migration_portal.catchup.models import FlowStatus
from migration_portal.cutover import follow_up, guard
from migration_portal.cutover.models import UNDER_WAY, Cutover
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.cutover.work import work
from tests.sampling import ALL
from tests.world import World

SIDES = ("portal", "legacy", "iam")
CUTS = (
    list(itertools.product(SIDES, ("before", "after")))
    if ALL
    else [("portal", "after"), ("legacy", "before"), ("iam", "after")]
)
"""Whose statement is cut, and whether before the server did it or after."""
_MOST = 2000
"""Statements of the longest operation, and then some."""


def at_every_statement(case: Callable[[int], bool], said: int, seed: str, *, share: int = 80) -> None:
    """Try the case with the 1st, 2nd … statement; of a sample, with one in `share` of the `said` ones that there are about.

    The case says whether there were so many. Fails where none was cut: then the wire is not in use.
    """
    few = random.Random(seed).sample(range(1, said + 1), min(said, max(said // share, 2)))
    cut = 0
    for at in range(1, _MOST) if ALL else sorted(few):
        if case(at):
            cut += 1
        elif ALL:
            break
    print(f"{seed}: {said} statements, cut at {cut} of them")
    assert cut, f"{seed}: never cut"


def recover() -> None:
    """What the loops and ticks do once the databases are back."""
    for alias in ("default", "iam"):
        connections[alias].close()
    for _ in range(2):
        sync_tenants()
        follow("forward", seconds=0.01)
        follow("reverse", seconds=0.01)
        work()
        follow_up.resume()
        guard.agree()
        unfinished = FlowStatus.objects.exclude(entries=0, error="").exists()
        if not unfinished and not Cutover.objects.filter(state__in=UNDER_WAY).exists():
            break
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
                session.execute("SET LOCAL lock_timeout = '300ms'")  # whoever has to wait is not accepted
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
