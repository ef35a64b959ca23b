"""The capability model from a terminal."""

from __future__ import annotations

from typing import Any

from migration_portal.capabilities import derive as deriving
from migration_portal.management.terminal import Terminal
from migration_portal.refusal import Refusal

_NEXT = ["manage.py portal verify RUN", "Capabilities in the console shows each value with why."]


def arguments(verbs: Any) -> None:
    deriving_ = verbs.add_parser(
        "capabilities", help="derive the capability model of migrated rows again, or take it back"
    )
    kinds = deriving_.add_mutually_exclusive_group()
    kinds.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    kinds.add_argument("--undo", action="store_true", help="take back what a run derived, and nobody has edited since")
    deriving_.add_argument("--reason", default="")
    deriving_.add_argument("--json", action="store_true")


def capabilities(out: Terminal, by: str, options: dict[str, Any]) -> None:
    if options["dry_run"]:
        would = deriving.would()
        found = {each.table: {"counts": dict(each.counts), "sample": each.sample} for each in would}
        told = [
            f"{each.table}: {', '.join(f'{count:,} {what}' for what, count in sorted(each.counts.items())) or 'nothing'}"
            for each in would
        ]
        out.answer({"would": found}, told, next_steps=["manage.py portal capabilities"])
    elif options["undo"]:
        left = deriving.undo(by=by, reason=options["reason"])
        told = [f"{table}: {count:,} rows edited since stay" for table, count in left.items()]
        out.answer({"left": left}, told, next_steps=["manage.py portal capabilities"])
        if any(left.values()):
            raise Refusal("Rows that somebody edited were left.", todo="The run's report lists them by table and key.")
    else:
        done = {
            each.table: {"written": each.written, "removed": each.removed}
            for each in deriving.derive(by=by, reason=options["reason"])
        }
        told = [f"{table}: {each['written']:,} written, {each['removed']:,} removed" for table, each in done.items()]
        out.answer({"derived": done}, told, next_steps=_NEXT)


VERBS = {"capabilities": capabilities}
