"""Finding a person by any identifier: id, e-mail, user name, name, session; in the IAM, and in legacy for who has not arrived."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from django.db import DatabaseError
from django.db.models import Q
from psycopg import Connection
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from iam.models import Session, User
from migration_portal import databases
from migration_portal.engine import quarantine
from migration_portal.plan import compile
from migration_portal.plan.model import Plan, Table
from migration_portal.plan.spelling import spelled
from migration_portal.refusal import Refusal
from migration_portal.runs.models import QuarantinedRow, Run

MOST = 50
T = TypeVar("T")


@dataclass(frozen=True)
class Found:
    """Somebody: `id` as the IAM writes it, but for the case of its letters in legacy; `side` says who knows them."""

    id: str
    name: str
    user_name: str
    email: str
    tenant: str
    side: str


def find(who: str) -> tuple[list[Found], list[str]]:
    """By exact identifiers, or where nobody has such a one by parts of names, at most 50; and what a side that could not be asked
    says.
    """
    who, found, trouble = who.strip().replace("\0", ""), dict[str, Found](), list[str]()
    for ask in (_in_iam, _in_legacy) if who else ():
        try:
            for each in ask(who):
                found.setdefault(each.id.lower(), each)
        except (DatabaseError, Refusal, psycopg.Error) as error:
            trouble.append(databases.words(error))
    return list(found.values())[:MOST], trouble


def _in_iam(who: str) -> list[Found]:
    exact = Q(email__iexact=who) | Q(username__iexact=who) | Q(full_name__iexact=who)
    try:
        exact |= Q(pk=uuid.UUID(who))
    except ValueError:
        exact |= Q(pk__in=Session.objects.filter(session_id=who).values("user_id"))
    people = User.objects.select_related("tenant").order_by("username")
    users = list(people.filter(exact)[:MOST])
    if len(who) > 2 and not users:
        parts = Q(email__icontains=who) | Q(username__icontains=who) | Q(full_name__icontains=who)
        users = list(people.filter(parts)[:MOST])
    return [
        Found(str(u.pk), u.full_name or u.username or "", u.username or "", u.email or "", str(u.tenant), "IAM")
        for u in users
    ]


def _in_legacy(who: str) -> list[Found]:
    run = Run.objects.in_force()
    table = run.plan.find("users") if run else None
    if run is None or table is None:
        return []
    with databases.legacy("support") as legacy:
        databases.enter(legacy, run.plan.source_schema)
        rows = mappable_or_all(
            run, table, lambda unmapped: legacy.execute(_statement(run.plan, table, who, unmapped)).fetchall(), legacy
        )
    return [
        Found(str(id), name or "", user or "", email or "", tenant or "", "legacy")
        for id, name, user, email, tenant in rows
    ]


def mappable_or_all(run: Run, table: Table, ask: Callable[[Composable], T], legacy: Connection[Any]) -> T:
    """Ask about all rows; where the plan's expressions fail on some, about those without what is made of them.

    `ask` is given what is true of the rows whose expressions must be left alone.
    """
    try:
        with legacy.transaction():
            return ask(SQL("false"))
    except psycopg.DataError:
        absent = QuarantinedRow.objects.filter(run=run.key, table_name=table.target).exclude(state="copied")
        with legacy.transaction():
            return ask(quarantine.unmapped(table, list(absent.values_list("source_key", flat=True))))


def iam_id(table: Table, unmapped: Composable) -> Composable:
    """Whom the IAM knows a row of legacy's users as, as text; NULL of rows that it may not be possible to map."""
    if not derived(table):
        return SQL("{}::text").format(Identifier(table.key[0]))
    column = table.column("id")
    return SQL("(CASE WHEN NOT {} THEN ({})::text END)").format(unmapped, compile.raw(column.sql if column else "NULL"))


def derived(table: Table) -> bool:
    """Whether legacy knows its users by another id than the IAM does: by a number, say, or by several columns."""
    column = table.column("id")
    return len(table.key) > 1 or column is None or bool(column.number) or spelled(column.sql) != table.key[0]


def _statement(plan: Plan, table: Table, who: str, unmapped: Composable) -> Composed:
    def mapped(name: str) -> Composable:
        column = table.column(name)
        if column and (plain := spelled(column.sql)):
            return SQL("{}::text").format(Identifier(plain))
        sql = compile.raw(f"({column.sql})::text" if column else "NULL::text")
        return SQL("(CASE WHEN NOT {} THEN {} END)").format(unmapped, sql)

    own = SQL(", ").join(SQL("lower({}::text)").format(Identifier(name)) for name in table.key)
    key = SQL("concat_ws(' ', {})").format(SQL(", ").join(map(Identifier, table.key)))
    whose = table.source_tenant
    # A tenant that cannot be cast must not keep somebody from being found.
    tenant = compile.raw(f"({whose})::text" if whose and "::" not in whose else "NULL::text")
    return SQL(
        "SELECT coalesce({id}, {key}), coalesce({full}, {user}), {user}, {email}, {tenant} FROM {table}"
        " WHERE lower({who}) IN ({own}, lower({id}), lower({email}), lower({user}), lower({full})) LIMIT {most}"
    ).format(
        key=key, own=own, id=iam_id(table, unmapped), full=mapped("full_name"), user=mapped("username"),
        email=mapped("email"), tenant=tenant, table=compile.source_table(plan, table), who=Literal(who), most=Literal(MOST),
    )  # fmt: skip
