"""Backing up a side: its database, its users once more as JSON Lines, its paths, and the settings; under a signed manifest."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from migration_portal import messages
from migration_portal.audit import chain
from migration_portal.backups import parts, store
from migration_portal.backups.dump import dump
from migration_portal.backups.models import Backup, Side
from migration_portal.backups.store import Stored, Unreadable
from migration_portal.backups.work import Work
from migration_portal.engine.errors import LeaseLost, describe
from migration_portal.plan.loader import load
from migration_portal.refusal import Refusal
from migration_portal.signing import Signer, Untrue

SIGNER = Signer("backups", "backup-manifest")


def back_up(side: str, *, by: str, reason: str = "") -> Backup:
    """Request a backup and tell the workers. Raises Refusal while one of the side is under way."""
    with transaction.atomic():
        backup = request(side, by=by, reason=reason)
        transaction.on_commit(lambda: messages.send("backups.work", "backup", backup.pk, queue="operate"))
    return backup


def request(side: str, *, by: str, reason: str = "") -> Backup:
    """The record of it alone. Raises Refusal."""
    try:
        with transaction.atomic():
            place = f"{side}-{timezone.now():%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
            backup: Backup = Backup.objects.create(side=side, place=place, requested_by=by, reason=reason)
            chain.record("back_up", of=backup, by=by, reason=reason, data={"field": side})
            return backup
    except IntegrityError:
        raise Refusal(
            "A backup of it is under way.",
            subject=f"{Side(side).label}",
            todo="Wait until it is done; the list shows how far it is.",
        ) from None


def perform(backup: Backup) -> None:
    """Make the backup, unless another worker has it. What goes wrong is kept with it."""
    if not backup.claim():
        return
    with backup.alive(), failing(backup), workshop(backup) as directory:
        manifest = whole(backup.place) or _make(backup, directory)
        size = sum(file["bytes"] for file in manifest["files"])
        with transaction.atomic():
            backup.finish(manifest=manifest, bytes=size, level=0)
            chain.record("backed_up", of=backup, by=backup.requested_by, data={"field": backup.side, "count": size})


def whole(place: str) -> dict[str, Any] | None:
    """The manifest of a backup that is whole, though its worker died before it said so. Raises Refusal."""
    try:
        return SIGNER.read(store.manifest(place))
    except (Unreadable, Untrue):
        return None


def _make(backup: Backup, directory: Path) -> dict[str, Any]:
    store.remove(backup.place)  # what an attempt left that died
    started = time.monotonic()
    plan = load(settings.MIGRATION_PLAN)
    made = dump(backup.side, directory, plan, lambda done, total: backup.report("dump", done, total))
    backup.report("files")
    paths = parts.tar_paths(backup.side, directory)
    parts.write_configuration(directory)
    dumped = time.monotonic()
    files = _store(backup, directory)
    content = {"content": made.content.as_dict(), "latest_sequences": made.latest_sequences}
    manifest: dict[str, Any] = {
        "side": backup.side, "place": backup.place, "requested_by": backup.requested_by,
        "snapshot_at": made.snapshot_at.isoformat(), "server_version": made.server_version, "tool": made.tool,
        "files": [asdict(file) for file in files], "paths": paths, "users": made.users,
        "seconds": {"dump": round(dumped - started, 1), "store": round(time.monotonic() - dumped, 1)},
    } | content  # fmt: skip
    store.put_manifest(backup.place, SIGNER.sign(manifest))
    return manifest


def _store(backup: Backup, directory: Path) -> list[Stored]:
    found = sorted(path for path in directory.rglob("*") if path.is_file())
    total, done, files = sum(path.stat().st_size for path in found), 0, []
    since = _REPORT_BYTES

    def told(size: int) -> None:
        nonlocal done, since
        done, since = done + size, since + size
        if since > _REPORT_BYTES:
            since = 0
            backup.report("store", done, total)

    for path in found:
        with path.open("rb") as file:
            files.append(store.put(backup.place, path.relative_to(directory).as_posix(), file, told))
    return files


_REPORT_BYTES = 32 << 20


@contextmanager
def workshop(work: Work) -> Iterator[Path]:
    """A directory of this attempt's own, readable by nobody else, that is gone afterwards."""
    root = Path(settings.BACKUP_WORK)
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    mine = f"{work._meta.model_name}-{work.pk}-"
    for left in root.glob(f"{mine}*"):  # of an attempt that died
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=mine, dir=root, ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextmanager
def failing(work: Work) -> Iterator[None]:
    """What goes wrong becomes the work's error, in words; a worker that lost it says nothing."""
    try:
        yield
    except LeaseLost:
        return
    except Refusal as refusal:
        work.finish(error=str(refusal))
    except psycopg.Error as error:
        work.finish(error=str(describe(error)))
    except OSError as error:
        work.finish(error=f"{settings.BACKUP_WORK}: {error}. Make room, or set BACKUP_WORK to another place.")
