"""Finding a person by any identifier: id, e-mail, user name, name, session; in the IAM, and in legacy for who has not arrived."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.db.models import Q
from psycopg.sql import SQL, Composed, Identifier, Literal

from iam.models import Session, User
from migration_portal import databases
from migration_portal.catchup.flows import captured_run
from migration_portal.plan import compile
from migration_portal.plan.model import Plan, Table
from migration_portal.runs.models import Run

MOST = 50


@dataclass(frozen=True)
class Found:
    """Somebody: `id` as the IAM writes it, or as legacy does where the IAM has nobody; `side` says which."""

    id: str
    name: str
    email: str
    tenant: str
    side: str


def find(who: str) -> list[Found]:
    """Exact identifiers first, then parts of names; at most 50. Raises DatabaseError, DatabaseUnreachable."""
    who = who.strip().replace("\0", "")
    if not who:
        return []
    found = _in_iam(who)
    known = {each.id.lower() for each in found}
    found += [each for each in _in_legacy(who) if each.id.lower() not in known]
    return found[:MOST]


def _in_iam(who: str) -> list[Found]:
    exact = Q(email__iexact=who) | Q(username__iexact=who)
    try:
        exact |= Q(pk=uuid.UUID(who))
    except ValueError:
        exact |= Q(pk__in=Session.objects.filter(session_id=who).values("user_id"))
    people = User.objects.select_related("tenant").order_by("username")
    users = list(people.filter(exact)[:MOST])
    if len(who) > 2 and len(users) < MOST:
        parts = people.filter(Q(email__icontains=who) | Q(username__icontains=who) | Q(full_name__icontains=who))
        users += list(parts.exclude(pk__in=[user.pk for user in users])[: MOST - len(users)])
    return [Found(str(u.pk), u.full_name or u.username or "", u.email or "", str(u.tenant), "IAM") for u in users]


def users_of(plan: Plan) -> Table | None:
    """The plan's table of users, or None."""
    return next((table for table in plan.tables if table.target == "users"), None)


def _in_legacy(who: str) -> list[Found]:
    run = captured_run() or Run.objects.filter(dry_run=False).first()
    table = users_of(run.plan) if run else None
    if run is None or table is None or len(table.key) != 1:
        return []
    with databases.legacy("support") as legacy:
        databases.enter(legacy, run.plan.source_schema)
        with legacy.transaction():
            rows = legacy.execute(_statement(run.plan, table, who)).fetchall()
    return [Found(str(id), name or "", email or "", tenant or "", "legacy") for id, name, email, tenant in rows]


def _statement(plan: Plan, table: Table, who: str) -> Composed:
    def mapped(name: str) -> SQL:
        column = table.column(name)
        return compile.raw(f"({column.sql})::text" if column else "NULL::text")

    key = SQL("{}::text").format(Identifier(table.key[0]))
    tenant = mapped(table.tenant) if table.tenant and not _casts(table) else SQL("NULL::text")
    return SQL(
        "SELECT {key}, coalesce({full}, {user}), {email}, {tenant} FROM {table}"
        " WHERE lower({key}) = lower({who}) OR lower({email}) = lower({who}) OR lower({user}) = lower({who}) LIMIT {most}"
    ).format(
        key=key, full=mapped("full_name"), user=mapped("username"), email=mapped("email"), tenant=tenant,
        table=compile.source_table(plan, table), who=Literal(who), most=Literal(MOST),
    )  # fmt: skip


def _casts(table: Table) -> bool:
    """A tenant that cannot be cast must not keep somebody from being found."""
    column = table.column(table.tenant or "")
    return column is not None and "::" in column.sql
