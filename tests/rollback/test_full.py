"""The full roll-back: a disaster in legacy, a backup in its place, nothing dropped silently; also with a SIGKILL at every step."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flags import maintenance
from flags.models import TenantHome
from migration_portal.backups import reconcile
from migration_portal.backups.models import Backup, Restoration
from migration_portal.cutover import requests
from migration_portal.cutover.models import Cutover
from migration_portal.cutover.tenants import sync_tenants
from migration_portal.cutover.work import work
from migration_portal.rollback import execute
from migration_portal.rollback.models import RollBack
from migration_portal.rollback.plans import Kind
from tests import builders
from tests.backups.builders import backed_up, checked
from tests.cutover.moves import both_loops, iam, legacy
from tests.rollback.going import agreed, gone_on, others_work, step_of
from tests.sampling import some
from tests.servers import drop
from tests.world import World

_ALONE = """
import os, django; django.setup()
from migration_portal.rollback import execute, models
real, wanted = models.Step.end, os.environ["KILL_AT"]
def end(self, state, detail):
    if self.action == wanted:
        os.kill(os.getpid(), 9)
    real(self, state, detail)
models.Step.end = end
execute.go_on()
"""
"""A worker that dies when a step's action is done, and the journal does not say so yet."""


@pytest.fixture
def disaster(world: World, backups: Path, settings: Any, tmp_path: Path) -> Iterator[tuple[Backup, dict[str, str]]]:
    """A validated backup of legacy; then Acme moves to the IAM, all three write, and legacy loses Cole's and Bolt's users.

    The backup, and what legacy's users ought to be called in the end.
    """
    builders.legacy_tables(world)
    acme, bolt, cole = (builders.tenant(world, name=name) for name in ("Acme", "Bolt", "Cole"))
    for tenant, name in ((acme, "ann"), (bolt, "bob"), (cole, "cem")):
        builders.user(world, tenant, username=name)
    files = tmp_path / "files"
    files.mkdir()
    (files / "licence.pem").write_text("as it was")
    settings.BACKUP_PATHS = {"legacy": [str(files)]}
    builders.migrated(world, capture=True)
    sync_tenants()
    both_loops()
    backup = backed_up("legacy")
    checked(backup, 3)
    requests.cut_over([TenantHome.objects.get(pk=acme)], by="tester", wave="pilot")
    work()
    iam(world, "UPDATE users SET full_name = 'Written in the IAM' WHERE username = 'ann'")
    legacy(world, "UPDATE users SET full_name = 'Written in legacy' WHERE username = 'bob'")
    builders.user(world, cole, username="new", full_name="Added since")
    both_loops()
    legacy(world, "DELETE FROM users WHERE username IN ('cem', 'bob')")
    (files / "licence.pem").write_text("broken")
    settings.CUTOVER_MAX_LAG_SECONDS = 3600.0
    yield backup, {"ann": "Written in the IAM", "bob": "Ann Lee", "cem": "Ann Lee", "new": "Added since"}
    for made in Restoration.objects.all():
        for name in filter(None, (made.into, made.kept_as)):
            drop(name)


def take_all() -> None:
    """A person takes what every tenant wrote since, without what the disaster removed."""
    found = Restoration.objects.get()
    tenants = set(found.written.filter(decision="open").values_list("tenant", flat=True))  # type: ignore[attr-defined]
    reconcile.take(found, sorted(tenants), removals=False, by="ada", reason="theirs")


def answer(made: RollBack) -> None:
    """What the step asks of a person, if it does."""
    assert made.step is not None
    if made.step.state == "asks":
        execute.approve(made.step, by="ada")
    elif made.step.action == "decide_written" and made.step.detail.startswith("Undecided"):
        take_all()


def test_the_disaster_is_rolled_back_and_nothing_is_dropped_silently(
    world: World, disaster: tuple[Backup, dict[str, str]]
) -> None:
    backup, wanted = disaster
    made = gone_on(execute.start(Kind.FULL, by="ada", reason="users are gone", backup=backup))
    assert (made.step and made.step.action, made.state) == ("restore_backup", "asks") and maintenance.current()
    made = agreed(made)
    assert (made.step and made.step.action, made.state) == ("swap_database", "asks")
    made = agreed(made)
    assert made.step and made.step.action == "decide_written"
    take_all()
    made = gone_on(made)
    assert (made.step and made.step.action, made.state) == ("place_files", "asks")
    assert "1 files: " in step_of(made, "fetch_files").detail and "licence.pem" in step_of(made, "fetch_files").detail
    made = agreed(made)
    if made.state == "asks":  # the settings of a test run differ by what it was called with
        made = agreed(made)
    assert made.state == "done", (made.step, made.step and made.step.detail)
    assert maintenance.current() is None and not TenantHome.objects.filter(home="iam").exists()
    assert dict(legacy(world, "SELECT username, full_name FROM users")) == wanted
    both_loops()
    assert dict(iam(world, "SELECT username, full_name FROM users")) == wanted


def test_a_sigkill_at_any_step_changes_nothing_of_that(
    world: World, disaster: tuple[Backup, dict[str, str]], backups: Path, settings: Any
) -> None:
    backup, wanted = disaster
    made = execute.start(Kind.FULL, by="ada", reason="users are gone", backup=backup)
    more = {"BACKUP_STORE": str(backups), "BACKUP_WORK": str(backups.parent / "work"), "LOG_LEVEL": "ERROR"}
    more |= {"DJANGO_SETTINGS_MODULE": "config.settings", "CUTOVER_MAX_LAG_SECONDS": "3600"}
    for step in some(made.steps.all(), 2, "sigkill"):  # type: ignore[attr-defined]
        for _ in range(24):
            if world.spawn("-c", _ALONE, KILL_AT=step.action, **more).wait(60) == -signal.SIGKILL:
                break
            made.refresh_from_db()
            answer(made)
            others_work()
        else:
            raise AssertionError(f"{step} did not come to its end: {step.state} {step.detail}")
        step.refresh_from_db()
        assert step.state == "running"  # the journal does not say yet that it is done
    for _ in made.steps.all():  # type: ignore[attr-defined]
        if (made := gone_on(made)).ended_at:
            break
        answer(made)
    assert made.state == "done" and maintenance.current() is None
    assert Restoration.objects.count() == 1 and Cutover.objects.filter(home="legacy").count() == 1
    assert dict(legacy(world, "SELECT username, full_name FROM users")) == wanted
