"""What was written since a backup: the database that was put aside against the restored one, row by row, in words of tenants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any
from typing import Literal as OneOf

from psycopg import Connection
from psycopg.rows import dict_row
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from migration_portal import databases
from migration_portal.backups import scratch
from migration_portal.backups.content import QUERIES
from migration_portal.backups.models import Restoration
from migration_portal.engine import catalog, single_out
from migration_portal.plan import belonging
from migration_portal.plan.model import Plan
from migration_portal.refusal import Refusal

Kind = OneOf["added", "changed", "removed"]
_FETCH = 5000


@dataclass(frozen=True)
class Row:
    """A row that differs: its key as text, what happened to it since the backup, and its tenant ("" for nobody)."""

    key: tuple[str, ...]
    kind: Kind
    tenant: str


@dataclass(frozen=True)
class Table:
    """A table that both databases have; without a key its rows cannot be told apart."""

    schema: str
    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    parents: frozenset[str]
    tenant: Composable
    unsure: bool
    """Whether saying its tenant may fail: it takes an expression, or another row."""

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> Identifier:
        return Identifier(self.schema, self.name)

    @property
    def key_columns(self) -> list[Identifier]:
        return [Identifier(column) for column in self.key]

    @property
    def key_as_text(self) -> Composed:
        """One array of text, ordered byte by byte in every database."""
        parts = (SQL('{}::text COLLATE "C"').format(Identifier(column)) for column in self.key)
        return SQL("ARRAY[{}]").format(SQL(", ").join(parts))


@dataclass(frozen=True)
class Pair:
    """Sessions on the database that was put aside and on the one in its place."""

    kept: Connection[Any]
    live: Connection[Any]
    tables: list[Table]
    """Parents first."""


@contextmanager
def opened(made: Restoration, plan: Plan) -> Iterator[Pair]:
    """Both databases of a swapped restoration. Raises Refusal."""
    if not made.swapped_at:
        raise Refusal("It has not been swapped.", subject=str(made), todo="Swap it first: until then nothing is lost.")
    side = made.backup.side
    with ExitStack() as stack:
        kept = stack.enter_context(databases.of_url(scratch.url_in(side, made.kept_as), "reconciliation"))
        live = stack.enter_context(databases.of_side(side, "reconciliation"))
        yield Pair(kept, live, _parents_first(_tables(kept, live, side, plan)))


@contextmanager
def opened_beside(made: Restoration, plan: Plan) -> Iterator[Pair]:
    """The side's database, as if it were put aside, and the restored one, as if it were in its place."""
    side = made.backup.side
    with ExitStack() as stack:
        kept = stack.enter_context(databases.of_side(side, "rehearsal"))
        live = stack.enter_context(databases.of_url(scratch.url_in(side, made.into), "rehearsal"))
        yield Pair(kept, live, _parents_first(_tables(kept, live, side, plan)))


def rows_since(pair: Pair, table: Table) -> Iterator[Row]:
    """Every row of the table that differs, by key. Raises psycopg.Error."""
    if not table.key:
        return
    # Whose tenant cannot be said is nobody's: it must not keep the others from being listed.
    sides = (pair.kept, pair.live)
    unsaid = [
        key
        for side in (sides if table.unsure else ())
        for key in single_out.unsaid(side, table.identifier, table.key_as_text, table.tenant)
    ]
    tenant = SQL("coalesce({}, '')").format(table.tenant)
    if unsaid:
        nobodys = SQL(", ").join(map(Literal, unsaid))
        tenant = SQL("(CASE WHEN {} IN ({}) THEN '' ELSE {} END)").format(table.key_as_text, nobodys, tenant)
    statement = QUERIES["rows_by_key"].format(
        key=table.key_as_text, columns=SQL(", ").join(map(Identifier, table.columns)), tenant=tenant, table=table.identifier,
    )  # fmt: skip
    with pair.kept.transaction(), pair.live.transaction():
        before, after = _stream(pair.kept, statement), _stream(pair.live, statement)
        old, new = next(before, None), next(after, None)
        while old is not None or new is not None:
            if new is None or (old is not None and old[0] < new[0]):
                assert old is not None
                yield Row(tuple(old[0]), "added", old[2])
                old = next(before, None)
            elif old is None or new[0] < old[0]:
                yield Row(tuple(new[0]), "removed", new[2])
                new = next(after, None)
            else:
                if old[1] != new[1]:
                    yield Row(tuple(old[0]), "changed", old[2])
                old, new = next(before, None), next(after, None)


