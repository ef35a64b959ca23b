"""Going slower on purpose, while it runs: fewer workers, shorter chunks, hours of the day in which nothing is copied."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time

from django.db import transaction

from migration_portal.audit import chain
from migration_portal.refusal import Refusal
from migration_portal.runs.dispatch import call_workers
from migration_portal.runs.models import Run
from migration_portal.runs.states import ACTIVE

_MOST_WORKERS = 256
_LEAST_SECONDS, _MOST_SECONDS = 0.05, 60.0


@dataclass(frozen=True)
class Throttle:
    """At most so many workers at once, of all hosts; about so many seconds a chunk; no work from one time of day (UTC) to another.

    None is no limit of its own: RUN_WORKERS a host, CHUNK_SECONDS, every hour.
    """

    workers: int | None = None
    chunk_seconds: float | None = None
    quiet_from: time | None = None
    quiet_until: time | None = None


@transaction.atomic
def throttle(run: Run, limits: Throttle, *, by: str, reason: str = "") -> None:
    """In force from each worker's next chunk on. Raises Refusal."""
    if run.state not in ACTIVE:
        raise Refusal(f"It is {run.state}.", subject=str(run), todo="There is nothing to throttle.")
    _require(limits, subject=str(run))
    changed = vars(limits)
    before = {name: str(getattr(run, name)) for name in changed if getattr(run, name) != changed[name]}
    Run.objects.filter(pk=run.pk).update(**changed)
    after = {name: str(changed[name]) for name in before}
    chain.record("throttle", of=run, run=run.pk, by=by, reason=reason, data={"from": before, "to": after})
    run.refresh_from_db()
    call_workers(run)


def _require(limits: Throttle, *, subject: str) -> None:
    if limits.workers is not None and not 1 <= limits.workers <= _MOST_WORKERS:
        raise Refusal(
            f"{limits.workers} is no number of workers.",
            subject=subject,
            todo=f"Use 1 to {_MOST_WORKERS}; pause it for none.",
        )
    if limits.chunk_seconds is not None and not _LEAST_SECONDS <= limits.chunk_seconds <= _MOST_SECONDS:
        raise Refusal(
            f"{limits.chunk_seconds:g} s is no length of a chunk.",
            subject=subject,
            todo=f"Use {_LEAST_SECONDS:g} to {_MOST_SECONDS:g} s.",
        )
    if (limits.quiet_from is None) != (limits.quiet_until is None) or (
        limits.quiet_from and limits.quiet_from == limits.quiet_until
    ):
        raise Refusal("Quiet hours have a beginning and another end.", subject=subject, todo="Write both, or neither.")


def parse(workers: str, chunk_seconds: str, begins: str, ends: str) -> Throttle:
    """What was typed; empty for no limit. Raises Refusal."""
    try:
        return Throttle(
            int(workers) if workers.strip() else None, float(chunk_seconds) if chunk_seconds.strip() else None,
            *(time.fromisoformat(text.strip()) if text.strip() else None for text in (begins, ends)),
        )  # fmt: skip
    except ValueError:
        raise Refusal("That is no number, or no time of day.", todo="Write 2 workers, 0.5 seconds, 22:00.") from None
