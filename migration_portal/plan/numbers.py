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
    " WHERE portal_g.portal_of = 'portal_of_{of}' AND portal_g.portal_number = {over})"
)
_GIVEN_BACK = (
    "(SELECT portal_g.portal_number FROM portal_ledger.portal_numbers AS portal_g"
    " WHERE portal_g.portal_of = 'portal_of_{of}' AND portal_g.portal_uuid = {over})"
)


def prefix(source: str) -> str:
    """How the UUIDs of a legacy table's numbers begin: each table's own; of version 8 (RFC 9562, 5.8), which is never random."""
    digest = hashlib.sha256(source.encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-8{digest[12:15]}-8{digest[15:18]}-"


def name_of(source: str) -> str:
    """By what the tables of given numbers know a source table."""
    return f"portal_of_{source}"


def there(number: Number) -> str:
    """The UUID of a legacy column, as SQL; NULL for numbers that none can stand for."""
    over = _quoted(number.over)
    return f"(CASE WHEN {over} BETWEEN 0 AND {_MOST} THEN ('{prefix(number.of)}' || lpad(to_hex({over}), 12, '0'))::uuid END)"


def back(number: Number) -> str:
    """The number of an IAM column, as SQL; NULL for a UUID that stands for none."""
    over = _quoted(number.over)
    return f"(CASE WHEN {over}::text LIKE '{prefix(number.of)}%' THEN ('x' || right({over}::text, 12))::bit(48)::bigint END)"


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
        asked = template.format(of=number.of, over=_quoted(number.over))
        return f"coalesce({asked}, {otherwise(number)})"

    return _mapped(
        plan,
        lambda column: known(column, _GIVEN_THERE, there),
        lambda column: known(column, _GIVEN_BACK, back),
    )


def given_for(plan: Plan) -> set[str]:
    """The legacy tables whose new rows get numbers: not the tenants, of whom capture must tell without a look-up."""
    return {
        table.source
        for table in plan.tables
        if own(table.reverse, table.source, table.key) and table.target_tenant != _quoted(own_over(table))
    }


def own(columns: tuple[Column, ...], of: str, key: tuple[str, ...]) -> Column | None:
    """The column, of a reverse section, that is the table's own number and its whole key."""
    return next((each for each in columns if each.number and each.number.of == of and key == (each.name,)), None)


def own_over(table: Table) -> str:
    column = own(table.reverse, table.source, table.key)
    return column.number.over if column and column.number else ""


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
