"""Backups from a terminal: from the dump to what was written since, and exit codes that tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError

from migration_portal.backups.models import Backup, Restoration
from tests import builders
from tests.management.test_portal import portal
from tests.servers import drop
from tests.world import World


@pytest.fixture(autouse=True)
def store(tmp_path: Path, settings: Any) -> Path:
    settings.BACKUP_STORE, settings.BACKUP_WORK = str(tmp_path / "store"), str(tmp_path / "work")
    return tmp_path / "store"


def test_the_drill_from_a_terminal(world: World) -> None:
    builders.legacy_tables(world)
    acme = builders.tenant(world)
    made = json.loads(portal("backup", "legacy", "--json"))
    assert (made["state"], made["level"]) == ("done", 0)
    assert json.loads(portal("verify_backup", made["id"], "--json"))["reached"] == 3
    assert "level 3" in portal("backup", "legacy", "--list")
    name = f"{world.name}_new"
    try:
        assert name in portal("restore", made["id"], "--into", name, "--reason", "a drill")
        builders.user(world, acme)
        restoration = Restoration.objects.get()
        portal("swap", restoration.pk, "--reason", "a drill")
        assert f"{acme} " in portal("reconcile", restoration.pk)
        assert "Brought back: 1 rows." in portal("reconcile", restoration.pk, "--take", acme, "--reason", "theirs")
        with world.legacy() as legacy:
            assert legacy.execute("SELECT count(*) FROM users").fetchone() == (1,)
        with pytest.raises(CommandError, match="Nothing of it is undecided"):
            portal("reconcile", restoration.pk, "--leave", acme, "--reason", "x")
    finally:
        drop(name)
        for kept in Restoration.objects.exclude(kept_as="").values_list("kept_as", flat=True):
            drop(kept)


def test_a_backup_that_does_not_hold_exits_badly(world: World, store: Path) -> None:
    portal("backup", "iam")
    backup = Backup.objects.get()
    (store / backup.place / "settings.json").unlink()
    with pytest.raises(CommandError, match="settings.json is missing"):
        portal("verify_backup", backup.pk)
    with pytest.raises(CommandError, match="There is no such backup"):
        portal("verify_backup", 999)


def test_a_lost_record_is_found_in_the_store(world: World) -> None:
    portal("backup", "iam")
    Backup.objects.all().delete()
    assert portal("backup", "iam", "--adopt") == "Recorded: 1.\n"
    assert portal("backup", "iam", "--adopt") == "Recorded: 0.\n"
