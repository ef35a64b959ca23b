"""What a plan says, as frozen dataclasses."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Number:
    """A number by which the source table `of` knows its rows, and a UUID by which the target does: see numbers.py."""

    of: str
    over: str
    """The column of the other side."""
    schema: str = "public"
    """Of the source table: another schema counts for itself."""


@dataclass(frozen=True)
class Lookup:
    """A row that the IAM has already, by what its column `by` says: see lookups.py."""

    of: str
    """The IAM's table."""
    by: str
    over: str
    """SQL over the row: what `by` says or, on the way back, the key that it leads to."""
    where: str = ""
    """SQL over the IAM's rows: those that are meant, if not all."""
    words: tuple[tuple[str, str], ...] = ()
    """Legacy's words and the IAM's, where they are not the same."""

    @property
    def name(self) -> str:
        return f"{self.of}.{self.by}" + (f" where {self.where}" if self.where else "")

    def alike(self, word: str) -> set[str]:
        """The other words of legacy's that lead where this one does."""
        known = dict(self.words)
        theirs = known.get(word, word)
        others = {ours for ours, each in self.words if each == theirs}
        return (others if theirs in known else others | {theirs}) - {word}

    @property
    def written(self) -> str:
        """As the plan file has it."""
        said = {"lookup": self.of, "by": self.by, "where": self.where, "value": self.over}
        parts = [f"{name} = {_quoted(value)}" for name, value in said.items() if value]
        if self.words:
            words = ", ".join(f"{_quoted(ours)} = {_quoted(theirs)}" for ours, theirs in self.words)
            parts.append(f"words = {{ {words} }}")
        return f"{{ {', '.join(parts)} }}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


@dataclass(frozen=True)
class Column:
    """One target column. `sql` is an expression over the source row, or a constant when `default` is true."""

    name: str
    sql: str
    default: bool = False
    number: Number | None = None
    """Where `sql` is made of one."""
    lookup: Lookup | None = None
    """Where `sql` is made of one."""
    line: int = field(default=0, compare=False)
    """Of the plan file; 0 where nobody wrote it."""

    @property
    def written(self) -> str:
        """As the plan file has it."""
        if self.number:
            return f'{{ number = "{self.number.over}", of = "{self.number.of}" }}'
        if self.lookup:
            return self.lookup.written
        return self.sql

    @property
    def reading(self) -> str:
        """The SQL in which names of the source row's columns stand: what is looked up holds words of the IAM's rows."""
        return self.lookup.over if self.lookup else self.sql


@dataclass(frozen=True)
class Rule:
    """A named SQL predicate over the source row, true for the rows it is about.

    Most of the rows that a rule with a `cast` names fail a mapped cast anyway: where none fails, it is enough to ask for `cast`,
    which names the others and is cheaper.
    """

    name: str
    sql: str
    advice: str = ""
    cast: str = ""
    about: str = ""
    """The column whose text it wants to be a uuid, where it is no more than that."""
    lookup: Lookup | None = None
    """Where it is about rows that a look-up does not find."""
    line: int = field(default=0, compare=False)

    @property
    def written(self) -> str:
        """As the plan file has it; of a look-up, what it means."""
        return f"{self.lookup.over} is not in the IAM's {self.lookup.name}" if self.lookup else self.sql

    @property
    def looks_up(self) -> bool:
        """Whether it asks what is in a table, perhaps its own, in words that the server can make a join of."""
        said = self.lookup.over if self.lookup else self.sql  # what it finds may be called anything
        return re.search(r"\b(exists|in)\s*\(\s*select\b", said, re.IGNORECASE) is not None


@dataclass(frozen=True)
class Through:
    """The target table of the parent, and the target column that refers to it."""

    parent: str
    column: str


@dataclass(frozen=True)
class Read:
    """Another source table that a table's expressions read: its rows belong to the rows whose `key` columns its `link` holds."""

    source: str
    link: tuple[str, ...]
    key: tuple[str, ...]
    """The reader's key or, where one row here is many there, part of it; in the order of the link."""
    ignored: tuple[str, ...] = ()
    lossy: tuple[str, ...] = ()
    reverse: tuple[Column, ...] = ()
    """For reversing: its columns as expressions over the target row."""
    tenant: str = ""
    """SQL over its row: whose it is, as the source writes it; else that of the row that reads it."""
    where: str = ""
    """SQL over the target row: for reversing, those that it has rows for, if not all."""


