"""Switching features from the console: the change, its permission by what it does, and the audit event, together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import transaction
from psycopg.sql import SQL, Identifier

from flags import change as changing
from flags.decide import Definition
from flags.evaluate import definitions
from flags.models import Flag, FlagChange, TenantHome
from flags.sql import condition
from migration_portal import databases
from migration_portal.audit import chain
from migration_portal.refusal import Refusal, require_reason
from migration_portal.runs.models import Run
from migration_portal.runs.states import State

_NAME = re.compile(r"(?!(new|subjects)$)[a-z0-9][a-z0-9_-]{0,99}")
"""As addresses have it, but for those of the pages beside it."""
DERIVED = "database_migration_complete"


@dataclass(frozen=True)
class Reach:
    """How many a flag is on for: users and tenants of the IAM, and some of those that a change adds."""

    users: int
    tenants: int
    all_users: int
    all_tenants: int


def needed(flag: Flag, values: dict[str, Any]) -> str:
    """The permission a change needs: who may kill a feature may not for that reason turn it on."""
    return "flags.widen_flag" if changing.widens(flag, **values) else "flags.narrow_flag"


@transaction.atomic
def switch(flag: Flag, *, by: str, reason: str, requires: Sequence[Flag] | None = None, **values: Any) -> FlagChange:
    """Change the flag and record it. Raises Refusal; then nothing has changed."""
    try:
        made = changing.change(flag, by=by, reason=reason, requires=requires, **values)
    except changing.Refused as refused:
        raise Refusal(str(refused), subject=flag.name) from None
    data = {"from": made.before, "to": made.after}
    chain.record("kill_flag" if values.get("killed") else "change_flag", of=flag, by=by, reason=reason, data=data)
    return made


@transaction.atomic
def create(name: str, *, note: str, requires: Sequence[str], by: str, reason: str) -> Flag:
    """A new feature that is on for nobody. `requires` are names of others. Raises Refusal."""
    name = name.strip()
    if not _NAME.fullmatch(name):
        raise Refusal(
            "That is no name for a feature.", subject=name, todo="Use up to 100 small letters, digits, _ and -."
        )
    require_reason(reason, to="A new feature", subject=name)
    parents = list(Flag.objects.filter(name__in=requires))
    made, new = Flag.objects.get_or_create(name=name, defaults={"note": note.strip()})
    if not new:
        raise Refusal("There is a feature of that name.", subject=name)
    made.requires.set(parents)
    chain.record("create_flag", of=made, by=by, reason=reason, data={"to": sorted(parent.name for parent in parents)})
    return made


def parse(post: Any) -> dict[str, Any]:
    """The values of the console's form. Raises Refusal."""
    try:
        percentage = Decimal(post.get("percentage", "0") or "0")
    except InvalidOperation:
        percentage = Decimal("NaN")
    if not percentage.is_finite():
        raise Refusal(f"{post.get('percentage')} is not a percentage.", todo="Use 0 to 100.")
    return {
        "percentage": percentage,
        "kind": "tenant" if post.get("kind") == "tenant" else "user",
        **{name: post.get(name, "").split() for name in ("targets", "excluded")},
        "waves": [wave.strip() for wave in post.get("waves", "").splitlines() if wave.strip()],
    }


def reach(flag: Flag, **values: Any) -> Reach:
    """Count whom the flag is on for, as it stands or as it would be with these values. Raises DatabaseUnreachable."""
    known: dict[str, Definition] = dict(definitions(fresh=True))
    wanted = {
        "percentage": values.get("percentage", flag.percentage), "kind": values.get("kind", flag.kind),
        **{n: frozenset(values.get(n, getattr(flag, n))) for n in ("targets", "excluded", "waves")},
    }  # fmt: skip
    known[flag.name] = replace(flag.definition(), **wanted)
    return _reaches(known, [flag.name])[flag.name]


def reach_of_all() -> dict[str, Reach]:
    """Whom each flag is on for, by its name, from one look at the users. Raises DatabaseUnreachable."""
    known = dict(definitions(fresh=True))
    return _reaches(known, list(known))


def _reaches(known: dict[str, Definition], names: Sequence[str]) -> dict[str, Reach]:
    waves: dict[str, list[str]] = {}
    for tenant, wave in TenantHome.objects.exclude(wave="").values_list("tenant", "wave"):
        waves.setdefault(wave, []).append(tenant)
    with databases.iam("features") as iam:

        def count(table: str, user: str | None, tenant: str) -> Sequence[int]:
            met = [condition(known, name, waves, user=user, tenant=tenant) for name in names]
            counts = SQL(", ").join(SQL("count(*) FILTER (WHERE {})").format(each) for each in met)
            row = iam.execute(SQL("SELECT count(*), {} FROM {}").format(counts, Identifier(table))).fetchone()
            assert row is not None
            return row

        all_users, *users = count("users", "id", "tenant_id")
        all_tenants, *tenants = count("tenants", None, "id")
    return {
        name: Reach(users[at], tenants[at], all_users, all_tenants) for at, name in enumerate(names)
    }  # fmt: skip


def limits(flag: Flag) -> list[str]:
    """What the features that it requires do to it as they stand now, in words; nothing where they are on for everybody."""
    known, found = definitions(fresh=True), []
    waiting = list(flag.definition().requires)
    for name in waiting:  # it grows
        parent = known[name]
        waiting += [each for each in parent.requires if each not in waiting]
        some = parent.percentage > 0 or parent.targets or parent.waves
        why = ""
        if parent.killed:
            why = "killed"
        elif parent.derived and not parent.met:
            why = f"off ({parent.basis or 'not derived yet'})"
        elif not (parent.derived or some):
            why = "on for nobody"
        if why:
            found.append(f"{name} is {why}: whatever is set here is on for nobody until that changes.")
        elif not parent.derived and (parent.percentage < 100 or parent.excluded):
            share = f"{parent.percentage.normalize():f} % of {parent.kind}s"
            whom = share if parent.percentage else "those that it names"
            found.append(f"{name} is on for {whom}: this is on for nobody else.")
    return found


def derive() -> bool:
    """Whether the database migration is complete: the latest run completed, and its last verification found nothing.

    Once it is, it stays so until a person kills the flag: what depends on it must not go off with one row that differs.
    """
    run = Run.objects.in_force()
    if run is None:
        basis = "No run's rows are in the IAM."
    elif run.state != State.COMPLETED:
        basis = f"{run} is {run.state}."
    else:
        differing = run.differing
        basis = f"Rows that differ: {differing:,}." if differing else ""
    was = Flag.objects.filter(name=DERIVED, met=True).exists()
    doubt = f"Every row was verified. Since then: {basis} Kill it if that outweighs." if basis and was else basis
    changing.derive(DERIVED, met=was or not basis, basis=doubt or "Every row is verified.")
    return was or not basis
