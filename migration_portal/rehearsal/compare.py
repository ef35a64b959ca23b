"""A forecast beside what really happened."""

from __future__ import annotations

from dataclasses import dataclass

from migration_portal.rehearsal.forecast import Forecast, error
from migration_portal.rehearsal.models import Rehearsal
from migration_portal.runs.models import Run
from migration_portal.runs.report import report
from migration_portal.runs.states import State


@dataclass(frozen=True)
class Compared:
    """Seconds of one table, or of the run as a whole; `off` is by how much the forecast was off, relative."""

    name: str
    forecast: float
    real: float

    @property
    def off(self) -> float | None:
        return error(self.forecast, self.real)


def run_after(made: Rehearsal) -> Run | None:
    """The first run that copied for good after the rehearsal and is through."""
    later = Run.objects.filter(dry_run=False, started_at__gte=made.finished_at, state=State.COMPLETED)
    return later.order_by("pk").first()


def compared(made: Rehearsal, found: Forecast) -> list[Compared]:
    """Every table, and the whole; empty while there is no such run. Raises Refusal."""
    run = run_after(made)
    if run is None:
        return []
    real = report(run)
    tables = [
        Compared(name, table.seconds, real.tables[name].seconds)
        for name, table in found.tables.items()
        if name in real.tables
    ]
    return [*tables, Compared("all, with indexes and verification", found.seconds, real.seconds)]
