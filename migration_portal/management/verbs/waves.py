"""Waves and moves from a terminal: exit 0 only when every tenant that was asked for has moved."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from typing import Any

from flags.models import TenantHome
from migration_portal import console
from migration_portal.cutover import dry_run, progress, reads_first, requests, selection, waves
from migration_portal.cutover.models import UNDER_WAY, Cutover, Wave
from migration_portal.cutover.windows import window
from migration_portal.management.terminal import Terminal
from migration_portal.refusal import Refusal

_POLL_SECONDS = 0.5
_VERBS: dict[str, Callable[..., Any]] = {
    "start": waves.start, "pause": waves.pause, "resume": waves.resume, "stop": waves.stop, "skip": waves.skip,
    "promote": waves.promote, "retry": waves.retry,
}  # fmt: skip
_NEXT: dict[str, list[str]] = {
    "planned": ["manage.py portal wave start NAME --wait"],
    "running": ["manage.py portal wave status NAME --wait", "manage.py portal wave stop NAME --reason …"],
    "paused": ["manage.py portal wave resume NAME", "manage.py portal wave stop NAME --reason …"],
    "done": ["manage.py portal wave retry NAME", "manage.py portal reverse TENANT … --reason …", "manage.py portal status"],
    "stopped": ["manage.py portal wave retry NAME"],
    "skipped": ["manage.py portal wave plan OTHER_NAME …"],
}  # fmt: skip


def arguments(verbs: Any) -> None:
    for name, to in (("cut_over", "to the IAM"), ("reverse", "back")):
        moving = verbs.add_parser(name, help=f"move tenants {to}")
        moving.add_argument("tenants", nargs="+", help="ids, or: all")
        moving.add_argument("--reason", default="")
        moving.add_argument("--wave", default="")
        moving.add_argument("--wait", action="store_true", help="until each has moved or is blocked")
        moving.add_argument(
            "--dry-run", action="store_true", help="blockers, counts, the expected hold; nothing changes"
        )
        moving.add_argument("--json", action="store_true")
    for name, who in (("reads_first", "the IAM, while their writes stay in legacy"), ("reads_back", "legacy again")):
        reading = verbs.add_parser(name, help=f"let the tenants' reads be answered by {who}")
        reading.add_argument("tenants", nargs="+", help="ids, or: all")
        reading.add_argument("--reason", default="")
        reading.add_argument("--json", action="store_true")
    wave = verbs.add_parser("wave", help="plan and run waves of cut-overs").add_subparsers(dest="what", required=True)
    planning = wave.add_parser("plan", help="choose tenants, and keep them as a wave")
    planning.add_argument("name")
    how = planning.add_mutually_exclusive_group(required=True)
    how.add_argument("--percent", type=int, help="until this share of all tenants is in the IAM or planned")
    how.add_argument("--new", type=int, metavar="DAYS", help="tenants made in the last days")
    how.add_argument("--tenants", nargs="+", metavar="ID")
    how.add_argument("--rule", help='JSON, as {"users_to": 50, "idle_days": 30, "plans": ["none"]}')
    planning.add_argument("--at", metavar="TIME", help="begin by itself then, as 2026-12-01T02:00+00:00")
    planning.add_argument(
        "--window", nargs=2, metavar=("FROM", "TO"), help="begin moves only between these times of a day"
    )
    planning.add_argument("--at-once", type=int, default=4)
    planning.add_argument(
        "--reads-first", type=int, default=0, metavar="MINUTES", help="the IAM answers reads so long before writes move"
    )
    planning.add_argument("--unguarded", action="store_true", help="whatever health, lag, findings and backups say")
    planning.add_argument("--preview", action="store_true", help="say whom it would take, and plan nothing")
    for name in (*_VERBS, "status"):
        doing = wave.add_parser(name)
        doing.add_argument("name", nargs="?" if name == "status" else None)
        if name in ("start", "resume", "retry", "status", "promote"):
            doing.add_argument("--wait", action="store_true", help="until it has ended")
    for parser in wave.choices.values():
        parser.add_argument("--json", action="store_true")
        parser.add_argument("--reason", default="")


def wave(out: Terminal, by: str, options: dict[str, Any]) -> None:
    what, name = options["what"], options.get("name")
    if what == "plan":
        _plan(out, by, options)
        return
    if what == "status" and not name:
        found = [_told(each) for each in Wave.objects.all()]
        out.answer({"waves": found}, map(_line, found), next_steps=["manage.py portal wave plan NAME …"])
        return
    chosen = Wave.objects.filter(name=name).first()
    if chosen is None:
        raise Refusal("There is no such wave.", subject=str(name), todo="manage.py portal wave status lists them.")
    if what != "status":
        _VERBS[what](chosen, by=by, reason=options["reason"])
    if options.get("wait"):
        _wait(lambda: Wave.objects.open().filter(pk=chosen.pk).exclude(state=Wave.State.PAUSED).exists())
    chosen.refresh_from_db()
    told = _told(chosen)
    steps = _next(chosen)
    lines = [_line(told), *(f"  {count}× {why}" for why, count in told["blocked_because"].items())]
    out.answer(told, lines, next_steps=steps)
    if options.get("wait") and told["moved"] < told["tenants"]:
        raise Refusal(f"{told['moved']} of {told['tenants']} tenants have moved.", subject=chosen.name, todo=steps[0])


def _plan(out: Terminal, by: str, options: dict[str, Any]) -> None:
    rule = _rule(options)
    if options["preview"]:
        chosen = selection.select(rule)
        found = {
            "tenants": [{"tenant": each.pk, "name": each.name} for each in chosen.tenants], "users": chosen.users,
            "left_out": chosen.left_out,
        }  # fmt: skip
        left = ", ".join(f"{count} {why}" for why, count in chosen.left_out.items()) or "none"
        lines = [f"{each.pk}  {each.name}" for each in chosen.tenants]
        lines.append(f"{len(chosen.tenants):,} tenants with {chosen.users:,} users; left out: {left}.")
        out.answer(found, lines, next_steps=["The same without --preview"])
        return
    made = waves.plan(
        options["name"], rule, by=by, reason=options["reason"], at_once=options["at_once"],
        starts_at=console.moment(options["at"] or ""),
        window=window(*(options["window"] or ("", ""))), reads_minutes=options["reads_first"],
        guarded=not options["unguarded"],
    )  # fmt: skip
    told = _told(made)
    out.answer(told, [_line(told)], next_steps=_next(made))


def _rule(options: dict[str, Any]) -> dict[str, Any]:
    if options["percent"] is not None:
        return {"kind": "share", "percent": options["percent"]}
    if options["new"] is not None:
        return {"kind": "new", "days": options["new"]}
    if options["tenants"]:
        return {"kind": "named", "tenants": options["tenants"]}
    try:
        found = json.loads(options["rule"])
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refusal("A rule is a JSON object.", subject=options["name"], todo='Write {"users_to": 50}, say.')
    return found | {"kind": "rule"}


def cut_over(out: Terminal, by: str, options: dict[str, Any]) -> None:
    _move(out, by, options, TenantHome.Home.IAM)


def reverse(out: Terminal, by: str, options: dict[str, Any]) -> None:
    _move(out, by, options, TenantHome.Home.LEGACY)


def _move(out: Terminal, by: str, options: dict[str, Any], home: TenantHome.Home) -> None:
    chosen = _tenants(options)
    if options["dry_run"]:
        _dry_run(out, options, chosen, home)
        return
    verb = requests.cut_over if home == TenantHome.Home.IAM else requests.reverse
    moves = verb(chosen, by=by, reason=options["reason"], wave=options["wave"])
    ids = [move.pk for move in moves]
    asked = Cutover.objects.filter(pk__in=ids).select_related("tenant").order_by("id")
    if options["wait"]:
        _wait(lambda: asked.filter(state__in=UNDER_WAY).exists())
    made = [
        {
            "tenant": move.tenant_id,
            "name": move.tenant.name,
            "state": move.state,
            "hold_ms": move.hold_ms,
            "why": move.error,
        }
        for move in asked
    ]
    left = [move for move in made if move["state"] != "done"]
    follow = (
        "manage.py portal cut_over … --wait" if home == TenantHome.Home.IAM else "manage.py portal reverse … --wait"
    )
    steps = ["manage.py portal status"] if options["wait"] and not left else [follow, "manage.py portal status"]
    lines = [
        f"{move['state']:<10} {move['name'] or move['tenant']}{': ' + str(move['why']) if move['why'] else ''}"
        for move in made
    ]
    requested = [f"Moves requested: {len(made)}; the board shows how far they are."]
    out.answer({"moves": made}, lines if options["wait"] else requested, next_steps=steps)
    if options["wait"] and left:
        raise Refusal(
            f"{len(left)} of {len(made)} tenants have not moved.", subject=home.label, todo="The reasons stand above."
        )


def first(out: Terminal, by: str, options: dict[str, Any]) -> None:
    count = reads_first.reads_first(_tenants(options), by=by, reason=options["reason"])
    steps = ["manage.py portal cut_over TENANT … --wait", "manage.py portal reads_back TENANT … --reason …"]
    out.answer({"reading": count}, [f"Tenants whose reads the IAM answers: {count:,}."], next_steps=steps)


def back(out: Terminal, by: str, options: dict[str, Any]) -> None:
    count = reads_first.reads_back(_tenants(options), by=by, reason=options["reason"])
    steps = ["manage.py portal status"]
    out.answer({"back": count}, [f"Tenants whose reads legacy answers again: {count:,}."], next_steps=steps)


def _dry_run(out: Terminal, options: dict[str, Any], chosen: list[TenantHome], home: TenantHome.Home) -> None:
    found = list(dry_run.dry_run(chosen, home))
    lines = []
    for each in found:
        lines.append(f"{'goes' if each.goes else 'BLOCKED':<8} {each.tenant}: {each.users:,} users, {each.licences:,} licences, "
                     f"{each.waiting:,} changes waiting")  # fmt: skip
        lines += [f"         {reason}" for reason in each.blockers]
        lines += [f"         {count} rows of {table} differ" for table, count in each.differing.items()]
    if found and found[0].hold_ms:
        lines.append(f"Expected hold: about {found[0].hold_ms[0]} ms, at most {found[0].hold_ms[1]} ms lately.")
    out.answer({"dry_run": [each.as_dict() for each in found]}, lines, next_steps=["The same without --dry-run"])
    if stuck := [each for each in found if not each.goes]:
        raise Refusal(f"{len(stuck)} of {len(found)} tenants could not be moved now.", subject=home.label)


def _tenants(options: dict[str, Any]) -> list[TenantHome]:
    from migration_portal.cutover.tenants import sync_tenants

    sync_tenants()
    wanted = options["tenants"]
    if wanted == ["all"]:
        return list(TenantHome.objects.all())
    chosen = list(TenantHome.objects.filter(pk__in=[id.lower() for id in wanted]))
    if missing := {id.lower() for id in wanted} - {tenant.pk for tenant in chosen}:
        raise Refusal("The IAM has no such tenant.", subject=min(missing), todo="Copy it with a run first.")
    return chosen


def _told(chosen: Wave) -> dict[str, Any]:
    found = progress.of(chosen)
    return {
        "wave": chosen.name, "state": chosen.state, "waits_for": chosen.waits_for, "tenants": found.all, "moved": found.moved,
        "under_way": found.under_way, "blocked": found.blocked, "stopped": found.stopped, "seconds_left": found.seconds_left,
        "blocked_because": dict(progress.reasons(progress.blocked(chosen))),
    }  # fmt: skip


def _next(chosen: Wave) -> list[str]:
    steps = [step.replace("NAME", shlex.quote(chosen.name), 1) for step in _NEXT[chosen.state]]
    if chosen.state == Wave.State.DONE and not waves.left(chosen):
        return steps[1:]  # nothing waits for another attempt
    return steps


def _line(told: dict[str, Any]) -> str:
    left = f", about {told['seconds_left']} s left" if told["seconds_left"] is not None else ""
    waits = f"; it waits: {told['waits_for']}" if told["waits_for"] and told["state"] == "running" else ""
    return (
        f"{told['wave']}: {told['state']}, {told['moved']} of {told['tenants']} moved, {told['blocked']} blocked, "
        f"{told['stopped']} stopped{left}{waits}"
    )


def _wait(goes_on: Any) -> None:
    """Ctrl-C ends the waiting alone."""
    try:
        while goes_on():
            time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        raise Refusal(
            "It continues without you.", subject="waiting", todo="manage.py portal wave status, or the board."
        ) from None


VERBS = {"wave": wave, "cut_over": cut_over, "reverse": reverse, "reads_first": first, "reads_back": back}
