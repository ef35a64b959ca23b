"""Which tenants a wave takes: named ones, new ones, a share of all, or those that fit a rule. Previewed before it is planned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.utils import timezone

from flags.models import TenantHome
from migration_portal import databases
from migration_portal.cutover.models import Cutover, Wave
from migration_portal.engine.ledger import rows
from migration_portal.engine.queries import named
from migration_portal.refusal import Refusal

_QUERIES = named(Path(__file__).parent / "cutover.sql")
NO_PLAN = "none"
_WORDS = {
    "named": {"tenants"}, "new": {"days"}, "share": {"percent"},
    "rule": {"users_from", "users_to", "idle_days", "ids_from", "ids_to", "plans"},
}  # fmt: skip
"""The kinds of a rule, and what each may say."""


@dataclass(frozen=True)
class Selected:
    """The tenants, smallest first, with what the preview shows: users in all, and tenants left out, with why."""

    tenants: list[TenantHome]
    users: int
    left_out: dict[str, int]


def select(rule: Mapping[str, Any]) -> Selected:
    """The tenants of a rule, as things are now. Raises Refusal, DatabaseUnreachable.

    `{"kind": "named", "tenants": [ids]}`; `{"kind": "new", "days": 7}`: tenants made in the last days;
    `{"kind": "share", "percent": 25}`: as many as bring all moved and planned ones to the share; or `{"kind": "rule"}` with any of
    `users_from`, `users_to`, `idle_days` (nobody signed in for so long), `ids_from`, `ids_to`, and `plans` (it has an active
    subscription to one of these; "none": to none). All of them: `most`, no more tenants than so many.
    """
    kind = str(rule.get("kind"))
    if kind not in _WORDS:
        raise Refusal(f"A wave is chosen by one of: {', '.join(_WORDS)}.", subject="wave")
    if unknown := sorted(rule.keys() - _WORDS[kind] - {"kind", "most"}):
        known = ", ".join(sorted(_WORDS[kind] | {"most"}))
        raise Refusal(f"A rule has no “{unknown[0][:40]}”.", subject="wave", todo=f"It may have: {known}.")
    most = _number(rule, "most", 1, 10**9, 10**9)
    with databases.iam("waves") as iam:
        about = {row["id"]: row for row in rows(iam, _QUERIES["sizes"])}
    elsewhere = _elsewhere()
    placed = set[str]().union(*elsewhere.values())
    left = TenantHome.objects.filter(home=TenantHome.Home.LEGACY)
    free = [tenant for tenant in left if tenant.pk not in placed and tenant.pk in about]
    chosen = _CHOOSE[kind](rule, free, about)
    chosen.sort(key=lambda tenant: (_users(about, tenant), tenant.pk))
    if kind == "share":
        chosen = chosen[: max(_wanted(rule) - len(placed), 0)]
    chosen = chosen[:most]
    return Selected(
        chosen,
        sum(_users(about, tenant) for tenant in chosen),
        {why: len(ids) for why, ids in elsewhere.items() if ids},
    )


def plans() -> list[tuple[str, int]]:
    """Plans that tenants have active subscriptions to, with how many. Raises DatabaseUnreachable, psycopg.Error."""
    with databases.iam("waves") as iam:
        return [(row["plan"], row["tenants"]) for row in rows(iam, _QUERIES["plans"])]


def _elsewhere() -> dict[str, set[str]]:
    """The tenants no new wave can take, by why."""
    planned = Wave.objects.open().filter(tenants__isnull=False)
    return {
        "at home in the IAM": set(TenantHome.objects.filter(home=TenantHome.Home.IAM).values_list("pk", flat=True)),
        "being moved": set(Cutover.objects.under_way().values_list("tenant_id", flat=True)),
        "in another wave": set(planned.values_list("tenants", flat=True)),
    }


def _wanted(rule: Mapping[str, Any]) -> int:
    return math.ceil(TenantHome.objects.count() * _number(rule, "percent", 0, 100) / 100)


def _by_name(rule: Mapping[str, Any], free: list[TenantHome], about: Mapping[str, Any]) -> list[TenantHome]:
    asked = _texts(rule, "tenants")
    there = {tenant.pk.lower(): tenant for tenant in free}
    if missing := sorted(asked - there.keys()):
        known = TenantHome.objects.filter(pk__in=missing).first()
        why = f"{known} cannot be in it" if known else f"Nobody knows the tenant {missing[0][:64]}"
        raise Refusal(
            f"{why}: a wave takes tenants that live in legacy, and are neither moving nor in another wave.",
            subject="wave",
        )
    return [there[id] for id in sorted(asked)]


def _new(rule: Mapping[str, Any], free: list[TenantHome], about: Mapping[str, Any]) -> list[TenantHome]:
    since = timezone.now() - timedelta(days=_number(rule, "days", 1, 3650))
    return [tenant for tenant in free if (made := about[tenant.pk]["created_at"]) and made >= since]


def _any(rule: Mapping[str, Any], free: list[TenantHome], about: Mapping[str, Any]) -> list[TenantHome]:
    _number(rule, "percent", 1, 100)
    return free


def _fitting(rule: Mapping[str, Any], free: list[TenantHome], about: Mapping[str, Any]) -> list[TenantHome]:
    least, most = _number(rule, "users_from", 0, 10**9, 0), _number(rule, "users_to", 0, 10**9, 10**9)
    idle = _number(rule, "idle_days", 0, 36500, 0)
    first, last = str(rule.get("ids_from") or "").lower(), str(rule.get("ids_to") or "~").lower()
    plans = _texts(rule, "plans")
    quiet_since = timezone.now() - timedelta(days=idle)

    def fits(tenant: TenantHome) -> bool:
        seen = about[tenant.pk]["last_activity"]
        return (
            least <= _users(about, tenant) <= most
            and (not idle or seen is None or seen < quiet_since)
            and (not plans or not plans.isdisjoint(about[tenant.pk]["plans"] or [NO_PLAN]))
            and first <= tenant.pk.lower() <= last
        )

    return [tenant for tenant in free if fits(tenant)]


def _texts(rule: Mapping[str, Any], name: str) -> set[str]:
    """In lower case. Raises Refusal."""
    found = rule.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise Refusal(f"{name} is a list of ids.", subject="wave", todo="Correct it, then preview again.")
    return {each.strip().lower() for each in found}


_CHOOSE = {"named": _by_name, "new": _new, "share": _any, "rule": _fitting}


def _users(about: Mapping[str, Any], tenant: TenantHome) -> int:
    return int(about[tenant.pk]["users"])


def _number(rule: Mapping[str, Any], name: str, least: int, most: int, default: int | None = None) -> int:
    """Raises Refusal."""
    found = rule.get(name, default)
    if found is None or isinstance(found, bool) or not isinstance(found, int) or not least <= found <= most:
        raise Refusal(
            f"{name} is a number from {least:,} to {most:,}.", subject="wave", todo="Correct it, then preview again."
        )
    return found
