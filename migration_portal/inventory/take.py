"""Take: read the legacy database's shape and numbers, from one snapshot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from psycopg import Connection
from psycopg.sql import SQL, Identifier, Literal

from migration_portal import databases
from migration_portal.engine.ledger import rows
from migration_portal.engine.queries import named
from migration_portal.plan.loader import load

_NEEDED = ("users", "tenants", "licenses")


def take() -> dict[str, Any]:
    """Database size, tables, users, tenants and password schemes, from one snapshot; see `read` for the shape.

    Raises DatabaseUnreachable, psycopg.Error, or PlanError when the plan cannot be read.
    """
    schema = load(settings.MIGRATION_PLAN).source_schema
    with databases.legacy("inventory") as legacy, legacy.transaction():
        return read(legacy, schema)


def read(legacy: Connection[Any], schema: str) -> dict[str, Any]:
    """The inventory as JSON-ready data: database, tables, users, password_schemes, tenants.

    The last three are empty where the database has no such tables.
    """
    queries = named(Path(__file__).parent / "inventory.sql")
    database = rows(legacy, queries["database"])[0]
    tables = {}
    for row in rows(legacy, queries["tables"].format(schema=Literal(schema))):
        count = legacy.execute(SQL("SELECT count(*) FROM {}").format(Identifier(schema, row["name"]))).fetchone()
        assert count is not None
        tables[row["name"]] = {"rows": count[0], "bytes": row["bytes"], "columns": row["columns"]}
    content: dict[str, Any] = {
        "database": database,
        "tables": tables,
        "users": {},
        "password_schemes": {},
        "tenants": [],
    }
    if not set(_NEEDED) <= set(tables):
        return content
    names = {name: Identifier(schema, name) for name in _NEEDED}
    columns = {column["name"] for column in tables["users"]["columns"]}
    mfa = Identifier("mfa_enabled") if "mfa_enabled" in columns else SQL("false")
    content["users"] = rows(legacy, queries["users"].format(mfa=mfa, **names))[0]
    schemes = rows(legacy, queries["schemes"].format(**names))
    content["password_schemes"] = {row["scheme"]: row["count"] for row in schemes}
    for row in rows(legacy, queries["tenants"].format(**names)):
        last = row.pop("last_login")
        content["tenants"].append(row | {"last_login": last.isoformat() if last else None})
    return content
