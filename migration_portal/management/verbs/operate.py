"""Looking at how things stand, from a terminal: exit 0 only when all is well."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import OutputWrapper

from migration_portal.checkpoints.take import take
from migration_portal.monitoring import watch
from migration_portal.monitoring.parts import parts
from migration_portal.refusal import Refusal


def arguments(verbs: Any) -> None:
    for name, help in (
        ("health", "how each part of the product is, and what is not well"),
        ("checkpoint", "take the daily checkpoint now"),
    ):
        verbs.add_parser(name, help=help).add_argument("--json", action="store_true")


def health(out: OutputWrapper, by: str, options: dict[str, Any]) -> None:
    found, troubles = parts(), list(watch.conditions())
    body = {
        "parts": [
            {"name": part.name, "state": part.state, "seen": part.seen, "trouble": part.trouble} for part in found
        ],
        "conditions": [{"severity": each.severity, "what": each.what, "todo": each.todo} for each in troubles],
    }
    lines = [f"{part.state:<10} {part.name}" for part in found] + [
        f"{each.severity:<10} {each.what} {each.todo}" for each in troubles
    ]
    out.write(json.dumps(body, indent=2, default=str) if options["json"] else "\n".join(lines))
    if troubles:
        raise Refusal(f"Not well: {len(troubles)}.", subject="health", todo="See above, or Health in the console.")


def checkpoint(out: OutputWrapper, by: str, options: dict[str, Any]) -> None:
    made = take(by=by)
    words = {True: "ok", False: "FAILED", None: "not yet"}
    lines = [
        f"{words[result['passed']]:<8} {result['group']}: {result['name']}. {result['what']}" for result in made.results
    ]
    body = {"checkpoint": made.pk, "passed": made.passed, "results": made.results}
    out.write(json.dumps(body, indent=2) if options["json"] else "\n".join(lines))
    if not made.passed:
        raise Refusal(
            f"Failed: {len(made.failed)}.", subject=str(made), todo="See above, or Checkpoints in the console."
        )


VERBS = {"health": health, "checkpoint": checkpoint}
