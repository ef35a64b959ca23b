"""Does time grow with the rows and memory not at all? One run end to end at each size, as a table and docs/growth.svg.

make bench-growth
make bench-growth ARGS="--sizes 100000 300000 1000000"
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.ours import Ours
from bench.setup import Setup, scratch
from config import embedded

console = Console(width=110)
_SIZES = [100_000, 300_000, 1_000_000, 3_000_000]
_WIDTH, _HEIGHT, _MARGIN = 640, 320, 60


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=_SIZES)
    options = parser.parse_args()
    with ExitStack() as stack:
        home = scratch(stack)
        stack.callback(embedded.start().stop)
        grow(options.sizes, home)
    return 0


def grow(sizes: list[int], home: Path) -> None:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    table = Table(title="A run from its start to all constraints valid, by size")
    for column in ("Users", "Rows", "Seconds", "Rows/s", "Seconds a million rows", "A worker's peak, MB"):
        table.add_column(column, justify="right")
    points: list[tuple[int, float]] = []
    for n, size in enumerate(sizes):
        setup = Setup(size, home)
        setup.fill()
        if n == 0:
            setup.make_template()
        with ExitStack() as stack:  # fresh workers, so that the peak belongs to this size
            ours = Ours(setup, stack)
            result, cost = ours.run("growth")
        points.append((result.rows, result.seconds))
        table.add_row(
            f"{size:,}", f"{result.rows:,}", f"{result.seconds:.1f}", f"{result.rate:,.0f}",
            f"{result.seconds / result.rows * 1e6:.2f}", str(cost.megabytes),
        )  # fmt: skip
    console.print(table)
    slope = sum(rows * seconds for rows, seconds in points) / sum(rows * rows for rows, _ in points)
    console.print(
        f"Fitted: {slope * 1e6:.2f} s a million rows; so 10^8 rows would take about {slope * 1e8 / 60:.0f} min."
    )
    (embedded.PROJECT / "docs" / "growth.svg").write_text(_plot(points, slope))


def _plot(points: list[tuple[int, float]], slope: float) -> str:
    """Seconds over rows, both linear, with the line through the origin that fits best."""
    right, top = max(rows for rows, _ in points), max(seconds for _, seconds in points) * 1.1

    def place(rows: float, seconds: float) -> str:
        x = _MARGIN + rows / right * (_WIDTH - 2 * _MARGIN)
        y = _HEIGHT - _MARGIN - seconds / top * (_HEIGHT - 2 * _MARGIN)
        return f"{x:.1f},{y:.1f}"

    dots = "".join(
        f'<circle cx="{place(*p).split(",")[0]}" cy="{place(*p).split(",")[1]}" r="4" fill="#0369a1"/>' for p in points
    )
    fitted = f"M{place(0, 0)} L{place(right, slope * right)}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/><path d="{fitted}" stroke="#f59e0b" fill="none"/>{dots}'
        f'<path d="M{place(0, top)} L{place(0, 0)} L{place(right, 0)}" stroke="#64748b" fill="none"/>'
        f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 20}" text-anchor="middle">rows (to {right:,})</text>'
        f'<text x="20" y="{_HEIGHT / 2}" transform="rotate(-90 20 {_HEIGHT / 2})" text-anchor="middle">'
        f"seconds (to {top:.0f})</text></svg>\n"
    )


if __name__ == "__main__":
    sys.exit(main())
