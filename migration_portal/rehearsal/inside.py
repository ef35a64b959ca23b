"""What plays on the stage: the run, catch-up under writes, and a sample of tenants moved there and back under requests.

`python -m migration_portal.rehearsal.inside play '{…}'` in the stage's environment. Says JSON lines: {"phase", "done", "total"}
as it goes, and {"measured"} at the end. It refuses to begin on a database whose name is not a stage's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import django
import psutil

if TYPE_CHECKING:
    from migration_portal.runs.models import Run

_POLL_SECONDS = 0.5


def main() -> int:
    django.setup()
    _require_a_stage()
    verb, argument = sys.argv[1:]
    verbs: dict[str, Callable[[Any], None]] = {"prepare": _prepare, "play": _play, "work": _work}
    verbs[verb](json.loads(argument))
    return 0


def say(**told: Any) -> None:
    print(json.dumps(told), flush=True)


def _require_a_stage() -> None:
    from migration_portal.backups import scratch
    from migration_portal.rehearsal.stage import PREFIX

    for side in ("legacy", "iam", "portal"):
        name = scratch.name_of(side)
        if not name.startswith(PREFIX):
            raise SystemExit(f"{name} is no database of a rehearsal.")


def _work(run: int) -> None:
    """A worker of the run, until it ends."""
    from migration_portal.runs.models import Run
    from migration_portal.runs.states import WORKING
    from migration_portal.runs.work import work

    while Run.objects.get(pk=run).state in WORKING:
        if not work(run):
            time.sleep(0.1)


def _prepare(_: dict[str, Any]) -> None:
    """The IAM's schema."""
    from migration_portal.schema.apply import apply

    say(phase="prepare", done=1, total=2)
    apply(by="rehearsal")


def _play(asked: dict[str, Any]) -> None:
    from migration_portal.rehearsal import moves

    run, measured = _copy()
    say(phase="catch up", done=0, total=1)
    measured |= moves.catch_up(run)
    say(phase="move", done=0, total=1)
    measured |= moves.to_and_fro(
        run, tenants=asked["tenants"], writes=asked["writes_per_second"],
        told=lambda done, total: say(phase="move", done=done, total=total),
    )  # fmt: skip
    say(measured=measured)


def _copy() -> tuple[Run, dict[str, Any]]:
    """A run with capture, by as many workers as production's, to its end."""
    from django.conf import settings

    from migration_portal.rehearsal import sizes
    from migration_portal.runs.advance import advance
    from migration_portal.runs.progress import progress_of
    from migration_portal.runs.start import start
    from migration_portal.runs.states import WORKING

    before = sizes.sizes()
    run = start(by="rehearsal", capture=True)
    most = 0
    with ExitStack() as stack:
        workers = [_worker(run.pk) for _ in range(settings.RUN_WORKERS)]
        for worker in workers:
            stack.callback(worker.kill)
        while run.state in WORKING:
            most = max(most, sum(map(_memory, [os.getpid(), *(worker.pid for worker in workers)])))
            advance(run)
            done = progress_of(run).fraction
            say(phase="copy", done=round(1000 * done), total=1000)
            time.sleep(_POLL_SECONDS)
            run.refresh_from_db()
    grown = {name: value - before[name] for name, value in sizes.sizes().items()}
    return run, _result(run) | {"grown": grown, "memory": most}


def _result(run: Run) -> dict[str, Any]:
    from migration_portal.runs.progress import progress_of
    from migration_portal.runs.report import report

    found = report(run)
    if found.state != "completed":
        raise SystemExit(f"The run is {found.state}: {run.error}")
    steps = [
        {"step": step["step"], "seconds": (step["finished_at"] - step["started_at"]).total_seconds()}
        for step in progress_of(run).steps if step.get("started_at") and step.get("finished_at")
    ]  # fmt: skip
    return {"seconds": found.seconds, "tables": found.as_dict()["tables"], "steps": steps, "passed": found.passed}


def _worker(run: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "migration_portal.rehearsal.inside", "work", str(run)], stdout=2)


def _memory(pid: int) -> int:
    """In bytes; 0 of a process that has ended."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


if __name__ == "__main__":
    sys.exit(main())
