"""A writer acts at every statement of a move: its write is at the tenant's home, on both sides, or listed as a stray.

The product of direction, guard, isolation, kind of write, door, when it commits, and the statement of the side that is left
at which it acts. `make test` takes a seeded few, `make endure` a hundred of each setting (PORTAL_TEST_INTERLEAVINGS).
Besides, at that statement and with the guard on, the two sides do not both accept writes of the tenant.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import threading
import time
import uuid
from typing import Any

import psycopg
import pytest
from django.db import connections

from flags import homes
from flags.models import TenantHome
from migration_portal.catchup.models import FlowStatus
from migration_portal.cutover import guard, requests, resolve
from migration_portal.cutover.models import UNDER_WAY, Cutover, Stray
from migration_portal.cutover.work import work
from migration_portal.runs.models import Finding, Run
from migration_portal.runs.report import report
from migration_portal.runs.verify import verify
from tests import builders
from tests.journeys.independent import differences
from tests.journeys.moving import accepts, connect, other, recover
from tests.wire import Wire
from tests.world import World

WRITES = {
    "insert": "INSERT INTO users (id, tenant_id, username, hashed_password) VALUES (%(new)s, %(tenant)s, %(word)s, 'x')",
    "update": "UPDATE users SET full_name = %(word)s WHERE username = 'ann'",
    "delete": "DELETE FROM licenses WHERE tenant_id = %(tenant)s",
    "add a licence": "INSERT INTO licenses (id, tenant_id, license_key) VALUES (%(new)s, %(tenant)s, %(word)s)",
    "move to another tenant": "UPDATE licenses SET tenant_id = %(other)s WHERE tenant_id = %(tenant)s",
    "change a key": "UPDATE licenses SET id = %(new)s WHERE tenant_id = %(tenant)s",
    "truncate": "TRUNCATE licenses",
}
LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
DOORS = ("direct", "served")
"""Straight into the database; or as the proxy and the IAM do: they ask where the tenant lives, and say when they have ended."""
COMMITS = ("at once", "after the move", "prepared")
CASES = int(os.environ.get("PORTAL_TEST_INTERLEAVINGS", "2"))
"""Of each setting's nine thousand."""
_MOST = 110
"""Statements of a move on either side, and a few more: those come after it."""


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
    cases = [
        (kind, level, door, commits, at)
        for kind, level, door, commits, at in itertools.product(WRITES, LEVELS, DOORS, COMMITS, range(1, _MOST))
        if door == "direct" or commits == "at once"  # the answer to a request waits for its commit
    ]
    acknowledged = 0
    for case in random.Random(f"{to} {guarded} {CASES}").sample(cases, CASES):
        acknowledged += _case(world, wires, tenant, stays, to, guarded, *case)
        assert differences(world) == [], (case, _waiting(world))
    assert acknowledged, "nobody could write at all"
    verify(Run.objects.get(), by="tester")
    assert report(builders.finish(Run.objects.get())).passed, list(Finding.objects.values())


class Writer:
    """Somebody who writes in a thread of its own; `acknowledged` once it was told that its write is there."""

    def __init__(self, world: World, side: str, tenant: str, level: str, door: str, commits: str) -> None:
        self._world, self._tenant, self._level, self._door, self._commits = world, tenant, level, door, commits
        self._session = connect(world, side)
        self._name = uuid.uuid4().hex  # of a prepared transaction: the whole server's
        self.thread: threading.Thread | None = None
        self.acknowledged = False
        self.broken: BaseException | None = None

    def begin(self, statement: str, about: dict[str, str]) -> None:
        self.thread = threading.Thread(target=self._write, args=(statement, about))
        self.thread.start()
        self.thread.join(0.2)  # longer only where the writer waits for the move, which waits for us

    def end(self) -> None:
        assert self.thread is not None
        self.thread.join()
        if self.acknowledged and self._commits != "at once":
            try:
                self._session.execute(
                    "COMMIT" if self._commits == "after the move" else f"COMMIT PREPARED '{self._name}'"
                )
            except psycopg.Error:
                self.acknowledged = False
        self._session.close()

    def _write(self, statement: str, about: dict[str, str]) -> None:
        try:
            self._do(statement, about)
        except BaseException as error:  # the test says it: nobody reads a thread's
            self.broken = error

    def _do(self, statement: str, about: dict[str, str]) -> None:
        if self._door == "served":
            self._session = connect(self._world, homes.serving(self._tenant, write=True))
        session = self._session
        with contextlib.suppress(psycopg.Error):
            session.execute("SET lock_timeout = '4s'")
            session.execute(f"BEGIN ISOLATION LEVEL {self._level}")
            session.execute(statement, about)
            if self._commits != "after the move":
                session.execute("COMMIT" if self._commits == "at once" else f"PREPARE TRANSACTION '{self._name}'")
            self.acknowledged = True
        if self._door == "served":
            homes.finish()
            connections["default"].close()


