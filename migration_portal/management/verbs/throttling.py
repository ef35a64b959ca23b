"""Throttling a run."""

from __future__ import annotations

from typing import Any

from migration_portal.management.terminal import Terminal
from migration_portal.refusal import Refusal
from migration_portal.runs.models import Run
from migration_portal.runs.throttle import parse
from migration_portal.runs.throttle import throttle as limit


def arguments(verbs: Any) -> None:
    slower = verbs.add_parser(
        "throttle", help="let a run go slower, or as fast as it can: what is not said has no limit"
    )
    slower.add_argument("run", type=int)
    slower.add_argument("--workers", default="", help="at once, of all hosts")
    slower.add_argument("--chunk-seconds", default="", help="how long a chunk takes")
    slower.add_argument(
        "--quiet", default="", metavar="22:00-06:00", help="copy nothing between these times of day, UTC"
    )
    slower.add_argument("--reason", default="")


def throttle(out: Terminal, by: str, options: dict[str, Any]) -> None:
    run = Run.objects.filter(pk=options["run"]).first()
    if run is None:
        raise Refusal("There is no such run.", subject=f"Run {options['run']}")
    begins, _, ends = options["quiet"].partition("-")
    limit(run, parse(options["workers"], options["chunk_seconds"], begins, ends), by=by, reason=options["reason"])
    said = run.throttled or ["no limit of its own"]
    out.answer({"run": run.pk, "limits": run.throttled}, [f"{run}: {'; '.join(said)}."], next_steps=[])


VERBS = {"throttle": throttle}
