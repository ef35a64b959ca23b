"""Actions that bring a backup back: its database beside and then in place, its files and its settings beside."""

from __future__ import annotations

import filecmp
import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count

from flags import maintenance
from migration_portal import databases
from migration_portal.backups import parts, reconcile, restore, store
from migration_portal.backups.models import Backup, Reconciliation, Restoration, Side, Written
from migration_portal.backups.since import opened, unlisted
from migration_portal.backups.store import Stored, Unreadable
from migration_portal.backups.swap import swap
from migration_portal.catchup.flows import captured_run
from migration_portal.engine import capture
from migration_portal.plan.loader import load
from migration_portal.refusal import Refusal
from migration_portal.rollback.models import Asks, NotNeeded, RollBack, Step
from migration_portal.rollback.moving import by

_NAMED = 5


def backup_of(step: Step) -> Backup:
    assert step.of.backup is not None  # `start` sees to it
    return step.of.backup


def restore_backup(step: Step) -> str | None:
    """Beside, compared. Raises Refusal when it differs from what the dump's snapshot held."""
    made = Restoration.objects.filter(pk=step.data.get("restoration")).first()
    if made is None:
        attempt = step.data.get("attempt", 0) + 1
        step.keep(attempt=attempt)  # of its own: a name that is taken is not tried again
        # Another portal on this server has a roll-back of the same number, and no backup of the same place.
        into = f"roll_back_{step.of.pk}_{backup_of(step).place.rpartition('-')[2]}_{attempt}"
        with transaction.atomic():
            step.still_wanted()
            made = restore.restore(backup_of(step), into=into, by=by(step), reason=step.of.reason)
            step.keep(restoration=made.pk)
    if made.finished_at is None:
        step.tell(f"{made.phase or 'waits for a worker'}, {100 * made.fraction:.0f} %")
        return None
    if made.state not in ("restored", "swapped"):
        step.keep(restoration=None)
        raise Refusal(made.error or made.finding, subject=str(made), todo="Try again, or roll back to another backup.")
    return f"It is in {made.into}, equal to what the dump's snapshot held."


def restoration_of(step: Step) -> Restoration:
    """The one that the roll-back made. Raises NotNeeded when that step was skipped."""
    before = step.before("restore_backup")
    made = Restoration.objects.filter(pk=before.data.get("restoration")).first() if before else None
    if made is None:
        raise NotNeeded("Nothing was restored.")
    return made


def swap_database(step: Step) -> str:
    made, closing = restoration_of(step), step.before("close_doors")
    if made.state == "dropped":
        raise Refusal("Somebody has dropped it.", subject=str(made), todo="Stop here, and start another roll-back.")
    if closing is not None and closing.state != Step.State.SKIPPED and maintenance.current() is None:
        raise Refusal(
            "The doors were opened: taking back what was written since would overwrite what clients write now.",
            subject=str(made), todo="Close them, and try again.",
        )  # fmt: skip
    kept = made.kept_as if made.swapped_at else swap(made, by=by(step), reason=step.of.reason)
    return f"In place. The database before it is kept as {kept}.{_capture_lost(made)}"


def _capture_lost(made: Restoration) -> str:
    """A backup from before the run has no triggers of ours: catch-up says so, too, as soon as it looks."""
    if made.backup.side != Side.LEGACY or captured_run() is None:
        return ""
    with databases.legacy("roll-back") as legacy:
        if capture.installed(legacy):
            return ""
    return " The backup is older than the run, and records no changes: undo the run afterwards, and start another."


def list_written(step: Step) -> str | None:
    made = restoration_of(step)
    if not made.swapped_at:
        raise NotNeeded("The restored database was not put in place.")
    asked = Reconciliation.objects.filter(pk=step.data.get("reconciliation")).first()
    if asked is None:
        with transaction.atomic():
            step.still_wanted()
            asked = reconcile.list_since(made, by=by(step))
            step.keep(reconciliation=asked.pk)
    if asked.finished_at is None:
        step.tell(f"{asked.phase or 'waits for a worker'}, {100 * asked.fraction:.0f} %")
        return None
    if asked.error:
        step.keep(reconciliation=None)
        raise Refusal(asked.error, subject=str(asked), todo="Correct that, and try again.")
    with opened(made, load(settings.MIGRATION_PLAN)) as pair:
        apart = unlisted(pair)
    step.keep(apart=apart)
    without = f" Not compared, for they have no key or are on one side only: {', '.join(apart)}." if apart else ""
    return f"{_written(made)}{without}"


def _written(made: Restoration) -> str:
    about = Written.objects.filter(restoration=made).aggregate(
        tenants=Count("tenant", distinct=True), tables=Count("table", distinct=True)
    )
    return f"Written since: by {about['tenants']:,} tenants, in {about['tables']:,} tables."


