"""A run, its undo, catch-up and finalize, each cut at every single statement, on each database, before or after it was done.

`make test` takes a seeded few of the cases, `make endure` all of them (PORTAL_TEST_CASES=all).
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connections

from flags.models import TenantHome
from migration_portal.catchup.flows import captured_run, start_reverse
from migration_portal.catchup.follow import follow
from migration_portal.cutover import finalize
from migration_portal.engine import capture, ledger
from migration_portal.refusal import Refusal
from migration_portal.runs.advance import advance
from migration_portal.runs.connections import open_transfer
from migration_portal.runs.models import Run
from migration_portal.runs.report import report
from migration_portal.runs.start import start
from migration_portal.runs.states import WORKING, State
from migration_portal.runs.uncapture import remove_leftovers
from migration_portal.runs.undo import undo
from migration_portal.runs.work import work
from tests import builders
from tests.cutover.moves import legacy, moved
from tests.journeys.independent import differences, roles_differ
from tests.journeys.moving import CUTS, at_every_statement, recover
from tests.wire import Cut, Wire
from tests.world import World, eventually

_FAULTS = (DatabaseError, psycopg.Error, Refusal)
_CUTS = pytest.mark.parametrize(("side", "cut"), CUTS)


@pytest.fixture
def tenant(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(ledger, "LEASE_SECONDS", 0.3)
    builders.legacy_tables(world)
    made = builders.tenant(world)
    for name in ("ann", "bob"):
        builders.user(world, made, username=name)
    builders.licence(world, made)
    return made


def cut_while(wire: Wire, at: int, cut: Cut, do: Callable[[], Any]) -> bool:
    """Do it with the wire cut at that statement. Returns whether there were so many."""
    wire.arm(at, cut)
    with as_a_task():
        do()
    return wire.disarm()


@contextlib.contextmanager
def as_a_task() -> Iterator[None]:
    """Whatever the fault, the next task begins with sessions of its own."""
    try:
        yield
    except _FAULTS:
        pass
    finally:
        for alias in ("default", "iam"):
            connections[alias].close()


def to_its_end(run: Run) -> Run:
    """Work as workers and ticks do, each a new one after a fault, until the run has ended."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with as_a_task():
            run.refresh_from_db()
            if run.state not in WORKING:
                return run
            work(run.pk)
            advance(run)
        time.sleep(0.02)
    raise AssertionError(f"{run} does not end: {run.state} {run.error}")


def left_in_the_iam(world: World) -> int:
    tables = ("tenants", "users", "licenses", "user_roles", "tenant_settings")
    with world.iam() as iam:
        return sum(iam.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)


@_CUTS
@pytest.mark.usefixtures("tenant")
def test_a_run_and_its_undo_cut_at_any_statement_end_as_if_they_were_not(
    world: World, wires: dict[str, Wire], side: str, cut: Cut
) -> None:
    def case(at: int) -> bool:
        run = start(by="tester", capture=True)
        was_cut = cut_while(wires[side], at, cut, lambda: to_its_end(run))
        assert to_its_end(run).state == State.COMPLETED, (at, run.error)
        assert report(run).passed and report(run).accounted, at
        assert differences(world) + roles_differ(world) == [], at
        undo(run, by="tester", reason="test")
        was_cut |= cut_while(wires[side], at, cut, lambda: to_its_end(run))
        assert to_its_end(run).state == State.UNDONE, (at, run.error)
        assert left_in_the_iam(world) == 0, at
        remove_leftovers()  # as every tick does
        with world.legacy() as connection:
            assert not capture.installed(connection), at
        return was_cut

    def there_and_back() -> None:
        run = to_its_end(start(by="tester", capture=True))
        undo(run, by="tester", reason="test")
        to_its_end(run)

    said = wires[side].count(there_and_back) // 2
    at_every_statement(case, said, f"run {side} {cut}", share=480)


@_CUTS
def test_catch_up_cut_at_any_statement_brings_every_change(
    world: World, wires: dict[str, Wire], tenant: str, side: str, cut: Cut
) -> None:
    builders.migrated(world, capture=True)

    def case(at: int) -> bool:
        word = uuid.uuid4().hex
        builders.user(world, tenant, username=word)
        legacy(world, "UPDATE users SET full_name = %s WHERE username = 'ann'", word)
        legacy(world, "UPDATE users SET id = %s WHERE username = 'bob'", str(uuid.uuid4()))
        legacy(world, "DELETE FROM licenses")
        builders.licence(world, tenant)
        was_cut = cut_while(wires[side], at, cut, lambda: follow("forward", seconds=0.2))
        eventually(lambda: follow("forward", seconds=0.1) or differences(world) + roles_differ(world) == [], 20)
        legacy(world, "DELETE FROM users WHERE username = %s", word)
        return was_cut

    legacy(world, "UPDATE users SET bio = 'counted'")
    said = wires[side].count(lambda: follow("forward", seconds=0.2))
    at_every_statement(case, said, f"catch-up {side} {cut}", share=120)


@_CUTS
def test_finalize_cut_at_any_statement_is_made_or_can_be_made_again(
    world: World, wires: dict[str, Wire], tenant: str, side: str, cut: Cut
) -> None:
    run = builders.migrated(world, capture=True)
    recover()
    assert moved(tenant).error == ""

    def case(at: int) -> bool:
        recover()
        was_cut = cut_while(wires[side], at, cut, lambda: finalize.finalize(by="tester", reason="test"))
        if captured_run() is not None:
            finalize.finalize(by="tester", reason="test")
        assert TenantHome.objects.get().final, at
        with world.legacy() as old, world.iam() as new:
            assert not capture.installed(old) and not capture.installed(new), at
        _open_again(run)
        return was_cut

    recover()
    said = wires[side].count(lambda: finalize.finalize(by="tester", reason="test"))
    _open_again(run)
    at_every_statement(case, said, f"finalize {side} {cut}")


def _open_again(run: Run) -> None:
    """As it was before: finalized once, a migration cannot be finalized a second time."""
    TenantHome.objects.update(final=False)
    Run.objects.update(capture=True)
    run.refresh_from_db()
    with open_transfer(run, "test") as transfer:
        assert transfer.queue is not None
        capture.install(transfer.queue, transfer.plan, transfer.source_catalog)
        start_reverse(transfer)
