"""What a rehearsal says about production. Pure: what was measured, scaled by how much there is to do there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class TableForecast:
    rows: int
    seconds: float
    quarantined: int


@dataclass(frozen=True)
class Hold:
    """Of tenants with so many users at most, and of moves in this direction: milliseconds, in the middle and at the worst."""

    users: int
    to: str
    moves: int
    median_ms: float
    worst_ms: float


@dataclass(frozen=True)
class Forecast:
    """Seconds, bytes, entries a second. `headroom` is how often catch-up's capacity has the busiest minute's writes in it; None
    where no write was counted."""

    seconds: float
    verification_seconds: float
    tables: Mapping[str, TableForecast]
    reasons: Mapping[str, int]
    entries_per_second: int
    writes_per_second: float
    headroom: float | None
    holds: tuple[Hold, ...]
    tenants: int
    tenants_blocked: int
    moving_seconds: float
    disk: int
    wal: int
    memory: int
    requests: int
    requests_failed: int
    moves_blocked: tuple[str, ...]

    @property
    def worst_hold_ms(self) -> float:
        return max((hold.worst_ms for hold in self.holds), default=0.0)

    @property
    def quarantined(self) -> int:
        return sum(table.quarantined for table in self.tables.values())


def forecast(measured: Mapping[str, Any], production: Mapping[str, Any]) -> Forecast:
    """`production` is as `figures.production` gives it."""
    growth = production["growth"]
    tables = {name: _table(table, growth.get(name, 1.0)) for name, table in measured["tables"].items()}
    rehearsed = sum(table["source"] for table in measured["tables"].values())
    factor = sum(table.rows for table in tables.values()) / rehearsed if rehearsed else 1.0
    moves = [move for move in measured["moves"] if move["state"] == "done"]
    there = [move["seconds"] for move in moves if move["to"] == "iam"]
    rate, capacity = float(production["writes_per_second"]), int(measured["entries_per_second"])
    answered = measured["requests"]
    return Forecast(
        seconds=measured["seconds"] * factor,
        verification_seconds=factor * sum(step["seconds"] for step in measured["steps"] if step["step"].startswith("verify")),
        tables=tables, reasons=_reasons(measured["tables"], growth), entries_per_second=capacity, writes_per_second=rate,
        headroom=capacity / rate if rate else None, holds=tuple(_holds(moves)), tenants=measured["tenants"],
        tenants_blocked=measured["tenants_blocked"],
        moving_seconds=measured["tenants"] * (sum(there) / len(there) if there else 0.0),
        disk=round(factor * measured["grown"]["iam"]), wal=round(factor * measured["grown"]["wal"]), memory=measured["memory"],
        requests=sum(answered.values()), requests_failed=answered.get("failed", 0),
        moves_blocked=tuple(f"{move['tenant']}: {move['error']}" for move in measured["moves"] if move["state"] != "done"),
    )  # fmt: skip


def _table(measured: Mapping[str, Any], factor: float) -> TableForecast:
    return TableForecast(
        rows=round(factor * measured["source"]), seconds=factor * measured["seconds"],
        quarantined=round(factor * measured["quarantined"]),
    )  # fmt: skip


def _reasons(measured: Mapping[str, Any], growth: Mapping[str, float]) -> dict[str, int]:
    found: dict[str, float] = {}
    for name, table in measured.items():
        for reason, count in table["reasons"].items():
            found[reason] = found.get(reason, 0) + growth.get(name, 1.0) * count
    return {reason: round(count) for reason, count in sorted(found.items(), key=lambda item: -item[1])}


def _holds(moves: list[Mapping[str, Any]]) -> list[Hold]:
    """By direction, the smallest third of the tenants first."""
    holds = []
    for to in ("iam", "legacy"):
        those = sorted((move for move in moves if move["to"] == to), key=lambda move: move["users"])
        size = max(-(-len(those) // 3), 1)
        for at in range(0, len(those), size):
            part = those[at : at + size]
            times = [move["hold_ms"] for move in part]
            holds.append(Hold(part[-1]["users"], to, len(part), median(times), max(times)))
    return holds


def error(predicted: float, real: float) -> float | None:
    """By how much the forecast was off, relative; None where nothing took any time."""
    return predicted / real - 1 if real > 0 else None
