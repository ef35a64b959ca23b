"""Giving numbers of legacy's own sequences to rows that were born in the IAM, before they come back.

Legacy's table of them is the one that counts; the IAM's follows it. What breaks off between the two is made up for the next time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.sql import Composable, Identifier, Literal

from migration_portal.engine.queries import queries
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import numbers
from migration_portal.plan.errors import PlanError
from migration_portal.plan.model import Number, Plan

_LEGACY, _IAM = Identifier("portal_capture", "portal_numbers"), Identifier("portal_ledger", "portal_numbers")
_AT_ONCE = 5000


@dataclass(frozen=True)
class _Counted:
    """A legacy table that counts, and the IAM's table that it comes back from."""

    number: Number
    schema: str
    table: str
    key: str
    target: Composable

    @property
    def name(self) -> str:
        return numbers.name_of(self.number)

    @property
    def parts(self) -> dict[str, Composable]:
        return {"table": Identifier(self.schema, self.table), "key": Identifier(self.key), "name": Literal(self.name)}


def prepare(legacy: Connection[Any], iam: Connection[Any], plan: Plan) -> None:
    """Make room for them in legacy, with those that an earlier run gave. Does nothing for plans without numbers."""
    counted = list(_counted(plan, plan.source_schema, plan.target_schema))
    if not counted:
        return
    with legacy.transaction():
        legacy.execute(queries("numbers")["table"])
        known = iam.execute(queries("numbers")["known"], {"of": [each.name for each in counted]}).fetchall()
        _note(legacy, _LEGACY, known)
        for each in counted:
            legacy.execute(queries("numbers")["written"].format(**each.parts))


def keep(legacy: Connection[Any], iam: Connection[Any], plan: Plan) -> None:
    """Where a restored legacy has taken the place of another: what was given since its backup stays given.

    Where it has a row of its own under the number, `give` takes it back.
    """
    for each in _counted(plan, plan.source_schema, plan.target_schema):
        known = iam.execute(queries("numbers")["known"], {"of": [each.name]}).fetchall()
        with legacy.transaction():
            legacy.execute(queries("numbers")["table"])
            _note(legacy, _LEGACY, known)
            sequence, may_use = _sequence(legacy, each)
            if known and may_use:
                most = max(number for _, _, number in known)
                legacy.execute(queries("numbers")["pass"], {"sequence": sequence, "most": most})
        uuids = [uuid for _, uuid, _ in known]
        here = legacy.execute(queries("numbers")["given"], {"of": each.name, "uuids": uuids}).fetchall()
        if lost := [uuid for _, uuid, number in known if (uuid, number) not in set(here)]:
            iam.execute(queries("numbers")["take_back"].format(numbers=_IAM), {"of": each.name, "uuids": lost})


def give(back: Transfer, iam: Connection[Any]) -> None:
    """Give numbers to the IAM's rows that have none. `back` is the reverse transfer, `iam` a writable session.

    What cannot be numbered is left without one, and comes back no further than to an error of its own: see `unnumberable`.
    """
    for each in _of(back):
        _take_back(back.target, iam, each)
        sequence, may_use = _sequence(back.target, each)
        while may_use and (uuids := _unnumbered(iam, each)):
            about = {"of": each.name, "uuids": uuids}
            try:
                with back.target.transaction():
                    known = {row[0] for row in back.target.execute(queries("numbers")["given"], about)}
                    free = _free(back.target, each, sequence, len(uuids) - len(known))
                    new = zip((uuid for uuid in uuids if uuid not in known), free, strict=False)
                    _note(back.target, _LEGACY, [(each.name, *pair) for pair in new])
            except psycopg.errors.SequenceGeneratorLimitExceeded:
                break
            given = back.target.execute(queries("numbers")["given"], about).fetchall()
            _note(iam, _IAM, [(each.name, *pair) for pair in given])


def note_written(back: Transfer) -> None:
    """In the transaction that has written rows: whose number was given is there under it from now on."""
    for each in _of(back):
        back.target.execute(queries("numbers")["written"].format(**each.parts))


def unnumberable(legacy: Connection[Any], plan: Plan) -> Iterator[PlanError]:
    """The plan's tables for which legacy has no sequence that we may use: what is born in the IAM could not come back."""
    for each in _counted(plan, plan.source_schema, plan.target_schema):
        with legacy.transaction():
            sequence, may_use = _sequence(legacy, each)
        if not sequence:
            yield PlanError(
                "No sequence owns it: a row that is born in the IAM could not be numbered, and not come back.",
                subject=f"{each.table}.{each.key}", todo="Let one own the column: ALTER SEQUENCE … OWNED BY.",
            )  # fmt: skip
        elif not may_use:
            yield PlanError(
                "The role may not use its sequence: a row that is born in the IAM could not be numbered, and not come back.",
                subject=f"{each.table}.{each.key}", todo=f"GRANT USAGE ON SEQUENCE {sequence} to the role in LEGACY_DATABASE_URL.",
            )  # fmt: skip


def _of(back: Transfer) -> Iterator[_Counted]:
    """Of a plan that leads back."""
    for table in back.plan.tables:
        if table.forward is not None and not table.read:
            number = numbers.given_to(table.forward)
            if number is not None:
                yield _Counted(
                    number, back.plan.target_schema, table.target, table.forward.key[0],
                    Identifier(back.plan.source_schema, table.source),
                )  # fmt: skip


def _counted(plan: Plan, schema: str, target_schema: str) -> Iterator[_Counted]:
    for table in plan.tables:
        if (number := numbers.given_to(table)) is not None:
            yield _Counted(number, schema, table.source, table.key[0], Identifier(target_schema, table.target))


def _take_back(legacy: Connection[Any], iam: Connection[Any], each: _Counted) -> None:
    """Numbers that legacy took for rows of its own meanwhile. In the IAM first: what breaks off there is read again."""
    uuids = [row[0] for row in legacy.execute(queries("numbers")["taken"].format(**each.parts))]
    if uuids:
        about = {"of": each.name, "uuids": uuids}
        iam.execute(queries("numbers")["take_back"].format(numbers=_IAM), about)
        legacy.execute(queries("numbers")["take_back"].format(numbers=_LEGACY), about)


def _unnumbered(iam: Connection[Any], each: _Counted) -> list[Any]:
    begins = numbers.prefix(each.number)
    statement = queries("numbers")["unnumbered"].format(
        key=Identifier(each.number.over), table=each.target, first=Literal(f"{begins}{'0' * 12}"),
        last=Literal(f"{begins}{'f' * 12}"), name=Literal(each.name), most=Literal(_AT_ONCE),
    )  # fmt: skip
    return [row[0] for row in iam.execute(statement)]


def _sequence(legacy: Connection[Any], each: _Counted) -> tuple[str, bool]:
    about = {"table": Identifier(each.schema, each.table).as_string(legacy), "column": each.key}
    row = legacy.execute(queries("numbers")["sequence"], about).fetchone()
    return (str(row[0] or ""), bool(row[1])) if row else ("", False)


def _free(legacy: Connection[Any], each: _Counted, sequence: str, count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        statement = queries("numbers")["free"].format(
            sequence=Literal(sequence), most=Literal(count - len(found)), **each.parts
        )
        found += [row[0] for row in legacy.execute(statement)]
    return found


def _note(connection: Connection[Any], numbers_of: Identifier, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        of, uuids, given = (list(column) for column in zip(*rows, strict=True))
        statement = queries("numbers")["note"].format(numbers=numbers_of)
        connection.execute(statement, {"of": of, "uuids": uuids, "numbers": given})
