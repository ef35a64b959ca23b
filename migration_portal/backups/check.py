"""Checking a backup on four levels: its files are there (0), are what the signed manifest says (1), restore without an error
(2), and hold what the dump's own snapshot held, row for row (3). Only the last makes it validated.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from migration_portal import messages
from migration_portal.audit import chain
from migration_portal.backups import scratch, store
from migration_portal.backups.back_up import SIGNER, failing, workshop
from migration_portal.backups.models import Backup, Check
from migration_portal.backups.store import Unreadable
from migration_portal.backups.tools import ToolFailed
from migration_portal.refusal import Refusal
from migration_portal.signing import Untrue

LEVELS = {
    0: "its files are there",
    1: "every file is what the signed manifest says",
    2: "it restores into a scratch database",
    3: "what is restored is what the dump's snapshot held",
}


class _Failed(Exception):
    """The level that was being checked does not hold; the words say why."""


def check(backup: Backup, level: int, *, by: str) -> Check:
    """Request a check and tell the workers. Raises Refusal when there is nothing to check."""
    with transaction.atomic():
        found = request(backup, level, by=by)
        transaction.on_commit(lambda: messages.send("backups.work", "check", found.pk, queue="operate"))
    return found


def request(backup: Backup, level: int, *, by: str) -> Check:
    """The record of it alone. Raises Refusal."""
    if backup.state != "done":
        raise Refusal(f"It is {backup.state}.", subject=str(backup), todo="Only a backup that is done can be verified.")
    if backup.checks.unfinished().exists():  # type: ignore[attr-defined]
        raise Refusal("It is being verified.", subject=str(backup), todo="Wait for the result.")
    found = Check.objects.create(backup=backup, level=level, requested_by=by)
    chain.record("verify_backup", of=backup, by=by, data={"field": f"level {level}"})
    return found


def perform(found: Check) -> None:
    """Do the check, unless another worker has it. What goes wrong on the way is its error; what does not hold, its finding."""
    if not found.claim():
        return
    with found.alive(), failing(found), workshop(found) as directory:
        reached, finding = _levels(found, directory)
        with transaction.atomic():
            found.finish(reached=reached, finding=finding)
            backup = found.backup
            # What held once and holds no more was lost since; a lower level than before says nothing about the higher ones.
            backup.level = reached if finding else max(reached, -1 if backup.level is None else backup.level)
            Backup.objects.filter(pk=backup.pk).update(level=backup.level, checked_at=Now())
            verb = "backup_failed" if finding else "backup_verified"
            chain.record(verb, of=backup, by=found.requested_by, reason=finding, data={"field": f"level {reached}"})


def _levels(found: Check, directory: Path) -> tuple[int, str]:
    """The highest level that holds (-1 for none), and what keeps the next from holding."""
    reached = -1
    steps = (_there, _signed, _restores)
    try:
        for level, step in enumerate(steps[: found.level + 1]):
            step(found, directory)
            reached = level
        if found.level >= 3:
            _same(found)
            reached = 3
    except (_Failed, Unreadable) as failed:
        return reached, str(failed)
    finally:
        if found.level >= 2:
            with scratch.server_of(found.backup.side, scratch=True) as server:
                scratch.drop(server, _database(found), what=_what(found))
    return reached, ""


def _there(found: Check, directory: Path) -> None:
    place = found.backup.place
    store.manifest(place)
    for file in found.backup.manifest["files"]:
        size = store.size(place, file["name"])
        if size != file["bytes"]:
            there = "missing" if size is None else f"{size:,} bytes, not {file['bytes']:,}"
            raise _Failed(f"{file['name']} is {there}")


def _signed(found: Check, directory: Path) -> None:
    place, manifest = found.backup.place, found.backup.manifest
    try:
        signed = SIGNER.read(store.manifest(place))
    except Untrue:
        raise _Failed("the manifest was not signed with our key, or has changed since") from None
    if signed != manifest:
        raise _Failed("the manifest is not the one that this backup was recorded with")
    total, done = sum(file["bytes"] for file in manifest["files"]), 0
    for file in manifest["files"]:
        found.report("hashes", done, total)
        if store.sha256(place, file["name"]) != file["sha256"]:
            raise _Failed(f"{file['name']} has changed since it was stored")
        done += file["bytes"]


def _restores(found: Check, directory: Path) -> None:
    backup = found.backup
    scratch.fetch(backup, directory, lambda done, total: found.report("fetch", done, total))
    _parts(backup, directory)
    name = _database(found)
    with scratch.server_of(backup.side, scratch=True) as server:
        scratch.drop(server, name, what=_what(found))  # of an attempt that died
        scratch.create(server, name, like=scratch.name_of(backup.side), side=backup.side, what=_what(found))
    try:
        scratch.fill(
            backup, directory, _url(found), lambda done, total: found.report("restore", done, total),
            elsewhere=bool(settings.BACKUP_SCRATCH_URL),
        )  # fmt: skip
    except ToolFailed as refusal:
        raise _Failed(str(refusal)) from refusal


def _parts(backup: Backup, directory: Path) -> None:
    """The parts beside the dump can be read to their ends. Raises _Failed."""
    for name in backup.manifest["paths"]:
        try:
            with tarfile.open(directory / name) as tar:
                sum(member.size for member in tar)
        except (tarfile.TarError, OSError) as error:
            raise _Failed(f"{name} is no tar file ({error})") from error
    if not backup.manifest["users"]:
        return
    with (directory / "users.jsonl").open("rb") as lines:
        json.loads(lines.readline())
        count = 1 + sum(block.count(b"\n") for block in iter(lambda: lines.read(1 << 20), b""))
    if count != backup.manifest["users"]:
        raise _Failed(f"users.jsonl has {count:,} lines, not {backup.manifest['users']:,}")


def _same(found: Check) -> None:
    different = scratch.compare(found.backup, _url(found), lambda done, total: found.report("compare", done, total))
    if different:
        more = f"; and {len(different) - 5} more" if len(different) > 5 else ""
        raise _Failed("; ".join(different[:5]) + more)


def _database(found: Check) -> str:
    """No other portal on this server has one of this name: each backup has a token of its own."""
    return f"scratch_{found.backup.place.rpartition('-')[2]}_{found.pk}"


def _what(found: Check) -> str:
    return f"scratch of {found.backup.place}"


def _url(found: Check) -> str:
    return scratch.url_in(found.backup.side, _database(found), scratch=True)
