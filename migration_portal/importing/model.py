"""Tables of a legacy system that is not PostgreSQL, as they are imported into one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

Row = Sequence[str | None]
"""Values as PostgreSQL reads them from text, in the order of the table's columns."""


@dataclass(frozen=True)
class Reference:
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]


@dataclass(frozen=True)
class ImportedTable:
    """`columns` by name, each with PostgreSQL's type; `rows` may be asked for once."""

    name: str
    columns: dict[str, str]
    key: tuple[str, ...]
    rows: Callable[[], Iterator[Row]]
    not_null: frozenset[str] = frozenset()
    uniques: tuple[tuple[str, ...], ...] = ()
    references: tuple[Reference, ...] = field(default=())
