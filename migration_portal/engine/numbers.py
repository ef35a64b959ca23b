"""Giving numbers of legacy's own sequences to rows that were born in the IAM, before they come back.

Legacy's table of them is the one that counts; the IAM's follows it. What breaks off between the two is made up for the next time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import Connection
from psycopg.sql import Identifier, Literal

from migration_portal.engine.queries import queries
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import numbers
from migration_portal.plan.errors import PlanError
from migration_portal.plan.model import Number, Plan, Table

_LEGACY, _IAM = Identifier("portal_capture", "portal_numbers"), Identifier("portal_ledger", "portal_numbers")
_AT_ONCE = 5000


def prepare(legacy: Connection[Any], iam: Connection[Any], plan: Plan) -> None:
    """Make room for them in legacy, with those that an earlier run gave. Does nothing for plans without numbers."""
    given = sorted(numbers.given_for(plan))
    if not given:
        return
    with legacy.transaction():
        legacy.execute(queries("numbers")["table"])
        names = [numbers.name_of(source) for source in given]
        known = iam.execute(queries("numbers")["known"], {"of": names}).fetchall()
        _note(legacy, _LEGACY, known)


def give(back: Transfer, iam: Connection[Any]) -> None:
    """Give numbers to the IAM's rows that have none. `back` is the reverse transfer, `iam` a writable session.

    Raises PlanError where legacy has no sequence to give them.
    """
    for table in back.plan.tables:
        number = _own(table)
        if number is None:
            continue
        while uuids := _unnumbered(iam, back.plan, table, number):
            about = {"of": numbers.name_of(number.of), "uuids": uuids}
            with back.target.transaction():
                back.target.execute(queries("numbers")["give"], about | {"sequence": _sequence(back, table)})
            given = back.target.execute(queries("numbers")["given"], about).fetchall()
            _note(iam, _IAM, [(about["of"], *each) for each in given])


def _own(table: Table) -> Number | None:
    """Of a table that leads back: the number that is its key, where legacy gives new rows one."""
    if table.forward is None or table.read or table.forward.target_tenant == f'"{numbers.own_over(table.forward)}"':
        return None
    column = numbers.own(table.columns, table.target, table.forward.key)
    return column.number if column else None


def _unnumbered(iam: Connection[Any], plan: Plan, table: Table, number: Number) -> list[Any]:
    begins = numbers.prefix(number.of)
    statement = queries("numbers")["unnumbered"].format(
        key=Identifier(number.over), table=Identifier(plan.source_schema, table.source),
        first=Literal(f"{begins}{'0' * 12}"), last=Literal(f"{begins}{'f' * 12}"),
        name=Literal(numbers.name_of(number.of)), most=Literal(_AT_ONCE),
    )  # fmt: skip
    return [row[0] for row in iam.execute(statement)]


def _sequence(back: Transfer, table: Table) -> str:
    about = {
        "table": back.quoted(back.plan.target_schema, table.target),
        "column": table.forward.key[0] if table.forward else "",
    }
    row = back.target.execute(queries("numbers")["sequence"], about).fetchone()
    if not row or not row[0]:
        raise PlanError(
            "A row was born in the IAM, and legacy has no sequence to number it by.", subject=f"{table.target}.{about['column']}",
            todo="Let a sequence own the column (ALTER SEQUENCE … OWNED BY), or map its numbers by an expression.",
        )  # fmt: skip
    return str(row[0])


def _note(connection: Connection[Any], numbers_of: Identifier, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        of, uuids, given = (list(column) for column in zip(*rows, strict=True))
        statement = queries("numbers")["note"].format(numbers=numbers_of)
        connection.execute(statement, {"of": of, "uuids": uuids, "numbers": given})
