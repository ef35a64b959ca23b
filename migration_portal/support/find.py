"""Finding a person by any identifier: id, e-mail, user name, name, session; in the IAM, and in legacy for who has not arrived."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import psycopg
from django.db import DatabaseError
from django.db.models import Q
from psycopg.sql import SQL, Composed, Identifier, Literal

from iam.models import Session, User
from migration_portal import databases
from migration_portal.plan import compile
from migration_portal.plan.model import Column, Plan, Table
from migration_portal.refusal import Refusal
from migration_portal.runs.models import Run

MOST = 50


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
    """Exact identifiers first, then parts of names, at most 50; and what a side that could not be asked says."""
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
    if len(who) > 2 and len(users) < MOST:
        parts = people.filter(Q(email__icontains=who) | Q(username__icontains=who) | Q(full_name__icontains=who))
        users += list(parts.exclude(pk__in=[user.pk for user in users])[: MOST - len(users)])
    return [
        Found(str(u.pk), u.full_name or u.username or "", u.username or "", u.email or "", str(u.tenant), "IAM")
        for u in users
    ]


def _in_legacy(who: str) -> list[Found]:
    run = Run.objects.in_force()
    table = run.plan.find("users") if run else None
    if run is None or table is None or len(table.key) != 1:
        return []
    with databases.legacy("support") as legacy:
        databases.enter(legacy, run.plan.source_schema)
        with legacy.transaction():
            rows = legacy.execute(_statement(run.plan, table, who)).fetchall()
    return [
        Found(str(id), name or "", user or "", email or "", tenant or "", "legacy")
        for id, name, user, email, tenant in rows
    ]


def iam_id(table: Table) -> Composed | SQL:
    """Whom the IAM knows a row of legacy's users as, as text: a number is a UUID there."""
    if column := counted(table):
        return compile.raw(f"({column.sql})::text")
    return SQL("{}::text").format(Identifier(table.key[0]))


def counted(table: Table) -> Column | None:
    """The id of users whom legacy knows by numbers."""
    column = table.column("id")
    return column if column and column.number else None


def _statement(plan: Plan, table: Table, who: str) -> Composed:
    def mapped(name: str) -> SQL:
        column = table.column(name)
        return compile.raw(f"({column.sql})::text" if column else "NULL::text")

    key = SQL("{}::text").format(Identifier(table.key[0]))
    whose = table.source_tenant
    # A tenant that cannot be cast must not keep somebody from being found.
    tenant = compile.raw(f"({whose})::text" if whose and "::" not in whose else "NULL::text")
    return SQL(
        "SELECT {id}, coalesce({full}, {user}), {user}, {email}, {tenant} FROM {table}"
        " WHERE lower({who}) IN (lower({key}), lower({id}), lower({email}), lower({user}), lower({full})) LIMIT {most}"
    ).format(
        key=key, id=iam_id(table), full=mapped("full_name"), user=mapped("username"), email=mapped("email"), tenant=tenant,
        table=compile.source_table(plan, table), who=Literal(who), most=Literal(MOST),
    )  # fmt: skip
