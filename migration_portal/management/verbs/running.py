"""A run that is under way, or followed: going slower, and one table anew."""

from __future__ import annotations

from typing import Any

from migration_portal.management.terminal import Terminal
from migration_portal.refusal import Refusal
from migration_portal.runs.models import Run
from migration_portal.runs.reload import reload as bring_anew
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
    anew = verbs.add_parser("reload", help="have catch-up bring one table of a completed run anew")
    anew.add_argument("run", type=int)
    anew.add_argument("table", help="as the IAM calls it")
    anew.add_argument("--reason", required=True)


def throttle(out: Terminal, by: str, options: dict[str, Any]) -> None:
    run = _run(options)
    begins, _, ends = options["quiet"].partition("-")
    limit(run, parse(options["workers"], options["chunk_seconds"], begins, ends), by=by, reason=options["reason"])
    said = run.throttled or ["no limit of its own"]
    out.answer({"run": run.pk, "limits": run.throttled}, [f"{run}: {'; '.join(said)}."], next_steps=[])


def reload(out: Terminal, by: str, options: dict[str, Any]) -> None:
    run = _run(options)
    filled = bring_anew(run, options["table"], by=by, reason=options["reason"])
    out.answer({"run": run.pk, "tables": filled}, [f"Catch-up brings {', '.join(filled)} anew."], next_steps=[])


def _run(options: dict[str, Any]) -> Run:
    run = Run.objects.filter(pk=options["run"]).first()
    if run is None:
        raise Refusal("There is no such run.", subject=f"Run {options['run']}")
    return run


VERBS = {"throttle": throttle, "reload": reload}
