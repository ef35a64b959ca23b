"""How far a run is, for the terminal and the console."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from migration_portal import databases
from migration_portal.engine import ledger
from migration_portal.engine.queries import queries
from migration_portal.runs.models import Run

# Shares of a table's whole work, from the measured time of each stage: copy, build, compare.
_WEIGHTS = {"copy": 0.6, "build": 0.25, "verify": 0.15}
_WORDS = (("verify", "verifying", "verified"), ("build", "building", "built"), ("copy", "copying", "copied"))
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
        if not ledger.installed(iam):
            return Progress([_table(t.target, {}, {}) for t in run.plan.tables])
        about = {"run": run.key}
        rows = {row["table_name"]: row for row in ledger.rows(iam, queries("report")["progress"], about)}
        steps = ledger.rows(iam, queries("report")["steps"], about)
    return Progress(
        [_table(t.target, rows.get(t.target, {}), _by_stage(steps, t.target)) for t in run.plan.tables], steps
    )


_STAGES = {
    "copy": "copy",
    "build": "build",
    "verify": "verify",
    "compare": "verify",
    "undo": "undo",
    "conclude": "undo",
}


def _by_stage(steps: list[dict[str, Any]], table: str) -> dict[str, tuple[int, int]]:
    """Stage -> (chunks done, chunks)."""
    found: dict[str, tuple[int, int]] = {}
    for step in steps:
        stage = "build" if step["step"].split(":")[0] in ("index", "foreign") else _STAGES.get(step["kind"])
        if step["table_name"] == table and stage:
            done, chunks = found.get(stage, (0, 0))
            found[stage] = (done + step["done"], chunks + step["chunks"])
    return found


def _table(name: str, row: dict[str, Any], stages: dict[str, tuple[int, int]]) -> TableProgress:
    planned, read = int(row.get("planned") or 0), int(row.get("read") or 0)
    finished = int(row.get("planned_done") or 0)
    shares = {stage: done / chunks for stage, (done, chunks) in stages.items() if chunks}
    if planned:
        shares["copy"] = finished / planned
    if "undo" in shares:
        fraction, stage = 1.0 - shares["undo"], "undoing" if shares["undo"] < 1 else "undone"
    else:
        fraction = sum(weight * shares.get(part, 0.0) for part, weight in _WEIGHTS.items())
        stage = _stage(shares)
    rate = int(float(row.get("recent") or 0) / _RECENT_SECONDS)
    left = round((planned - finished) / rate) if rate and planned > finished else None
    return TableProgress(name, fraction, stage, read, planned, rate, left, int(row.get("failed") or 0))


def _stage(shares: dict[str, float]) -> str:
    for stage, doing, after in _WORDS:
        if shares.get(stage):
            return after if shares[stage] >= 1 else doing
    return "waiting"
