"""What still needs the legacy system, from a terminal: exit 0 only when nothing does."""

from __future__ import annotations

from typing import Any

from migration_portal.decommission.remaining import remaining
from migration_portal.decommission.trend import trend
from migration_portal.management.terminal import Terminal
from migration_portal.refusal import Refusal


def arguments(verbs: Any) -> None:
    verbs.add_parser("decommission", help="what stands between us and switching legacy off").add_argument(
        "--json", action="store_true"
    )


def decommission(out: Terminal, by: str, options: dict[str, Any]) -> None:
    rows, found = remaining(), trend()
    left = [row for row in rows if not row.done]
    told = {
        "remaining": [{"what": row.what, "count": row.count, "some": row.some, "todo": row.todo} for row in rows],
        "a_day": round(found.a_day, 2), "ends": found.ends.isoformat() if found.ends else None,
    }  # fmt: skip
    lines = [
        f"{'done' if row.done else row.count!s:>8}  {row.what}{'' if row.done else f'. {row.todo}'}" for row in rows
    ]
    lines.append(
        "Every tenant has moved."
        if found.all_moved
        else f"The last tenant will have moved on {found.ends}, at {found.a_day:.1f} a day."
        if found.ends
        else "Nobody can tell when the last tenant will have moved."
    )
    out.answer(told, lines, next_steps=[row.todo for row in left])
    if left:
        raise Refusal(f"{len(left)} things still need the legacy system.", subject="decommission", todo=left[0].todo)


VERBS = {"decommission": decommission}
