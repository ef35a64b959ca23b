"""Backing up a side, and checking the backup."""

from __future__ import annotations

import json
import tarfile
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyrage
import pytest
from django.utils import timezone

from migration_portal.audit.models import Event
from migration_portal.backups import back_up, parts, schedule
from migration_portal.backups.models import Backup, Check
from migration_portal.backups.prune import prune
from migration_portal.engine.errors import LeaseLost
from migration_portal.refusal import Refusal
from tests.backups.builders import backed_up, checked
from tests.world import World


def test_a_backup_of_each_side_is_validated(world: World, backups: Path) -> None:
    world.sample(users=200, tenants=5)
    for side in ("legacy", "iam", "portal"):
        found = checked(backed_up(side), 3)
        assert (found.error, found.finding, found.reached) == ("", "", 3)
    assert Backup.objects.filter(level=3).count() == 3


def test_the_manifest_counts_what_the_snapshot_held(world: World, backups: Path) -> None:
    world.sample(users=200, tenants=5)
    backup = backed_up("legacy")
    with world.legacy() as legacy:
        users = legacy.execute("SELECT count(*) FROM users").fetchone()[0]
    assert backup.manifest["content"]["tables"]["public.users"][0] == users
    assert backup.manifest["users"] == users
    lines = (backups / backup.place / "users.jsonl").read_text().splitlines()
    assert len(lines) == users
    assert not {"hashed_password", "refresh_token"} & set(json.loads(lines[0]))


def test_one_backup_of_a_side_at_a_time(rolled_back: World) -> None:
    back_up.request("legacy", by="tester")
    with pytest.raises(Refusal, match="A backup of it is under way"):
        back_up.request("legacy", by="tester")
    assert back_up.request("iam", by="tester").state == "requested"


def test_a_backup_under_load_is_validated(world: World, backups: Path) -> None:
    """What is written while the dump runs is in no snapshot of it."""
    world.sample(users=2000, tenants=5)
    backup = back_up.request("legacy", by="tester")
    over = threading.Event()

    def write() -> None:
        with world.legacy() as legacy:
            while not over.is_set():
                legacy.execute(
                    "UPDATE users SET full_name = md5(random()::text) WHERE id = (SELECT min(id) FROM users)"
                )

    writer = threading.Thread(target=write)
    writer.start()
    try:
        back_up.perform(backup)
    finally:
        over.set()
        writer.join()
    backup.refresh_from_db()
    assert checked(backup, 3).reached == 3


def test_what_is_stored_under_a_key_is_sealed_and_opens(world: World, backups: Path, settings: Any) -> None:
    world.sample(users=200, tenants=5)
    identity = pyrage.x25519.Identity.generate()
    settings.BACKUP_KEY = str(identity)
    backup = backed_up("legacy")
    names = {file["name"] for file in backup.manifest["files"]}
    assert "secrets.json" in names and all(file["sealed"] for file in backup.manifest["files"])
    stored = b"".join(path.read_bytes() for path in (backups / backup.place).rglob("*") if path.is_file())
    assert b"@example" not in stored and settings.SECRET_KEY.encode() not in stored
    opened = pyrage.decrypt((backups / backup.place / "secrets.json").read_bytes(), [identity])
    assert json.loads(opened)["SECRET_KEY"] == settings.SECRET_KEY
    assert checked(backup, 3).reached == 3
    settings.BACKUP_KEY, settings.BACKUP_OLD_KEYS = str(pyrage.x25519.Identity.generate()), [str(identity)]
    assert checked(backup, 3).reached == 3
    settings.BACKUP_OLD_KEYS = []
    assert "does not open with our keys" in checked(backup, 3).finding


def test_without_a_key_no_secret_is_stored(world: World, backups: Path, settings: Any) -> None:
    backup = backed_up("portal")
    shown = (backups / backup.place / "settings.json").read_text()
    assert "secrets.json" not in {file["name"] for file in backup.manifest["files"]}
    for secret in (settings.SECRET_KEY, psycopg.conninfo.conninfo_to_dict(settings.LEGACY_DATABASE_URL)["password"]):
        assert secret not in shown


def test_secrets_whose_names_do_not_say_so_are_hidden(world: World, backups: Path, settings: Any) -> None:
    settings.ALERT_PLACES = ["https://hooks.example.org/known-to-nobody"]
    settings.CHECKPOINT_USER = "probe:known-to-nobody"
    settings.BACKUP_SCRATCH_URL = "host=a password=known-to-nobody"
    settings.SOCIAL_PROVIDERS = {"google": {"client_id": "x", "client_secret": "known-to-nobody"}}
    parts.write_configuration(backups.parent)
    assert "known-to-nobody" not in (backups.parent / "settings.json").read_text()


def test_what_a_failed_backup_stored_is_removed(world: World, backups: Path) -> None:
    backup = back_up.request("iam", by="tester")
    (backups / backup.place).mkdir(parents=True)
    (backups / backup.place / "half").write_text("x")
    Backup.objects.filter(pk=backup.pk).update(error="No room.", finished_at=timezone.now())
    assert prune() == 0
    backup.refresh_from_db()
    assert backup.state == "failed" and not (backups / backup.place).exists()


