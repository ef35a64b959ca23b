"""A drafted plan: every line with how certain it is, from 0 to 1, and why."""

from __future__ import annotations

from dataclasses import dataclass, field

ENOUGH = 0.5
"""From which a match counts."""
BY_LOOK = {"hashed_password": "password hash", "email": "e-mail"}
"""Concepts that values alone tell, and what they look like."""
UNSURE = 0.75
"""Below this, somebody should look."""


@dataclass(frozen=True)
class Line:
    """An IAM column as SQL over the legacy row, or a legacy column as SQL over the IAM row."""

    name: str
    sql: str
    certainty: float
    reason: str
    uses: tuple[str, ...] = ()
    """The legacy columns of the table itself that it is made of."""
    number_of: str = ""
    """Where it is a number of this legacy table's: `sql` is the other side's column."""


@dataclass
class ReadDraft:
    """A legacy table that expressions read: `link` is its column for each of the key's."""

    link: dict[str, str]
    back: list[Line] = field(default_factory=list)
    unmapped: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Its columns that are read and that nothing leads back to."""


@dataclass
class TableDraft:
    source: str
    target: str
    certainty: float
    reason: str
    columns: tuple[str, ...] = ()
    """All of the legacy table's."""
    key: tuple[str, ...] = ()
    tenant: str = ""
    through: tuple[str, str] | None = None
    """The parent IAM table, and the column that refers to it."""
    lines: list[Line] = field(default_factory=list)
    defaults: list[Line] = field(default_factory=list)
    back: list[Line] = field(default_factory=list)
    reads: dict[str, ReadDraft] = field(default_factory=dict)
    not_uuids: dict[str, str] = field(default_factory=dict)
    """Legacy columns whose text may be no UUID, and how SQL writes them."""
    secret: list[str] = field(default_factory=list)
    unmapped: list[str] = field(default_factory=list)
    """Legacy columns that nothing is made of."""
    ignored: list[str] = field(default_factory=list)
    """Those of them that nobody needs: numbers of its own that legacy gives each row."""

    @property
    def unsure(self) -> list[Line]:
        return [line for line in (*self.lines, *self.defaults, *self.back) if line.certainty < UNSURE]


@dataclass
class Draft:
    tables: list[TableDraft]
    rows: dict[str, list[Line]] = field(default_factory=dict)
    """By IAM table: a row that the IAM needs and legacy does not have."""
    left: dict[str, str] = field(default_factory=dict)
    """Legacy tables that nothing is made of, and why."""
