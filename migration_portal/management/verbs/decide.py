"""Deciding about stray writes and quarantined rows from a terminal, many at once: the same verbs as the console's."""

from __future__ import annotations

from collections import Counter
from typing import Any

from migration_portal.cutover import resolve
from migration_portal.cutover.models import Stray
from migration_portal.management.terminal import Terminal
from migration_portal.refusal import Refusal, each
from migration_portal.runs import retry
from migration_portal.runs.models import QuarantinedRow, Run

_SHOWN = 200


def arguments(verbs: Any) -> None:
    astray = verbs.add_parser("strays", help="list undecided stray writes, or decide about them")
    kinds = astray.add_mutually_exclusive_group()
    kinds.add_argument(
        "--accept", action="store_true", help="bring each row to the owner as it stands on the other side"
    )
    kinds.add_argument("--restore", action="store_true", help="put the owner's row back")
    kept = verbs.add_parser("quarantine", help="list quarantined rows, or decide about them")
    kinds = kept.add_mutually_exclusive_group()
    kinds.add_argument("--retry", action="store_true", help="copy them again, once they were fixed in legacy")
    kinds.add_argument("--discard", action="store_true", help="they stay in legacy")
    kept.add_argument("--why", help="only rows with this reason, as missing_tenants")
    kept.add_argument("--run", type=int, help="only rows of this run; without it, of the run in force")
    for parser in (astray, kept):
        parser.add_argument("--table", help="only rows of this table")
        parser.add_argument("--tenant", help="only rows of this tenant")
        parser.add_argument("--reason", default="")
        parser.add_argument("--json", action="store_true")


def strays(out: Terminal, by: str, options: dict[str, Any]) -> None:
    chosen = Stray.objects.filter(state=Stray.State.OPEN).order_by("id")
    for name, column in (("table", "table_name"), ("tenant", "tenant")):
        if options[name]:
            chosen = chosen.filter(**{column: options[name]})
    if not (options["accept"] or options["restore"]):
        rows = [
            {"table": s.table_name, "key": s.key, "tenant": s.tenant, "what": s.what, "side": s.direction}
            for s in chosen[:_SHOWN]
        ]
        _list(out, rows, chosen.count(), "manage.py portal strays --accept|--restore --reason …")
        return
    verb = resolve.accept if options["accept"] else resolve.restore
    _told(out, *resolve.decide_each(verb, list(chosen), by=by, reason=options["reason"]))


def quarantine(out: Terminal, by: str, options: dict[str, Any]) -> None:
    chosen = QuarantinedRow.objects.filter(state="open").order_by("id")
    if options["run"]:
        chosen = chosen.filter(run__in=list(Run.objects.filter(pk=options["run"]).values_list("key", flat=True)))
    else:
        chosen = chosen.in_force()
    for name, column in (("table", "table_name"), ("tenant", "tenant"), ("why", "reason")):
        if options[name]:
            chosen = chosen.filter(**{column: options[name]})
    if options["retry"]:
        _told(out, *each(list(chosen), lambda row: retry.retry_row(row, by=by)))
    elif options["discard"]:
        count = retry.discard_rows(list(chosen), by=by, reason=options["reason"])
        out.answer({"decided": count}, [f"Decided: {count:,}."], next_steps=["manage.py portal status"])
    else:
        rows = [
            {"table": r.table_name, "key": r.source_key, "tenant": r.tenant, "why": r.reason} for r in chosen[:_SHOWN]
        ]
        _list(out, rows, chosen.count(), "manage.py portal quarantine --retry|--discard --reason …")


def _told(out: Terminal, done: int, refused: Counter[str]) -> None:
    """Raises Refusal when any was refused."""
    told = {"decided": done, "refused": dict(refused)}
    out.answer(told, [f"Decided: {done:,}.", *refused], next_steps=["manage.py portal status"])
    if refused:
        raise Refusal(f"{refused.total():,} were refused.", todo="The reasons stand above.")


def _list(out: Terminal, rows: list[dict[str, Any]], count: int, step: str) -> None:
    lines = [
        "  ".join(", ".join(each) if isinstance(each, list) else str(each) for each in row.values()) for row in rows
    ]
    lines.append(f"{count:,} undecided{f'; the first {_SHOWN} are shown' if count > _SHOWN else ''}.")
    out.answer({"count": count, "rows": rows}, lines, next_steps=[step] if count else [])


VERBS = {"strays": strays, "quarantine": quarantine}
