"""Finding source rows again: by source key, or by the key they have in the target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.engine.sides import Sides
from migration_portal.plan import compile
from migration_portal.plan.model import Table

_BATCH = 5000


def keys_in(columns: Sequence[Composable], keys: Sequence[Sequence[str]]) -> Composable:
    """A condition that (columns, as text) is one of `keys`, by a hashed sub-select."""
    arrays = SQL(", ").join(SQL("{}::text[]").format(Literal([key[n] for key in keys])) for n in range(len(columns)))
    return SQL("({}) IN (SELECT * FROM unnest({}))").format(
        SQL(", ").join(SQL("{}::text").format(column) for column in columns), arrays
    )


def by_source_key(table: Table, keys: Sequence[Sequence[str]]) -> Composable:
    """A condition over the source row; a single column is compared without a cast, so that its index serves."""
    if len(table.key) == 1:
        return SQL("{} = ANY({})").format(Identifier(table.key[0]), Literal([key[0] for key in keys]))
    return keys_in([Identifier(name) for name in table.key], keys)


def array_of_keys(keys: Iterable[Sequence[str]]) -> Composable:
    """The keys as the text of their arrays, for a comparison with `portal_source_key::text`: PostgreSQL has no ragged arrays."""
    arrays = SQL(", ").join(SQL("({}::text[])::text").format(Literal(list(key))) for key in keys)
    return SQL("ARRAY[{}]::text[]").format(arrays)


def by_target_key(sides: Sides, table: Table, keys: Sequence[Sequence[str]]) -> list[tuple[list[str], list[str], str]]:
    """The source rows whose mapped key is one of `keys`: (source key, target key, row as JSON text).

    First through the source's own index, for keys that are written alike on both sides; the
    rest by one pass over the table.
    """
    found: list[tuple[list[str], list[str], str]] = []
    wanted = {tuple(key) for key in keys}
    for place in range(0, len(keys), _BATCH):
        batch = keys[place : place + _BATCH]
        if len(table.key) == 1:
            guess = by_source_key(table, [[value] for key in batch for value in key])
            found += [row for row in _select(sides, table, guess) if tuple(row[1]) in wanted]
    missing = wanted - {tuple(row[1]) for row in found}
    if missing:
        found += _select(sides, table, keys_in(_mapped_key(sides, table), [list(key) for key in missing]))
    return found


def _mapped_key(sides: Sides, table: Table) -> list[Composable]:
    """The target key's expressions where no reject rule holds, else NULL: a cast must not see the rows it fails on."""
    columns = [column for name in sides.info(table).primary_key if (column := table.column(name))]
    return [
        SQL("CASE WHEN NOT {} THEN {} END").format(compile.rejected(table), compile.raw(column.sql))
        for column in columns
    ]


def _select(sides: Sides, table: Table, where: Composable) -> list[tuple[list[str], list[str], str]]:
    mapped_key = SQL(", ").join([SQL("({})::text").format(part) for part in _mapped_key(sides, table)])
    statement = SQL(
        "SELECT {source_key}, ARRAY[{mapped}], row_to_json({name})::text FROM {table} WHERE {where}"
    ).format(
        source_key=compile.source_key(table),
        mapped=mapped_key,
        name=Identifier(table.source),
        table=compile.source_table(sides.plan, table),
        where=where,
    )
    with sides.legacy.transaction():
        return list(sides.legacy.execute(statement).fetchall())
