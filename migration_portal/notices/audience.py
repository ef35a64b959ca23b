"""Who gets a notice: active users with an address, of active tenants, of these tenants, this wave, this side, with this role,
with a password that only legacy can check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from psycopg.rows import dict_row

from flags.models import TenantHome
from iam import passwords
from migration_portal import databases
from migration_portal.cutover.models import Wave
from migration_portal.engine.queries import named
from migration_portal.refusal import Refusal

_QUERIES = named(Path(__file__).parent / "notices.sql")
_AT_ONCE = 5000


class Nobody(Refusal):
    """The audience chooses no tenant."""


def tenants_of(audience: Mapping[str, Any]) -> list[str] | None:
    """The ids of its tenants; None for all. Raises Nobody, and Refusal for what does not say whom it means.

    `{"tenants": [ids]}`, `{"wave": name}`, `{"home": "iam"}`, `{}` for all; with any of them `"role": name`, and
    `"passwords": "legacy"` for those whose password only legacy can check.
    """
    chosen: list[str] | None = None
    if "tenants" in audience:
        chosen = [str(id).lower() for id in audience["tenants"]]
        known = set(TenantHome.objects.filter(pk__in=chosen).values_list("pk", flat=True))
        if missing := sorted(set(chosen) - known):
            raise Refusal("There is no such tenant.", subject=missing[0][:64], todo="Give ids as the board shows them.")
    elif "wave" in audience:
        if not audience["wave"]:
            raise Refusal("The wave has a name.", subject="notice", todo="Write which.")
        wave = Wave.objects.filter(name=audience["wave"]).first()
        found = wave.tenants.all() if wave else TenantHome.objects.filter(wave=audience["wave"])
        chosen = list(found.values_list("pk", flat=True))
    elif "home" in audience:
        chosen = list(TenantHome.objects.filter(home=audience["home"]).values_list("pk", flat=True))
    if chosen == []:
        raise Nobody("Nobody is in this audience.", subject="notice", todo="Choose other tenants.")
    return chosen


def size(audience: Mapping[str, Any]) -> int:
    """How many people. Raises Refusal, DatabaseUnreachable."""
    with databases.iam("notices") as iam:
        row = iam.execute(_QUERIES["size"], _about(audience)).fetchone()
    return int(row[0]) if row else 0


def people(audience: Mapping[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """In batches, in the order of their ids: `user`, `email`, `name`, `tenant`, `language`. Raises Refusal, DatabaseUnreachable."""
    about, after = _about(audience), "00000000-0000-0000-0000-000000000000"
    with databases.iam("notices") as iam, iam.cursor(row_factory=dict_row) as cursor:
        while batch := cursor.execute(_QUERIES["people"], about | {"after": after, "most": _AT_ONCE}).fetchall():
            after = str(batch[-1]["user"])
            yield batch


def _about(audience: Mapping[str, Any]) -> dict[str, Any]:
    readable = passwords.SETTLED if audience.get("passwords") == "legacy" else None
    return {"tenants": tenants_of(audience), "role": audience.get("role") or None, "readable": readable}
