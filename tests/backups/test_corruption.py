"""Every way in which a stored backup can go bad is noticed, on the level that is there for it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from migration_portal.backups.models import Backup
from tests.backups.builders import backed_up, checked
from tests.world import World

FLIPS = 200


@pytest.fixture
def backup(world: World, backups: Path) -> Backup:
    world.sample(users=200, tenants=5)
    return backed_up("legacy")


def files_of(backups: Path, backup: Backup) -> list[Path]:
    return sorted(path for path in (backups / backup.place).rglob("*") if path.is_file())


def test_each_of_many_flipped_bytes_is_noticed_by_level_1(backup: Backup, backups: Path) -> None:
    files, chance, unnoticed = files_of(backups, backup), random.Random(1), []
    for _ in range(FLIPS):
        path = chance.choice(files)
        good = path.read_bytes()
        if not good:
            continue
        at = chance.randrange(len(good))
        path.write_bytes(good[:at] + bytes([good[at] ^ 1 << chance.randrange(8)]) + good[at + 1 :])
        if checked(backup, 1).finding == "":
            unnoticed.append((path.name, at))
        path.write_bytes(good)
    assert unnoticed == []
    assert checked(backup, 1).reached == 1


def test_a_file_that_was_cut_short_is_noticed_by_level_0(backup: Backup, backups: Path) -> None:
    path = max(files_of(backups, backup), key=lambda path: path.stat().st_size)
    path.write_bytes(path.read_bytes()[:-1])
    found = checked(backup, 3)
    assert found.reached == -1 and "bytes, not" in found.finding


def test_a_missing_file_is_noticed_by_level_0(backup: Backup, backups: Path) -> None:
    files_of(backups, backup)[0].unlink()
    found = checked(backup, 0)
    assert found.reached == -1 and found.finding.endswith("is missing")


def test_files_that_changed_places_are_noticed_by_level_1(backup: Backup, backups: Path) -> None:
    data = [path for path in files_of(backups, backup) if path.name.endswith(".dat.gz")]
    one, other = data[0], data[1]
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second.ljust(len(first), b"\0")[: len(first)])
    other.write_bytes(first.ljust(len(second), b"\0")[: len(second)])
    assert checked(backup, 1).reached == 0


def test_a_row_that_is_missing_from_the_dump_is_noticed_by_level_3(world: World, backup: Backup, backups: Path) -> None:
    # As if pg_dump had lost it: everything is signed and restores, and one row is not there.
    with world.legacy() as legacy:
        legacy.execute("DELETE FROM licenses WHERE id = (SELECT min(id) FROM licenses)")
    other = backed_up("legacy")
    counted = backup.manifest["content"]
    Backup.objects.filter(pk=other.pk).update(manifest=other.manifest | {"content": counted})
    other.refresh_from_db()
    resign(backups, other)
    found = checked(other, 3)
    assert found.reached == 2 and "public.licenses has" in found.finding


def test_a_row_that_changed_is_noticed_by_level_3(world: World, backup: Backup, backups: Path) -> None:
    with world.legacy() as legacy:
        legacy.execute("UPDATE users SET full_name = 'Eve' WHERE id = (SELECT min(id) FROM users)")
    other = backed_up("legacy")
    Backup.objects.filter(pk=other.pk).update(manifest=other.manifest | {"content": backup.manifest["content"]})
    other.refresh_from_db()
    resign(backups, other)
    found = checked(other, 3)
    assert (found.reached, found.finding) == (2, "rows of public.users differ")


def test_a_manifest_that_another_key_signed_is_noticed(backup: Backup, backups: Path, settings: object) -> None:
    settings.SECRET_KEY = "somebody else's, and long enough to be one"  # type: ignore[attr-defined]
    resign(backups, backup)
    settings.SECRET_KEY = "ours again, as long as the other one was"  # type: ignore[attr-defined]
    found = checked(backup, 1)
    assert (found.reached, found.finding) == (0, "the manifest was not signed with our key, or has changed since")


def test_a_backup_that_went_bad_is_validated_no_more(backup: Backup, backups: Path) -> None:
    assert checked(backup, 3).reached == 3 and backup.level == 3
    path = files_of(backups, backup)[0]
    path.write_bytes(b"\0" * path.stat().st_size)
    checked(backup, 1)
    assert backup.level == 0


def resign(backups: Path, backup: Backup) -> None:
    """Sign what the record says: what somebody with our key could do."""
    from migration_portal.backups.back_up import SIGNER

    (backups / backup.place / "manifest.jws").write_text(SIGNER.sign(backup.manifest))
