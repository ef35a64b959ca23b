"""Filling an empty database with a sample legacy system: set-based, a million users in about a minute."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Identifier, Literal

from migration_portal.engine.queries import named
from migration_portal.refusal import Refusal
from migration_portal.sample.dirt import FLAVOURS, Dirt

_HERE = Path(__file__).parent

# bcrypt, cost 12, of "sample-password-0" … "sample-password-3". Sample users sign in with these; nobody else can.
HASHES = (
    "$2b$12$0e3E0ptYxfgP3Z/KEh.A/uWkKqkTzVGT94Qk738noXsW7POyFOdLu",
    "$2b$12$HVItsTlN5KDhgbUF24Nny.pMr/f9YIPClsdaj/fJ9v/3UFCHXNDza",
    "$2b$12$jn/rmQSJ08r5y0r/32P9FexEMkLw5KxWWxPBNVDMwAWJBrLbvQA.q",
    "$2b$12$RCHr8CAKHXhfXeV62kmJ7.Yoa7Apsentc1fxaaxct9cTOMRPmK2Pq",
)


def fill(legacy: Connection[Any], dirt: Dirt, *, seed: int, replace: bool = False) -> None:
    """Create the flavour's tables and fill them, in one transaction.

    Raises Refusal when the database holds tables already, unless `replace` is true: then those of a sample are dropped.
    """
    here = _HERE / dirt.flavour
    with legacy.transaction():
        held, ours = tables(legacy), _of_samples()
        present = [name for name in held if name in ours]
        if held and not replace:
            raise Refusal(
                f"It already holds {', '.join((present or held)[:7])}.", subject="legacy database",
                todo="Name an empty database; or, if this is no real legacy system: manage.py legacy_sample --replace.",
            )  # fmt: skip
        _drop(legacy, present)
        legacy.execute((here / "schema.sql").read_bytes())
        legacy.execute("SET LOCAL synchronous_commit = off")
        values = {
            "seed": Literal(f"{seed}:"),
            "users": Literal(dirt.users),
            "tenants": Literal(dirt.tenants),
            "bad_tenants": Literal(dirt.bad_tenants),
            "tenants_without_admin": Literal(dirt.tenants_without_admin),
            "each": Literal(dirt.each),
            "dirty": Literal(dirt.dirty),
            "subscriptions": Literal(dirt.users // 10),
            "hashes": Literal(list(HASHES)),
        }
        for statement in named(here / "fill.sql").values():
            legacy.execute(statement.format(**values))
        legacy.execute((here / "constraints.sql").read_bytes())
    # As a system that has run for a while: visibility known, so that key ranges come from the index alone.
    legacy.execute("VACUUM (ANALYZE)")


def tables(legacy: Connection[Any]) -> list[str]:
    """Whatever tables are there, by name: a sample's, or somebody's."""
    return [row[0] for row in legacy.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")]


def _of_samples() -> set[str]:
    """The tables of every flavour."""
    return {name for flavour in FLAVOURS for name in _TABLE.findall((_HERE / flavour / "schema.sql").read_text())}


def _drop(legacy: Connection[Any], tables: list[str]) -> None:
    for table in tables:
        legacy.execute(SQL("DROP TABLE {} CASCADE").format(Identifier(table)))
    for kind in _TYPE.findall((_HERE / "released" / "schema.sql").read_text()):
        legacy.execute(SQL("DROP TYPE IF EXISTS {}").format(Identifier(kind)))


_TABLE = re.compile(r"^CREATE TABLE (\w+)", re.MULTILINE)
_TYPE = re.compile(r"^CREATE TYPE (\w+)", re.MULTILINE)
