"""Loading imported tables into the legacy database of this portal: one of its own, which stands in for the real one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.engine.errors import describe
from migration_portal.engine.queries import named
from migration_portal.importing.model import ImportedTable
from migration_portal.refusal import Refusal

SCHEMA = "imported"
_SIGNED = "imported by Sigma Transit"
_QUERIES = named(Path(__file__).parent / "importing.sql")


def load(database: Connection[Any], tables: Sequence[ImportedTable], *, replace: bool = False) -> dict[str, int]:
    """Create the tables in the schema `imported` and fill them, in one transaction. Returns rows by table.

    Raises Refusal where the database holds anybody's tables, or an import already, unless `replace` is true; and where a row does
    not fit: then nothing was loaded.
    """
    counts: dict[str, int] = {}
    with database.transaction():
        _make_room(database, replace=replace)
        for table in tables:
            try:
                counts[table.name] = _fill(database, table)
            except psycopg.Error as error:
                where = f", {place.splitlines()[0]}" if (place := error.diag.context) else ""
                raise Refusal(
                    f"A row does not fit: {describe(error).what}", subject=f"{table.name}{where}",
                    todo="Correct it there. Nothing was loaded.",
                ) from error  # fmt: skip
        for table in tables:
            _refer(database, table)
    database.execute("ANALYZE")
    return counts


def _make_room(database: Connection[Any], *, replace: bool) -> None:
    if held := database.execute(_QUERIES["held"], {"signed": _SIGNED}).fetchone():
        raise Refusal(
            f"It holds tables in the schema {held[0]}: an import needs a database of its own.", subject="legacy database",
            todo="Create an empty one, and let LEGACY_DATABASE_URL name it.",
        )  # fmt: skip
    there = database.execute("SELECT to_regnamespace(%s) IS NOT NULL", [SCHEMA]).fetchone()
    if there and there[0]:
        if not replace:
            raise Refusal(
                "It holds an import already.", subject="legacy database", todo="Add --replace to import anew."
            )
        if _captured(database):
            raise Refusal(
                "A run captures its changes: what was migrated would no longer be told apart.", subject="legacy database",
                todo="Undo or uncapture the run first.",
            )  # fmt: skip
        database.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(SCHEMA)))
    database.execute(SQL("CREATE SCHEMA {}").format(Identifier(SCHEMA)))
    database.execute(SQL("COMMENT ON SCHEMA {} IS {}").format(Identifier(SCHEMA), Literal(_SIGNED)))


def _captured(database: Connection[Any]) -> bool:
    row = database.execute("SELECT to_regnamespace('portal_capture') IS NOT NULL").fetchone()
    return bool(row and row[0])


def _fill(database: Connection[Any], table: ImportedTable) -> int:
    name = Identifier(SCHEMA, table.name)
    columns = SQL(", ").join(
        SQL("{} {}{}").format(Identifier(each), SQL(kind), SQL(" NOT NULL") if each in table.not_null else SQL(""))  # type: ignore[arg-type]
        for each, kind in table.columns.items()
    )
    database.execute(SQL("CREATE TABLE {} ({})").format(name, columns))
    with database.cursor() as cursor, cursor.copy(SQL("COPY {} FROM STDIN").format(name)) as sink:
        count = 0
        for row in table.rows():
            sink.write_row(row)
            count += 1
    for kind, names in [("PRIMARY KEY", table.key), *(("UNIQUE", each) for each in table.uniques)]:
        if names:
            database.execute(SQL("ALTER TABLE {} ADD {} ({})").format(name, SQL(kind), _listed(names)))  # type: ignore[arg-type]
    return count


def _refer(database: Connection[Any], table: ImportedTable) -> None:
    """As declared, and not enforced: what MySQL let in must come in here."""
    for each in table.references:
        database.execute(
            SQL("ALTER TABLE {} ADD FOREIGN KEY ({}) REFERENCES {} ({}) NOT VALID").format(
                Identifier(SCHEMA, table.name),
                _listed(each.columns),
                Identifier(SCHEMA, each.parent),
                _listed(each.parent_columns),
            )
        )


def _listed(names: Sequence[str]) -> Composable:
    return SQL(", ").join(map(Identifier, names))
