"""Our own run, through real Celery workers, from its start to all constraints valid, and what it cost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import psycopg

from bench.setup import Result, Setup
from config import embedded

if TYPE_CHECKING:
    from migration_portal.runs.models import Run

_VERIFYING = ("verify", "compare", "check")


@dataclass(frozen=True)
class Cost:
    """`verify` in units of the copy's time; `idle` the share of the run with no chunk in work; a worker's peak MB.

    `misjudged` is by what share the estimate of the time left was off: the median after the first tenth of the run.
    """

    verify: float
    idle: float
    megabytes: int
    misjudged: float


class Ours:
    """Two workers and beat, kept warm for all runs."""

    def __init__(self, setup: Setup, stack: ExitStack) -> None:
        self.setup = setup
        for _ in range(2):
            self._celery(stack, "worker", "--without-mingle", "--without-gossip", "--concurrency", "1")
        self._celery(stack, "beat", "--pidfile=", "-s", str(setup.home / "beat"))

    def _celery(self, stack: ExitStack, *arguments: str) -> None:
        log = stack.enter_context((self.setup.home / f"{arguments[0]}.log").open("ab"))
        command = [sys.executable, "-m", "celery", "-A", "config", *arguments]
        process = subprocess.Popen(command, cwd=embedded.PROJECT, stdout=log, stderr=log, start_new_session=True)
        stack.callback(process.wait)
        stack.callback(process.terminate)

    def run(self, name: str) -> tuple[Result, Cost]:
        """Migrate into a fresh IAM. The time is from start to all constraints valid; verification comes on top."""
        from migration_portal.runs.report import report
        from migration_portal.runs.start import start

        self.setup.fresh_iam()
        started = time.monotonic()
        run = start(by="bench", plan_path=self.setup.plan())
        said: list[tuple[float, int]] = []
        while not (valid := built(self.setup.iam_url, run)):
            time.sleep(0.05)
            self._ask(run, said)
        seconds = time.monotonic() - started
        while run.state == "running":
            time.sleep(0.2)
            self._ask(run, said)
            run.refresh_from_db()
        misjudged = _misjudged(said, started, time.monotonic())
        result = report(run)
        assert valid and result.accounted, result.as_dict()
        rows = sum(table.source for table in result.tables.values())
        return Result(name, rows, seconds, "load with the primary key alone, settle, rebuild"), self._cost(
            run, misjudged
        )

    def _ask(self, run: Run, said: list[tuple[float, int]]) -> None:
        """Note what the run's page would say of the time left, as often as the page asks."""
        from migration_portal.runs.progress import progress_of

        if (not said or time.monotonic() - said[-1][0] >= 1) and (left := progress_of(run).left):
            said.append((time.monotonic(), left.likely))

    def _cost(self, run: Run, misjudged: float) -> Cost:
        with psycopg.connect(self.setup.iam_url) as iam:
            spans: list[tuple[str, float, float]] = iam.execute(
                "SELECT kind, extract(epoch FROM started_at)::float8, extract(epoch FROM finished_at)::float8"
                " FROM portal_ledger.chunks WHERE run = %s",
                [run.key],
            ).fetchall()
        verify = _covered([(a, b) for kind, a, b in spans if kind in _VERIFYING])
        copy = _covered([(a, b) for kind, a, b in spans if kind not in _VERIFYING])
        whole = max(b for _, _, b in spans) - min(a for _, a, _ in spans)
        idle = 1 - _covered([(a, b) for _, a, b in spans]) / whole
        return Cost(verify / copy, idle, _peak_megabytes(), misjudged)


def built(iam_url: str, run: Run) -> bool:
    """Whether the constraints of all its tables are in force."""
    with psycopg.connect(iam_url) as iam:
        row = iam.execute(
            "SELECT count(*) FILTER (WHERE state = 'done') = count(*) AND count(DISTINCT step) = %s"
            " FROM portal_ledger.chunks WHERE run = %s AND step LIKE 'constraint:%%'",
            [len(run.plan.tables), run.key],
        ).fetchone()
    return bool(row and row[0])


def _covered(spans: list[tuple[float, float]]) -> float:
    """Seconds in which at least one span was under way."""
    total, end = 0.0, 0.0
    for a, b in sorted(spans):
        total += max(0.0, b - max(a, end))
        end = max(end, b)
    return total


def _misjudged(said: list[tuple[float, int]], began: float, ended: float) -> float:
    """The median of |said − true| / true, from the first tenth on until the last second."""
    after = began + (ended - began) / 10
    return median([abs(left - (ended - at)) / (ended - at) for at, left in said if after <= at <= ended - 1] or [0.0])


def _peak_megabytes() -> int:
    """The largest resident size that any of our Celery processes has had."""
    peaks = [0]
    home = os.environ["PORTAL_HOME"]
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if "celery" in (entry / "cmdline").read_text() and home in (entry / "environ").read_text():
                line: Any = next(s for s in (entry / "status").read_text().splitlines() if s.startswith("VmHWM"))
                peaks.append(int(line.split()[1]) // 1024)
        except (OSError, StopIteration):
            continue
    return max(peaks)
