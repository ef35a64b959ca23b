"""How far a run is, for the terminal and the console."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from migration_portal import databases
from migration_portal.engine import ledger
from migration_portal.engine.kinds import KINDS
from migration_portal.engine.queries import queries
from migration_portal.runs.models import Run

_RECENT_SECONDS = 10.0


@dataclass(frozen=True)
class TableProgress:
    """One target table: `fraction` of all its work, rows copied, rows a second lately, seconds left to copy."""

    name: str
    fraction: float
    stage: str
    rows: int
    planned: int
    rate: int
    seconds_left: int | None
    failed: int


@dataclass(frozen=True)
class Progress:
    """A run now. `steps` are the ledger's, in order."""

    tables: list[TableProgress]
    steps: list[dict[str, Any]] = field(default_factory=list)

    @property
    def fraction(self) -> float:
        total = sum(table.planned or 1 for table in self.tables)
        return sum(table.fraction * (table.planned or 1) for table in self.tables) / total if total else 0.0

    @property
    def rate(self) -> int:
        return sum(table.rate for table in self.tables)

    @property
    def seconds_left(self) -> int | None:
        left = [table.seconds_left for table in self.tables if table.seconds_left is not None]
        return sum(left) if left else None


def progress_of(run: Run) -> Progress:
    """Read the ledger. Raises DatabaseUnreachable."""
    with databases.iam("progress") as iam:
        if not ledger.ready(iam):
            return Progress([_table(t.target, {}, {}) for t in run.plan.tables])
        about = {"run": run.key}
        rows = {row["table_name"]: row for row in ledger.rows(iam, queries("report")["progress"], about)}
        steps = ledger.rows(iam, queries("report")["steps"], about)
    return Progress(
        [_table(t.target, rows.get(t.target, {}), _shares(steps, t.target)) for t in run.plan.tables], steps
    )


def _shares(steps: list[dict[str, Any]], table: str) -> dict[str, float]:
    """Per kind of step of the table that has chunks, the share of them that is done; the latest verification counts."""
    return {step["step"].split(":")[0]: step["done"] / step["chunks"] for step in steps if step["table_name"] == table}


def _table(name: str, row: dict[str, Any], shares: dict[str, float]) -> TableProgress:
    planned, read = int(row.get("planned") or 0), int(row.get("read") or 0)
    finished = int(row.get("planned_done") or 0)
    if planned:
        shares = shares | {"copy": finished / planned}
    if "undo" in shares:
        fraction = 1.0 - (shares["undo"] + shares.get("conclude", 0.0)) / 2
    else:
        fraction = sum(KINDS[kind].weight * share for kind, share in shares.items())
    rate = int(float(row.get("recent") or 0) / _RECENT_SECONDS)
    left = round((planned - finished) / rate) if rate and planned > finished else None
    return TableProgress(name, fraction, _stage(shares), read, planned, rate, left, int(row.get("failed") or 0))


def _stage(shares: dict[str, float]) -> str:
    """The words of the last kind, in the table's order, of which something is done."""
    for name, kind in reversed(KINDS.items()):
        if kind.doing and shares.get(name):
            return kind.done if shares[name] >= 1 else kind.doing
    return "waiting"
