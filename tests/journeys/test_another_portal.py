"""A copy of the portal that somebody starts by mistake, with workers and loops of its own on the same two databases."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import psycopg
import pytest
from django.db import connections
from psycopg.sql import SQL, Identifier

from flags.models import TenantHome
from migration_portal.catchup.models import FlowStatus
from migration_portal.cutover import guard, move, requests
from migration_portal.cutover.models import Cutover, Stray
from migration_portal.cutover.tenants import sync_tenants
from tests import builders
from tests.cutover.moves import both_loops, moved
from tests.journeys.independent import differences
from tests.servers import drop, on_server, url_of
from tests.world import World, eventually

OTHER_REDIS = 14
"""A broker of its own: number of a database that no test worker uses."""


def test_a_copy_of_the_portal_overwrites_nothing_and_says_that_it_is_one(world: World) -> None:
    builders.legacy_tables(world)
    moves, stays = builders.tenant(world), builders.tenant(world)
    for home in (moves, stays):
        builders.user(world, home, full_name="0")
    builders.migrated(world, capture=True)
    guard.switch(on=True, by="tester")
    sync_tenants()
    copy = copied(world)
    theirs = {"DATABASE_URL": url_of(copy), "REDIS_URL": f"{os.environ['PORTAL_TESTS_REDIS']}/{OTHER_REDIS}"}
    try:
        for more in ({}, theirs):
            world.follower(**more)
            world.beat(**more)
        with Writing(world) as writing:
            eventually(lambda: writing.count > 50)
            eventually(lambda: status(copy, "forward"))
            eventually(lambda: FlowStatus.objects.filter(pk="forward").exists())  # ours, too: either may be the first
            requests.cut_over([TenantHome.objects.get(pk=moves)], by="tester")
            eventually(lambda: not Cutover.objects.under_way().exists())
            assert TenantHome.objects.get(pk=moves).home == "iam", Cutover.objects.get().error
            eventually(lambda: "portal adopt" in status(copy, "forward"))
            reached = writing.count + 50
            eventually(lambda: writing.count > reached)
        eventually(lambda: differences(world) == [])
        assert list(Stray.objects.values("direction", "table_name", "key", "what", "seen_at")) == []
        assert names(world, "legacy") == names(world, "iam") == writing.last
    finally:
        world.stop()
        drop(copy)


def test_a_copy_that_sets_the_guards_right_during_a_flip_opens_nothing(
    world: World, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CUTOVER_HOLD_SECONDS = 60
    builders.legacy_tables(world)
    moves = builders.tenant(world)
    builders.migrated(world, capture=True)
    guard.switch(on=True, by="tester")
    sync_tenants()
    both_loops()
    copy = copied(world)
    record, release = move._Move._record, move.guard.release
    opened: list[Any] = []

    def then_the_copy_agrees(*arguments: Any) -> None:
        record(*arguments)
        world.spawn("-c", AGREE, DATABASE_URL=url_of(copy)).wait()

    def look_first(*arguments: Any) -> None:
        homes = "SELECT here FROM portal_capture.homes WHERE tenant = %s"
        opened.extend(world.sql(side, homes, arguments=[moves])[0] for side in ("legacy", "iam"))
        release(*arguments)

    monkeypatch.setattr(move._Move, "_record", then_the_copy_agrees)
    monkeypatch.setattr(move.guard, "release", look_first)
    try:
        assert moved(moves).error == ""
        assert opened == [(False,), (True,)]
    finally:
        drop(copy)


def copied(world: World) -> str:
    """The name of a copy of the portal's database."""
    copy = f"{world.name}_copy"
    connections["default"].close()
    on_server(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(copy), Identifier(f"{world.name}_portal")))
    return copy


AGREE = """
import django
django.setup()
from migration_portal.cutover import guard
from migration_portal.refusal import Refusal
try:
    guard.agree()
except Refusal as refusal:
    print(refusal)
"""


def status(database: str, direction: str) -> str:
    """What the loop of this direction says in a portal's database; "-" where all is well."""
    with psycopg.connect(url_of(database)) as portal:
        row = portal.execute("SELECT error FROM catchup_flowstatus WHERE direction = %s", [direction]).fetchone()
    return str(row[0] or "-") if row else ""


def names(world: World, side: str) -> dict[str, str]:
    with world.legacy() if side == "legacy" else world.iam() as session:
        return dict(session.execute("SELECT lower(tenant_id::text), full_name FROM users").fetchall())


class Writing:
    """Somebody who writes one user of each tenant, over and over, wherever that tenant lives."""

    def __init__(self, world: World) -> None:
        self._world, self._over = world, threading.Event()
        self.count, self.last = 0, dict.fromkeys(names(world, "legacy"), "0")
        self._side = dict.fromkeys(self.last, "legacy")
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Writing:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self._thread.join()

    def _write(self) -> None:
        sides = {"legacy": self._world.legacy(), "iam": self._world.iam()}
        while not self._over.is_set():
            for tenant in self.last:
                try:
                    change = "UPDATE users SET full_name = %s WHERE tenant_id = %s"
                    sides[self._side[tenant]].execute(change, [str(self.count + 1), tenant])
                except psycopg.Error:
                    self._side[tenant] = "iam"
                    continue
                self.count += 1
                self.last[tenant] = str(self.count)
                time.sleep(0.02)
