"""Rows copied per second, as a chart."""

from __future__ import annotations

from migration_portal import databases
from migration_portal.console.charts import MOST_POINTS, Chart, Line
from migration_portal.engine import ledger
from migration_portal.engine.queries import queries
from migration_portal.runs.models import Run


def throughput_of(run: Run) -> Chart | None:
    """The run's copy rate over time, or None before the first chunk is copied. Raises DatabaseUnreachable."""
    with databases.iam("throughput") as iam:
        rows = ledger.rows(iam, queries("report")["throughput"], {"run": run.key})
    return charted([(row["second"], row["rows"]) for row in rows])


def charted(series: list[tuple[int, int]]) -> Chart | None:
    """(Second, rows) pairs as a chart; long runs are thinned by averaging neighbours."""
    if not series:
        return None
    per_second = [0] * (max(second for second, _ in series) + 1)
    for second, rows in series:
        per_second[second] = rows
    step = max(1, -(-len(per_second) // MOST_POINTS))
    bins = [per_second[at : at + step] for at in range(0, len(per_second), step)]
    rates = [round(sum(part) / len(part)) for part in bins]
    labels = [f"{at} s" for at in range(0, len(per_second), step)]
    return Chart("throughput", "Throughput", "rows/s", labels, [Line("copied", rates)])
