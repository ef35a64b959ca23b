"""Unique indexes as conditions: what they compare, which rows count, and when two rows collide. Pure.

An index may be over expressions, `lower(email)`, and over some rows alone, `WHERE deleted_at IS NULL`. The catalog has both as
SQL over an unnamed row. Where a row has a name, they are computed in a sub-select of its columns; of the table that is
searched in its rows' own, which the planner sees through to the index.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.sql import SQL, Composable, Composed, Identifier

from migration_portal.plan import compile
from migration_portal.plan.model import Table, Unique

_VALUE, _COUNTS = "portal_value_{}", "portal_counts"


def reason(unique: Unique) -> str:
    """Of a row in quarantine that another one was before."""
    return f"duplicate_{'_'.join(unique.columns)}"


def filled(unique: Unique, table: Table) -> bool:
    """Whether the table plan says all that the index is made of."""
    return all(table.column(name) for name in unique.columns)


def values(unique: Unique, alias: str = "") -> list[Composable]:
    """What must differ, of the row `alias` or of the only one in scope."""
    if unique.plain:
        row = compile.raw(f"{alias}." if alias else "")
        return [SQL("{}{}").format(row, Identifier(name)) for name in unique.columns]
    return [_of(unique, part, alias) for part in unique.parts]


def listed(unique: Unique) -> Composed:
    """The same of the only row in scope, as a list."""
    return SQL(", ").join(values(unique))


def counts(unique: Unique, alias: str = "") -> Composable:
    """True for the rows among which the values must differ."""
    return _counts(unique, values(unique, alias), _of(unique, unique.where, alias) if unique.where else None)


def searched(unique: Unique, table: Composable) -> Composable:
    """The table with the values of each row beside its columns, for `collide`."""
    if unique.plain:
        return table
    parts = [
        SQL("({}) AS {}").format(compile.raw(part), Identifier(_VALUE.format(number)))
        for number, part in enumerate(unique.parts)
    ]
    return SQL("(SELECT *, {}, {} AS {} FROM {})").format(
        SQL(", ").join(parts), compile.raw(f"({unique.where or 'true'})"), Identifier(_COUNTS), table
    )


def collide(unique: Unique, left: str, right: str, *, in_searched: bool = True) -> Composable:
    """True where the two rows, two aliases, may not both be there; `left` is one of what `searched` made of a table."""
    if unique.plain:
        return compile.same(unique.columns, unique.columns, left, right)
    here: Sequence[Composable] = values(unique, left)
    where: Composable | None = _of(unique, unique.where, left) if unique.where else None
    if in_searched:
        here = [Identifier(left, _VALUE.format(number)) for number in range(len(unique.parts))]
        where = Identifier(left, _COUNTS) if unique.where else None
    operator = SQL("IS NOT DISTINCT FROM" if unique.nulls_alike else "=")
    pairs = zip(here, values(unique, right), strict=True)
    alike = [SQL("{} {} {}").format(mine, operator, other) for mine, other in pairs]
    return SQL(" AND ").join([*alike, _counts(unique, here, where), counts(unique, right)])


def _of(unique: Unique, expression: str, alias: str) -> Composable:
    if not alias:
        return compile.raw(f"({expression})")
    columns = SQL(", ").join(Identifier(alias, name) for name in unique.columns)
    return SQL("(SELECT {} FROM (SELECT {}) AS portal_row)").format(compile.raw(expression), columns)


def _counts(unique: Unique, of: Sequence[Composable], where: Composable | None) -> Composable:
    conditions = [] if unique.nulls_alike else [SQL("{} IS NOT NULL").format(value) for value in of]
    if where is not None:
        conditions.append(SQL("{}").format(where))
    return SQL(" AND ").join(conditions) if conditions else SQL("true")
