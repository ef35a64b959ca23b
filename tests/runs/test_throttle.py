"""Going slower on purpose, live: workers, chunks, quiet hours."""

from __future__ import annotations

import io
from datetime import UTC, datetime, time
from typing import Any

import pytest
from django.core.management import call_command

from migration_portal.audit.models import Event
from migration_portal.engine import ledger
from migration_portal.engine.ledger import NewChunk
from migration_portal.refusal import Refusal
from migration_portal.runs.advance import advance
from migration_portal.runs.models import Run
from migration_portal.runs.progress import progress_of
from migration_portal.runs.start import start
from migration_portal.runs.states import State
from migration_portal.runs.throttle import Throttle, parse, throttle
from migration_portal.runs.work import work
from tests import builders
from tests.console.browsing import browser, words
from tests.world import World


def begun(world: World) -> Run:
    world.sample()
    run = start(by="tester")
    advance(run)
    return run


def test_no_more_workers_have_a_chunk_than_the_run_allows(world: World) -> None:
    run = begun(world)
    throttle(run, Throttle(workers=1), by="ada", reason="legacy is busy")
    with world.iam() as iam:
        ledger.add(iam, run.key, "another", 0, [NewChunk("sweep", "users"), NewChunk("sweep", "users")])
        held = ledger.claim(iam, run.key, "another", most=1)
        assert held is not None and ledger.at_work(iam, run.key) == 1
        assert ledger.claim(iam, run.key, "a third", most=1) is None
        assert work(run.pk) == 0  # and it does not wait for the place either
        ledger.failed(iam, held, "gone", passing=True)
        iam.execute("UPDATE portal_ledger.chunks SET not_before = now() WHERE id = %s", [held.id])
        assert work(run.pk) > 0
    assert builders.finish(run).state == State.COMPLETED


def test_in_quiet_hours_nothing_is_copied_and_the_page_says_until_when(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(world)
    throttle(run, Throttle(quiet_from=time(0, 0), quiet_until=time(23, 59, 59)), by="ada")
    advance(run)
    assert work(run.pk) == 0
    page = words(browser("operator").get(f"/admin/runs/run/{run.pk}/change/"))
    assert "Paused automatically: Its quiet hours last until" in page and "No worker has been at it" not in page
    assert "quiet 00:00 to 23:59 UTC" in page
    assert progress_of(run).left is None
    throttle(run, Throttle(), by="ada")
    assert builders.finish(run).state == State.COMPLETED


@pytest.mark.parametrize(
    ("begins", "ends", "hour", "rests"),
    [("22:00", "06:00", "23:10", True), ("22:00", "06:00", "05:59", True), ("22:00", "06:00", "06:00", False),
     ("22:00", "06:00", "21:59", False), ("08:00", "18:00", "08:00", True), ("08:00", "18:00", "18:00", False)],
)  # fmt: skip
def test_quiet_hours_may_pass_midnight(begins: str, ends: str, hour: str, rests: bool) -> None:
    run = Run(quiet_from=time.fromisoformat(begins), quiet_until=time.fromisoformat(ends))
    now = datetime.combine(datetime(2026, 11, 28), time.fromisoformat(hour), UTC)
    assert bool(run.resting(now)) is rests
    if rests:
        assert f"{ends} UTC" in run.resting(now)


def test_a_chunk_is_cut_for_the_seconds_that_were_asked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begun(world)
    throttle(run, Throttle(chunk_seconds=0.25), by="ada")
    asked: list[float] = []
    real = ledger.enlarge

    def enlarge(iam: Any, key: Any, chunk: Any, seconds: float) -> Any:
        asked.append(seconds)
        return real(iam, key, chunk, seconds)

    monkeypatch.setattr(ledger, "enlarge", enlarge)
    builders.finish(run)
    assert set(asked) == {0.25}


@pytest.mark.parametrize(
    "typed",
    [("0", "", "", ""), ("x", "", "", ""), ("", "0", "", ""), ("", "99", "", ""), ("", "nan", "", ""), ("", "", "22:00", ""),
     ("", "", "7:00", "07:00"), ("", "", "07:00", "07:00")],
)  # fmt: skip
def test_limits_that_are_none_are_refused_in_words(world: World, typed: tuple[str, str, str, str]) -> None:
    run = begun(world)
    with pytest.raises(Refusal):
        throttle(run, parse(*typed), by="ada")
    assert not run.throttled


def test_a_run_that_is_over_has_nothing_to_throttle(world: World) -> None:
    run = begun(world)
    builders.finish(run)
    with pytest.raises(Refusal, match="It is completed"):
        throttle(run, Throttle(workers=1), by="ada")


def test_it_is_throttled_by_a_dialog_and_from_a_terminal_and_on_record(world: World) -> None:
    run = begun(world)
    place = f"/admin/runs/run/{run.pk}/throttle/"
    assert browser("viewer").post(place, {"workers": "1"}).status_code == 403
    page = browser("operator").post(place, {"workers": "1", "quiet_from": "22:00", "quiet_until": "06:00"}, follow=True)
    assert "workers: 1 · quiet 22:00 to 06:00 UTC" in words(page)
    told = io.StringIO()
    call_command("portal", "throttle", str(run.pk), "--workers", "2", "--chunk-seconds", "0.5", stdout=told)
    assert "workers: 2; a chunk takes 0.5 s" in told.getvalue()
    run.refresh_from_db()
    assert (run.workers, run.chunk_seconds, run.quiet_from) == (2, 0.5, None)
    data = Event.objects.filter(verb="throttle").first().data  # type: ignore[union-attr]
    assert (data["from"]["workers"], data["to"]["workers"]) == ("1", "2")