def test_paths_come_along(world: World, backups: Path, settings: Any, tmp_path: Path) -> None:
    (tmp_path / "permits").mkdir()
    (tmp_path / "permits" / "logo.svg").write_text("<svg/>")
    settings.BACKUP_PATHS = {"iam": [str(tmp_path / "permits")]}
    backup = backed_up("iam")
    assert backup.manifest["paths"] == {"files-0.tar": str(tmp_path / "permits")}
    with tarfile.open(backups / backup.place / "files-0.tar") as tar:
        assert "permits/logo.svg" in tar.getnames()
    assert checked(backup, 2).reached == 2


def test_a_path_that_is_not_there_fails_the_backup_in_words(world: World, backups: Path, settings: Any) -> None:
    settings.BACKUP_PATHS = {"iam": ["/nowhere"]}
    backup = back_up.request("iam", by="tester")
    back_up.perform(backup)
    backup.refresh_from_db()
    assert backup.error == "/nowhere: There is no such file or directory. Correct BACKUP_PATHS."


def test_a_server_that_is_away_fails_the_backup_in_words(world: World, backups: Path, settings: Any) -> None:
    settings.LEGACY_DATABASE_URL = "postgres://portal@127.0.0.1:1/nothing"
    backup = back_up.request("legacy", by="tester")
    back_up.perform(backup)
    backup.refresh_from_db()
    assert backup.state == "failed" and "legacy database" in backup.error


def test_a_role_that_may_not_read_everything_is_told(world: World, backups: Path, settings: Any) -> None:
    with world.legacy() as legacy:
        legacy.execute("CREATE TABLE secret_table (id int)")
        legacy.execute("DROP ROLE IF EXISTS reader")
        legacy.execute("CREATE ROLE reader LOGIN PASSWORD 'reader'")
    try:
        settings.LEGACY_DATABASE_URL = psycopg.conninfo.make_conninfo(
            world.url("legacy"), user="reader", password="reader"
        )
        backup = back_up.request("legacy", by="tester")
        back_up.perform(backup)
        backup.refresh_from_db()
        assert "may not do it all" in backup.error and "secret_table" in backup.error
    finally:
        with world.legacy() as legacy:
            legacy.execute("DROP ROLE reader")


def test_old_backups_go_but_never_the_last_validated_one(world: World, backups: Path, settings: Any) -> None:
    settings.BACKUP_KEEP = 1
    first = backed_up("iam")
    checked(first, 3)
    second, third = backed_up("iam"), backed_up("iam")
    assert prune() == 1
    assert [found.place for found in Backup.objects.kept()] == [third.place, first.place]
    assert not (backups / second.place).exists() and (backups / first.place).exists()
    checked(third, 3)
    assert prune() == 1
    assert [found.place for found in Backup.objects.kept()] == [third.place]


def test_the_schedule_goes_on_with_what_was_begun_and_validates_it(world: World, backups: Path, settings: Any) -> None:
    schedule.tick()
    assert not Backup.objects.exists()
    first = backed_up("iam")
    schedule.tick()
    assert Backup.objects.count() == 1
    Backup.objects.filter(pk=first.pk).update(requested_at=timezone.now() - timedelta(hours=25))
    schedule.tick()
    due = Backup.objects.get(requested_by="schedule")
    schedule.perform("backup", due.pk)
    schedule.tick()
    schedule.perform("check", Check.objects.get().pk)
    due.refresh_from_db()
    assert (due.side, due.level) == ("iam", 3)


def test_a_worker_that_was_taken_for_dead_changes_nothing(world: World, backups: Path) -> None:
    backup = back_up.request("iam", by="tester")
    assert backup.claim()
    other = Backup.objects.get(pk=backup.pk)
    assert not other.claim()
    Backup.objects.filter(pk=backup.pk).update(beat_at=timezone.now() - timedelta(minutes=5))
    assert other.claim()
    with pytest.raises(LeaseLost):
        backup.report("dump", 1, 2)
    with pytest.raises(LeaseLost):
        backup.finish()
    other.finish()


def test_what_kills_every_worker_fails(world: World) -> None:
    backup = back_up.request("iam", by="tester")
    for _ in range(3):
        assert backup.claim()
        Backup.objects.filter(pk=backup.pk).update(beat_at=timezone.now() - timedelta(minutes=5))
    assert not backup.claim()
    assert "3 workers died of it" in Backup.objects.get().error


def test_every_step_is_audited(world: World, backups: Path) -> None:
    checked(backed_up("iam"), 1)
    assert list(Event.objects.values_list("verb", flat=True).order_by("id")) == [
        "back_up", "backed_up", "verify_backup", "backup_verified",
    ]  # fmt: skip


def test_a_store_that_refuses_is_told(world: World, backups: Path, settings: Any, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("x")
    settings.BACKUP_STORE = str(tmp_path / "a file")
    backup = back_up.request("iam", by="tester")
    back_up.perform(backup)
    backup.refresh_from_db()
    assert "does not do what it is asked" in backup.error