def decide_written(step: Step) -> str | None:
    """Waits until each tenant's writes since the backup were taken or left, on the restoration's page."""
    made = restoration_of(step)
    undecided = Written.objects.filter(restoration=made, decision=Written.Decision.OPEN)
    tenants = undecided.values("tenant").distinct().count()
    if tenants:
        step.tell(f"Undecided: {tenants:,} tenants. Take or leave what they wrote, on the page of {made}.")
        step.keep(person=True)
        return None
    step.keep(person=False)
    if made.reconciliations.unfinished().exists():  # type: ignore[attr-defined]
        step.tell("What was taken is being brought back.")
        return None
    listing = step.before("list_written")
    apart = listing.data.get("apart") if listing else None
    if apart and not step.decided_by:
        raise Asks(f"Compare by hand with {made.kept_as}, and copy what is needed, then agree: {', '.join(apart)}.")
    return "Nothing is undecided."


def fetch_files(step: Step) -> str:
    """Unpack what the backup holds of BACKUP_PATHS, and say what differs from what lies there now. Raises Refusal."""
    backup, place = backup_of(step), files_of(step.of)
    paths: dict[str, str] = backup.manifest.get("paths", {})
    if not paths:
        raise NotNeeded("The backup holds no files.")
    differing: list[str] = []
    for name, path in paths.items():
        beside = place / Path(name).stem  # two paths may end alike
        tar = _fetched(backup, name, place)
        try:
            with tarfile.open(tar) as archive:
                archive.extractall(beside, filter="data")
        except tarfile.TarError as error:
            raise Refusal(f"It cannot be unpacked: {error}.", subject=path, todo="Skip it, or try again.") from error
        tar.unlink()
        differing += _differing(beside / Path(path).name, Path(path))
    step.keep(differing=len(differing))
    shown = f": {', '.join(differing[:_NAMED])}{' …' if len(differing) > _NAMED else ''}" if differing else ""
    return f"Unpacked into {place}. Not as they are now: {len(differing):,} files{shown}."


def files_of(made: RollBack) -> Path:
    return Path(settings.BACKUP_WORK) / f"roll-back-{made.pk}"


def place_files(step: Step) -> str:
    fetched = step.before("fetch_files")
    if fetched is None or not fetched.data.get("differing"):
        raise NotNeeded("None differs.")
    if not step.decided_by:
        raise Asks(f"Copy from {files_of(step.of)} what should be as it was, then agree.")
    return f"Done, says {step.decided_by}."


def compare_configuration(step: Step) -> str:
    """Which settings the backup has otherwise. Secrets are compared only where both are sealed, and never shown."""
    with tempfile.TemporaryDirectory() as directory:  # what is sealed in the store stays nowhere else
        was = json.loads(_fetched(backup_of(step), "settings.json", Path(directory)).read_text(encoding="utf-8"))
        parts.write_configuration(Path(directory))
        now = json.loads((Path(directory) / "settings.json").read_text(encoding="utf-8"))
    differing = sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name))
    step.keep(differing=differing)
    if not differing:
        return "As they were."
    return f"Other than in the backup: {', '.join(f'{name} (was {_short(was.get(name))})' for name in differing)}."


def apply_configuration(step: Step) -> str:
    compared = step.before("compare_configuration")
    differing = compared.data.get("differing", []) if compared else []
    if not differing:
        raise NotNeeded("None differs.")
    if not step.decided_by:
        raise Asks(f"Set what should be as it was ({', '.join(differing)}), restart, then agree.")
    return f"Done, says {step.decided_by}."


def _fetched(backup: Backup, name: str, place: Path) -> Path:
    stored = next((Stored(**file) for file in backup.manifest["files"] if file["name"] == name), None)
    if stored is None:
        raise NotNeeded(f"The backup holds no {name}.")
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with (place / name).open("wb") as file:
            store.get(backup.place, stored, file)
    except Unreadable as error:
        raise Refusal(f"{error}.", subject=str(backup), todo="Skip it, or roll back to another backup.") from error
    return place / name


def _differing(was: Path, now: Path) -> list[str]:
    """Files that are not the same in both, or only in one; paths as they are now."""
    if not was.is_dir():
        return [] if now.is_file() and filecmp.cmp(was, now, shallow=False) else [str(now)]
    old = {path.relative_to(was) for path in was.rglob("*") if path.is_file()}
    new = {path.relative_to(now) for path in now.rglob("*") if path.is_file()} if now.is_dir() else set()
    same = {path for path in old & new if filecmp.cmp(was / path, now / path, shallow=False)}
    return sorted(str(now / path) for path in (old | new) - same)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