def list_written(pair: Pair, report: Callable[[int, int], None]) -> dict[tuple[str, str], dict[str, int]]:
    """(tenant, table) → how many rows were added, changed and removed since the backup."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for number, table in zip(count(), pair.tables, strict=False):
        report(number, len(pair.tables))
        for row in rows_since(pair, table):
            counts = found.setdefault((row.tenant, str(table)), {"added": 0, "changed": 0, "removed": 0})
            counts[row.kind] += 1
    return found


_cursors = count()


def _stream(connection: Connection[Any], statement: Composed) -> Iterator[Any]:
    with connection.cursor(f"since_{next(_cursors)}") as cursor:
        cursor.itersize = _FETCH
        cursor.execute(statement)
        yield from cursor


def _tables(kept: Connection[Any], live: Connection[Any], side: str, plan: Plan) -> list[Table]:
    there = {(row["schema"], row["name"]): row for row in _keys(live)}
    tenants = _tenants(kept, side, plan)
    found = []
    for row in _keys(kept):
        name = row["schema"], row["name"]
        if name not in there or not row["key"]:
            continue
        columns = [column for column in row["columns"] if column in set(there[name]["columns"])]
        found.append(
            Table(
                *name, tuple(row["key"]), tuple(columns), frozenset(row["parents"]),
                *tenants.get(f"{name[0]}.{name[1]}", (SQL("NULL::text"), False)),
            )
        )  # fmt: skip
    return found


def unlisted(pair: Pair) -> list[str]:
    """Tables of either database whose rows cannot be told apart or have no counterpart: without a key, or on one side only."""
    kept, live = _keys(pair.kept), _keys(pair.live)
    names = {f"{row['schema']}.{row['name']}" for row in (*kept, *live)}
    return sorted(names - {str(table) for table in pair.tables})


def _keys(connection: Connection[Any]) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(QUERIES["keys"]).fetchall()


def _tenants(connection: Connection[Any], side: str, plan: Plan) -> dict[str, tuple[Composable, bool]]:
    """schema.table → the expression of a row's tenant, and whether it may fail; of the tables that the plan knows."""
    if side == "portal":
        return {}
    schema = plan.source_schema if side == "legacy" else plan.target_schema
    databases.enter(connection, schema)
    there = catalog.read(connection, schema)
    if side == "legacy":
        about = {name: belonging.concerned(plan, name)[0] for name in plan.watched if name in there}
        return {
            f"{schema}.{name}": (
                belonging.tenant_of_watched(plan, rows, there, Identifier(name).as_string(connection)),
                belonging.looked_up(plan, rows, there),
            )
            for name, rows in about.items()
        }
    return {
        f"{schema}.{table.target}": (
            belonging.target_tenant(
                plan, table, there, Identifier(schema), Identifier(table.target).as_string(connection)
            ),
            True,
        )
        for table in plan.tables
        if table.target in there
    }


def _parents_first(tables: list[Table]) -> list[Table]:
    """In foreign-key order; tables that refer to each other in a circle keep their places."""
    ordered: list[Table] = []
    waiting = list(tables)
    while waiting:
        names = {str(table) for table in waiting}
        free = [table for table in waiting if not table.parents & names] or waiting[:1]
        ordered += free
        waiting = [table for table in waiting if table not in free]
    return ordered
