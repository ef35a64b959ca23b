"""Rows copied per second, drawn as an SVG path: it can be replaced every second without a flicker."""

from __future__ import annotations

from dataclasses import dataclass

from migration_portal import databases
from migration_portal.engine import ledger
from migration_portal.engine.queries import queries
from migration_portal.runs.models import Run

WIDTH, HEIGHT = 600, 120
_POINTS = 120


@dataclass(frozen=True)
class Throughput:
    """`line` and `area` are SVG paths in a WIDTH x HEIGHT box; `top` is the rate at its upper edge, rows/s."""

    line: str
    area: str
    top: int
    seconds: int


def throughput_of(run: Run) -> Throughput | None:
    """The run's copy rate over time, or None before the first chunk is copied. Raises DatabaseUnreachable."""
    with databases.iam("throughput") as iam:
        rows = ledger.rows(iam, queries("report")["throughput"], {"run": run.key})
    return draw([(row["second"], row["rows"]) for row in rows])


def draw(series: list[tuple[int, int]]) -> Throughput | None:
    """Turn (second, rows) pairs into paths; long runs are thinned by averaging neighbours."""
    if not series:
        return None
    last = max(second for second, _ in series)
    per_second = [0] * (last + 1)
    for second, rows in series:
        per_second[second] = rows
    bin_size = max(1, -(-len(per_second) // _POINTS))
    values = [sum(per_second[n : n + bin_size]) / bin_size for n in range(0, len(per_second), bin_size)]
    top = max(values) or 1.0
    step = WIDTH / max(len(values) - 1, 1)
    if len(values) == 1:
        values = values * 2
        step = float(WIDTH)
    points = [f"{n * step:.1f},{HEIGHT - value / top * (HEIGHT - 8):.1f}" for n, value in enumerate(values)]
    line = "M" + " L".join(points)
    return Throughput(line, f"{line} L{WIDTH},{HEIGHT} L0,{HEIGHT} Z", round(top), last + 1)
