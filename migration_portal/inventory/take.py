"""Take: read the legacy database's shape and numbers, from one snapshot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from psycopg import Connection
from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal import databases
from migration_portal.engine import single_out
from migration_portal.engine.ledger import rows
from migration_portal.engine.queries import named
from migration_portal.plan import compile
from migration_portal.plan.loader import load
from migration_portal.plan.model import Plan, Table
from migration_portal.plan.spelling import spelled

_ASKED = {
    # Of each IAM table, the columns that are asked about, and their type.
    "users": {
        "tenant_id": "text", "is_active": "boolean", "is_superuser": "boolean", "mfa_enabled": "boolean",
        "hashed_password": "text", "last_login": "timestamptz",
    },
    "tenants": {"id": "text", "name": "text", "slug": "text", "is_active": "boolean", "max_licenses": "integer"},
    "licenses": {"tenant_id": "text"},
}  # fmt: skip

_ONE = SQL("CASE WHEN id ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN lower(id) ELSE id END")


def take() -> dict[str, Any]:
    """Database size, tables, users, tenants and password schemes, from one snapshot; see `read` for the shape.

    Raises DatabaseUnreachable, psycopg.Error, or PlanError when the plan cannot be read.
    """
    plan = load(settings.MIGRATION_PLAN)
    with databases.legacy("inventory") as legacy, legacy.transaction():
        return read(legacy, plan)


def read(legacy: Connection[Any], plan: Plan) -> dict[str, Any]:
    """The inventory as JSON-ready data: database, tables, users, password_schemes, tenants.

    What is a user, a tenant or a licence in legacy is the plan's to say. The last three are empty where it says of no users, or of
    tables that are not there.
    """
    queries = named(Path(__file__).parent / "inventory.sql")
    database = rows(legacy, queries["database"])[0]
    tables = {}
    views = [table.source for table in plan.tables if table.view]
    for row in rows(legacy, queries["tables"].format(schema=Literal(plan.source_schema), views=Literal(views))):
        name = Identifier(plan.source_schema, row["name"])
        count = legacy.execute(SQL("SELECT count(*) FROM {}").format(name)).fetchone()
        assert count is not None
        tables[row["name"]] = {"rows": count[0], "bytes": row["bytes"], "columns": row["columns"]}
    content: dict[str, Any] = {
        "database": database,
        "tables": tables,
        "users": {},
        "password_schemes": {},
        "tenants": [],
    }
    planned = {table.target: table for table in plan.tables if table.source in tables}
    if "users" not in planned:
        return content
    legacy.execute(SQL("SET LOCAL search_path = {}, pg_catalog").format(Identifier(plan.source_schema)))

    def counted(careful: Connection[Any] | None = None) -> dict[str, Any]:
        said = {name: _said(plan, planned.get(name), name, tables, careful) for name in _ASKED}
        with legacy.transaction():
            return {
                name: rows(legacy, queries[name].format(**said, one=_ONE)) for name in ("users", "schemes", "tenants")
            }

    try:
        found = counted()
    except psycopg.DataError:  # of some rows a column cannot be said
        found = counted(careful=legacy)
    content["users"] = found["users"][0]
    content["password_schemes"] = {row["scheme"]: row["count"] for row in found["schemes"]}
    for row in found["tenants"]:
        last = row.pop("last_login")
        content["tenants"].append(row | {"last_login": last.isoformat() if last else None})
    return content


def _said(
    plan: Plan, table: Table | None, name: str, tables: dict[str, Any], careful: Connection[Any] | None
) -> Composable:
    """The legacy rows of which the plan makes the IAM's table, with the columns asked about; or those that it gives.

    `careful` is a session to find out by of which rows a column cannot be said.
    """
    asked = _ASKED[name]
    if table is not None:
        known = {column["name"] for column in tables[table.source]["columns"]}
        parts = [_column(plan, table, known, column, kind, careful) for column, kind in asked.items()]
        return SQL("(SELECT {} FROM {})").format(SQL(", ").join(parts), compile.source_table(plan, table))
    nothing = SQL(", ").join(
        SQL("NULL::{} AS {}").format(compile.raw(kind), Identifier(each)) for each, kind in asked.items()
    )
    selects = [SQL("SELECT {} WHERE false").format(nothing)]
    for row in plan.rows:
        if row.target == name:
            given = {column.name: column.sql for column in row.columns}
            values = (
                SQL("({})::{}").format(compile.raw(given.get(each, "NULL")), compile.raw(kind))
                for each, kind in asked.items()
            )
            selects.append(SQL("SELECT {}").format(SQL(", ").join(values)))
    return SQL("({})").format(SQL(" UNION ALL ").join(selects))


def _column(
    plan: Plan, table: Table, known: set[str], name: str, kind: str, careful: Connection[Any] | None
) -> Composable:
    """A column as legacy writes it, where the plan only writes it in another way; else as the plan makes it of rows that arrive."""
    column, alias = table.column(name), Identifier(name)
    if column is None:
        return SQL("NULL::{} AS {}").format(compile.raw(kind), alias)
    plain = column.number.over if column.number else spelled(column.sql)
    if plain in known:
        return SQL("{}::{} AS {}").format(Identifier(plain), compile.raw(kind), alias)
    alone = replace(table, reject=tuple(rule for rule in table.reject if not rule.lookup))  # the IAM is not asked here
    made = SQL("(CASE WHEN NOT {} THEN ({})::{} END)").format(
        compile.rejected(alone), compile.raw(column.sql), compile.raw(kind)
    )
    key = compile.source_key(table)
    if careful and (unsaid := single_out.unsaid(careful, compile.source_table(plan, table), key, made)):
        made = SQL("(CASE WHEN {} NOT IN ({}) THEN {} END)").format(key, SQL(", ").join(map(Literal, unsaid)), made)
    return SQL("{} AS {}").format(made, alias)
