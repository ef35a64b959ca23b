"""Rows that legacy counts and the IAM knows by UUIDs. Pure.

A number becomes a UUID from which it can be read again. A row that is born in the IAM has a UUID of its own: on its way back
legacy's sequence gives it a number, and from then on both sides know which number is which UUID. Runs that capture ask for
those (`with_given`); without capture nothing comes back, and there are none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

from migration_portal.plan.model import Column, Number, Plan, Table

_MOST = 2**48 - 1
"""What the last twelve digits of a UUID hold."""

# The names begin with portal_: whoever looks for columns that an expression mentions must not take them for the plan's.
_GIVEN_THERE = (
    "(SELECT portal_g.portal_uuid FROM portal_capture.portal_numbers AS portal_g"
    " WHERE portal_g.portal_of = '{of}' AND portal_g.portal_number = {over} AND portal_g.portal_written)"
)
_GIVEN_BACK = (
    "(SELECT portal_g.portal_number FROM portal_ledger.portal_numbers AS portal_g"
    " WHERE portal_g.portal_of = '{of}' AND portal_g.portal_uuid = {over})"
)


def prefix(number: Number) -> str:
    """How the UUIDs of a legacy table's numbers begin: each table's own; of version 8 (RFC 9562, 5.8), which is never random."""
    digest = hashlib.sha256(_table(number).encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-8{digest[12:15]}-8{digest[15:18]}-"


def name_of(number: Number) -> str:
    """By what the tables of given numbers know a source table; never a word that a column could be called."""
    return f"portal_of_{_table(number)}"


def _table(number: Number) -> str:
    return number.of if number.schema == "public" else f"{number.schema}.{number.of}"


def uncountable(number: Number) -> str:
    """True for numbers that no UUID can stand for, as SQL."""
    return f"{_quoted(number.over)} NOT BETWEEN 0 AND {_MOST}"


def there(number: Number) -> str:
    """The UUID of a legacy column, as SQL; NULL for numbers that none can stand for."""
    over = _quoted(number.over)
    return f"(CASE WHEN {over} BETWEEN 0 AND {_MOST} THEN ('{prefix(number)}' || lpad(to_hex({over}::bigint), 12, '0'))::uuid END)"


def back(number: Number) -> str:
    """The number of an IAM column, as SQL; NULL for a UUID that stands for none."""
    over = _quoted(number.over)
    return (
        f"(CASE WHEN {over}::text LIKE '{prefix(number)}%' THEN ('x' || right({over}::text, 12))::bit(48)::bigint END)"
    )


def in_its_schema(plan: Plan) -> Plan:
    """The plan whose numbers are of its source schema: another schema of the same database counts for itself."""

    def named(column: Column) -> Column:
        return replace(column, number=replace(column.number, schema=plan.source_schema)) if column.number else column

    tables = tuple(
        replace(
            table,
            columns=tuple(map(named, table.columns)),
            reverse=tuple(map(named, table.reverse)),
            reads=tuple(replace(read, reverse=tuple(map(named, read.reverse))) for read in table.reads),
        )
        for table in plan.tables
    )
    return plain(replace(plan, tables=tables))


def plain(plan: Plan) -> Plan:
    """The plan without numbers that were given."""
    return _mapped(plan, lambda column: there(_number(column)), lambda column: back(_number(column)))


def with_given(plan: Plan) -> Plan:
    """The plan with them: for both sides of a run that captures."""
    given = given_for(plan)
    if not given:
        return plan

    def known(column: Column, template: str, otherwise: Callable[[Number], str]) -> str:
        number = _number(column)
        if number.of not in given:
            return otherwise(number)
        asked = template.format(of=name_of(number).replace("'", "''"), over=_quoted(number.over))
        return f"coalesce({asked}, {otherwise(number)})"

    return _mapped(
        plan,
        lambda column: known(column, _GIVEN_THERE, there),
        lambda column: known(column, _GIVEN_BACK, back),
    )


def given_for(plan: Plan) -> set[str]:
    """The legacy tables whose new rows get numbers."""
    return {table.source for table in plan.tables if given_to(table)}


def given_to(table: Table) -> Number | None:
    """The number that is a table's own and its whole key, both ways, where its new rows get one.

    Tenants get none: capture must tell them without a look-up.
    """
    back = next((each for each in table.reverse if table.key == (each.name,)), None)
    if back is None or back.number is None or back.number.of != table.source:
        return None
    return None if table.target_tenant == _quoted(back.number.over) else back.number


def _mapped(plan: Plan, forward: Callable[[Column], str], backward: Callable[[Column], str]) -> Plan:
    if not any(column.number for table in plan.tables for column in (*table.columns, *table.reverse)):
        return plan
    return replace(
        plan,
        tables=tuple(
            replace(
                table,
                columns=_all(table.columns, forward),
                reverse=_all(table.reverse, backward),
                reads=tuple(replace(read, reverse=_all(read.reverse, backward)) for read in table.reads),
            )
            for table in plan.tables
        ),
    )


def _all(columns: tuple[Column, ...], sql: Callable[[Column], str]) -> tuple[Column, ...]:
    return tuple(replace(column, sql=sql(column)) if column.number else column for column in columns)


def _number(column: Column) -> Number:
    assert column.number is not None
    return column.number


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