@dataclass(frozen=True)
class Referred:
    """Values, as text, of a target column that refers to `parent`."""

    column: str
    parent: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """How the rows of one source table become rows of one target table."""

    source: str
    target: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    source_tenant: str | None = None
    """SQL over the source row: whose it is. None for rows that are nobody's, or their parent's."""
    target_tenant: str | None = None
    """The same over the target row."""
    through: Through | None = None
    """Of a table without a tenant of its own: whose tenant its rows have."""
    view: bool = False
    """Whether the source is a view: nothing can be watched or written there but the tables that it reads."""
    reads: tuple[Read, ...] = ()
    ignored: tuple[str, ...] = ()
    secret: frozenset[str] = frozenset()
    """Columns, on either side, whose values are never shown, logged or kept in quarantine."""
    reject: tuple[Rule, ...] = ()
    quality: tuple[Rule, ...] = ()
    reverse: tuple[Column, ...] = ()
    """For reversing: each source column as an expression over the target row."""
    lossy: tuple[str, ...] = ()
    """Source columns that may come back as something else where the IAM has changed what they are made of."""
    forward: Table | None = None
    """Of a table plan that leads back: the one that it is the way back of."""
    read: Read | None = None
    """And the table that it leads back into, where that is one that is read."""
    where: str = ""
    """SQL over the source row: those of a table plan that leads back that are its, if not all."""
    absent: tuple[Referred, ...] = ()
    """What a pre-flight found: parents that the plan does not fill, and the IAM does not have."""
    present: tuple[Referred, ...] = ()
    """And those that the plan does not bring, and the IAM has."""
    kept: tuple[str, ...] = ()
    """Of a table plan that leads back: columns of which legacy keeps its own unless the IAM changed what they are made of."""

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def back_into(self) -> tuple[str, ...]:
        """The legacy tables that its rows have a way back into: its source, or those that it reads."""
        own = (self.source,) if self.reverse else ()
        return own + tuple(read.source for read in self.reads if read.reverse)

    @property
    def one_of_many(self) -> bool:
        """Whether a row of a table that it reads is many of its rows."""
        return any(read.key != self.key for read in self.reads)

    @property
    def known_as(self) -> str:
        """Of a table plan that leads back: the source by which legacy's queue and the quarantine know its rows."""
        return self.forward.source if self.forward and self.forward.view else self.target

    @property
    def returns(self) -> bool:
        return bool(self.back_into)

    @property
    def made_of(self) -> dict[str, tuple[str, ...]]:
        """Legacy's tables that hold its rows, each with the columns of its key: the source, or what a view reads."""
        return {read.source: read.link for read in self.reads} if self.view and self.reads else {self.source: self.key}

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True)
class Given:
    """A row that the IAM needs and legacy does not have: its columns are constants."""

    target: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Plan:
    """Tables in foreign-key order."""

    name: str
    description: str
    tables: tuple[Table, ...]
    checksum: str
    source_schema: str = "public"
    target_schema: str = "public"
    rows: tuple[Given, ...] = ()
    captured: tuple[str, ...] = ()
    """Of a plan that leads back: the target's tables whose changes the plan itself captures."""

    def table(self, target: str) -> Table:
        """The table plan that fills `target`. Raises KeyError."""
        if (table := self.find(target)) is None:
            raise KeyError(target)
        return table

    def find(self, target: str) -> Table | None:
        """The same, or None where none does."""
        return next((table for table in self.tables if table.target == target), None)

    @property
    def given(self) -> tuple[Table, ...]:
        """The tables that only `rows` fill, as what a run writes to and an undo takes from: they have no source."""
        return tuple(
            Table(source="", target=name, key=(), columns=next(row.columns for row in self.rows if row.target == name))
            for name in dict.fromkeys(row.target for row in self.rows)
        )

    def siblings(self, source: str) -> list[Table]:
        """The table plans that read this source table, in plan order."""
        return [table for table in self.tables if table.source == source]

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(table.source for table in self.tables))

    @property
    def read(self) -> tuple[str, ...]:
        """All of legacy that a run reads: the sources, views among them, and what their expressions read."""
        return tuple(dict.fromkeys([*self.sources, *self.watched]))

    @property
    def watched(self) -> tuple[str, ...]:
        """The source tables whose changes matter: the sources but for views, and what their expressions read."""
        own = (table.source for table in self.tables if not table.view)
        return tuple(dict.fromkeys([*own, *(read.source for table in self.tables for read in table.reads)]))


@dataclass(frozen=True)
class ColumnInfo:
    """A column of a real table: `type` without its length, so that a cast to it never truncates."""

    name: str
    type: str
    not_null: bool
    has_default: bool
    full_type: str = ""
    computed: bool = False
    """The server makes it out of the row's other columns."""
    numbered: bool = False
    """The server alone numbers it (GENERATED ALWAYS AS IDENTITY)."""
    loose: bool = False
    """Whether equal values may be written otherwise: 1 and 1.0, or Ann and ANN as citext."""
    portable: str = ""
    """The type in which the other server, which may not know `type`, sends its values."""

    @property
    def sent_as(self) -> str:
        return self.portable or self.type  # what an earlier version remembered has only the type


@dataclass(frozen=True)
class ForeignKey:
    name: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    validated: bool = True


@dataclass(frozen=True)
class Unique:
    """A unique index that is not the primary key's."""

    columns: tuple[str, ...]
    """All that it is made of, in its order where it is `plain`."""
    parts: tuple[str, ...] = ()
    """What must differ, as SQL over the row; empty where that is the columns themselves."""
    where: str = ""
    """SQL over the row: those for which it holds alone, if not for all."""
    nulls_alike: bool = False
    """Whether two NULLs collide."""

    @property
    def plain(self) -> bool:
        return not self.parts

    @property
    def compared(self) -> tuple[str, ...]:
        """The columns that what must differ follows from, as which rows count does not."""
        return tuple(name for name in self.columns if self.plain or any(mentions(part, name) for part in self.parts))


def mentions(sql: str, column: str) -> bool:
    """Whether an expression, as the server writes it, may be made of the column."""
    return re.search(rf"(?<!\w){re.escape(column)}(?!\w)", sql) is not None


@dataclass(frozen=True)
class TableInfo:
    """A real table, as its database's catalog describes it."""

    name: str
    columns: dict[str, ColumnInfo]
    primary_key: tuple[str, ...]
    uniques: dict[str, Unique] = field(default_factory=dict)
    """By the index's name."""
    foreign_keys: tuple[ForeignKey, ...] = ()
    view: bool = False
    deferrable: tuple[tuple[str, ...], ...] = ()
    """Those of its keys that hold only at the end of a transaction: INSERT … ON CONFLICT takes none of them."""

    @property
    def keys(self) -> list[tuple[str, ...]]:
        """The primary key first, then the columns of each unique index that tells every row from every other."""
        return [self.primary_key, *(unique.columns for unique in self.uniques.values() if unique.plain)]


Catalog = dict[str, TableInfo]
"""The tables of one schema by name."""
