"""Whether those who arrive can sign in: a run that accounts for every row says nothing of that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from django.conf import settings
from psycopg import Connection
from psycopg.sql import SQL, Composable, Literal

from iam.passwords import NONE, SETTLED
from migration_portal.plan import compile
from migration_portal.plan.checks import Finding
from migration_portal.plan.model import Catalog, Plan

_USERS = "users"
_ASKED_FOR = "CASE WHEN mfa_enabled THEN nullif(replace(mfa_secret_encrypted, ' ', ''), '') END"
_PLAIN = "^([A-Z2-7]{16,}|[a-z2-7]{16,})=*$"
"""A one-time code's secret in base32, as authenticators take it: not encrypted."""


def sign_in(legacy: Connection[Any], plan: Plan, target: Catalog) -> Iterator[Finding]:
    """What of the active users' passwords and second factors the IAM could not check. For a plan that fits both catalogs."""
    table = plan.find(_USERS)
    if table is None or table.column("hashed_password") is None:
        return
    secret = _ASKED_FOR if table.column("mfa_secret_encrypted") and table.column("mfa_enabled") else "NULL::text"
    active = "is_active" if table.column("is_active") else "true"
    password = SQL("coalesce(hashed_password, '')")
    counted: list[Composable] = [
        SQL("count(*)"),
        SQL("count(*) FILTER (WHERE {} ~ {})").format(password, Literal(NONE)),
        SQL("count(*) FILTER (WHERE {} !~ {})").format(password, Literal(SETTLED)),
        SQL("count({})").format(compile.raw(secret)),
        SQL("count(*) FILTER (WHERE {} ~ {})").format(compile.raw(secret), Literal(_PLAIN)),
    ]
    rows = compile.mapped(plan, table, target[_USERS], where=SQL("true"))
    statement = SQL("SELECT {} FROM ({}) AS m WHERE {}").format(SQL(", ").join(counted), rows, compile.raw(active))
    try:
        with legacy.transaction():
            users, none, unknown, secrets, plain = legacy.execute(statement).fetchone() or (0,) * 5
    except psycopg.DataError:
        return  # an expression fails on some row: that is told elsewhere
    yield from _passwords(users, none, unknown)
    yield from _second_factors(secrets, plain)


def _passwords(users: int, none: int, unknown: int) -> Iterator[Finding]:
    about = "users.hashed_password"
    if users and none == users:
        yield Finding(
            "warning", about, f"None of {users:,} active users would have a password.",
            "Map the column, or let them choose one: a notice with $password_link, another provider's log-in.",
        )  # fmt: skip
    elif none:
        yield Finding(
            "info",
            about,
            f"{none:,} of {users:,} active users have no password.",
            "They sign in by another door, or not at all.",
        )
    if unknown:
        yield Finding(
            "warning", about, f"The IAM cannot check the hashes of {unknown:,} of {users:,} active users.",
            "Write them in a form of docs/plan-file.md, “Passwords”, or ask legacy at their first sign-in (docs/new-api.md).",
        )  # fmt: skip


def _second_factors(secrets: int, plain: int) -> Iterator[Finding]:
    about = "users.mfa_secret_encrypted"
    if plain:
        yield Finding(
            "warning", about, f"{plain:,} active users have a secret that is not encrypted: they could not sign in.",
            "Map secrets as docs/new-api.md has them encrypted; or leave them and mfa_enabled out, and let people enrol again.",
        )  # fmt: skip
    elif secrets and not settings.MFA_SECRET_KEY:
        yield Finding(
            "warning", about, f"{secrets:,} active users have one-time codes, and MFA_SECRET_KEY is not set: none could sign in.",
            "Set it to the key that legacy encrypts with.",
        )  # fmt: skip
