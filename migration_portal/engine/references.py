"""Who refers to a target row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from psycopg.sql import SQL, Composable, Identifier

from migration_portal.engine.ledger import rows
from migration_portal.engine.queries import queries
from migration_portal.engine.transfer import Transfer
from migration_portal.plan import compile
from migration_portal.plan.model import Table

Of = Callable[[str], Composable]
"""A condition on the rows of an alias."""


class Reference(NamedTuple):
    """The table that refers, as SQL, its columns, and those that they refer to; its name, where it is of the plan's schema."""

    child: str
    columns: tuple[str, ...]
    parent_columns: tuple[str, ...]
    name: str


def referring(transfer: Transfer, table: Table, *, changing: bool = False) -> list[Reference]:
    """Who refers to the table's rows, by the target's own foreign keys; those alone who change along with a key, if asked."""
    found = _referring(transfer, transfer.quoted(transfer.schema, table.target))
    return [_reference(transfer, row) for row in found if row["changes_along"] or not changing]


def _reference(transfer: Transfer, row: Mapping[str, Any]) -> Reference:
    name = row["name"] if row["schema"] == transfer.schema else ""
    return Reference(row["child"], tuple(row["columns"]), tuple(row["parent_columns"]), name)


def _referring(transfer: Transfer, name: str) -> list[dict[str, Any]]:
    return rows(transfer.target, queries("catalog")["referring"], {"table": name})


def taking_nobody_along(transfer: Transfer, table: Table) -> Composable:
    """Nobody refers to the row `t` who would go with it, or lose the reference."""
    found = _referring(transfer, transfer.quoted(transfer.schema, table.target))
    along = [_reference(transfer, row) for row in found if row["goes_along"]]
    return _nobody(table, along, _itself(transfer, table))


def refers_to_itself(transfer: Transfer, table: Table) -> bool:
    """Whether rows of the table refer to rows of it."""
    return any(reference.name == table.target for reference in referring(transfer, table))


def changing_nobody(transfer: Transfer, table: Table, whose: Mapping[str, Of], going: Of | None = None) -> Composable:
    """No row of the tables that `whose` names goes along with the row `t`, or loses what refers to it: by whatever tables between.

    `whose` says for each which rows are meant; rows of the table itself that are `going` as well are not.
    """
    going = going or _itself(transfer, table)
    along = list(
        _along(transfer, table, transfer.quoted(transfer.schema, table.target), "t", whose, going, frozenset())
    )
    return SQL(" AND NOT ({})").format(SQL(" OR ").join(along)) if along else SQL("")


def _along(
    transfer: Transfer, table: Table, name: str, row: str, whose: Mapping[str, Of], going: Of, passed: frozenset[str],
) -> Iterator[Composable]:  # fmt: skip
    alias = f"a{len(passed)}"
    for each in _referring(transfer, name):
        found: list[Composable] = []
        if each["goes_along"] and each["schema"] == transfer.schema and each["name"] in whose:
            found.append(whose[each["name"]](alias))
        if each["cascades"] and each["child"] not in passed:
            found += _along(transfer, table, each["child"], alias, whose, going, passed | {each["child"]})
        if found:
            joined = compile.same(each["columns"], each["parent_columns"], alias, row)
            stays = (
                SQL("NOT {}").format(going(alias)) if _reference(transfer, each).name == table.target else SQL("true")
            )
            yield SQL("EXISTS (SELECT FROM {} AS {} WHERE {} AND {} AND ({}))").format(
                compile.raw(each["child"]), Identifier(alias), joined, stays, SQL(" OR ").join(found)
            )


def unreferenced(transfer: Transfer, table: Table, going: Of | None = None) -> Composable:
    """Nobody refers to the row `t` but itself, or who is `going`: what still stands on it was edited or added, and keeps it."""
    return _nobody(table, of_plan_too(transfer, table), going or _itself(transfer, table))


def unreferenced_by(transfer: Transfer, table: Table, columns: Iterable[str]) -> Composable:
    """Nobody refers to the row `t` by any of these columns, but itself."""
    by_them = {each for each in of_plan_too(transfer, table) if not set(columns).isdisjoint(each.parent_columns)}
    return _nobody(table, by_them, _itself(transfer, table))


def of_plan_too(transfer: Transfer, table: Table) -> set[Reference]:
    """Who refers to the table's rows, by the plan's own foreign keys, too: suspended ones are not in the catalog."""
    references = set(referring(transfer, table))
    for other in transfer.plan.tables:
        for key in transfer.info(other).foreign_keys:
            if key.parent == table.target:
                child = transfer.target_table(other.target).as_string(transfer.target)
                references.add(Reference(child, key.columns, key.parent_columns, other.target))
    return references


def _nobody(table: Table, references: Iterable[Reference], going: Of) -> Composable:
    conditions = [
        SQL(" AND NOT EXISTS (SELECT FROM {child} AS c WHERE {joined} AND {stays})").format(
            child=compile.raw(child),
            joined=compile.same(columns, parent_columns, "c", "t"),
            stays=SQL("NOT {}").format(going("c")) if name == table.target else SQL("true"),
        )
        for child, columns, parent_columns, name in sorted(references)
    ]
    return SQL("").join(conditions)


def _itself(transfer: Transfer, table: Table) -> Of:
    """A row that refers to itself goes with itself."""
    key = transfer.info(table).primary_key
    return lambda alias: SQL("({})").format(compile.same(key, key, alias, "t"))
