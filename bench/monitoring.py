"""What counting a request costs: the request's own share, and that of the thread which writes to Redis.

make bench-monitoring
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack

from rich.console import Console
from rich.table import Table

from bench.setup import scratch
from config import embedded

_CALLS, _ROUNDS = 20_000, 3


def main() -> int:
    with ExitStack() as stack:
        scratch(stack)
        stack.callback(embedded.start().stop)
        import django

        django.setup()
        from legacy_compat import histograms
        from legacy_compat.histograms import Call

        calls = [Call(time.time(), "iam", f"GET endpoint-{n % 60}", 200, 1 + n % 400) for n in range(_CALLS)]
        table = Table(title=f"Counting {_CALLS:,} requests of 60 endpoints, milliseconds a request (asked: 0.3)")
        for column in ("round", "in the request", "in the thread, with Redis", "both"):
            table.add_column(column, justify="right")
        for n in range(_ROUNDS):
            began = time.perf_counter()
            for call in calls:
                histograms.background.waiting.put_nowait(call)
            put = time.perf_counter() - began
            began = time.perf_counter()
            for place in range(0, _CALLS, 1000):  # as the thread takes them
                histograms._count(calls[place : place + 1000])
            counted = time.perf_counter() - began
            while not histograms.background.waiting.empty():
                histograms.background.waiting.get_nowait()
                histograms.background.waiting.task_done()
            figures = (1000 * seconds / _CALLS for seconds in (put, counted, put + counted))
            table.add_row(str(n + 1), *(f"{figure:.4f}" for figure in figures))
        Console(width=110).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
