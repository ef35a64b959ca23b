"""Comparing a part of both sides, read-only, through indexes: one tenant, or the keys that were just written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.engine.merge_work import pseudo
from migration_portal.engine.sides import Sides
from migration_portal.engine.source import by_source_key, keys_in
from migration_portal.engine.verification import Difference, differing_fields, row_hash, same_hashes, select_rows
from migration_portal.plan import compile, directions
from migration_portal.plan.model import Table

Fields = dict[tuple[str, ...], dict[str, str | None]]


def compare_tenant(sides: Sides, legacy_tenant: str, tenant: str) -> dict[str, list[Difference]]:
    """The rows of one tenant that differ, by target table; `sides` are those of the way forward.

    Of a tenant at home in the IAM, only tables with a way back can be compared.
    """
    found = {}
    for table in sides.plan.tables:
        if tenant in sides.away and not table.reverse:
            continue
        theirs = _legacy_where(sides, table, legacy_tenant)
        ours = _iam_where(sides, table, tenant)
        if theirs is not None and (differences := _compare(sides, table, theirs, ours)):
            found[table.target] = differences
    return found


def compare_keys(sides: Sides, source: str, keys: Sequence[tuple[str, ...]]) -> dict[str, list[Difference]]:
    """The rows made of these source keys that differ, by target table; for tables whose whole key follows from the source's."""
    found = {}
    for table in directions.siblings(sides.plan, source):
        owner = [column.name for column in directions.owner(table, sides.source, sides.target)]
        if not keys or len(owner) < len(sides.info(table).primary_key):
            continue
        with sides.legacy.transaction():
            targets = [row[:-1] for row in sides.legacy.execute(pseudo(sides, table, keys))]
        parts = [
            SQL("{} = ANY({}::{}[])").format(
                Identifier(name), Literal([str(row[n]) for row in targets]),
                compile.raw(sides.info(table).columns[name].type),
            )
            for n, name in enumerate(owner)
        ]  # fmt: skip
        if differences := _compare(sides, table, by_source_key(table, keys), SQL(" AND ").join(parts)):
            found[table.target] = differences
    return found


def row_on_both_sides(sides: Sides, table: Table, key: Sequence[str]) -> dict[str, tuple[Any, Any]]:
    """Each compared column of one row, as (legacy, IAM) text, secrets masked; absent rows are all None."""
    legacy = _fields(sides, table, "legacy", by_source_key(table, [key]))
    with sides.legacy.transaction():
        target = [tuple(map(str, row[:-1])) for row in sides.legacy.execute(pseudo(sides, table, [tuple(key)]))]
    owner = [column.name for column in directions.owner(table, sides.source, sides.target)]
    where = SQL(" AND ").join(
        SQL("{}::text = {}").format(Identifier(name), Literal(target[0][n] if target else None))
        for n, name in enumerate(owner)
    )
    iam = _fields(sides, table, "iam", where)
    theirs = next(iter(legacy.values()), None)
    ours = next(iter(iam.values()), None)

    def shown(name: str, row: dict[str, str | None] | None) -> str | None:
        value = row.get(name) if row else None
        return "(secret)" if value is not None and name in table.secret else value

    return {name: (shown(name, theirs), shown(name, ours)) for name in _names(table)}


def _names(table: Table) -> list[str]:
    """What both systems keep: the plan's defaults belong to the IAM."""
    return [column.name for column in table.columns if not column.default]


def _legacy_where(sides: Sides, table: Table, tenant: str) -> Composable | None:
    column = directions.tenant_column(sides.plan, table.source, sides.source)
    return SQL("{} = {}").format(Identifier(column), Literal(tenant)) if column else None


def _iam_where(sides: Sides, table: Table, tenant: str) -> Composable:
    """The tenant's rows: by their own column, or by a foreign key to the first table of the same source."""
    if table.tenant:
        return SQL("{} = {}").format(Identifier(table.tenant), Literal(tenant))
    found = directions.through_first(sides.plan, table, sides.target)
    if found is None or found[0].tenant is None:
        return SQL("false")
    first, key = found
    return SQL("({}) IN (SELECT {} FROM {} WHERE {} = {})").format(
        SQL(", ").join(map(Identifier, key.columns)), SQL(", ").join(map(Identifier, key.parent_columns)),
        sides.target_table(first.target), Identifier(first.tenant or ""), Literal(tenant),
    )  # fmt: skip


def _compare(sides: Sides, table: Table, theirs: Composable, ours: Composable) -> list[Difference]:
    """By a hash of each row first; the fields only of rows whose hashes differ."""
    quick = same_hashes(sides)
    hashes = {side: _hashes(sides, table, side, where, quick) for side, where in (("legacy", theirs), ("iam", ours))}
    keys = hashes["legacy"].keys() | hashes["iam"].keys()
    suspects = [key for key in keys if hashes["legacy"].get(key) != hashes["iam"].get(key)]
    if not suspects:
        return []
    legacy, iam = _fields(sides, table, "legacy", theirs, suspects), _fields(sides, table, "iam", ours, suspects)
    found = []
    for key in legacy.keys() | iam.keys():
        if key not in iam:
            found.append(Difference("missing", key, {}))
        elif key not in legacy:
            found.append(Difference("extra", key, {}))
        elif fields := differing_fields(table, legacy[key], iam[key]):
            found.append(Difference("differs", key, fields))
    return sorted(found, key=lambda difference: difference.key)


def _hashes(sides: Sides, table: Table, side: str, where: Composable, quick: bool) -> dict[tuple[str, ...], int]:
    info = sides.info(table)
    statement = SQL("SELECT {}, {} FROM ({}) AS mapped").format(
        compile.target_key(info.primary_key), row_hash(compile.comparable(_names(table), info), quick),
        select_rows(sides, table, side, where),
    )  # fmt: skip
    connection = sides.legacy if side == "legacy" else sides.iam
    with connection.transaction():
        return {tuple(key): value for key, value in connection.execute(statement)}


def _fields(
    sides: Sides, table: Table, side: str, where: Composable, keys: Sequence[tuple[str, ...]] | None = None
) -> Fields:
    names, primary_key = _names(table), sides.info(table).primary_key
    statement = SQL("SELECT {}, ARRAY[{}] FROM ({}) AS mapped WHERE {}").format(
        compile.target_key(primary_key),
        SQL(", ").join(SQL("{}::text").format(Identifier(name)) for name in names),
        select_rows(sides, table, side, where),
        SQL("true") if keys is None else keys_in([Identifier(name) for name in primary_key], keys),
    )
    connection = sides.legacy if side == "legacy" else sides.iam
    with connection.transaction():
        return {tuple(key): dict(zip(names, values, strict=True)) for key, values in connection.execute(statement)}
