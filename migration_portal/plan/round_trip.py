"""What becomes of a legacy row that comes back as it arrived: reverse(forward(row)), computed by legacy itself. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from migration_portal.plan import compile
from migration_portal.plan.mentioned import words
from migration_portal.plan.model import Catalog, Column, Plan, Read, Table, TableInfo
from migration_portal.plan.spelling import spelled


@dataclass(frozen=True)
class RoundTrip:
    """Of the rows of a legacy table: there by its table plan, back by a reverse section, the table's or that of one it reads."""

    schema: str
    table: Table
    read: Read | None
    source: Catalog
    target: Catalog

    @property
    def name(self) -> str:
        """The legacy table that the way back leads to."""
        return self.read.source if self.read else self.table.source

    @property
    def legacy(self) -> TableInfo:
        return self.source[self.name]

    @property
    def lossy(self) -> tuple[str, ...]:
        return self.read.lossy if self.read else self.table.lossy

    @property
    def key(self) -> tuple[str, ...]:
        return self.read.link if self.read else self.table.key

    def uncertain(self) -> list[Column]:
        """The columns that may come back as something else: those that are not one and the same column both ways."""
        reverse = self.read.reverse if self.read else self.table.reverse
        return [column for column in reverse if not self._same(column)]

    def _same(self, column: Column) -> bool:
        if self.read:
            return column.name in self.read.link
        if column.number:
            there = self.table.column(column.number.over)
            return there is not None and there.number == replace(column.number, over=column.name)
        there = self.table.column(spelled(column.sql))
        if there is None or there.name not in self._iam.columns or spelled(there.sql) != column.name:
            return False
        checked = any(rule.cast and column.name in set(words(rule.sql)) for rule in self.table.reject)
        return (there.sql, column.sql) == (column.name, there.name) or (self.is_id(column) and checked)

    def is_id(self, column: Column) -> bool:
        """Ids come back as legacy writes them: one in capitals is the same."""
        there = self._iam.columns.get(spelled(column.sql))
        return self.read is None and there is not None and there.type == "uuid"

    @property
    def _iam(self) -> TableInfo:
        return self.target[self.table.target]

    def echo(self, column: Column, row: str) -> Composable:
        """What the column would be for the legacy row `row` (an alias) if the IAM had only what was copied of it.

        NULL for rows that the reject rules name.
        """
        kind = self.legacy.columns[column.name].type
        # A view may have got the key twice meanwhile.
        return SQL("(SELECT ({})::{} FROM {} LIMIT 1)").format(
            compile.raw(column.sql), compile.raw(kind), self._brought(column.reading, row)
        )

    def _brought(self, reading: str, row: str) -> Composed:
        """What was copied of the row, by the name of the IAM's table: the columns that stand in `reading`."""
        mentioned = set(words(reading))
        parts = [
            SQL("({})::{} AS {}").format(
                compile.raw(each.sql), compile.raw(self._iam.columns[each.name].sent_as), Identifier(each.name)
            )
            for each in self.table.columns
            if each.name in mentioned
        ]
        return SQL("(SELECT {} FROM {} AS {} WHERE NOT {}) AS {}").format(
            SQL(", ").join(parts), self._row_of(row), Identifier(self.table.source), compile.rejected(self.table),
            Identifier(self.table.target),
        )  # fmt: skip

    def _row_of(self, row: str) -> Composable:
        """The row that is mapped: itself, or the one that reads it."""
        if self.read is None:
            return SQL("(SELECT {}.*)").format(compile.raw(row))
        return SQL("(SELECT reader.* FROM {} AS reader WHERE {})").format(
            Identifier(self.schema, self.table.source), compile.same(self.table.key, self.read.link, "reader", row)
        )

    def changed(self, column: Column) -> Composed:
        """True for rows of the legacy table (by its name) whose column would come back as something else."""
        row = Identifier(self.name).as_string()
        was, becomes = SQL("{}.{}").format(compile.raw(row), Identifier(column.name)), self.echo(column, row)
        if self.is_id(column):
            was, becomes = SQL("lower({}::text)").format(was), SQL("lower({}::text)").format(becomes)
        elif compile.by_its_text(self.legacy.columns[column.name]):
            was, becomes = SQL("{}::text").format(was), SQL("{}::text").format(becomes)
        return SQL("({} AND {} IS DISTINCT FROM {})").format(self._arrives(row), becomes, was)

    def _arrives(self, row: str) -> Composable:
        """True for rows of the legacy table that the reject rules do not keep out, nor those that read them."""
        if self.read is None:
            return SQL("NOT {}").format(compile.rejected(self.table))
        return SQL("EXISTS (SELECT FROM {} AS {} WHERE NOT {})").format(
            self._row_of(row), Identifier(self.table.source), compile.rejected(self.table)
        )

    def count(self, columns: Sequence[Column], where: Composable) -> Composed:
        """One row: how many there are, then for each column how many of them would come back as something else."""
        counts = [SQL("count(*) FILTER (WHERE {})").format(self.changed(column)) for column in columns]
        return SQL("SELECT {} FROM {} WHERE {}").format(
            SQL(", ").join([SQL("count(*)"), *counts]), Identifier(self.schema, self.name), where
        )

    def sample(self, column: Column, most: int) -> Composed:
        """Key, value and what it would come back as, as text, of rows whose column would come back as something else."""
        key = SQL(", ").join(SQL("{}::text").format(Identifier(name)) for name in self.key)
        return SQL("SELECT ARRAY[{}], {}::text, {}::text FROM {} WHERE {} LIMIT {}").format(
            key, Identifier(column.name), self.echo(column, Identifier(self.name).as_string()),
            Identifier(self.schema, self.name), self.changed(column), Literal(most),
        )  # fmt: skip

    def leaving(self) -> Composed | None:
        """How many rows of a table that is read are not among those that would come back into it, as a SELECT of one number.

        None where all would.
        """
        if self.read is None or not self.read.where:
            return None
        row = Identifier(self.name).as_string()
        return SQL("SELECT count(*) FROM {} WHERE {} AND NOT EXISTS (SELECT FROM {} WHERE {})").format(
            Identifier(self.schema, self.name), self._arrives(row), self._brought(self.read.where, row),
            compile.raw(self.read.where),
        )  # fmt: skip

    def reborn(self) -> Composed | None:
        """Whether a row that is born in the IAM has the same id there after it has come back, as a SELECT of one boolean.

        None where that cannot be asked: the IAM's key is no single uuid that legacy's key alone is made of.
        """
        if self.read and not self.table.view:
            return None  # its reader's is asked
        key = self._iam.primary_key
        column = self.table.column(key[0]) if len(key) == 1 else None
        back = {each.name: each.sql for each in (self.read or self.table).reverse}
        if (
            column is None
            or column.number
            or self._iam.columns[key[0]].type != "uuid"
            or not set(self.key) <= back.keys()
        ):
            return None
        mentioned = set(words(column.reading)) & self.source[self.table.source].columns.keys()
        if not mentioned <= set(self.table.key):
            return None
        names = SQL(", ").join(
            SQL("({})::{} AS {}").format(
                compile.raw(back[name]), compile.raw(self.legacy.columns[name].type), Identifier(of_key)
            )
            for name, of_key in zip(self.key, self.table.key, strict=True)
        )
        # In a scope of its own, or a column that both tables have would be ambiguous.
        return SQL(
            "SELECT (SELECT ({there})::uuid FROM (SELECT {names}) AS {source}) = {target}.{key}"
            " FROM (SELECT gen_random_uuid() AS {key}) AS {target}"
        ).format(
            there=compile.raw(column.sql), names=names, source=Identifier(self.table.source),
            target=Identifier(self.table.target), key=Identifier(key[0]),
        )  # fmt: skip


def round_trips(plan: Plan, source: Catalog, target: Catalog) -> list[RoundTrip]:
    """One for each reverse section. For a plan that fits both catalogs."""
    return [
        RoundTrip(plan.source_schema, table, read, source, target)
        for table in plan.tables
        for read in (None, *table.reads)
        if (read.reverse if read else table.reverse)
    ]


def trip_of(back: Plan, table: Table, source: Catalog, target: Catalog) -> RoundTrip | None:
    """Of a table plan that leads back; the catalogs are legacy's and the IAM's."""
    return RoundTrip(back.target_schema, table.forward, table.read, source, target) if table.forward else None
