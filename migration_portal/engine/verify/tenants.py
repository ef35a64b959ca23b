"""Comparing a part of both sides, read-only, through indexes: one tenant, or the keys that were just written."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

from psycopg.sql import SQL, Composable, Identifier, Literal

from migration_portal.engine import ledger, quarantine, returning
from migration_portal.engine.queries import queries
from migration_portal.engine.source import any_of, by_source_key, in_target, is_open, keys_in, one_of, parted
from migration_portal.engine.transfer import Transfer
from migration_portal.engine.verify.rows import (
    SIDES,
    Difference,
    Side,
    connection_of,
    differing_fields,
    row_hash,
    same_hashes,
    select_rows,
    shared_columns,
)
from migration_portal.plan import belonging, compile, directions
from migration_portal.plan.model import Read, Table

Fields = dict[tuple[str, ...], dict[str, str | None]]


def compare_tenant(transfer: Transfer, legacy_tenant: str, tenant: str) -> dict[str, list[Difference]]:
    """The rows of one tenant that differ, by target table; the transfer is the forward one.

    Of a tenant at home in the IAM, only tables with a reverse section can be compared.
    """
    differences = {}
    for table in transfer.plan.tables:
        if tenant in transfer.in_iam and not table.returns:
            continue
        legacy = _legacy_where(transfer, table, legacy_tenant)
        iam = _iam_where(transfer, table, tenant)
        if legacy is not None and (differing := _compare(transfer, table, legacy, iam)):
            differences[table.target] = differing
    return differences


def compare_keys(transfer: Transfer, source: str, keys: Sequence[tuple[str, ...]]) -> dict[str, list[Difference]]:
    """The rows made of these source keys that differ, by target table; for tables whose whole key follows from the source's."""
    differences = {}
    for table in transfer.plan.siblings(source):
        owner = _owner(transfer, table)
        if not keys or len(owner) < len(transfer.info(table).primary_key):
            continue
        with transfer.source.transaction():
            targets = [target for target, _ in in_target(transfer, table, keys)]
        there = any_of(one_of(names, said) for names, said in parted(owner, targets).items())
        if differing := _compare(transfer, table, by_source_key(table, keys), there):
            differences[table.target] = differing
    return differences


def lossy(transfer: Transfer, legacy_tenant: str, uncertain: Sequence[returning.Uncertain]) -> dict[str, int]:
    """Legacy columns ("table.column") → how many of the tenant's rows would come back with something else in it.

    Of those that may, and that the plan does not accept by name. Raises psycopg.Error.
    """
    found: dict[str, int] = {}
    for trip, columns in uncertain:
        where = (
            _of_read(transfer, trip.table, trip.read, legacy_tenant)
            if trip.read
            else _legacy_where(transfer, trip.table, legacy_tenant)
        )
        if where is None:
            continue
        with transfer.source.transaction():
            row = transfer.source.execute(trip.count(columns, where)).fetchone() or ()
        found |= {f"{trip.name}.{each.name}": n for each, n in zip(columns, row[1:], strict=True) if n}
    return found


def _of_read(transfer: Transfer, table: Table, read: Read, tenant: str) -> Composable:
    """The rows of a table that is read that belong to the tenant's."""
    row = Identifier(read.source).as_string()
    whose = belonging.tenant_of_watched(transfer.plan, belonging.of_read(table, read), transfer.source_catalog, row)
    return SQL("lower({}) = {}").format(whose, Literal(tenant.lower()))


def row_on_both_sides(transfer: Transfer, table: Table, key: Sequence[str]) -> dict[str, tuple[Any, Any]]:
    """Each compared column of one row, as (legacy, IAM) text, secrets masked; absent rows are all None.

    Of a key that leaves parts open nothing: there are many rows.
    """
    if is_open(key):
        return {}
    with transfer.source.transaction():
        targets = [target for target, _ in in_target(transfer, table, [key])]
    where = any_of(one_of(names, said) for names, said in parted(_owner(transfer, table), targets).items())
    legacy = next(iter(_fields(transfer, table, "legacy", by_source_key(table, [key])).values()), None)
    iam = next(iter(_fields(transfer, table, "iam", where).values()), None)

    def shown(name: str, row: dict[str, str | None] | None) -> str | None:
        value = row.get(name) if row else None
        return "(secret)" if value is not None and name in table.secret else value

    return {name: (shown(name, legacy), shown(name, iam)) for name in shared_columns(table)}


def _owner(transfer: Transfer, table: Table) -> list[str]:
    """The target key's columns that follow from the source's key."""
    return [column.name for column in directions.owner(table, transfer.source_catalog, transfer.target_catalog)]


