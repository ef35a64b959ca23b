"""A writer acts at every statement of a move: its write is at the tenant's home, on both sides, or listed as a stray.

The product of direction, guard, isolation, kind of write, when it commits, and the statement of the side that is left at
which it acts. `make test` takes a seeded few, `make endure` a hundred of each setting (PORTAL_TEST_INTERLEAVINGS).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import threading
import uuid
from typing import Any

import psycopg
import pytest

from flags.models import TenantHome
from migration_portal.cutover import guard, requests, resolve
from migration_portal.cutover.models import UNDER_WAY, Cutover, Stray
from migration_portal.cutover.work import work
from migration_portal.runs.models import Run
from migration_portal.runs.report import report
from migration_portal.runs.verify import verify
from tests import builders
from tests.journeys.moving import connect, other, recover
from tests.wire import Wire
from tests.world import World, eventually

WRITES = {
    "insert": "INSERT INTO users (id, tenant_id, username, hashed_password) VALUES (%(new)s, %(tenant)s, %(word)s, 'x')",
    "update": "UPDATE users SET full_name = %(word)s WHERE username = 'ann'",
    "delete": "DELETE FROM licenses WHERE tenant_id = %(tenant)s",
    "add a licence": "INSERT INTO licenses (id, tenant_id, license_key) VALUES (%(new)s, %(tenant)s, %(word)s)",
    "move to another tenant": "UPDATE licenses SET tenant_id = %(other)s WHERE tenant_id = %(tenant)s",
    "change a key": "UPDATE licenses SET id = %(new)s WHERE tenant_id = %(tenant)s",
}
LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
CASES = int(os.environ.get("PORTAL_TEST_INTERLEAVINGS", "2"))
"""Of each setting's six thousand."""
_MOST = 90


@pytest.mark.parametrize(("to", "guarded"), list(itertools.product(["iam", "legacy"], [False, True])))
def test_a_write_at_any_statement_of_a_move_is_kept_or_listed(
    world: World,
    wires: dict[str, Wire],
    settings: Any,
    to: str,
    guarded: bool,
) -> None:
    settings.CUTOVER_HOLD_SECONDS, settings.CUTOVER_DRAIN_SECONDS = 1.0, 2.0
    builders.legacy_tables(world)
    tenant, stays = builders.tenant(world), builders.tenant(world)
    builders.user(world, tenant, username="ann")
    builders.migrated(world, capture=True)
    if guarded:
        guard.switch(on=True, by="tester")
    recover()
    cases = list(itertools.product(WRITES, LEVELS, ("at once", "after the move"), range(1, _MOST)))
    for case in random.Random(f"{to} {guarded} {CASES}").sample(cases, CASES):
        _case(world, wires, tenant, stays, to, *case)
    verify(Run.objects.get(), by="tester")
    assert report(builders.finish(Run.objects.get())).passed


def _case(
    world: World,
    wires: dict[str, Wire],
    tenant: str,
    stays: str,
    to: str,
    kind: str,
    level: str,
    commits: str,
    at: int,
) -> None:
    _bring_to(world, tenant, other(to))
    side = other(to)
    word = uuid.uuid4().hex[:12]
    about = {"tenant": tenant, "other": stays, "new": str(uuid.uuid4()), "word": word}
    with connect(world, side) as session:
        session.execute("DELETE FROM licenses WHERE tenant_id = %s", [tenant])
        session.execute(WRITES["add a licence"], about | {"new": str(uuid.uuid4()), "word": f"before {word}"})
    recover()
    writer = connect(world, side)
    writer.execute("SET lock_timeout = '4s'")
    accepted = threading.Event()

    def begin() -> None:
        with contextlib.suppress(psycopg.Error):
            writer.execute(f"BEGIN ISOLATION LEVEL {level}")
            writer.execute(WRITES[kind], about)
            if commits == "at once":
                writer.execute("COMMIT")
            accepted.set()

    started: list[threading.Thread] = []

    def act() -> None:
        started.append(threading.Thread(target=begin))
        started[0].start()
        started[0].join(0.2)  # longer only where the writer waits for the move, which waits for us

    (requests.cut_over if to == "iam" else requests.reverse)(
        [TenantHome.objects.get(pk=tenant)], by="tester", reason="test"
    )
    wires[side].arm(at, act)
    work()
    wires[side].disarm()
    if not started:
        act()
    started[0].join()
    acknowledged = accepted.is_set()
    if acknowledged and commits != "at once":
        try:
            writer.execute("COMMIT")
        except psycopg.Error:
            acknowledged = False
    writer.close()
    recover()
    assert not Cutover.objects.filter(state__in=UNDER_WAY).exists(), (kind, level, commits, at)
    eventually(lambda: recover() or not acknowledged or _kept(world, tenant, kind, about), 10)
    _clean(world)


def _kept(world: World, tenant: str, kind: str, about: dict[str, str]) -> bool:
    """At its tenant's home and on the other side, or listed as a stray."""
    if Stray.objects.filter(state="open").exists():
        return True
    seen = {
        "insert": ("SELECT count(*) FROM users WHERE id = %(new)s", 1),
        "update": ("SELECT count(*) FROM users WHERE full_name = %(word)s", 1),
        "delete": ("SELECT count(*) FROM licenses WHERE license_key = 'before ' || %(word)s", 0),
        "add a licence": ("SELECT count(*) FROM licenses WHERE id = %(new)s", 1),
        "move to another tenant": (
            "SELECT count(*) FROM licenses WHERE license_key = 'before ' || %(word)s AND tenant_id = %(other)s",
            1,
        ),
        "change a key": ("SELECT count(*) FROM licenses WHERE id = %(new)s", 1),
    }
    statement, expected = seen[kind]
    for side in ("legacy", "iam"):
        with connect(world, side) as session:
            row = session.execute(statement, about).fetchone()
        if row != (expected,):
            return False
    return True


def _clean(world: World) -> None:
    """Decide what is open for the next case: the owner's row is the right one."""
    for stray in Stray.objects.filter(state="open"):
        resolve.restore(stray, by="tester", reason="test")
    recover()


def _bring_to(world: World, tenant: str, home: str) -> None:
    for _ in range(3):
        if TenantHome.objects.get(pk=tenant).home == home:
            return
        ask = requests.cut_over if home == "iam" else requests.reverse
        ask([TenantHome.objects.get(pk=tenant)], by="tester", reason="test")
        work()
        recover()
    raise AssertionError(Cutover.objects.first().error)  # type: ignore[union-attr]
