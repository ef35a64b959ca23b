"""SIGKILL in every phase of a backup, a check and a restoration: another worker takes it up, and it ends well."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from migration_portal.backups import back_up, check, restore, schedule, swap
from migration_portal.backups.models import Backup, Check, Restoration
from migration_portal.backups.work import Work
from tests.backups.builders import backed_up
from tests.servers import drop
from tests.world import World

_ALONE = """
import os, django; django.setup()
from migration_portal.backups import schedule, work
real, wanted = work.Work.report, os.environ["KILL_IN"]
def report(self, phase, done=0, total=0):
    real(self, phase, done, total)
    if phase == wanted:
        os.kill(os.getpid(), 9)
work.Work.report = report
schedule.perform(os.environ["KIND"], int(os.environ["PK"]))
"""
"""A worker that dies in the moment in which it says that a phase has begun."""


def killed_in(world: World, backups: Path, kind: str, work: Work, phase: str) -> None:
    more = {"KILL_IN": phase, "KIND": kind, "PK": str(work.pk), "BACKUP_STORE": str(backups), "LOG_LEVEL": "ERROR"}
    more |= {"BACKUP_WORK": str(backups.parent / "work"), "DJANGO_SETTINGS_MODULE": "config.settings"}
    process: subprocess.Popen[Any] = world.spawn("-c", _ALONE, **more)
    assert process.wait(60) == -signal.SIGKILL
    assert not work.claim()  # its lease has not run out
    type(work).objects.filter(pk=work.pk).update(beat_at=None)  # a minute later
    schedule.perform(kind, work.pk)
    work.refresh_from_db()
    assert (work.error, work.attempts, work.finished_at is None) == ("", 2, False)


@pytest.mark.parametrize("phase", Backup.PHASES)
def test_a_backup_that_was_killed_is_made_again(world: World, backups: Path, phase: str) -> None:
    world.sample(users=200, tenants=5)
    backup = back_up.request("legacy", by="tester")
    killed_in(world, backups, "backup", backup, phase)
    found = check.request(backup, 3, by="tester")
    check.perform(found)
    assert Check.objects.get().reached == 3
    assert os.listdir(backups.parent / "work") == []
    stored = {
        path.relative_to(backups / backup.place).as_posix()
        for path in (backups / backup.place).rglob("*")
        if path.is_file()
    }
    assert stored == {file["name"] for file in backup.manifest["files"]} | {"manifest.jws"}


@pytest.mark.parametrize("phase", Check.PHASES)
def test_a_check_that_was_killed_leaves_no_database_behind(world: World, backups: Path, phase: str) -> None:
    world.sample(users=200, tenants=5)
    backup = backed_up("legacy")
    found = check.request(backup, 3, by="tester")
    killed_in(world, backups, "check", found, phase)
    assert Check.objects.get().reached == 3
    with world.portal() as server:
        token = backup.place.rpartition("-")[2]
        assert server.execute("SELECT count(*) FROM pg_database WHERE datname ~ %s", [token]).fetchone() == (0,)


@pytest.mark.parametrize("phase", Restoration.PHASES)
def test_a_restoration_that_was_killed_is_done_again(world: World, backups: Path, phase: str) -> None:
    world.sample(users=200, tenants=5)
    name = f"{world.name}_new"
    made = restore.request(backed_up("legacy"), into=name, by="tester", reason="a drill")
    try:
        killed_in(world, backups, "restoration", made, phase)
        assert made.finding == ""
    finally:
        drop(name)


_SWAPPER = """
import os, django; django.setup()
from migration_portal.backups import swap
from migration_portal.backups.models import Restoration
swap.chain.record = lambda *given, **named: os.kill(os.getpid(), 9)
swap.swap(Restoration.objects.get(), by="tester", reason="a drill")
"""
"""It dies when the databases are renamed, and nobody has written that down."""


def test_a_swap_that_was_killed_after_the_renaming_is_gone_on_with(world: World, backups: Path) -> None:
    world.sample(users=200, tenants=5)
    made = restore.request(backed_up("legacy"), into=f"{world.name}_new", by="tester", reason="a drill")
    restore.perform(made)
    kept = f"{world.name}_legacy_before_{made.pk}"
    try:
        process = world.spawn("-c", _SWAPPER, DJANGO_SETTINGS_MODULE="config.settings", LOG_LEVEL="ERROR")
        assert process.wait(60) == -signal.SIGKILL
        made.refresh_from_db()
        assert made.state == "restored"
        assert swap.swap(made, by="tester", reason="a drill") == kept
        assert Restoration.objects.get().state == "swapped"
    finally:
        drop(kept)
