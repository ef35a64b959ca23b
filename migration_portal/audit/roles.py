"""Two roles for the portal's database: the owner migrates it; the portal's own cannot touch what was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import connection
from psycopg import sql

_GRANTS = """
GRANT USAGE ON SCHEMA public TO {user};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {user};
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {user};
REVOKE UPDATE ON ALL SEQUENCES IN SCHEMA public FROM {user};
REVOKE UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON audit_event FROM {user};
REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM {user};
"""
_GRANTS_ON = {
    "to_regclass('audit_archive')": "REVOKE INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON audit_archive FROM {user}",
    "to_regclass('retention_hold')": "REVOKE DELETE, TRUNCATE ON retention_hold FROM {user}",
    "to_regprocedure('audit_event_cut()')": "GRANT EXECUTE ON FUNCTION audit_event_cut() TO {user}",
}
"""By what there is only since a later migration."""


@contextmanager
def owner() -> Iterator[None]:
    """Within it the portal's database is used as its owner."""
    before = connection.settings_dict
    connection.close()
    connection.settings_dict = before | (settings.DATABASE_OWNER or {})
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict = before


def owns() -> bool:
    """Whether the role that is used now may do to the audit log what its owner may."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'audit_event'::regclass")
        return bool(cursor.fetchone()[0])


def grant() -> str:
    """As the owner: create the portal's role if there is none, and let it use what there is now. Returns its name.

    Raises ValueError where it could help itself to the owner's rights.
    """
    user = settings.DATABASES["default"]
    name, password = user["USER"], user.get("PASSWORD") or None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolsuper OR pg_has_role(rolname, current_user, 'MEMBER') FROM pg_roles WHERE rolname = %s", [name]
        )
        found = cursor.fetchone()
        if found and found[0]:
            raise ValueError(
                f"The role {name} of DATABASE_URL is a superuser or a member of its owner: give it a role of its own."
            )
        composed = {"user": sql.Identifier(name), "password": sql.Literal(password)}
        verb = "ALTER" if found else "CREATE"  # also when the password in DATABASE_URL is a new one
        cursor.execute(
            sql.SQL(f"{verb} ROLE {{user}} LOGIN PASSWORD {{password}}").format(**composed).as_string(cursor.connection)
        )
        there = [grant for found, grant in _GRANTS_ON.items() if _is_there(cursor, found)]
        for statement in [*_GRANTS.strip().split(";\n"), *there]:
            cursor.execute(sql.SQL(statement.rstrip(";")).format(**composed).as_string(cursor.connection))
    return str(name)


def _is_there(cursor: Any, found: str) -> bool:
    cursor.execute(f"SELECT {found} IS NOT NULL")
    return bool(cursor.fetchone()[0])


@register(Tags.security, deploy=True)
def one_role(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Who owns the tables can switch off the triggers that keep the audit log."""
    if settings.DATABASE_OWNER and settings.DATABASE_OWNER["USER"] != settings.DATABASES["default"]["USER"]:
        return []
    return [
        Warning(
            "The portal uses its database as the owner of its tables, and could change its own audit log.",
            hint="Set DATABASE_OWNER_URL to another role; `migrate` creates that of DATABASE_URL, and grants it what it needs.",
            id="audit.W001",
        )
    ]  # fmt: skip