def _legacy_where(transfer: Transfer, table: Table, tenant: str) -> Composable | None:
    column = belonging.tenant_column(transfer.plan, table.source, transfer.source_catalog)
    if column is None:
        if not belonging.owned(transfer.plan, table.source):
            return None
        return quarantine.of_tenant(transfer, table, tenant)
    if "char" not in (kind := transfer.source_catalog[table.source].columns[column].type) and kind != "text":
        return SQL("{} = {}").format(Identifier(column), Literal(tenant))
    ways = sorted({tenant, tenant.lower(), tenant.upper()})  # a row may refer to it in another way than it is written
    return SQL("{} = ANY({})").format(Identifier(column), Literal(ways))


def _iam_where(transfer: Transfer, table: Table, tenant: str) -> Composable:
    """The tenant's rows: by their own column, or by a foreign key to the first table of the same source."""
    if table.target_tenant:
        return SQL("{} = {}").format(compile.raw(table.target_tenant), Literal(tenant))
    if table.through:
        whose = belonging.target_tenant(
            transfer.plan, table, transfer.target_catalog, Identifier(transfer.schema), table.target
        )
        return SQL("{} = {}").format(whose, Literal(tenant.lower()))
    through = belonging.through_first(transfer.plan, table, transfer.target_catalog)
    if through is None:
        return SQL("false")
    first, key = through
    return SQL("({}) IN (SELECT {} FROM {} WHERE {} = {})").format(
        SQL(", ").join(map(Identifier, key.columns)), SQL(", ").join(map(Identifier, key.parent_columns)),
        transfer.target_table(first.target), compile.raw(first.target_tenant or ""), Literal(tenant),
    )  # fmt: skip


def _compare(transfer: Transfer, table: Table, legacy_where: Composable, iam_where: Composable) -> list[Difference]:
    """By a hash of each row first; the fields only of rows whose hashes differ."""
    quick = same_hashes(transfer)
    wheres = dict(zip(SIDES, (legacy_where, iam_where), strict=True))
    hashes = {side: _hashes(transfer, table, side, where, quick) for side, where in wheres.items()}
    keys = hashes["legacy"].keys() | hashes["iam"].keys()
    suspects = [key for key in keys if hashes["legacy"].get(key) != hashes["iam"].get(key)]
    if not suspects:
        return []
    legacy, iam = (_fields(transfer, table, side, wheres[side], suspects) for side in SIDES)
    differences = []
    for key in legacy.keys() | iam.keys() - _given_in_iam(transfer, table, iam.keys() - legacy.keys()):
        if key not in iam:
            differences.append(Difference("missing", key, {}))
        elif key not in legacy:
            differences.append(Difference("extra", key, {}))
        elif fields := differing_fields(table, legacy[key], iam[key]):
            differences.append(Difference("differs", key, fields))
    return sorted(differences, key=lambda difference: difference.key)


def _given_in_iam(transfer: Transfer, table: Table, extra: Set[tuple[str, ...]]) -> Set[tuple[str, ...]]:
    """Of rows that legacy does not have, those that are rightly there: what the IAM gave in a table without a way back."""
    if transfer.queue is None or table.returns or not extra:
        return set()
    primary_key = transfer.info(table).primary_key
    statement = SQL("SELECT {} FROM {} WHERE {} AND xmin::text <> ALL({})").format(
        compile.target_key(primary_key), transfer.target_table(table.target),
        keys_in([Identifier(name) for name in primary_key], list(extra)),
        Literal(list(ledger.xids_of(transfer.target, transfer.runs, table.target))),
    )  # fmt: skip
    return {tuple(row[0]) for row in transfer.target.execute(statement)}


def _hashes(transfer: Transfer, table: Table, side: Side, where: Composable, quick: bool) -> dict[tuple[str, ...], int]:
    info = transfer.info(table)
    statement = SQL("SELECT {}, {} FROM ({}) AS mapped").format(
        compile.target_key(info.primary_key), row_hash(compile.comparable(shared_columns(table), info), quick),
        select_rows(transfer, table, side, where),
    )  # fmt: skip
    connection = connection_of(transfer, side)
    with connection.transaction():
        return {tuple(key): value for key, value in connection.execute(statement)}


def _fields(
    transfer: Transfer, table: Table, side: Side, where: Composable, keys: Sequence[tuple[str, ...]] | None = None
) -> Fields:
    names, primary_key = shared_columns(table), transfer.info(table).primary_key
    statement = queries("verification")["fields"].format(
        key=compile.target_key(primary_key),
        values=SQL(", ").join(SQL("{}::text").format(Identifier(name)) for name in names),
        rows=select_rows(transfer, table, side, where),
        wanted=SQL("true") if keys is None else keys_in([Identifier(name) for name in primary_key], keys),
    )
    connection = connection_of(transfer, side)
    with connection.transaction():
        return {tuple(key): dict(zip(names, values, strict=True)) for key, values in connection.execute(statement)}
