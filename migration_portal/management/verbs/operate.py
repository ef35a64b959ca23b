"""Looking at how things stand, from a terminal: exit 0 only when all is well."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from migration_portal.checkpoints.take import take
from migration_portal.management.terminal import Terminal
from migration_portal.monitoring import watch
from migration_portal.monitoring.alerts import Condition
from migration_portal.monitoring.models import Alert
from migration_portal.monitoring.parts import parts
from migration_portal.refusal import Refusal
from migration_portal.rehearsal import rehearse as rehearsing
from migration_portal.rehearsal.forecast import forecast


def arguments(verbs: Any) -> None:
    for name, help in (
        ("health", "how each part of the product is, and what is not well"),
        ("checkpoint", "take the daily checkpoint now"),
    ):
        verbs.add_parser(name, help=help).add_argument("--json", action="store_true")
    rehearsing_it = verbs.add_parser(
        "rehearse", help="the whole migration on a restored backup, and a forecast for production"
    )
    rehearsing_it.add_argument("--reason", required=True)
    rehearsing_it.add_argument("--tenants", type=int, default=rehearsing.TENANTS, help="moved there and back")
    rehearsing_it.add_argument("--json", action="store_true")


def rehearse(out: Terminal, by: str, options: dict[str, Any]) -> None:
    made = rehearsing.request(by=by, reason=options["reason"], tenants=options["tenants"])
    rehearsing.perform(made)
    made.refresh_from_db()
    if made.error or made.finished_at is None:
        raise Refusal(made.error or "A worker was faster and is at it.", subject=str(made))
    found = forecast(made.measured, made.production)
    body = {"rehearsal": made.pk, "seconds": made.seconds, "passed": made.measured["passed"], "forecast": asdict(found)}
    lines = [f"{name:<28} {table.rows:>12,} rows  {table.seconds:>8.1f} s" for name, table in found.tables.items()]
    lines += [f"{reason:<28} {count:>12,} rows would be quarantined" for reason, count in found.reasons.items()]
    lines += [
        f"tenants of up to {hold.users:,} users to {hold.to}: writers wait {hold.median_ms:.0f} ms, {hold.worst_ms:.0f} at most"
        for hold in found.holds
    ]
    lines.append(
        f"A run takes {found.seconds:.0f} s. Catch-up applies {found.entries_per_second:,} entries a second; the busiest minute"
        f" wrote {found.writes_per_second:g}. The IAM needs {found.disk / 1e6:,.0f} MB."
    )
    well = made.measured["passed"] and not found.moves_blocked and not found.requests_failed
    steps = ["manage.py portal start --capture --wait"] if well else ["Look at Rehearsal in the console."]
    out.answer(body, lines, next_steps=steps)
    if not made.measured["passed"] or found.moves_blocked or found.requests_failed:
        raise Refusal(
            "Not everything went well on the stage.",
            subject=str(made),
            todo="See Rehearsal in the console for what did not.",
        )


def health(out: Terminal, by: str, options: dict[str, Any]) -> None:
    found, troubles = parts(), list(watch.conditions())
    known = {each.key for each in troubles}
    troubles += [
        Condition(alert.key, alert.severity, alert.what, alert.todo)
        for alert in Alert.objects.open().exclude(key__in=known) if alert.severity == Alert.Severity.CRITICAL
    ]  # fmt: skip
    body = {
        "parts": [
            {"name": part.name, "state": part.state, "seen": part.seen, "trouble": part.trouble} for part in found
        ],
        "conditions": [{"severity": each.severity, "what": each.what, "todo": each.todo} for each in troubles],
    }
    lines = [f"{part.state:<10} {part.name}" for part in found] + [
        f"{each.severity:<10} {each.what} {each.todo}" for each in troubles
    ]
    out.answer(body, lines, next_steps=[each.todo for each in troubles if each.todo])
    if troubles:
        raise Refusal(f"Not well: {len(troubles)}.", subject="health", todo="See above, or Health in the console.")


def checkpoint(out: Terminal, by: str, options: dict[str, Any]) -> None:
    made = take(by=by)
    words = {True: "ok", False: "FAILED", None: "not yet"}
    lines = [
        f"{words[result['passed']]:<8} {result['group']}: {result['name']}. {result['what']}" for result in made.results
    ]
    body = {"checkpoint": made.pk, "passed": made.passed, "results": made.results}
    steps = ["Look at Checkpoints in the console for what failed."] if not made.passed else ["manage.py portal status"]
    out.answer(body, lines, next_steps=steps)
    if not made.passed:
        raise Refusal(
            f"Failed: {len(made.failed)}.", subject=str(made), todo="See above, or Checkpoints in the console."
        )


VERBS = {"health": health, "checkpoint": checkpoint, "rehearse": rehearse}
