"""How far a table is: from its steps' chunks, weighted, and in words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from migration_portal.engine import ledger
from migration_portal.engine.copy import boundaries
from migration_portal.runs import progress, work
from migration_portal.runs.advance import advance
from migration_portal.runs.models import Run
from migration_portal.runs.progress import _shares, _table, progress_of
from migration_portal.runs.start import start
from migration_portal.runs.undo import undo
from migration_portal.runs.verify import verify
from tests import builders
from tests.console.browsing import browser
from tests.world import World


def step(name: str, done: int, chunks: int) -> dict:
    return {"step": name, "done": done, "chunks": chunks, "table_name": "users"}


def test_nothing_done_is_waiting() -> None:
    table = _table("users", {}, _shares([], "users"))
    assert (table.fraction, table.stage) == (0.0, "waiting")


def test_all_steps_done_is_verified_and_whole() -> None:
    steps = [step(f"{kind}:users", 4, 4) for kind in ("copy", "index", "constraint", "analyze")]
    steps += [step("verify:users:1", 2, 2), step("compare:users:1", 1, 1)]
    table = _table("users", {}, _shares(steps, "users"))
    assert (round(table.fraction, 9), table.stage) == (1.0, "verified")


def test_the_words_follow_the_last_step_that_has_begun() -> None:
    steps = [step("copy:users", 4, 4), step("index:users", 1, 2)]
    assert _table("users", {}, _shares(steps, "users")).stage == "building"


def test_an_undo_counts_down() -> None:
    steps = [step("copy:users", 4, 4), step("undo:users:1", 1, 2)]
    table = _table("users", {}, _shares(steps, "users"))
    assert (table.fraction, table.stage) == (0.75, "undoing")


def test_the_bar_of_a_run_never_runs_back_nor_stands_at_its_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boundaries, "GRANULE_BYTES", 1)
    world.sample(users=3000)
    run = start(by="tester")
    seen = [progress_of(run)]
    real = work._do

    def do(transfer: Any, chunk: Any, seconds: float) -> None:
        real(transfer, chunk, seconds)
        seen.append(progress_of(Run.objects.get()))

    monkeypatch.setattr(work, "_do", do)
    seen.append(progress_of(builders.finish(run)))
    shown = [each.fraction for each in seen]
    assert shown == sorted(shown) and len(set(shown)) > 10
    assert shown[0] == 0 and seen[0].left is None and max(shown[:-1]) < 1 == shown[-1]
    assert seen[-2].left and seen[-1].left is None


def test_a_verification_made_again_has_a_bar_of_its_own(world: World) -> None:
    world.sample()
    run = builders.migrated(world)
    verify(run, by="tester")
    assert progress_of(run).fraction == 0


def test_what_an_undo_leaves_is_less_and_less(world: World) -> None:
    world.sample()
    run = builders.migrated(world)
    undo(run, by="tester", reason="a test")
    begun = progress_of(run)
    builders.finish(run)
    assert begun.fraction == 1 and begun.left is not None and progress_of(run).fraction == 0


def test_a_run_that_no_worker_takes_up_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.sample()
    run = start(by="tester")
    assert progress_of(run).unattended < 3
    later = timezone.now() + timedelta(seconds=60)
    monkeypatch.setattr(progress.timezone, "now", lambda: later)
    assert 55 < progress_of(run).unattended < 61
    page = browser("operator").get(f"/admin/runs/run/{run.pk}/live/").content.decode()
    assert "No worker has been at it for" in page
    advance(run)
    with world.iam() as iam:
        assert ledger.claim(iam, run.key, "worker")
    assert progress_of(run).unattended == 0
    died = "UPDATE portal_ledger.chunks SET lease_until = now() - interval '1 s', started_at = now() - interval '31 s'"
    world.sql("iam", f"{died} WHERE state = 'claimed'")
    assert 30 < progress_of(run).unattended < 40
    assert progress_of(builders.finish(run)).unattended == 0
