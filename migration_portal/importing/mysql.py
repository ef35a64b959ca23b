"""A MySQL or MariaDB database, read from one snapshot over PyMySQL: tables with their types, keys and foreign keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pymysql
from pymysql.converters import encoders
from pymysql.cursors import SSCursor

from migration_portal.importing.model import ImportedTable, Reference, Row
from migration_portal.refusal import Refusal

_TYPES = {
    "tinyint": "smallint", "smallint": "integer", "mediumint": "integer", "int": "bigint", "bigint": "bigint",
    "year": "smallint",
    "decimal": "numeric", "float": "double precision", "double": "double precision", "date": "date", "time": "interval",
    "datetime": "timestamp", "timestamp": "timestamptz", "json": "json", "blob": "bytea", "tinyblob": "bytea",
    "mediumblob": "bytea", "longblob": "bytea", "varbinary": "bytea", "binary": "bytea",
}  # fmt: skip
"""Wide enough also for unsigned numbers; everything else is text."""
_SELECTED = {False: "`{}`", True: "HEX(`{}`)"}
"""How a column is asked for: bytes as their digits."""
_NO_DATE = re.compile(r"0000-|-00")
"""MySQL's zero dates, which are none."""
_ENGINES = ("InnoDB",)


@contextmanager
def tables_of(url: str) -> Iterator[list[ImportedTable]]:
    """The database's tables, from one snapshot that ends with the context. Raises Refusal."""
    try:
        connection = _connect(url)
    except (pymysql.Error, OSError, ValueError) as error:
        raise Refusal(
            f"It cannot be opened: {_words(error)}.", subject=_named(url), todo="Correct mysql://user:password@host:port/database.",
        ) from error  # fmt: skip
    try:
        with connection.cursor() as cursor:
            # A timestamp is written in the session's zone; ours is UTC.
            cursor.execute("SET SESSION time_zone = '+00:00'")
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        yield _tables(connection)
    except pymysql.Error as error:
        raise Refusal(f"It could not be read: {_words(error)}.", subject=_named(url), todo="Try again.") from error
    finally:
        connection.close()


def _connect(url: str) -> Any:
    parts = urlsplit(url)
    name = unquote(parts.path.lstrip("/"))
    if not name:
        raise ValueError("it names no database")
    options = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    return pymysql.connect(
        host=parts.hostname or "127.0.0.1", port=parts.port or 3306, user=unquote(parts.username or ""),
        password=unquote(parts.password or ""), database=name, charset="utf8mb4", connect_timeout=5, read_timeout=600,
        unix_socket=options.get("unix_socket"), ssl_ca=options.get("ssl_ca"),
        conv=dict(encoders),  # type: ignore[arg-type]  # and no decoders: values stay text
    )  # fmt: skip


def _tables(connection: Any) -> list[ImportedTable]:
    found = _asked(
        connection,
        "SELECT table_name, engine FROM information_schema.tables"
        " WHERE table_schema = database() AND table_type = 'BASE TABLE' ORDER BY 1",
    )
    if other := [name for name, engine in found if engine not in _ENGINES]:
        raise Refusal(
            f"These tables keep no snapshot: {', '.join(other)}.", subject="MySQL",
            todo="Stop writing to them and convert them to InnoDB, or leave them out.",
        )  # fmt: skip
    return [_table(connection, name) for name, _ in found]


def _table(connection: Any, name: str) -> ImportedTable:
    columns, not_null, quoted = {}, set(), []
    about = _asked(
        connection,
        "SELECT column_name, data_type, column_type, is_nullable FROM information_schema.columns"
        " WHERE table_schema = database() AND table_name = %s ORDER BY ordinal_position", name,
    )  # fmt: skip
    for column, kind, full, nullable in about:
        columns[column] = _type(kind, full)
        quoted.append(_SELECTED[columns[column] in ("bytea", "uuid")].format(column.replace("`", "``")))
        if nullable == "NO" and kind not in ("date", "datetime", "timestamp"):  # a zero date becomes NULL
            not_null.add(column)
    keys: dict[str, list[str]] = {}
    for index, column in _asked(
        connection,
        "SELECT index_name, column_name FROM information_schema.statistics WHERE table_schema = database() AND table_name = %s"
        " AND non_unique = 0 AND sub_part IS NULL ORDER BY index_name, seq_in_index", name,
    ):  # fmt: skip
        keys.setdefault(index, []).append(column)
    primary = tuple(keys.pop("PRIMARY", ()))
    select = f"SELECT {', '.join(quoted)} FROM `{name.replace('`', '``')}`"
    return ImportedTable(
        name, columns, primary, lambda: _rows(connection, select, list(columns.values())), frozenset(not_null),
        tuple(map(tuple, keys.values())), tuple(_references(connection, name)),
    )  # fmt: skip


def _type(kind: str, full: str) -> str:
    if full == "tinyint(1)":
        return "boolean"
    if full == "binary(16)":  # how MySQL keeps a UUID
        return "uuid"
    return "numeric" if full.startswith("bigint") and "unsigned" in full else _TYPES.get(kind, "text")


def _references(connection: Any, name: str) -> Iterator[Reference]:
    keys: dict[str, list[tuple[str, str, str]]] = {}
    for constraint, column, parent, parent_column in _asked(
        connection,
        "SELECT constraint_name, column_name, referenced_table_name, referenced_column_name"
        " FROM information_schema.key_column_usage"
        " WHERE table_schema = database() AND referenced_table_schema = database() AND table_name = %s"
        " ORDER BY constraint_name, ordinal_position", name,
    ):  # fmt: skip
        keys.setdefault(constraint, []).append((column, parent, parent_column))
    for parts in keys.values():
        yield Reference(tuple(part[0] for part in parts), parts[0][1], tuple(part[2] for part in parts))


def _rows(connection: Any, select: str, types: list[str]) -> Iterator[Row]:
    with connection.cursor(SSCursor) as cursor:
        cursor.execute(select)
        for row in cursor:
            yield [_value(value, type) for value, type in zip(row, types, strict=True)]


def _value(value: Any, type: str) -> str | None:
    if value is None:
        return None
    text = value.decode() if isinstance(value, bytes) else str(value)
    if type == "bytea":
        return f"\\x{text}"
    if type in ("date", "timestamp", "timestamptz"):
        return None if _NO_DATE.search(text[:10]) else f"{text}+00" if type == "timestamptz" else text
    return text


def _asked(connection: Any, statement: str, *arguments: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        return [tuple(each.decode() if isinstance(each, bytes) else each for each in row) for row in cursor.fetchall()]


def _words(error: Exception) -> str:
    return str(error.args[1] if len(error.args) > 1 else error).rstrip(".")


def _named(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname or ''}{parts.path}"
