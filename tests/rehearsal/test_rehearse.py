"""The whole migration on a stage: measured, kept, and gone again; production notices nothing."""

from __future__ import annotations

import io
import json
import os
import signal
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from flags.models import TenantHome
from migration_portal.backups.models import Backup
from migration_portal.refusal import Refusal
from migration_portal.rehearsal import rehearse
from migration_portal.rehearsal.compare import compared
from migration_portal.rehearsal.forecast import forecast
from migration_portal.rehearsal.models import Rehearsal
from migration_portal.runs.models import Run
from tests import builders
from tests.backups.builders import backed_up, checked
from tests.console.browsing import browser
from tests.sampling import ALL
from tests.world import World


def validated(world: World) -> None:
    world.sample(users=300, tenants=12)
    checked(backed_up("legacy"), 3)


def stages(world: World) -> list[str]:
    token = Backup.objects.get().place.rpartition("-")[2]
    with world.portal() as server:
        found = server.execute("SELECT datname FROM pg_database WHERE datname ~ %s", [f"rehearsal_.*{token}"])
        return [name for (name,) in found]


def counts(world: World) -> tuple[int, int]:
    with world.legacy() as legacy, world.iam() as iam:
        return tuple(side.execute("SELECT count(*) FROM users").fetchone()[0] for side in (legacy, iam))  # type: ignore[return-value]


def test_a_rehearsal_measures_all_and_touches_nothing(world: World, backups: Path) -> None:
    validated(world)
    before = counts(world)
    out = io.StringIO()
    call_command("portal", "rehearse", "--reason", "before the first wave", "--tenants", "2", "--json", stdout=out)
    told = json.loads(out.getvalue())
    made = Rehearsal.objects.get(pk=told["rehearsal"])
    found = forecast(made.measured, made.production)
    assert made.state == "done" and made.measured["passed"] and stages(world) == []
    assert counts(world) == before and not Run.objects.exists() and not TenantHome.objects.exists()
    assert found.tables["users"].rows == 300 and found.reasons and found.seconds > 0
    assert found.entries_per_second > 0 and found.memory > 50e6 and found.disk > 0
    moves = made.measured["moves"]
    assert {(move["to"], move["state"]) for move in moves} == {("iam", "done"), ("legacy", "done")} and len(moves) == 4
    assert all(0 < move["hold_ms"] < 5000 for move in moves)
    assert found.requests > 0 and not found.requests_failed
    builders.migrated(world)
    beside = compared(made, found)
    assert {each.name for each in beside} >= {"users", "tenants"} and all(each.real >= 0 for each in beside)
    page = browser("viewer").get(f"/admin/rehearsal/{made.pk}/").content.decode()
    assert "Off by" in page and "Would be quarantined" in page
    assert "Rehearsal 1" in browser("operator").get("/admin/rehearsal/").content.decode()


def test_without_a_validated_backup_there_is_nothing_to_rehearse_with(rolled_back: World) -> None:
    with pytest.raises(CommandError, match="Legacy has no validated backup"):
        call_command("portal", "rehearse", "--reason", "x")
    page = browser("operator").get("/admin/rehearsal/").content.decode()
    assert "None yet" in page and "verify the backup up to level 3" in page
    assert browser("viewer").post("/admin/rehearsal/rehearse/", {"tenants": "3", "reason": "x"}).status_code == 403


@pytest.mark.skipif(not ALL, reason="two rehearsals: under make endure")
def test_it_is_taken_up_again_after_a_kill_and_leaves_no_stage(world: World, backups: Path) -> None:
    validated(world)
    made = rehearse.request(by="tester", reason="a drill", tenants=3)
    alone = "import django; django.setup(); from migration_portal.rehearsal import tasks; tasks.work(%d)"
    where = {"BACKUP_STORE": str(backups), "BACKUP_WORK": str(backups.parent / "work"), "LOG_LEVEL": "ERROR"}
    process = world.spawn("-c", alone % made.pk, DJANGO_SETTINGS_MODULE="config.settings", **where)
    while not stages(world):
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    rehearse.perform(made)  # its lease has not run out
    assert Rehearsal.objects.get().finished_at is None
    Rehearsal.objects.update(beat_at=None)  # a minute later
    made.refresh_from_db()
    rehearse.perform(made)
    made.refresh_from_db()
    assert (made.state, made.error, made.attempts) == ("done", "", 2) and stages(world) == []


def test_what_fails_on_the_stage_is_said_in_words(
    world: World, backups: Path, settings: object, tmp_path: Path
) -> None:
    validated(world)
    broken = tmp_path / "plan.toml"
    broken.write_text("nonsense")
    made = rehearse.request(by="tester", reason="a drill", tenants=3)
    settings.MIGRATION_PLAN = str(broken)  # type: ignore[attr-defined]
    with pytest.raises(Refusal):
        rehearse.production(made.backup)
    rehearse.perform(made)
    made.refresh_from_db()
    assert made.state == "failed" and made.error and stages(world) == []


def test_what_plays_on_a_stage_plays_nowhere_else(world: World) -> None:
    process = world.spawn(
        "-m", "migration_portal.rehearsal.inside", "play", "{}", DJANGO_SETTINGS_MODULE="config.settings"
    )
    assert process.wait(30) == 1
    # It would end with 1 as well for want of anything to play.
    assert "is no database of a rehearsal" in (Path(os.environ["PORTAL_HOME"]) / f"{world.name}-0.log").read_text()
    with world.iam() as iam:
        assert iam.execute("SELECT count(*) FROM users").fetchone() == (0,)


def test_the_sample_is_of_a_sensible_size(rolled_back: World) -> None:
    for tenants in (0, 100):
        with pytest.raises(Refusal, match="no sample of tenants"):
            rehearse.request(by="tester", reason="x", tenants=tenants)
