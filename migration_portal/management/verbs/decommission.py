"""What still needs the legacy system, from a terminal: exit 0 only when nothing does."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import OutputWrapper

from migration_portal.decommission.remaining import remaining
from migration_portal.decommission.trend import trend
from migration_portal.refusal import Refusal


def arguments(verbs: Any) -> None:
    verbs.add_parser("decommission", help="what stands between us and switching legacy off").add_argument(
        "--json", action="store_true"
    )


def decommission(out: OutputWrapper, by: str, options: dict[str, Any]) -> None:
    rows, found = remaining(), trend()
    left = [row for row in rows if not row.done]
    if options["json"]:
        told = {
            "remaining": [{"what": row.what, "count": row.count, "some": row.some, "todo": row.todo} for row in rows],
            "a_day": round(found.a_day, 2), "ends": found.ends.isoformat() if found.ends else None,
            "next_steps": [row.todo for row in left],
        }  # fmt: skip
        out.write(json.dumps(told, indent=2))
    else:
        for row in rows:
            out.write(f"{'done' if row.done else row.count!s:>8}  {row.what}{'' if row.done else f'. {row.todo}'}")
        out.write(
            f"The last tenant has moved on {found.ends}, at {found.a_day:.1f} a day."
            if found.ends
            else "Nobody can tell when the last tenant will have moved."
        )
    if left:
        raise Refusal(f"{len(left)} things still need the legacy system.", subject="decommission", todo=left[0].todo)


VERBS = {"decommission": decommission}