def _case(
    world: World,
    wires: dict[str, Wire],
    tenant: str,
    stays: str,
    to: str,
    guarded: bool,
    kind: str,
    level: str,
    door: str,
    commits: str,
    at: int,
) -> bool:
    """Returns whether the writer was told that its write is there."""
    _bring_to(world, tenant, other(to))
    side, case = other(to), (kind, level, door, commits, at)
    word = uuid.uuid4().hex[:12]
    about = {"tenant": tenant, "other": stays, "new": str(uuid.uuid4()), "word": word}
    with connect(world, side) as session:
        session.execute("DELETE FROM licenses WHERE tenant_id = %s", [tenant])
        session.execute(WRITES["add a licence"], about | {"new": str(uuid.uuid4()), "word": f"before {word}"})
    recover()
    writer, both = Writer(world, side, tenant, level, door, commits), []

    def act() -> None:
        if guarded:
            both.append(accepts(world, "legacy") and accepts(world, "iam"))
        writer.begin(WRITES[kind], about)

    (requests.cut_over if to == "iam" else requests.reverse)(
        [TenantHome.objects.get(pk=tenant)], by="tester", reason="test"
    )
    wires[side].arm(at, act)
    work()
    wires[side].disarm()
    if writer.thread is None:
        act()
    writer.end()
    assert writer.broken is None, (case, writer.broken)
    recover()
    assert not any(both), (case, "both sides accept writes")
    assert not Cutover.objects.filter(state__in=UNDER_WAY).exists(), case
    assert not writer.acknowledged or _kept_in_time(world, tenant, kind, about), (case, "lost", _waiting(world))
    others_rows = kind in ("move to another tenant", "truncate")  # no request of one tenant writes those
    strays = Stray.objects.filter(state="open")
    assert door == "direct" or others_rows or not strays.exists(), (case, "a stray of a request that waited")
    _clean(world)
    return writer.acknowledged


def _kept_in_time(world: World, tenant: str, kind: str, about: dict[str, str]) -> bool:
    until = time.monotonic() + 10
    while not _kept(world, tenant, kind, about):
        if time.monotonic() > until:
            return False
        recover()
    return True


def _waiting(world: World) -> dict[str, Any]:
    """What each side has captured and not yet applied, and what the loops say of it."""
    asked = "SELECT table_name, key, tenant, attempts, error FROM portal_capture.queue ORDER BY id"
    waiting: dict[str, Any] = {"loops": list(FlowStatus.objects.values("direction", "entries", "error"))}
    for side in ("legacy", "iam"):
        with connect(world, side) as session:
            waiting[side] = session.execute(asked).fetchall()
    return waiting


def _kept(world: World, tenant: str, kind: str, about: dict[str, str]) -> bool:
    """At its tenant's home and on the other side, or listed as a stray."""
    table = "users" if kind in ("insert", "update") else "licenses"
    if Stray.objects.filter(state="open", table_name=table).exists():
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
        "truncate": ("SELECT count(*) FROM licenses WHERE license_key = 'before ' || %(word)s", 0),
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
