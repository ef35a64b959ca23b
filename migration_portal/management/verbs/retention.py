"""The audit log's old stretches, from a terminal: the portal's own role cannot remove them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from migration_portal.audit.models import Archive
from migration_portal.audit.stretches import Stretch
from migration_portal.management.terminal import Terminal
from migration_portal.retention import archiving


def arguments(verbs: Any) -> None:
    archive = verbs.add_parser("archive_audit", help="move old events of the audit log to signed files, as the owner")
    archive.add_argument(
        "--before", type=date.fromisoformat, help="a day, as in 2025-01-01; else AUDIT_RETENTION_MONTHS"
    )
    archive.add_argument("--reason", default="", help="needed unless --dry-run")
    archive.add_argument("--dry-run", action="store_true", help="only say what would be archived")
    archive.add_argument("--json", action="store_true")


def archive_audit(out: Terminal, by: str, options: dict[str, Any]) -> None:
    before = archiving.before_which(options["before"])
    due: Sequence[Stretch | Archive]
    if options["dry_run"]:
        due = [each.stretch for each in archiving.kept() if each.due(before)]
    else:
        due = archiving.archive(before, by=by, reason=options["reason"])
    said = [{"first": each.first, "last": each.last, "since": each.since, "until": each.until} for each in due]
    held = [each for each in archiving.kept() if each.holds and each.stretch.until < before]
    verb = "would be archived" if options["dry_run"] else "archived"
    lines = [
        f"Events {each.first:,} to {each.last:,}, {each.since:%Y-%m-%d} to {each.until:%Y-%m-%d}: {verb}."
        for each in due
    ]
    lines += [
        f"Events {each.stretch.first:,} to {each.stretch.last:,}: held for {', '.join(map(str, each.holds))}."
        for each in held
    ]
    if not due:
        lines.append(f"Nothing is older than {before:%Y-%m-%d} as a whole, closed, and not held.")
    out.answer(
        {"before": before, "archived" if not options["dry_run"] else "due": said, "held": len(held)}, lines,
        next_steps=["manage.py portal verify_audit --archives"] if due and not options["dry_run"] else [],
    )  # fmt: skip


VERBS = {"archive_audit": archive_audit}
