"""What both databases show of themselves: their catalogs, a few rows of each table, and the values that a CHECK allows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Identifier, Literal

from migration_portal.engine import catalog
from migration_portal.plan.model import Catalog, ColumnInfo, TableInfo

ROWS = 500
"""Of each table."""
_ALLOWED = re.compile(r"ANY \(+ARRAY\[(.*?)\]")
_VALUE = re.compile(r"'((?:[^']|'')*)'")

_PARTITIONS = """
SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relispartition
"""

Values = list[str | None]


@dataclass(frozen=True)
class Evidence:
    """One side of a migration. `quoted` has every name of it as it is written in SQL."""

    tables: Catalog
    samples: dict[str, dict[str, Values]] = field(default_factory=dict)
    """By table and column, as text: the same rows for every column of a table."""
    allowed: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """By table and column: all values that a CHECK or an enumeration allows."""
    quoted: dict[str, str] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()
    """Tables that the role may not read: they are in none of the others."""

    def values(self, table: str, column: str) -> Values:
        return self.samples.get(table, {}).get(column, [])

    def name(self, name: str) -> str:
        return self.quoted.get(name, name)


def look(connection: Connection[Any], schema: str, *, rows: int = ROWS) -> Evidence:
    """Read-only. Without rows when `rows` is 0. Raises psycopg.Error."""
    tables = {name: info for name, info in catalog.read(connection, schema).items() if not info.view}
    for name in connection.execute(_PARTITIONS, [schema]):
        tables.pop(name[0], None)  # it is a part of another
    named = {*tables, *(column for info in tables.values() for column in info.columns)}
    samples, closed = {}, set()
    for name in list(tables) if rows else ():
        try:
            with connection.transaction():
                samples[name] = _sample(connection, schema, tables[name], rows)
        except psycopg.errors.InsufficientPrivilege:
            closed.add(name)
            del tables[name]
    statement = "SELECT name, quote_ident(name) FROM unnest(%s::text[]) AS name"
    quoted = dict(connection.execute(statement, [sorted(named)]).fetchall())
    return Evidence(tables, samples, _allowed(connection, schema), quoted, frozenset(closed))


def _sample(connection: Connection[Any], schema: str, info: TableInfo, rows: int) -> dict[str, Values]:
    names = list(info.columns)
    statement = SQL("SELECT {} FROM {} LIMIT {}").format(
        SQL(", ").join(SQL("left({}::text, 2000)").format(Identifier(name)) for name in names),
        Identifier(schema, info.name), Literal(rows),
    )  # fmt: skip
    found = connection.execute(statement).fetchall() if names else []
    return {name: [row[place] for row in found] for place, name in enumerate(names)}


def _allowed(connection: Connection[Any], schema: str) -> dict[tuple[str, str], list[str]]:
    checks = connection.execute(
        "SELECT c.relname, a.attname, pg_get_constraintdef(k.oid) FROM pg_constraint AS k"
        " JOIN pg_class AS c ON c.oid = k.conrelid"
        " JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]"
        " JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE k.contype = 'c' AND array_length(k.conkey, 1) = 1 AND n.nspname = %s",
        [schema],
    ).fetchall()
    found = {
        (table, column): [value.replace("''", "'") for value in _VALUE.findall(listed[1])]
        for table, column, check in checks
        if (listed := _ALLOWED.search(check))
    }
    enumerations = connection.execute(
        "SELECT c.relname, a.attname, array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum AS e"
        " JOIN pg_attribute AS a ON a.atttypid = e.enumtypid JOIN pg_class AS c ON c.oid = a.attrelid"
        " WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s) AND NOT a.attisdropped GROUP BY 1, 2",
        [schema],
    ).fetchall()
    return found | {(table, column): labels for table, column, labels in enumerations}


def is_text(column: ColumnInfo) -> bool:
    return column.portable == "text" or column.type in ("text", "character varying", "bpchar", "citext", "name")
