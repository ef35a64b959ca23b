"""What is in a database, in figures that two databases can be compared by: rows, hashes of rows, sequences, definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from migration_portal.engine.queries import named

QUERIES = named(Path(__file__).parent / "backups.sql")


@dataclass(frozen=True)
class Content:
    """`tables`: name → [rows, hash]. `sequences`: name → last value given out. `objects`: kind → [count, hash]."""

    tables: dict[str, list[Any]]
    sequences: dict[str, int]
    objects: dict[str, list[Any]]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def content_of(connection: Connection[Any], report: Callable[[int, int], None] = lambda done, total: None) -> Content:
    """Of the connection's database, in the caller's snapshot. `report` gets bytes hashed and bytes in all. Raises psycopg.Error."""
    tables = _rows(connection, "tables")
    total, done = sum(table["bytes"] for table in tables), 0
    sums: dict[str, list[Any]] = {}
    for table in tables:
        statement = QUERIES["sum_table"].format(
            columns=SQL(", ").join(
                Identifier(column)
                if column in table["plain"]
                else SQL('{}::text COLLATE "C"').format(Identifier(column))
                for column in table["columns"]
            ),
            table=Identifier(table["schema"], table["name"]),
        )
        row = connection.execute(statement).fetchone()
        assert row is not None
        sums[f"{table['schema']}.{table['name']}"] = list(row)
        done += table["bytes"]
        report(done, total)
    objects = {row["kind"]: [row["count"], row["hash"]] for row in _rows(connection, "objects")}
    return Content(sums, sequences_of(connection), objects)


def sequences_of(connection: Connection[Any]) -> dict[str, int]:
    """Where each sequence is now: no snapshot holds it."""
    return {row["name"]: row["last"] for row in _rows(connection, "sequences")}


def sizes_of(connection: Connection[Any]) -> dict[str, int]:
    """Bytes of each table."""
    return {f"{row['schema']}.{row['name']}": row["bytes"] for row in _rows(connection, "tables")}


def differences(
    wanted: Content, latest_sequences: dict[str, int], there: Content, *, same_major: bool
) -> Iterator[str]:
    """What a restored database has otherwise than its dump's snapshot had, in words.

    Definitions are compared only between servers of one major version: others may write them otherwise.
    """
    for name in sorted(wanted.tables.keys() | there.tables.keys()):
        before, after = wanted.tables.get(name), there.tables.get(name)
        if before is None or after is None:
            yield f"{name} is {'not in the backup' if before is None else 'missing'}"
        elif before[0] != after[0]:
            yield f"{name} has {after[0]:,} rows, not {before[0]:,}"
        elif before[1] != after[1]:
            yield f"rows of {name} differ"
    for name, first in wanted.sequences.items():
        last = max(latest_sequences.get(name, first), first)
        if not first <= there.sequences.get(name, first - 1) <= last:
            yield f"the sequence {name} is at {there.sequences.get(name, 'nothing')}, not {first}"
    if same_major:
        for kind in sorted(wanted.objects.keys() | there.objects.keys()):
            if wanted.objects.get(kind) != there.objects.get(kind):
                yield f"{kind} differ ({there.objects.get(kind, [0])[0]} of {wanted.objects.get(kind, [0])[0]})"


def _rows(connection: Connection[Any], query: str) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(QUERIES[query]).fetchall()
